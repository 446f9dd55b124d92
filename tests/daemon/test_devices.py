# SPDX-License-Identifier: Apache-2.0
"""What oVirt's REST lacks: memory devices one by one, and the plan of a change."""

import concurrent.futures
import re
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from rest import (MIB, change, definitions, empty, event, events, fault, job, memory, mib, path, plug, put, rule,
                  sizes_of, steps, values, wait_job, wait_memory, wait_runs)
from testbed import dimm_xml, inside, virtio_mem_xml


def device_body(size, rest=''):
    return f'<memory_device><size>{size * MIB}</size>{rest}</memory_device>'


def shown(element):
    return {child.tag: child.text for child in element}


def where(vm, device=''):
    return path(vm, f'/memorydevices/{device}' if device else '/memorydevices')


def wait_devices(client, vm, count):
    """The <memory_device>s, once they are so many."""
    return list(client.wait(where(vm), lambda found: len(found) == count))


# Reading.

def test_no_devices(mute, off_too, client):
    for vm in (mute, off_too):
        answer = client.get(where(vm))
        assert (answer.status, answer.xml.tag, len(answer.xml)) == (200, 'memory_devices', 0)
        assert client.get(where(vm), json=True).json == {}


@pytest.fixture
def off_too(host):
    return host.define('web2', os=False)


def test_the_list(mute, client):
    first, second = plug(mute, 128, 256)
    found = wait_devices(client, mute, 2)
    assert {device.tag for device in found} == {'memory_device'}
    assert [device.get('id') for device in found] == [first, second]
    assert found[0].get('href') == f'/ovirt-engine/api/{where(mute, first)}'
    fields = shown(found[0])
    assert fields['alias'] == f'ua-{first}' and fields['kind'] == 'dimm'
    assert (fields['size'], fields['node'], fields['slot']) == (str(128 * MIB), '0', '0')
    assert fields['state'] == 'present' and shown(found[1])['slot'] == '1'
    assert re.fullmatch(r'0x[0-9a-f]+', fields['address'])
    address = mute.live_xml().find("devices/memory/address[@slot='0']").get('base')
    assert int(fields['address'], 16) == int(address, 16)


def test_one(mute, client):
    first, second = plug(mute, 128, 256)
    wait_devices(client, mute, 2)
    answer = client.get(where(mute, second))
    assert (answer.status, answer.xml.tag, answer.xml.get('id')) == (200, 'memory_device', second)
    found = client.get(where(mute, second), json=True).json
    assert (found['size'], found['state'], found['slot']) == (str(256 * MIB), 'present', '1')
    listed = client.get(where(mute), json=True).json
    assert [device['id'] for device in listed['memory_device']] == [first, second]
    assert listed['memory_device'][1] == found


@pytest.mark.parametrize('device', ['no-id', '00000000-0000-4000-8000-0000000000a1'])
def test_one_that_there_is_not(mute, client, device):
    plug(mute, 128)
    wait_devices(client, mute, 1)
    empty(client.get(where(mute, device)), 404)
    empty(client.delete(where(mute, device)), 404)


def test_a_device_of_another_tool_has_an_id_that_stays(mute, client):
    mute.attach(dimm_xml(128))
    device, = wait_devices(client, mute, 1)
    assert str(uuid.UUID(device.get('id'))) == device.get('id')
    assert shown(device)['alias'] == 'dimm0'
    assert client.get(where(mute)).xml[0].get('id') == device.get('id')
    assert client.get(where(mute, device.get('id'))).status == 200


def test_a_virtio_mem_device(host, client):
    """Its size is the most it can hold; memory counts what the guest holds, whatever is requested."""
    vm = host.start_guest('web1', os=False, devices=virtio_mem_xml(512, 256, alias='ua-vm0'))
    device, = wait_devices(client, vm, 1)
    assert shown(device)['kind'] == 'virtio-mem' and mib(shown(device)['size']) == 512
    assert mib(shown(device)['requested']) == 256
    assert shown(device)['state'] == 'resizing' and mib(shown(device)['current']) == 0
    assert memory(client.get(path(vm)).xml)[0] == 1024


