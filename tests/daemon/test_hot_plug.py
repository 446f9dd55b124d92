# SPDX-License-Identifier: Apache-2.0
"""Making a VM ready for hot plug: enablehotplug, of its next run, and prepareguest, of the guest in it."""

import time

import pytest

from rest import MIB, event, events, fault_codes, job, mib, path, plug, put, values, vm_id, wait_memory

PREPARED, FAILED_TO = 20011, 20012


@pytest.fixture
def plain(host):
    """A VM without what hot plug needs, shut off."""
    return host.define('web1', max_mib=None, os=False)


@pytest.fixture
def two_nodes(host):
    """A VM with two NUMA nodes of 1024 MiB, shut off."""
    return host.define('web1', cells=[1024, 1024], vcpus=2, max_mib=8192, os=False)


@pytest.fixture
def unprepared(host):
    """A running guest with qemu-guest-agent, whose kernel takes what is plugged for itself."""
    return host.start_guest('web1', memory_mib=256, max_mib=2048, qga=True, auto_online='online_kernel')


def enable(client, vm, body):
    return client.post(path(vm, '/enablehotplug'), body)


def prepare(client, vm, body='<action/>'):
    return client.post(path(vm, '/prepareguest'), body)


def complete(answer):
    """The <action> or object of one that has done well."""
    assert answer.status == 200, answer
    found = answer.json if answer.type == 'application/json' else answer.xml
    status = found['status'] if isinstance(found, dict) else found.findtext('status')
    assert status == 'complete', answer
    return found


def refused(answer, status, code):
    """The detail of an action with a fault."""
    assert answer.status == status, answer
    if answer.type == 'application/json':
        assert answer.json['status'] == 'failed', answer
        found = answer.json['fault']
    else:
        assert answer.xml.tag == 'action' and answer.xml.findtext('status') == 'failed', answer
        found = {child.tag: child.text for child in answer.xml.find('fault')}
    assert found['code'] == code and code in fault_codes(), answer
    return found['detail']


def sentences(action, name):
    return [sentence.text for sentence in action.findall(f'{name}/sentence')]


def maximum(vm):
    """(MiB, slots) of the next run."""
    element = vm.inactive_xml().find('maxMemory')
    return None if element is None else (mib(int(element.text) * 1024), int(element.get('slots')))


def nodes(*floors):
    """As oVirt's XML has a list: of texts, "<index>0</index><floor>1</floor>", or of pairs (index, MiB)."""
    texts = [floor if isinstance(floor, str) else f'<index>{floor[0]}</index><floor>{floor[1] * MIB}</floor>' for floor in floors]
    return f'<action><maximum>{8192 * MIB}</maximum><nodes>' + ''.join(f'<node>{text}</node>' for text in texts) + '</nodes></action>'


def nodes_json(node, **others):
    return {'maximum': 8192 * MIB, 'nodes': {'node': node}, **others}


def boot(vm):
    """MiB of boot memory of each NUMA node of the next run."""
    return [mib(int(cell.get('memory')) * 1024) for cell in vm.inactive_xml().findall('cpu/numa/cell')]


# enablehotplug

def test_the_next_run_can_hot_plug(plain, client):
    action = complete(enable(client, plain, f'<action><maximum>{4096 * MIB}</maximum><slots>8</slots></action>'))
    assert maximum(plain) == (4096, 8)
    assert action.find('vm').get('id') == vm_id(plain)
    assert action.find('job').get('id') == job(client, plain).get('id')
    assert job(client, plain).findtext('status') == 'finished'
    assert plain.name in event(client, 35).findtext('description')

    before = plain.inactive_xml()
    complete(enable(client, plain, {'maximum': 4096 * MIB}))
    assert maximum(plain) == (4096, 8)  # the slots stay
    assert [child.tag for child in plain.inactive_xml()] == [child.tag for child in before]
    found = complete(enable(client, plain, {'maximum': 8192 * MIB, 'async': False}))
    assert found['job']['href'].endswith(found['job']['id']) and maximum(plain) == (8192, 8)


def test_a_floor(plain, client):
    """1024 MiB of which all but the floor can be unplugged, start after start."""
    body = (f'<action><maximum>{4096 * MIB}</maximum><floor>{512 * MIB}</floor><kind>dimm</kind>'
            '<autodeflate>true</autodeflate></action>')
    complete(enable(client, plain, body))
    definition = plain.inactive_xml()
    assert [device.get('model') for device in definition.findall('devices/memory')] == ['dimm'] * \
        len(definition.findall('devices/memory')) and definition.find('devices/memory') is not None
    assert definition.find('devices/memballoon').get('autodeflate') == 'on'
    assert 'floor' in refused(enable(client, plain, {'maximum': 4096 * MIB, 'floor': MIB}), 409, 'bad-floor')
    complete(enable(client, plain, {'maximum': 4096 * MIB, 'floor': 0}))
    assert plain.inactive_xml().find('devices/memory') is None


