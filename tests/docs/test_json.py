# SPDX-License-Identifier: Apache-2.0
"""docs/dimmer.schema.json against docs/json.md, the sources, and what dimmer prints without any guest."""

import copy
import json
import re

import jsonschema
import pytest

import facts
from schema import KINDS, SCHEMA, validate, validator

GUIDE = facts.REPO / 'docs/json.md'
DEFS = SCHEMA['$defs']

# VMs of libvirt's test driver, which has no memory devices. "numa" carries a request, with a step for a device that
# is gone.
NODE = '''
<node>
  <domain type='test' xmlns:test='http://libvirt.org/schemas/domain/test/1.0'>
    <name>off</name><memory>1048576</memory><os><type>hvm</type></os><test:runstate>5</test:runstate>
  </domain>
  <domain type='test' xmlns:test='http://libvirt.org/schemas/domain/test/1.0'>
    <name>paused</name><memory>1048576</memory><os><type>hvm</type></os><test:runstate>3</test:runstate>
  </domain>
  <domain type='test' xmlns:test='http://libvirt.org/schemas/domain/test/1.0'>
    <name>transient</name><memory>1048576</memory><os><type>hvm</type></os><test:transient/>
  </domain>
  <domain type='test'>
    <name>numa</name>
    <metadata>
      <d:memory xmlns:d='urn:dimmer:memory:1' guaranteed='536870912'>
        <d:request id='d0fb9417-961a-49bd-a29d-f205c8993315' action='set' state='asked' memory='1073741824'>
          <d:step op='unplug' alias='dimm0' id='c57b2d4f-57b4-5cce-8628-6b7870cf5fdf' kind='dimm' node='0'
                  size='134217728' from='134217728' to='0' state='overdue'/>
        </d:request>
      </d:memory>
    </metadata>
    <maxMemory slots='16'>4194304</maxMemory><memory>1048576</memory><os><type arch='x86_64'>hvm</type></os>
    <cpu><numa><cell id='0' cpus='0' memory='524288'/><cell id='1' memory='524288'/></numa></cpu>
  </domain>
</node>
'''

# Command lines that fail without any guest, and with what.
FAILURES = [
    ('', 'usage'),
    ('nonsense', 'usage'),
    ('--bogus', 'usage'),
    ('set test', 'usage'),
    ('set test --bogus', 'usage'),
    ('set test -x', 'usage'),
    ('set test --dry-run=1', 'usage'),
    ('show', 'usage'),
    ('list more', 'usage'),
    ('unplug test', 'usage'),
    ('enable test', 'usage'),
    ('enable test --maximum 16G --slots many', 'usage'),
    ('plug test 1G --policy wrong', 'usage'),
    ('set test -m 1G -t soon', 'usage'),
    ('set test -m lots', 'bad-size'),
    ('set test -m 1GB', 'bad-size'),
    ('set test --memory=-1G', 'size-negative'),
    ('set test -m 0', 'size-zero'),
    ('set test -m 1400', 'size-zero'),
    ('set test -m 99999P', 'size-overflow'),
    ('set test -m 1G -g 2G --next-run', 'guaranteed-above-memory'),
    ('plug test 1G', 'not-enabled'),
    ('show nope', 'no-such-vm'),
    ('unplug test dimm0', 'no-such-device'),
    ('reclaim', 'usage'),
    ('reclaim -m 1G --vm nope', 'no-such-vm'),
    ('-c nonsense:/// list', 'connection'),
    ('-c nonsense:/// settle test', 'connection'),
]


@pytest.fixture
def node(tmp_path):
    path = tmp_path / 'node.xml'
    path.write_text(NODE)
    return f'test://{path}'


def blocks():
    """The JSON examples of the guide."""
    return [json.loads(block) for block in re.findall(r'^```json\n(.*?)^```', GUIDE.read_text(),
                                                      re.MULTILINE | re.DOTALL)]