# Plugging.

def test_a_plug_that_the_guest_has_no_page_descriptors_for(host, serve):
    vm = host.start_guest('web1', os=False, memory_mib=256, max_mib=40 << 10)
    client = serve().client()
    asked = [client.post(where(vm), device_body(17 << 10)),
             client.put(path(vm), f'<vm><memory>{(256 + (17 << 10)) * MIB}</memory></vm>'),
             client.get(path(vm, f'/memoryplan?plug={17 << 30}'))]
    for answer in asked:
        assert 'page descriptors' in rule(answer, 409)
    assert client.get(path(vm, f'/memoryplan?plug={17 << 30}&force=true')).status == 200
    assert values(client, vm) == (256,) * 4
    assert client.post(where(vm) + '?force=true', device_body(17 << 10)).status == 201
    assert values(client, vm)[0] == 256 + (17 << 10)


def test_what_the_host_has_no_memory_for(host, serve):
    """Said of the host, not of the guest, and nothing has changed."""
    vm = host.start_guest('web1', memory_mib=512)
    client = serve().client()
    vm.leave_room(100)
    answer = client.post(where(vm), device_body(512, '<policy>whole</policy>'))
    assert 'the host is out of memory; free some there, or plug less' in rule(answer, 409)
    assert client.post(where(vm), device_body(512, '<policy>whole</policy>'),
                       {'Accept': 'application/json'}).json['code'] == 'host-refused'
    answer = client.put(path(vm), f'<vm><memory>{1024 * MIB}</memory></vm>')
    said = answer.body.decode()
    assert answer.status == 200 and 'failed, as the host could not do it' in said and 'out of memory' in said
    assert 'refused:' not in said and values(client, vm)[0] == 512
    assert 'the host could not do it' in event(client, 58).findtext('description')
    jobs = [job.get('id') for job in client.get('jobs').xml]
    steps = [step for job in jobs for step in client.get(f'jobs/{job}/steps').xml]
    assert steps and all((step.findtext('state'), step.findtext('refused_by')) == ('refused', 'host') for step in steps)
    vm.guest('true')
    vm.leave_room(None)
    assert client.post(where(vm), device_body(512, '<policy>whole</policy>')).status == 201


@pytest.mark.parametrize('restart', [False, True])
def test_virtio_mem_that_the_guest_takes_late(host, serve, restart):
    """Its driver is missing at first: the job is open until it has what was asked for, over a restart too."""
    vm = host.start_guest('web1', memory_mib=512, files=inside.without_module('virtio_mem'))
    daemon = serve(answer_timeout=1, guest_timeout=1)
    client = daemon.client()
    answer = client.post(where(vm), device_body(256, '<kind>virtio-mem</kind>'))
    assert answer.status == 202 and mib(shown(answer.xml[0])['current']) == 0
    assert values(client, vm) == (512,) * 4
    client.wait(where(vm), lambda found: shown(found[0])['state'] == 'overdue')
    assert 'has taken 0MiB' in event(client, 20002).findtext('description')
    if restart:
        daemon.stop()
        daemon.restart()
        client = daemon.client()
        client.wait('jobs', lambda found: len(found) == 1)
    number = job(client, vm).get('id')
    assert job(client, vm).findtext('status') == 'started'
    inside.load_module(vm, 'virtio_mem')
    wait_job(client, number, 'finished')
    assert values(client, vm) == (768,) * 4
    assert shown(client.get(where(vm)).xml[0])['state'] == 'present'


def test_plug_one(guest, client):
    answer = client.post(where(guest), device_body(256))
    assert answer.status == 201 and answer.xml.tag == 'memory_devices'
    sizes = [mib(device.findtext('size')) for device in answer.xml]
    assert sizes == [128, 128] == sizes_of(guest)
    for device in answer.xml:
        assert client.get(device.get('href')).status == 200
        guest.wait_plugged(device.findtext('alias'))
    assert values(client, guest) == (512, 512, 512, 512)
    assert guest.guest_memory_mib() == 512
    answer = client.post(where(guest), device_body(256))
    assert [mib(device.findtext('size')) for device in answer.xml] == [256]
    assert sizes_of(guest) == [128, 128, 256]


