# SPDX-License-Identifier: Apache-2.0
"""Runs dimmer with -o json and reads what it says. Sizes are MiB here."""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'docs'))

import facts  # noqa: E402, F401  (it is in tests/docs, and tests import it from here)
from schema import KINDS, validate  # noqa: E402

from testbed.sizes import MIB, mib  # noqa: E402, F401  (tests have them from here)


def run(host, verb, *args, status=0, **options):
    """What a verb prints as JSON, held against the schema; its exit status must be status."""
    done = host.dimmer(verb, *args, '-o', 'json', **options)
    assert done.returncode == status, f'{verb} {args}: {done.returncode}\n{done.stdout}{done.stderr}'
    document = json.loads(done.stdout)
    return validate('error' if 'error' in document else KINDS[verb], document)


def fail(host, verb, *args, status, code, **options):
    """The message of the error that a verb must end with."""
    error = run(host, verb, *args, status=status, **options)['error']
    assert error['code'] == code, error
    return error['message']


def show(host, name):
    return run(host, 'show', name)


def values(host, name):
    """(live memory, live guaranteed, next run's memory, next run's guaranteed); None where
    there is no such configuration."""
    vm = show(host, name)
    found = []
    for which in ('live', 'next_run'):
        config = vm[which] or {}
        found += [mib(config.get('memory')), mib(config.get('guaranteed'))]
    return tuple(found)


def steps(result):
    """[(op, size in MiB, state)] of a change, in the order asked."""
    return [(step['op'], mib(step['size']), step['state']) for step in result['steps']]


def plug(host, vm, size, *args):
    """The aliases of new devices, in use by the guest if the VM has one."""
    result = run(host, 'plug', vm.name, f'{size}MiB', *args)
    aliases = [step['alias'] for step in result['steps'] if not step['earlier']]
    if vm.spec.os and 'virtio-mem' not in args:
        for alias in aliases:
            vm.wait_plugged(alias)
    return aliases


def read_until(process, text):
    """What the process prints, up to and with the line that has the text."""
    seen = ''
    for line in process.stdout:
        seen += line
        if text in line:
            return seen
    raise AssertionError(f'no {text!r} in: {seen}{process.stderr.read()}')