def example(kind):
    """The guide's example of that kind."""
    found = [block for block in blocks() if validator(kind).is_valid(block)]
    assert len(found) == 1, f'{kind}: {len(found)} examples in {GUIDE}'
    return copy.deepcopy(found[0])


def run_json(*args):
    """(exit status, parsed output) of dimmer -o json."""
    done = facts.dimmer('-c', 'test:///default', *args, '-o', 'json')
    return done, json.loads(done.stdout)


# The schema itself.

def test_schema_is_one():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert set(KINDS.values()) | {'error', 'script'} == {ref['$ref'].removeprefix('#/$defs/') for ref in SCHEMA['anyOf']}
    assert set(KINDS) == set(facts.verbs())


def objects(value, path=()):
    """(path, object) of each object in a document."""
    if isinstance(value, dict):
        yield path, value
        for key, member in value.items():
            yield from objects(member, (*path, key))
    elif isinstance(value, list):
        for index, member in enumerate(value):
            yield from objects(member, (*path, index))


def at(document, path):
    for key in path:
        document = document[key]
    return document


@pytest.mark.parametrize('kind', ['list', 'show', 'change', 'error'])
def test_schema_is_strict(kind):
    """Any member too much, any missing, and any of another type is an error."""
    document = example(kind)
    optional = {'libvirt'}
    for path, members in objects(document):
        changed = copy.deepcopy(document)
        at(changed, path)['more'] = 1
        assert not validator(kind).is_valid(changed), f'{path}: takes another member'
        for key, value in members.items():
            changed = copy.deepcopy(document)
            del at(changed, path)[key]
            assert validator(kind).is_valid(changed) == (key in optional), f'{path}: without {key}'
            at(changed, path)[key] = ['wrong'] if not isinstance(value, list) else 'wrong'
            assert not validator(kind).is_valid(changed), f'{path}: {key} of another type'


def test_only_virtio_mem_has_its_members():
    for device in example('show')['live']['devices']:
        other = {'dimm': 'virtio-mem', 'virtio-mem': 'dimm'}[device['kind']]
        validate('device', device)
        assert not validator('device').is_valid(device | {'kind': other})


def test_after_is_null_for_a_plan_only():
    change = example('change')
    assert not validator('change').is_valid(change | {'outcome': 'planned'})
    assert not validator('change').is_valid(change | {'after': None})
    validate('change', change | {'outcome': 'planned', 'after': None})


# Against the guide.

def test_every_example_is_valid():
    kinds = ['list', 'show', 'change', 'error']
    assert [[kind for kind in kinds if validator(kind).is_valid(block)] for block in blocks()] == [[k] for k in kinds]


def guide_members():
    """{title: members} of the guide's tables."""
    parts = re.split(r'^### (.*)\n', GUIDE.read_text().partition('\n## Members\n')[2].partition('\n## ')[0], flags=re.MULTILINE)
    return {title: {name for row in re.findall(r'^\| (`.*?) \|', text, re.MULTILINE)
                    for name in re.findall(r'`(\w+)`', row)}
            for title, text in zip(parts[1::2], parts[2::2])}


def test_every_member_is_in_the_guide():
    """Deprecated ones beside what replaces them."""
    assert guide_members() == {definition['title']: {name for name, member in definition['properties'].items()
                                                     if not member.get('deprecated')}
                               for definition in DEFS.values() if 'properties' in definition}


# Against the sources.

def test_error_codes():
    inner = DEFS['inner_error']['properties']
    assert set(inner['code']['enum']) == set(facts.errors())
    assert set(inner['exit_status']['enum']) == set(facts.errors().values())


