# SPDX-License-Identifier: Apache-2.0
"""All public names, from the programs, the schemas and the table of keys: what docs/names.md is held against. A name
that means two things stands twice where one of them is deprecated, so these are pairs: (name, deprecated).
"""

import json
import re

import facts

# What of the API is dimmer's own, beside oVirt's representations.
OWN_SCHEMAS = ('MemoryDevice', 'NewMemoryDevice', 'MemoryPlan', 'Values', 'MemoryCheck', 'Finding',
               'EnableAction')
OWN_MEMBERS = {'Fault': ('code',), 'PreparedAction': ('ready', 'did', 'did_codes', 'left', 'left_codes'),
               'Job': ('outcome', 'notes', 'note_codes'),
               'Vm': ('balloon_use', 'ballooned', 'boot', 'notes', 'note_codes'),
               'Step': ('op', 'size', 'from', 'to', 'reached', 'state', 'reason', 'reason_code', 'refused_by', 'seconds', 'memory_device')}


def members(schema):
    """Those of a schema, and of the objects within it."""
    if not isinstance(schema, dict):
        return set()
    found = members(schema.get('items'))
    for name, member in schema.get('properties', {}).items():
        found |= {(name, isinstance(member, dict) and member.get('deprecated', False))} | members(member)
    return found


def options():
    named = {option.name for verb in facts.verbs() for option in facts.verb_options(verb)}
    named |= {option.name for option in facts.program_options()}
    sources = ''.join(file.read_text() for file in (facts.REPO / 'src/cli').glob('*.c'))
    former = re.findall(r'OPTIONS_FORMER\("([\w-]+)"', sources)
    return {(f'--{name}', False) for name in named} | {(f'--{name}', True) for name in former}


def json_members():
    definitions = json.loads((facts.REPO / 'docs/dimmer.schema.json').read_text())['$defs']
    return set().union(*map(members, definitions.values()))


def components():
    return json.loads((facts.REPO / 'src/api/openapi.json').read_text())['components']


def parameters():
    return {(parameter['name'], parameter.get('deprecated', False)) for parameter in components()['parameters'].values()}


def elements():
    """Those that are not oVirt's."""
    schemas = components()['schemas']
    found = set().union(*(members(schemas[name]) for name in OWN_SCHEMAS))
    for name, own in OWN_MEMBERS.items():
        found |= {(member, deprecated) for member, deprecated in members(schemas[name]) if member in own}
    return {(name, deprecated) for name, deprecated in found if name not in ('href', 'id')}


def keys():
    rows = re.findall(r'^  \{"\w+", "([\w-]+)", KEY_(.*?)"\},$', facts.source('daemon/keys.c'), re.MULTILINE | re.DOTALL)
    former = [name for _, rest in rows for name in re.findall(r'\.former = "([\w-]+)"', rest)]
    return {(name, False) for name, _ in rows} | {(name, True) for name in former}


def metrics():
    sources = facts.source('api/metrics.c') + facts.source('api/exposition.c')
    deprecated = set(re.findall(r'"(dimmer_[a-z_]+)",[^;]*?"Deprecated', sources))
    return {(name, name in deprecated) for name in re.findall(r'"((?:dimmer|process)_[a-z_]+)"', sources)}


def by_surface():
    return {'option': options(), 'JSON': json_members(), 'parameter': parameters(), 'API': elements(), 'key': keys(),
            'metric': metrics()}
