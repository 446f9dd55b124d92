# SPDX-License-Identifier: Apache-2.0
"""Reading VMs: lists, searches, one VM, its next run, its statistics, what clients walk through."""

import hashlib
import re
import uuid

import pytest

from rest import (FAILED, MIB, change, empty, fault, memory, mib, next_run_exists, path, plug, put, search,
                  values, vm_id, wait_memory, wait_runs, wait_status)
from test_wire import links

ISO_TIME = r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)'


@pytest.fixture
def three(host):
    """Three VMs: web1 and web2 shut off, db1 running; of 512, 1024 and 768 MiB."""
    return [host.define('web1', os=False, memory_mib=512),
            host.define('web2', os=False, memory_mib=1024),
            host.start_guest('db1', os=False, memory_mib=768)]


def names(client, where='vms'):
    answer = client.get(where)
    assert answer.status == 200 and answer.xml.tag == 'vms', answer
    # Python's SDK takes each child of a collection for an item.
    assert {child.tag for child in answer.xml} <= {'vm'}
    return [vm.findtext('name') for vm in answer.xml]


def test_no_vms(client):
    assert len(client.get('vms').xml) == 0
    assert client.get('vms', json=True).json == {}


def test_the_list(three, client):
    assert sorted(names(client)) == ['db1', 'web1', 'web2']
    found = client.get('vms', json=True).json
    assert list(found) == ['vm']
    assert {vm['id'] for vm in found['vm']} == {vm_id(vm) for vm in three}


@pytest.mark.parametrize('text, expected', [
    ('', 'db1 web1 web2'), ('name=web1', 'web1'), ('name="web1"', 'web1'), ('name = web1', 'web1'),
    ('NAME=web1', 'web1'), ('name=web*', 'web1 web2'), ('name="*b*"', 'db1 web1 web2'),
    ('name=*', 'db1 web1 web2'), ('name!=web1', 'db1 web2'), ('name=none', ''),
    ('name=web', ''), ('name=web1 or name=db1', 'db1 web1'), ('name=web1 and name=db1', ''),
    ('name=web1 OR name=web2', 'web1 web2'), ('status=up', 'db1'), ('status=down', 'web1 web2'),
    ('status=powering_up', ''), ('status=PoweringUp', ''), ('status!=up', 'web1 web2'),
    ('memory>512', 'db1 web2'), ('memory>=512 and memory<1024', 'db1 web1'), ('memory=768', 'db1'),
    ('guaranteed_memory<=512', 'web1'), ('web', 'web1 web2'), ('cluster=Default', 'db1 web1 web2'),
    ('next_run_config_exists=true', ''), ('name=web* and status=up or name=db1', 'db1'),
    ('id={id}', 'web1'),
])
def test_searches(three, client, text, expected):
    text = text.replace('{id}', vm_id(three[0]))
    assert ' '.join(sorted(names(client, search('vms', text)))) == expected


@pytest.mark.parametrize('text, expected', [
    ('sortby name', 'db1 web1 web2'), ('sortby name asc', 'db1 web1 web2'),
    ('sortby name desc', 'web2 web1 db1'), ('name=web* sortby memory desc', 'web2 web1'),
    ('SORTBY memory', 'web1 db1 web2'),
])
def test_the_order_of_a_search(three, client, text, expected):
    assert ' '.join(names(client, search('vms', text))) == expected


