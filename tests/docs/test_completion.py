# SPDX-License-Identifier: Apache-2.0
"""completions/dimmer.bash against the program, driven in a bash without a terminal."""

import json
import os
import re
import shutil
import subprocess
import time

import pytest

import facts
from test_json import example

SCRIPT = facts.REPO / 'completions/dimmer.bash'
VERBS = facts.verbs()

# As readline does, with what bash sets COMP_WORDBREAKS to.
BREAKS = ' \t\n"\'><=;|&(:'

# Arguments: the command, the words up to the cursor. Unset variables are errors.
DRIVER = '''
set -u
source "$1"
COMP_WORDS=("${@:3}")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_dimmer "$2" "${COMP_WORDS[COMP_CWORD]}" ""
((${#COMPREPLY[@]} == 0)) || printf '%s\\n' "${COMPREPLY[@]}"
'''


def words_of(line, breaks=BREAKS):
    """The words of a command line as bash gives them to a completion function."""
    special = re.escape(''.join(breaks.split()))
    alone = rf'[{special}]+|' if special else ''
    words = re.findall(rf'{alone}(?:\\.|[^\s{special}])+', line)
    return words + [''] if re.search(r'(?<!\\)\s$', line) else words


def complete(line, command=facts.BINARY, breaks=BREAKS, env=None):
    """What bash offers at the end of the line."""
    done = subprocess.run(['bash', '--norc', '-c', DRIVER, 'bash', SCRIPT, command, *words_of(line, breaks)],
                          env=os.environ | {'LIBVIRT_DEFAULT_URI': 'test:///default'} | (env or {}),
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (0, ''), line
    return done.stdout.splitlines()


def flags(options):
    return {f'-{option.short}' for option in options if option.short} | {f'--{option.name}' for option in options}


def fake(tmp_path, script):
    """A dimmer that is a shell script."""
    path = tmp_path / 'dimmer'
    path.write_text(f'#!/bin/sh\n{script}\n')
    path.chmod(0o755)
    return path


@pytest.fixture
def canned(tmp_path):
    """A dimmer that answers 'show' with the example of docs/json.md, and writes down how it was called."""
    (tmp_path / 'show.json').write_text(json.dumps(example('show'), indent=2))
    return fake(tmp_path, 'cd "$(dirname "$0")" && echo "$*" >called && cat show.json')


def test_shellcheck(require):
    require([] if shutil.which('shellcheck') else ['program shellcheck (Debian package shellcheck)'])
    done = subprocess.run(['shellcheck', SCRIPT], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, '')


def test_is_registered():
    done = subprocess.run(['bash', '--norc', '-uc', 'source "$1"; complete -p dimmer', 'bash', SCRIPT],
                          capture_output=True, text=True, check=False)
    assert done.stdout.split() == ['complete', '-F', '_dimmer', 'dimmer']


def test_verbs():
    assert complete('dimmer ') == list(VERBS)
    assert complete('dimmer se') == ['set', 'settle']
    assert complete('dimmer -c test:///default pl') == ['plug']


def test_program_options():
    assert set(complete('dimmer -')) == flags(facts.program_options() | facts.common_options())


@pytest.mark.parametrize('verb', VERBS)
def test_options(verb):
    expected = flags(facts.verb_options(verb))
    offered = complete(f'dimmer {verb} -')
    assert set(offered) == expected
    assert len(offered) == len(expected)
    assert set(complete(f'dimmer {verb} test --')) == {flag for flag in expected if flag.startswith('--')}


def values_in(*args):
    """The values that dimmer itself names when it refuses a wrong one."""
    message = facts.dimmer(*args).stderr
    assert ' is ' in message and "not 'wrong'" in message, message
    return re.findall(r"'(\S+)'", message.split(', not ')[0])


@pytest.mark.parametrize('option, verb', [('--policy', 'plug x 1G'), ('--kind', 'plug x 1G'), ('--output', 'list')])
def test_values(option, verb):
    expected = values_in(*verb.split(), option, 'wrong')
    assert len(expected) > 1
    assert complete(f'dimmer {verb} {option} ') == expected
    assert complete(f'dimmer {verb} {option}=') == expected
    assert complete(f'dimmer {verb} {option}={expected[1][:2]}') == [expected[1]]
    assert complete(f'dimmer {verb} {option}={expected[1][:2]}', breaks=' \t\n') == [f'{option}={expected[1]}']


def test_short_option_values():
    assert complete('dimmer list -o j') == ['json']
    assert complete('dimmer -o ') == ['text', 'json']
    assert complete('dimmer list -oj') == ['-ojson']
    assert complete('dimmer -cqemu:///se') == ['///session']


def spoken(verb):
    """The verb, with the word that it wants before the name of a VM."""
    return 'guest prepare' if verb == 'guest' else verb


@pytest.mark.parametrize('verb', [verb for verb in VERBS if VERBS[verb]])
def test_values_are_no_operands(verb):
    """Each option that wants a value gets one, and only then comes the VM."""
    for option in facts.verb_options(verb):
        if option.name in ('connect', 'output', 'policy', 'kind', 'balloon-use'):
            continue  # their values are known
        for flag in flags({option}):
            if option.argument:
                assert complete(f'dimmer {spoken(verb)} {flag} ') == [], flag
                assert complete(f'dimmer {spoken(verb)} {flag} 1 ') == ['test'], flag
                attached = f'{flag}=1' if flag.startswith('--') else f'{flag}1'
                assert complete(f'dimmer {spoken(verb)} {attached}') == [], flag
                assert complete(f'dimmer {spoken(verb)} {attached} ') == ['test'], flag
            else:
                assert complete(f'dimmer {spoken(verb)} {flag} ') == ['test'], flag


@pytest.mark.parametrize('verb', [verb for verb in VERBS if VERBS[verb]])
def test_vm_names(verb):
    assert complete(f'dimmer {spoken(verb)} ') == ['test']
    assert complete(f'dimmer {spoken(verb)} te') == ['test']
    assert complete(f'dimmer {spoken(verb)} x') == []
    assert complete(f'dimmer {spoken(verb)} -- te') == ['test']
    assert complete(f'dimmer {spoken(verb)} -- -') == []


def test_list_has_no_operands():
    assert complete('dimmer list ') == []


def test_names_that_need_quotes(tmp_path):
    domains = tmp_path / 'node.xml'
    names = ['a b', 'a:b', 'back\\slash', 'quo"te', 'ünï']
    domains.write_text('<node>' + ''.join(
        f"<domain type='test'><name>{name}</name><memory>1048576</memory><os><type>hvm</type></os></domain>"
        for name in names) + '</node>')
    env = {'LIBVIRT_DEFAULT_URI': f'test://{domains}', 'LC_ALL': 'C.UTF-8'}
    assert complete('dimmer show ', env=env) == ['a\\ b', 'a:b', 'back\\\\slash', 'quo\\"te', 'ünï']
    assert complete('dimmer show a\\ ', env=env) == ['a\\ b']
    assert complete('dimmer show a:', env=env) == ['b']


def test_connection():
    """The connection on the command line is the one that is asked."""
    env = {'LIBVIRT_DEFAULT_URI': 'nonsense:///'}
    for line in ('dimmer -c test:///default show ', 'dimmer show -c test:///default ',
                 'dimmer -ctest:///default show ', 'dimmer show -ctest:///default ',
                 'dimmer --connect=test:///default show ', 'dimmer --connect test:///default show '):
        assert complete(line, env=env) == ['test'], line
    assert complete('dimmer -c qemu:///s') == ['///system', '///session']


def test_silent_on_failure(tmp_path):
    assert complete('dimmer -c nonsense:/// show ') == []
    assert complete('dimmer -c test:///default unplug nonsense ') == []
    assert complete('dimmer show ', command=tmp_path / 'missing') == []
    assert complete('dimmer show ', command=fake(tmp_path, 'echo nonsense; echo more >&2; exit 1')) == []


def test_gives_up_on_a_slow_host(tmp_path):
    started = time.monotonic()
    assert complete('dimmer show ', command=fake(tmp_path, 'exec sleep 60')) == []
    assert time.monotonic() - started < 10


def test_devices(canned):
    ids = [device['id'] for device in example('show')['live']['devices']]
    aliases = [device['alias'] for device in example('show')['live']['devices']]
    foreign = [alias for alias in aliases if not alias.startswith('ua-')]
    assert foreign, 'the example should have a device of another tool'
    assert set(complete('dimmer unplug web1 ', canned)) == {*ids, *foreign}
    assert set(complete('dimmer unplug web1 ua-', canned)) == {alias for alias in aliases if alias.startswith('ua-')}
    assert complete(f'dimmer unplug web1 {ids[0][:6]}', canned) == [ids[0]]
    assert (canned.parent / 'called').read_text() == '-o json show -- web1\n'


def test_a_device_is_offered_once(canned):
    first, *others = complete('dimmer unplug web1 ', canned)
    assert complete(f'dimmer unplug web1 {first} ', canned) == others


def test_only_devices_that_can_go(canned):
    document = example('show')
    for device in document['live']['devices']:
        device['kind'] = 'nvdimm'
    (canned.parent / 'show.json').write_text(json.dumps(document, indent=2))
    assert complete('dimmer unplug web1 ', canned) == []