@pytest.mark.parametrize('body, floors', [
    (nodes((0, 512), (1, 768)), [512, 768]),
    (nodes_json([{'index': 0, 'floor': 512 * MIB}, {'index': '1', 'floor': str(768 * MIB)}]), [512, 768]),
    (nodes_json({'index': 1, 'floor': 768 * MIB}, floor=1024 * MIB), [256, 768]),
])
def test_floors_of_nodes(two_nodes, client, body, floors):
    """One that is not named has its share of the rest of the floor."""
    complete(enable(client, two_nodes, body))
    assert boot(two_nodes) == floors
    devices = two_nodes.inactive_xml().findall('devices/memory/target/node')
    assert [int(node.text) for node in devices] == [0, 1]


@pytest.mark.parametrize('body, status, code, words', [
    (nodes(), 400, 'bad-value', 'nodes is a list of node'),
    (nodes_json(None), 400, 'bad-value', 'nodes is a list of node'),
    ({'maximum': 1 << 33, 'nodes': {'index': 0, 'floor': 1 << 30}}, 400, 'bad-value', 'nodes is a list of node'),
    ({'maximum': 1 << 33, 'nodes': '0=1GiB'}, 400, 'bad-request', "'nodes'"),
    (nodes('0'), 400, 'bad-value', 'nodes: index is missing'),
    (nodes_json([]), 400, 'bad-value', 'nodes: index is missing'),
    (nodes((0, 1024), f'<floor>{1 << 30}</floor>'), 400, 'bad-value', 'nodes: index is missing'),
    (nodes('<index>0</index>'), 400, 'bad-value', 'nodes: floor is missing'),
    (nodes('<index/><floor>1</floor>'), 400, 'bad-value', 'nodes: index is empty'),
    (nodes('<index>0</index><floor> </floor>'), 400, 'bad-value', 'nodes: floor is empty'),
    (nodes_json({'index': -1, 'floor': 1 << 30}), 400, 'bad-value', 'nodes: index must be 0 to 2147483647'),
    (nodes_json({'index': 1 << 32, 'floor': 1 << 30}), 400, 'bad-value', 'nodes: index must be 0 to 2147483647'),
    (nodes_json([{'index': 0, 'floor': -1}]), 400, 'bad-value', 'nodes: floor must be 0 to'),
    (nodes_json({'index': 'x', 'floor': 1 << 30}), 400, 'bad-request', "nodes: 'index' is 'x'"),
    (nodes_json({'index': 0, 'floor': 1.5}), 400, 'bad-request', "nodes: 'floor' is '1.5'"),
    (nodes_json({'index': [0], 'floor': 1 << 30}), 400, 'bad-request', "nodes: 'index'"),
    (nodes_json({'index': 0, 'floor': 1 << 30, 'memory': 1}), 400, 'bad-value', "nodes: 'memory'"),
    (nodes_json([[{'index': 0, 'floor': 1 << 30}]]), 400, 'bad-value', "nodes: 'node'"),
    (nodes((0, 0)), 400, 'size-zero', 'floor'),
    (nodes_json({'index': 0, 'floor': 1 << 29}, floor=0), 400, 'size-zero', 'floor'),
    (nodes((0, 512), (0, 512)), 409, 'bad-floor', 'given twice'),
    (nodes((2, 1024)), 409, 'no-such-node', 'no NUMA node 2, only nodes 0 to 1'),
    (nodes((0, 1024), (1, 1025)), 409, 'bad-floor', 'floor'),
])
def test_floors_of_nodes_that_cannot_be(two_nodes, client, body, status, code, words):
    assert words in refused(enable(client, two_nodes, body), status, code)
    assert boot(two_nodes) == [1024, 1024] and two_nodes.inactive_xml().find('devices/memory') is None


@pytest.mark.parametrize('body, status, code, words', [
    ('<action/>', 400, 'bad-value', 'maximum is missing'),
    ('', 400, 'bad-value', 'maximum is missing'),
    ({'maximum': -1}, 400, 'bad-value', 'maximum'),
    ({'maximum': 1 << 32, 'slots': 0}, 400, 'bad-value', 'slots must be 1 to 256'),
    ({'maximum': 1 << 32, 'slots': 257}, 400, 'bad-value', 'slots must be 1 to 256'),
    ('<action><maximum>4294967296</maximum><max_size>1</max_size></action>', 400, 'bad-value', "'max_size'"),
    ({'maximum': 1 << 32, 'kind': 'dimm'}, 400, 'bad-value', 'kind goes with it'),
    ({'maximum': 1 << 32, 'floor': -1}, 400, 'bad-value', 'floor must be 0 to'),
    ({'maximum': 1 << 32, 'floor': ' '}, 400, 'bad-value', 'floor is empty'),
    ('<action><maximum>4294967296</maximum><floor/></action>', 400, 'bad-value', 'floor is empty'),
    ({'maximum': 1 << 32, 'floor': ''}, 400, 'bad-value', 'floor is empty'),
    ({'maximum': 1 << 32, 'autodeflate': False}, 400, 'bad-value', 'autodeflate can only be switched on'),
    ({'maximum': 1 << 32, 'free_page_reporting': 'false'}, 400, 'bad-value', 'can only be switched on'),
    ({'maximum': 1 << 32, 'floor': 1 << 29, 'kind': 'disk'}, 400, 'bad-value', "'disk'"),
    ({'maximum': 512 * MIB}, 409, 'memory-above-maximum', 'leaves no room'),
    ({'maximum': 1 << 50}, 400, 'above-platform', 'any machine'),
])
def test_what_cannot_be_enabled(plain, client, body, status, code, words):
    assert words in refused(enable(client, plain, body), status, code)
    assert maximum(plain) is None
    assert client.get('jobs').xml.findall('job') == []