def test_pages_and_max(three, client):
    for page, expected in ((1, ['db1', 'web1']), (2, ['web2']), (3, [])):
        where = search('vms', f'sortby name asc page {page}', max=2)
        assert names(client, where) == expected
    assert names(client, search('vms', 'sortby name page', max=1)) == ['db1']
    for number, expected in (('1', ['db1', 'web1']), ('2', ['web2']), ('3', []), ('x', ['db1', 'web1'])):
        assert names(client, f'vms?max=2&page={number}') == expected
    assert names(client, 'vms;max=1;page=3') == ['web2']
    # Without max all are on the first page: clients read on until one is empty.
    pages = (search('vms', 'page 1'), search('vms', 'page 2'), 'vms?page=2', search('vms', 'name=* page 2'),
             search('hosts', 'page 2'))
    assert [len(client.get(where).xml) for where in pages] == [3, 0, 0, 0, 0]
    assert names(client, search('vms', 'name=web* sortby name', max=1, page=2)) == ['web2']
    assert len(names(client, 'vms?max=2')) == 2 and len(names(client, 'vms;max=1')) == 1
    assert len(names(client, 'vms?max=x')) == 3 and len(names(client, 'vms?max=9')) == 3
    fault(client.get('vms?max=-1'), 400, client.get('vms?max=-1').xml.findtext('reason'))


def test_case(three, client):
    assert names(client, search('vms', 'name=WEB1')) == ['web1']
    assert names(client, search('vms', 'name=WEB1', case_sensitive='false')) == ['web1']
    assert names(client, search('vms', 'name=WEB1', case_sensitive='true')) == []
    assert names(client, search('vms', 'name=web1', case_sensitive='true')) == ['web1']
    assert names(client, 'vms?case_sensitive&search=name%3DWeb*') == []


@pytest.mark.parametrize('where', [
    'vms?all_content=true&search=name%3D%22web1%22',
    'vms?all_content=false&case_sensitive=true&follow=&search=name%3Dweb1',
    'vms?case_sensitive=true&max=5&search=name%3Dweb1',
    'vms?search=name%3Dweb1+and+cluster%3DDefault+sortby+name+asc+page+1&max=10',
    'vms?search=name%3Dweb%2A+and+status%3Ddown+and+memory%3C600'])
def test_lists_as_clients_ask_for_them(three, client, where):
    assert names(client, where) == ['web1']


@pytest.mark.parametrize('text, place', [
    ('name=', 'name='), ('name==web1', '='), ('nosuchfield=1', 'nosuchfield'),
    ('name=web1 and', 'and'), ('memory>many', 'many'), ('name="web1', '"'),
    ('sortby nosuchfield', 'nosuchfield'), ('name=web1 page x', 'page'),
    ('status=bogus', 'wait_for_launch'), ('name=web1 and status!=running', 'powering_up'),
    ('next_run_config_exists=yes', 'true, false')])
def test_a_search_that_makes_no_sense(three, client, text, place):
    answer = client.get(search('vms', text))
    detail = fault(answer, 400, answer.xml.findtext('reason'))
    assert place in detail and text in detail


@pytest.mark.parametrize('text', ['status=Powering_Up', 'status="wait for launch"', 'status=power*',
                                  'status=*bogus*', 'next_run_config_exists=TRUE'])
def test_values_that_no_vm_has_now(three, client, text):
    assert names(client, search('vms', text)) == []


# One VM.

def test_a_vm_that_runs_has_what_clients_need(mute, client, host):
    host.virsh('desc', 'web1', '--live', '--config', 'front end')
    vm = client.wait(path(mute), lambda found: found.findtext('description') == 'front end')
    assert (vm.tag, vm.get('id')) == ('vm', vm_id(mute))
    assert vm.get('href') == f'/ovirt-engine/api/vms/{vm_id(mute)}'
    assert (vm.findtext('name'), vm.findtext('status')) == ('web1', 'up')
    assert vm.findtext('memory') == str(1024 * MIB)
    assert vm.findtext('memory_policy/guaranteed') == str(1024 * MIB)
    assert vm.findtext('memory_policy/max') == str(4096 * MIB)
    assert vm.findtext('memory_policy/ballooning') in ('true', 'false')
    assert vm.find('memory_policy/over_commit') is None
    assert next_run_exists(vm) == 'false'
    assert vm.findtext('cpu/architecture') == 'x86_64'
    product = 1
    for name in ('cores', 'sockets', 'threads'):
        product *= int(vm.findtext(f'cpu/topology/{name}'))
    assert product == 1
    assert vm.findtext('display/type') in ('vnc', 'spice')
    assert vm.findtext('os/type')
    boot = vm.find('os/boot')
    assert boot is None or boot.findall('devices/device')
    assert vm.findtext('stateless') == 'false'
    assert vm.find('instance_type') is None and vm.find('lease') is None
    assert re.fullmatch(ISO_TIME, vm.findtext('creation_time'))
    for name in ('host', 'cluster', 'template'):
        assert client.get(vm.find(name).get('href')).xml.get('id') == vm.find(name).get('id')
    actions = links(vm.find('actions'))
    for rel in ('start', 'stop', 'shutdown', 'reboot'):
        assert actions[rel] == f'{vm.get("href")}/{rel}'