def test_two_who_saw_the_same_memory_do_not_add_twice(guest, client):
    """Sent side by side: one is carried out, the other is refused and changes nothing."""
    def send(_):
        return client.post(where(guest, '') + f'?if_memory={256 * MIB}', device_body(128))
    with ThreadPoolExecutor() as pool:
        answers = sorted(pool.map(send, range(2)), key=lambda answer: answer.status)
    assert answers[0].status == 201
    assert rule(answers[1], 409).startswith('memory of web1 changed meanwhile: it is 384 MiB, expected 256 MiB')
    assert sizes_of(guest) == [128] and memory(client.get(path(guest)).xml)[0] == 384


def test_a_target_with_a_policy(guest, client):
    """What the page sends to grow; asking for it twice is asking for it once."""
    query = f'?policy=fine&if_memory={256 * MIB}'
    put(client, guest, 1280, query=query)
    grown = [128, 128, 256, 512]
    assert sizes_of(guest) == grown
    assert 'it is 1280 MiB, expected 256 MiB' in rule(client.put(path(guest, query), change(1280)), 409)
    put(client, guest, 1280, query=f'?policy=fine&if_memory={1280 * MIB}')
    put(client, guest, 1280, query='?policy=whole')
    assert sizes_of(guest) == grown
    for wrong in ('policy=most', 'if_memory=much'):
        answer = client.put(path(guest, f'?{wrong}'), change(1536))
        assert answer.status == 400 and wrong.partition('=')[2] in answer.body.decode(), answer
    assert 'changed meanwhile' in rule(client.put(path(guest, '?async=true&if_memory=1'), change(1536)), 409)
    assert sizes_of(guest) == grown


def test_the_memory_that_was_seen_of_a_next_run(off_too, client):
    put(client, off_too, 1536, query=f'?if_memory={1024 * MIB}')
    assert 'it is 1536 MiB, expected 1024 MiB' in rule(client.put(path(off_too, f'?if_memory={1024 * MIB}'), change(2048)), 409)


def test_plug_in_json(mute, client):
    answer = client.post(where(mute), {'size': 134217728})
    assert answer.status == 201
    device, = answer.json['memory_device']
    assert device['size'] == '134217728' and device['id'] in str(mute.memory_devices())


def test_plug_into_a_node(host, client):
    vm = host.start_guest('web1', os=False, cells=[512, 512], vcpus=2, max_mib=4096)
    wait_runs(client, vm)
    answer = client.post(where(vm), device_body(128, '<node>1</node>'))
    assert answer.status == 201 and answer.xml.findtext('memory_device/node') == '1'
    assert '2' in rule(client.post(where(vm), device_body(128, '<node>2</node>')), 409)


@pytest.mark.parametrize('size, status', [(100, 400), (4096, 409)])
def test_plugs_that_a_rule_forbids(mute, client, size, status):
    rule(client.post(where(mute), device_body(size)), status)
    assert sizes_of(mute) == [] and values(client, mute) == (1024, 1024, 1024, 1024)


@pytest.mark.parametrize('body', ['<memory_device/>', '<memory_device><size>x</size>', '<vm/>',
                                  '<memory_device><size>0</size></memory_device>',
                                  '<memory_device><size>1</size><kind>nvdimm</kind>'
                                  '</memory_device>'])
def test_plugs_that_make_no_sense(mute, client, body):
    answer = client.post(where(mute), body)
    assert answer.status == 400 and answer.xml.tag == 'fault', answer
    assert sizes_of(mute) == []


@pytest.mark.parametrize('name, value', [('slot', '3'), ('address', '0x200000000'), ('alias', 'ua-mine')])
def test_what_cannot_be_chosen_is_refused(mute, client, name, value):
    answer = client.post(where(mute), device_body(128, f'<{name}>{value}</{name}>'))
    assert f"'{name}' of a new memory device cannot be chosen" in fault(answer, 400, 'Invalid value')
    assert sizes_of(mute) == []