def test_for_admins_only(plain, client, viewer):
    for answer in enable(viewer, plain, {'maximum': 1 << 32}), prepare(viewer, plain):
        assert answer.status == 403, answer
    assert maximum(plain) is None
    for action in 'enablehotplug', 'prepareguest':
        assert client.post(f'vms/{"0" * 8}-0000-0000-0000-{"0" * 12}/{action}', '<action/>').status == 404


# prepareguest

def test_a_guest_is_prepared_once_for_all_who_ask(unprepared, client, pool):
    stays, = plug(unprepared, 128)
    wait_memory(client, unprepared, 384)
    actions = [complete(answer) for answer in pool.map(lambda _: prepare(client, unprepared), range(3))]
    assert [action.findtext('ready') for action in actions] == ['true'] * 3
    assert any(sentences(action, 'did') for action in actions)
    assert unprepared.guest('cat /sys/devices/system/memory/auto_online_blocks') == 'online_movable\n'
    reported = events(client, PREPARED, wait=True)
    assert all('admin@internal' in one.findtext('description') for one in reported)
    assert len(reported) <= 3 and len(client.get('jobs').xml) == 0

    found = complete(prepare(client, unprepared, {'async': True}))
    assert found['ready'] in (True, 'true') and not found['did'].get('sentence'), found
    report = client.get(path(unprepared, '/memorycheck')).xml
    verdicts = {row.findtext('check'): row.findtext('verdict') for row in report.iter('finding')}
    assert verdicts['onlining'] == 'good'
    goes, = plug(unprepared, 128)
    wait_memory(client, unprepared, 512)
    assert client.delete(path(unprepared, f'/memorydevices/{goes}')).status == 200


def test_a_guest_without_an_agent_gets_its_ports(guest, client):
    action = complete(prepare(client, guest))
    assert action.findtext('ready') == 'false'
    assert [words for words in sentences(action, 'did') if 'the port org.dimmer.guest.0' in words]
    left, = sentences(action, 'left')
    assert [code.text for code in action.findall('left_codes/note_code')] == ['no-agent']
    assert 'no agent answers' in left and guest.host.printed(f'dimmer guest prepare {guest.name} --print') in left
    assert event(client, PREPARED).findtext('severity') == 'warning'
    assert 'no agent answers' in event(client, PREPARED).findtext('description')


def test_a_guest_that_cannot_be_prepared(off, client):
    assert 'start it' in refused(prepare(client, off), 409, 'not-running')
    assert 'start it' in refused(prepare(client, off, {}), 409, 'not-running')
    assert "'maximum'" in refused(prepare(client, off, {'maximum': 1}), 400, 'bad-value')
    assert len(events(client, FAILED_TO, wait=True)) == 2


def test_it_waits_until_memory_has_changed(unprepared, client, pool):
    stays, = plug(unprepared, 128)
    wait_memory(client, unprepared, 384)
    unprepared.set_deaf(True)
    removing = pool.submit(client.delete, path(unprepared, f'/memorydevices/{stays}?try_unmovable=true'))
    client.wait(path(unprepared, f'/memorydevices/{stays}'), lambda found: found.findtext('state') == 'going')
    preparing = pool.submit(prepare, client, unprepared)
    unprepared.set_deaf(False)
    removing.result()
    assert complete(preparing.result()).findtext('ready') == 'true'


def test_memory_changes_wait_until_it_is_prepared(unprepared, client, pool):
    unprepared.guest('kill -STOP $(pidof qemu-ga)')
    preparing = pool.submit(prepare, client, unprepared)
    deadline = time.monotonic() + 20
    while b'\ndimmer_vms_changing 1\n' not in client.anonymous().get('/metrics').body:
        assert time.monotonic() < deadline
    raising = pool.submit(put, client, unprepared, 384)
    client.wait('jobs', lambda found: len(found) == 1)
    assert not preparing.done()
    unprepared.guest('kill -CONT $(pidof qemu-ga)')
    assert complete(preparing.result()).findtext('ready') == 'true'
    raising.result()
    assert values(client, unprepared)[0] == 384