def test_names():
    request = 'model/request.c'
    step = facts.names(request, 'state_names') - {'done'} | facts.names(request, 'done_names')
    step -= {'ballooned'}  # the balloon's step stands beside those of the devices
    assert set(DEFS['balloon_state']['enum']) == step - {'removed', 'resized', 'added'} | {'ballooned'}
    assert set(DEFS['step']['properties']['state']['enum']) == step
    assert set(DEFS['own_step']['properties']['state']['enum']) == step
    assert set(DEFS['device']['properties']['state']['enum']) == step | {'present', 'resizing'}
    assert set(DEFS['step']['properties']['op']['enum']) == facts.names(request, 'op_names') - {'balloon'}
    assert set(DEFS['action']['enum']) == facts.names(request, 'action_names')
    # It is never requested, so it is never recorded.
    assert set(DEFS['recorded_action']['enum']) == set(DEFS['action']['enum']) - {'enable'}
    assert set(DEFS['show']['properties']['state']['enum']) == facts.names('model/vm.c', 'names')
    # An error is printed as such, not as a change.
    assert set(DEFS['change']['properties']['outcome']['enum']) == \
        facts.names('engine/outcome.c', 'names') - {'failed'} | {'planned'}


# Against the program.

@pytest.mark.parametrize('line, code', FAILURES)
def test_failures(line, code):
    done, document = run_json(*line.split())
    error = validate('error', document)['error']
    assert (error['code'], error['exit_status']) == (code, done.returncode)
    assert done.returncode == facts.errors()[code]
    assert done.stderr == f"dimmer: {error['message']}\n"


@pytest.mark.parametrize('line', ['set test --bogus', 'set test --memory', '', 'nonsense', 'show nope'])
def test_failures_however_json_is_asked_for(line):
    """Anywhere on the command line, and in each spelling."""
    expected = None
    for spelling in ('-o json', '-ojson', '--output json', '--output=json'):
        for words in (f'{spelling} {line}', f'{line} {spelling}'):
            if words.startswith('set test --memory -'):
                continue  # there it is the value of --memory
            done = facts.dimmer('-c', 'test:///default', *words.split())
            error = validate('error', done.stdout)['error']
            assert done.stderr == f"dimmer: {error['message']}\n", words
            if not line:
                del error['message']  # it names the last option
            assert expected in (None, error), words
            expected = error
    # Behind "--" it is no option.
    done = facts.dimmer('-c', 'test:///default', 'show', '--', '-ojson')
    assert (done.returncode, done.stdout) == (facts.errors()['no-such-vm'], '')


def test_list(node):
    done, document = run_json('list')
    assert done.returncode == 0
    assert [vm['name'] for vm in validate('list', document)['vms']] == ['test']
    done, document = run_json('-c', node, 'list')
    states = {vm['name']: vm['state'] for vm in validate('list', document)['vms']}
    assert states == {'numa': 'running', 'off': 'shut off', 'paused': 'paused', 'transient': 'running'}


@pytest.mark.parametrize('name', ['numa', 'off', 'paused', 'transient'])
def test_show(node, name):
    done, document = run_json('-c', node, 'show', name)
    assert done.returncode == 0
    vm = validate('show', document)
    assert (vm['live'] is None) == (name == 'off')
    assert (vm['next_run'] is None) == (name == 'transient')
    assert (vm['request'] is None) == (name != 'numa')


def test_show_a_request(tmp_path):
    """Its steps as the VM shows them, and its host as long as a process of it is named."""
    for who, host in (("host='far' pid='7'", 'far'), ("host='far'", None)):
        path = tmp_path / 'node.xml'
        path.write_text(NODE.replace("action='set' ", f"action='set' {who} "))
        _, document = run_json('-c', f'test://{path}', 'show', 'numa')
        request = validate('show', document)['request']
        assert (request['action'], request['host'], request['process']) == ('set', host, None)
        assert [step['state'] for step in request['steps']] == ['removed']
        text = facts.dimmer('-c', f'test://{path}', 'show', 'numa').stdout
        assert re.search(r"request d0fb9417: set to 1024 MiB, .*; answered since; account for it: dimmer -c test://\S+ settle numa", text)