def test_a_dimm_has_no_other_size_at_most(mute, client):
    sizes = f'<size>{128 * MIB}</size><max_size>{{}}</max_size>'
    body = f'<memory_device>{sizes}</memory_device>'
    answer = client.post(where(mute), body.format(256 * MIB))
    assert 'virtio-mem' in fault(answer, 400, 'Invalid value')
    assert sizes_of(mute) == []
    assert client.post(where(mute), body.format(128 * MIB)).status == 201


def test_a_vm_that_is_shut_off_has_nothing_to_plug_into(off, client):
    assert 'shut off' in rule(client.post(where(off), device_body(128)), 409)


# Hot unplug of one device.

def test_unplug_one(guest, client):
    first, second = plug(guest, 128, 256)
    wait_devices(client, guest, 2)
    answer = client.delete(where(guest, second))
    assert (answer.status, answer.xml.tag) == (200, 'action')
    assert answer.xml.findtext('status') == 'complete'
    assert list(guest.memory_devices()) == [f'ua-{first}']
    empty(client.get(where(guest, second)), 404)
    # The next run never had these devices, so it does not follow.
    assert values(client, guest) == (384, 384, 256, 256)


def test_the_next_run_follows_only_where_it_was_the_same(guest, client):
    put(client, guest, 512)
    for alias in guest.memory_devices():
        guest.wait_plugged(alias)
    first, second = (device.get('id') for device in wait_devices(client, guest, 2))
    assert values(client, guest) == (512, 512, 512, 512)
    client.delete(where(guest, first))
    assert values(client, guest) == (384, 384, 384, 384)
    put(client, guest, 600, 300, query='?next_run=true')
    client.delete(where(guest, second))
    assert values(client, guest) == (256, 256, 600, 300)


def test_guaranteed_is_lowered_only_if_necessary(guest, client):
    put(client, guest, 512, 300)
    for alias in guest.memory_devices():
        guest.wait_plugged(alias)
    first, second = (device.get('id') for device in wait_devices(client, guest, 2))
    client.delete(where(guest, first))
    assert values(client, guest) == (384, 300, 384, 300)
    client.delete(where(guest, second))
    assert values(client, guest) == (256, 256, 256, 256)


def test_unplug_in_json(guest, client):
    device, = plug(guest, 128)
    wait_devices(client, guest, 1)
    answer = client.delete(where(guest, device), {'Accept': 'application/json'})
    assert answer.status == 200 and answer.json['status'] == 'complete'


def test_unplug_that_is_not_answered_in_time(mute, serve):
    device, = plug(mute, 128)
    client = serve(answer_timeout=1).client()
    answer = client.delete(where(mute, device))
    assert answer.status == 202
    assert (answer.xml.tag, answer.xml.findtext('status')) == ('action', 'in_progress')
    assert client.get(where(mute, device)).xml.findtext('state') in ('going', 'overdue')
    assert values(client, mute)[0] == 1152
    assert job(client, mute).findtext('status') == 'started'
    linked = answer.xml.find('job')
    assert linked is None or linked.get('id') == job(client, mute).get('id')


def test_a_second_unplug_joins_the_first(guest, serve):
    """Asked anew it would be a job for a device that is gone."""
    device, = plug(guest, 128)
    guest.set_deaf(True)
    client = serve(answer_timeout=50).client()
    wait_devices(client, guest, 1)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        first = pool.submit(client.delete, where(guest, device))
        event(client, 2049)
        second = client.delete(where(guest, device))
        assert second.status == 202 and second.xml.findtext('status') == 'in_progress'
        assert not first.done()
        guest.set_deaf(False)
        assert first.result().status == 200
    assert first.result().xml.find('job').get('id') == second.xml.find('job').get('id')
    assert len(client.get('jobs').xml) == 1 and len(events(client, 20001)) == 1