def test_a_vm_that_is_shut_off(off, client):
    vm = client.get(path(off)).xml
    assert vm.findtext('status') == 'down' and memory(vm) == (1024, 1024)
    assert vm.find('host') is None and vm.find('start_time') is None
    assert vm.findtext('description') == ''


def test_no_element_is_empty_that_breaks_a_client(mute, client):
    for where in (path(mute), path(mute, '?all_content=true'), path(mute, '?next_run=true')):
        for element in client.get(where).xml.iter():
            if len(element) == 0 and not element.attrib and element.tag not in (
                    'comment', 'description', 'methods'):
                assert element.text, element.tag


def test_json_has_the_same_values(mute, client):
    vm = client.get(path(mute), json=True).json
    assert vm['id'] == vm_id(mute) and vm['name'] == 'web1' and vm['status'] == 'up'
    assert vm['memory'] == str(1024 * MIB)
    assert vm['memory_policy']['max'] == str(4096 * MIB)
    assert vm['next_run_configuration_exists'] == 'false'
    assert vm['cpu']['topology']['sockets'].isdecimal()
    assert isinstance(vm['creation_time'], int)
    assert {link['rel'] for link in vm['actions']['link']} >= {'start', 'stop', 'shutdown'}
    assert 'methods' in vm['sso'] and vm['cluster']['href'].startswith('/ovirt-engine/api/')


def test_each_link_of_a_vm_answers(mute, client):
    vm = client.get(path(mute)).xml
    found = links(vm)
    assert {'statistics', 'numanodes', 'nics'} <= set(found)
    for rel, href in found.items():
        answer = client.get(href)
        assert answer.status == 200 and answer.xml.tag, rel
        assert client.get(href, json=True).status == 200, rel


@pytest.mark.parametrize('rest, root', [
    ('numanodes', 'vm_numa_nodes'), ('reporteddevices', 'reported_devices'), ('tags', 'tags'),
    ('affinitylabels', 'affinity_labels'), ('nics', 'nics'), ('cdroms', 'cdroms'),
    ('diskattachments', 'disk_attachments'), ('graphicsconsoles', 'graphics_consoles'),
    ('hostdevices', 'host_devices'), ('watchdogs', 'watchdogs'), ('snapshots', 'snapshots')])
def test_collections_that_clients_walk_through(off, client, rest, root):
    answer = client.get(path(off, f'/{rest}'))
    assert (answer.status, answer.xml.tag) == (200, root)


def test_statuses(mute, client):
    assert client.get(path(mute)).xml.findtext('status') == 'up'
    mute.suspend()
    wait_status(client, mute, 'paused')
    mute.resume()
    wait_runs(client, mute)
    mute.destroy()
    vm = wait_status(client, mute, 'down')
    assert vm.find('host') is None
    mute.start()
    wait_runs(client, mute)


def test_vms_come_and_go(host, client):
    vm = host.define('web1', os=False)
    client.wait(search('vms', 'name=web1'), lambda found: len(found) == 1)
    where = path(vm)
    host.remove(vm)
    client.wait('vms', lambda found: len(found) == 0)
    empty(client.get(where), 404)