@pytest.mark.parametrize('line', [
    'set numa --memory 768MiB', 'set numa --memory 768MiB --dry-run', 'set numa --guaranteed 256MiB',
    'set off --memory 2GiB', 'set paused --next-run --memory 2GiB', 'set transient --memory 1GiB', 'settle numa',
    'settle off', 'settle numa --dry-run', 'settle off --dry-run', 'enable off --max 4GiB',
    'enable off --maximum 4GiB --dry-run', 'plug numa 1GiB --dry-run',
    'plug numa 256MiB --kind virtio-mem --max-size 1GiB --dry-run',
    'plug numa 1GiB',  # the test driver refuses every device
])
def test_changes(node, line):
    done, document = run_json('-c', node, *line.split())
    change = validate('change', document)
    assert done.stderr == ''
    assert change['action'] == line.split()[0]
    assert (change['outcome'] == 'planned') == ('--dry-run' in line)
    assert done.returncode == {'planned': 0, 'done': 0, 'partly': 4, 'refused': 5, 'overdue': 6, 'kept': 9}[change['outcome']]


def codes_in_guide(title):
    table = GUIDE.read_text().split(f'## {title}')[1].split('\n## ')[0]
    return [tuple(re.findall(r'`([a-z0-9-]+)`', row)) for row in re.findall(r'^\|.*`.*\|$', table, re.MULTILINE)]


def words(name):
    return (facts.REPO / 'src/words/include/words' / name).read_text()


def test_note_codes_are_documented():
    codes = re.findall(r'NOTE\(\w+, "([^"]+)"', words('notes.def'))
    assert codes and [code for row in codes_in_guide('Note codes') for code in row] == list(dict.fromkeys(codes))


def test_no_sentence_is_glued_together():
    """A translator cannot work on a sentence that gets a part of itself, with its blank, only where something holds."""
    for name in 'notes.def', 'findings.def', 'rules.def', 'prepare.def':
        sentences = re.sub(r'"\s*"', '', words(name))
        assert not re.findall(r'"[^"]*(?:%s%s|\w%s|%s\w)[^"]*"', sentences), name


def test_the_script_for_a_guest_says_what_the_host_understands():
    """Of each line the kind and its note's code."""
    script = (facts.REPO / 'src/agents/prepare.sh').read_text()
    said = {f'{"done" if kind == "did" else kind} {code}' for kind, code in re.findall(r'\b(did|left) ([a-z-]+) "\$', script)}
    said |= {f'left {kind}' for kind in re.findall(r'^kind=(\S+)', script, re.MULTILINE)}
    assert said == set(re.findall(r'^  \{"((?:done|left) [a-z-]+): ", DM_NOTE_', facts.source('agents/prepare.c'), re.MULTILINE))


def test_the_script_for_a_guest_has_its_sentences_from_words():
    script = re.sub(r'^ *#.*', '', (facts.REPO / 'src/agents/prepare.sh').read_text(), flags=re.MULTILINE)
    used = set(re.findall(r'\$\{?(?:3:-\$)?([A-Z][A-Z_]+)\b', script))
    here, shared = (set(re.findall(rf'^{kind}\((\w+)', words(name), re.MULTILINE))
                    for kind, name in (('SENTENCE', 'prepare.def'), ('NOTE', 'notes.def')))
    assert here <= used <= here | shared and not here & shared
    assert not re.findall(r'"[^"\n]*[a-z]+ [a-z]+ [a-z]+ [^"\n]*"', script)


def test_finding_codes_are_documented():
    checks = {}
    for check, code in re.findall(r'FINDING\(\w+, (\w+), "([^"]+)"', words('findings.def')):
        checks.setdefault(check.lower().replace('_', '-'), []).append(code)
    assert checks and codes_in_guide('Finding codes') == [(check, *dict.fromkeys(codes)) for check, codes in checks.items()]
