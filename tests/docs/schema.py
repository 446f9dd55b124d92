# SPDX-License-Identifier: Apache-2.0
"""docs/dimmer.schema.json, for every test that reads dimmer's JSON.

    from tests.docs.schema import validate
    validate('show', host.dimmer('show', 'web1', '-o', 'json').stdout)
"""

import json
from pathlib import Path

import jsonschema

PATH = Path(__file__).resolve().parents[2] / 'docs/dimmer.schema.json'
SCHEMA = json.loads(PATH.read_text())

# What each verb prints: 'error' if it fails.
KINDS = {'list': 'list', 'show': 'show', 'set': 'change', 'unplug': 'change', 'plug': 'change',
         'enable': 'change', 'settle': 'change', 'doctor': 'checkup', 'guest': 'prepared',
         'hosts': 'hosts', 'reclaim': 'reclaim'}


def validator(kind):
    """For 'list', 'show', 'change', 'error', or any other of the schema's $defs."""
    return jsonschema.Draft202012Validator({'$ref': f'#/$defs/{kind}', '$defs': SCHEMA['$defs']})


def validate(kind, document):
    """The document, parsed if it is text; AssertionError if it is not of that kind."""
    if isinstance(document, (str, bytes)):
        document = json.loads(document)
    problem = jsonschema.exceptions.best_match(validator(kind).iter_errors(document))
    assert problem is None, f'{kind}: {problem.json_path}: {problem.message}'
    return document