# The next run.

@pytest.mark.parametrize('form', ['?next_run=true', ';next_run=true', '?next_run', ';next_run',
                                  '?next_run=1', '?next_run=Y', '?next_run=TRUE'])
def test_the_next_run(mute, client, form):
    put(client, mute, 2048, 1100, query='?next_run=true')
    assert memory(client.get(path(mute, form)).xml) == (2048, 1100)


def test_what_is_live_is_shown_in_the_next_run_too(mute, client):
    reply = put(client, mute, 2048, 1100, query=';next_run=true')
    assert memory(reply) == (2048, 1100)
    later, live = (client.get(path(mute, form)).xml for form in ('?next_run=true', ''))
    assert memory(live) == (1024, 1024)
    for vm in (later, live):
        assert next_run_exists(vm) == 'true' and vm.findtext('status') == 'up'
        assert vm.find('host') is not None
    for form in ('?next_run=false', '?next_run=n', '?next_run=nonsense'):
        assert memory(client.get(path(mute, form)).xml) == (1024, 1024)
    assert names(client, search('vms', 'next_run_config_exists=true')) == ['web1']


def test_without_one_the_next_run_is_as_the_vm_is(mute, off_too, client):
    for vm in (mute, off_too):
        later = client.get(path(vm, '?next_run=true')).xml
        assert memory(later) == memory(client.get(path(vm)).xml)
        assert next_run_exists(later) == 'false'


@pytest.fixture
def off_too(host):
    return host.define('web2', os=False, memory_mib=512)


def test_memory_counts_devices(mute, client):
    plug(mute, 256, 128)
    vm = wait_memory(client, mute, 1408)
    assert memory(vm) == (1408, 1408)
    # Devices are of this run; the definition is as it was.
    assert values(client, mute) == (1408, 1408, 1024, 1024)


# Statistics.

def statistics(vm_or_answer):
    return {item.findtext('name'): item for item in vm_or_answer.iter('statistic')}


def test_statistics(guest, client):
    # libvirt has a guest's memory statistics only if a period is set.
    guest.host.virsh('dommemstat', 'web1', '--period', '1', '--live')
    found = statistics(client.wait(path(guest, '/statistics'), lambda element: statistics(
        element)['memory.free'].find('values/value') is not None))
    installed = found['memory.installed']
    name_uuid = uuid.UUID(bytes=hashlib.md5(b'memory.installed').digest(), version=3)
    assert installed.get('id') == str(name_uuid)
    assert mib(installed.findtext('values/value/datum')) == 256
    assert [installed.findtext(key) for key in ('kind', 'type', 'unit')] == [
        'gauge', 'integer', 'bytes']
    assert installed.find('vm').get('id') == vm_id(guest)
    assert {'memory.used', 'memory.free', 'memory.buffered', 'memory.cached', 'memory.unused',
            'cpu.current.total', 'elapsed.time', 'disks.usage'} <= set(found)
    one = client.get(installed.get('href'))
    assert one.status == 200 and one.xml.findtext('name') == 'memory.installed'
    free = int(found['memory.free'].findtext('values/value/datum'))
    assert 0 < free < 256 * MIB
    assert found['memory.buffered'].find('values/value') is None  # not reported


def test_statistics_in_json_are_numbers(mute, client):
    found = client.get(path(mute, '/statistics'), json=True).json['statistic']
    installed, = [item for item in found if item['name'] == 'memory.installed']
    assert installed['values'] == {'value': [{'datum': 1024 * MIB}]}


def test_follow(mute, off_too, client):
    vm = client.get(path(mute, '?follow=statistics')).xml
    assert mib(statistics(vm)['memory.installed'].findtext('values/value/datum')) == 1024
    vms = client.get('vms?follow=statistics,nics').xml
    assert len(vms) == 2 and all('memory.installed' in statistics(vm) for vm in vms)
    assert all(vm.find('nics') is not None for vm in vms)
    assert statistics(client.get('vms?follow=').xml) == {}