def test_unplug_that_is_refused(guest, client):
    device, = plug(guest, 128)
    guest.set_refusing(True)
    wait_devices(client, guest, 1)
    answer = client.delete(where(guest, device))
    assert answer.status == 409
    refused = answer.xml if answer.xml.tag == 'fault' else answer.xml.find('fault')
    assert 'refused' in refused.findtext('detail') and refused.findtext('reason')
    assert client.get(where(guest, device)).xml.findtext('state') == 'present'
    assert device in event(client, 2047).findtext('description')
    assert values(client, guest)[:2] == (384, 384)
    done = wait_job(client, job(client, guest).get('id'), 'failed')
    assert [state for state, _ in steps(client, done.get('id'))] == ['failed']


def test_unplug_of_a_paused_vm(mute, client):
    device, = plug(mute, 128)
    mute.suspend()
    client.wait(path(mute), lambda found: found.findtext('status') == 'paused')
    answer = client.delete(where(mute, device))
    assert answer.status == 409 and b'paused' in answer.body
    assert events(client, 2046) + events(client, 2049) == []


# The plan.

def plan(client, vm, **query):
    text = '&'.join(f'{key}={value * MIB}' for key, value in query.items())
    return client.get(path(vm, f'/memoryplan?{text}'))


def test_the_plan_of_the_worked_example(mute, client):
    devices = dict(zip(plug(mute, 128, 128, 256, 256), (128, 128, 256, 256)))
    wait_memory(client, mute, 1792)
    before = definitions(mute)
    answer = plan(client, mute, memory=1400, guaranteed=900)
    assert answer.status == 200 and answer.xml.tag == 'memory_plan'
    found = answer.xml
    assert (mib(found.findtext('memory')), mib(found.findtext('guaranteed'))) == (1408, 900)
    assert mib(found.findtext('next_run/memory')) == 1400
    assert mib(found.findtext('next_run/guaranteed')) == 900
    assert [mib(found.findtext(f'{which}/boot')) for which in ('now', 'next_run')] == [1024, 1400]
    planned = found.findall('steps/step')
    assert [step.findtext('op') for step in planned] == ['unplug', 'unplug']
    assert sorted(mib(step.findtext('size')) for step in planned) == [128, 256]
    for step in planned:
        assert devices[step.find('device').get('id')] == mib(step.findtext('size'))
    assert definitions(mute) == before
    assert values(client, mute) == (1792, 1792, 1024, 1024)
    assert list(client.get('jobs').xml) == [] and events(client, 2046) == []


def test_the_plan_in_json(mute, client):
    plug(mute, 128)
    wait_memory(client, mute, 1152)
    answer = client.get(path(mute, f'/memoryplan?memory={1024 * MIB}'), json=True)
    found = answer.json
    assert found['memory'] == str(1024 * MIB)
    step, = found['steps']['step']
    assert (step['op'], step['size']) == ('unplug', str(128 * MIB))


def test_a_plan_tells_why(mute, client):
    plug(mute, 256)
    wait_memory(client, mute, 1280)
    found = plan(client, mute, memory=1180).xml
    assert found.findall('steps/step') == [] and mib(found.findtext('memory')) == 1280
    notes = [note.text for note in found.findall('notes/note')]
    assert any('1024' in note for note in notes), notes


def test_a_plan_keeps_the_rules(mute, client):
    assert '128' in rule(plan(client, mute, memory=1100), 400)
    rule(plan(client, mute, memory=1024, guaranteed=1025), 400)
    rule(plan(client, mute, memory=8192), 409)
    fault(client.get(path(mute, '/memoryplan?memory=much')), 400,
          client.get(path(mute, '/memoryplan?memory=much')).xml.findtext('reason'))


def test_the_plan_of_growth(mute, client):
    found = plan(client, mute, memory=1408).xml
    assert mib(found.findtext('memory')) == 1408
    planned = found.findall('steps/step')
    assert [step.findtext('op') for step in planned] == ['plug', 'plug']
    assert sorted(mib(step.findtext('size')) for step in planned) == [128, 256]
    assert sizes_of(mute) == []