# Everything else that can be read.

@pytest.mark.parametrize('kind, root, item', [
    ('hosts', 'hosts', 'host'), ('clusters', 'clusters', 'cluster'),
    ('datacenters', 'data_centers', 'data_center'), ('templates', 'templates', 'template'),
    ('operatingsystems', 'operation_systems', 'operating_system')])
def test_other_collections(client, kind, root, item):
    answer = client.get(kind)
    assert answer.status == 200 and answer.xml.tag == root
    assert {child.tag for child in answer.xml} == {item}
    for child in answer.xml:
        one = client.get(child.get('href'))
        assert (one.status, one.xml.tag) == (200, item)
        assert one.xml.get('id') == child.get('id') and one.xml.findtext('name')
    assert set(client.get(kind, json=True).json) == {item}


def test_names_that_clients_compare(client):
    assert client.get('clusters').xml.findtext('cluster/name') == 'Default'
    blank = client.get('templates/00000000-0000-0000-0000-000000000000').xml
    assert blank.findtext('name') == 'Blank' and blank.findtext('version/version_number') == '1'
    assert client.get('hosts').xml.findtext('host/status') == 'up'
    root = client.get().xml
    user = client.get(root.find('authenticated_user').get('href'))
    assert user.status == 200 and user.xml.findtext('user_name').startswith('admin@internal')


@pytest.mark.parametrize('where, count', [
    ('templates?search=vm.name%3Dweb1', (0, 1)), ('templates?search=vm.name%3DNone', (0,)),
    ('templates?search=name%3DBlank', (1,)), ('clusters?search=name%3D%22Default%22', (1,)),
    ('clusters?search=name%3Dother', (0,)), ('hosts?search=status%3Dup', (1,))])
def test_searches_elsewhere(off, client, where, count):
    answer = client.get(where)
    assert answer.status == 200 and len(answer.xml) in count


def test_affinity_groups_of_the_cluster(client):
    cluster = client.get('clusters').xml.find('cluster').get('href')
    assert client.get(f'{cluster}/affinitygroups').xml.tag == 'affinity_groups'


def test_a_put_that_changes_nothing(off, client):
    before = client.get(path(off)).body
    assert client.put(path(off), '<vm/>').body == before
    assert client.put(path(off), change(1024, 1024, 4096)).body == before
    template = client.get(path(off)).xml.find('template').get('id')
    cluster = client.get(path(off)).xml.find('cluster').get('id')
    for body in (f'<vm><template id="{template}"/></vm>', f'<vm><cluster id="{cluster}"/></vm>',
                 '<vm><cluster><name>Default</name></cluster></vm>', '<vm><name>web1</name></vm>'):
        assert client.put(path(off), body).body == before, body
    other = '<vm><template id="11111111-0000-0000-0000-000000000000"/></vm>'
    fault(client.put(path(off), other), 409, FAILED)


def test_numa_nodes_one_by_one(host, client):
    vm = host.start_guest('web1', os=False, cells=[512, 256], vcpus=2, max_mib=4096)
    wait_runs(client, vm)
    nodes = client.get(path(vm, '/numanodes')).xml
    assert [(node.findtext('index'), node.findtext('memory')) for node in nodes] == [
        ('0', '512'), ('1', '256')]
    for node in nodes:
        one = client.get(node.get('href'))
        assert one.status == 200 and one.xml.tag == 'vm_numa_node'
        assert (one.xml.get('id'), one.xml.findtext('index')) == (node.get('id'), node.findtext('index'))
        assert client.get(node.get('href'), json=True).json['memory'] == node.findtext('memory')
    empty(client.get(path(vm, f'/numanodes/{uuid.uuid4()}')), 404)
