# SPDX-License-Identifier: Apache-2.0
"""dimmerd with dimmer-guest in its VMs: memory is freed before it is asked for."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from rest import change, event, job, jobs, memory, path, plug, put, sizes_of, steps, values, wait_job
from testbed import inside
from testbed.inside import MOVABLE


def carried(vm):
    return vm.live_xml().find('metadata').find('.//{urn:dimmer:memory:1}request')


@pytest.fixture
def web(host):
    """Releases what it is asked for, freed by dimmer-guest."""
    vm = host.start_guest('web', memory_mib=256, max_mib=2048, agent=True, files=inside.liar())
    plug(vm, 256)
    inside.wait_whole(vm, 256)
    return vm


@pytest.fixture
def stuck(host):
    """An offline there has no end: memory is pinned for long, as kernels before 5.13 let it."""
    vm = host.start_guest('stuck', memory_mib=256, max_mib=2048, agent=True, kernel='5.10', files=inside.holder())
    plug(vm, 256)
    inside.wait_whole(vm, 256)
    inside.hold(vm, 30, 'pin')
    return vm


def start_stuck(client, vm):
    """A job that is in the middle of an offline; its id."""
    assert memory(put(client, vm, 256)) == (512, 512)
    inside.wait_going_offline(vm)
    found = job(client, vm)
    assert found.findtext('status') == 'started'
    return found.get('id')


@pytest.mark.tsan
def test_one_is_freed_while_another_is_stuck(web, stuck, serve):
    asked = inside.times_asked(stuck)
    client = serve(answer_timeout=1, guest_timeout=10).client()
    job_id = start_stuck(client, stuck)
    put(client, web, 256)  # may answer before its guest has, on a busy machine
    client.wait(path(web), lambda vm: memory(vm) == (256, 256))
    wait_job(client, job(client, web).get('id'), 'finished')
    assert job(client, stuck).findtext('status') == 'started'
    wait_job(client, job_id, 'failed')
    (state, description), = steps(client, job_id)
    assert state == 'failed', description
    assert inside.times_asked(stuck) == asked and inside.blocks(stuck) == [MOVABLE, MOVABLE]
    assert values(client, stuck)[0] == 512
    stuck.guest('kill $(pidof hold)')
    assert memory(put(client, stuck, 256))[0] == 256


def test_what_was_asked_before_is_not_forgotten(host, serve):
    """A repetition that comes to nothing leaves the device out, as QEMU still has the first request."""
    vm = host.start_guest('stuck', memory_mib=256, max_mib=2048, agent=True, kernel='5.10', files=inside.holder())
    alias, = plug(vm, 256)
    inside.wait_whole(vm, 256)
    vm.set_deaf(True)
    client = serve(answer_timeout=1, guest_timeout=2).client()
    device = path(vm, f'/memorydevices/{alias}')
    assert client.delete(device).status == 202
    event(client, 20002)
    inside.hold(vm, 30, 'pin')
    assert client.delete(f'{device}?force=true').status == 202
    client.wait(path(vm, '/memorydevices'), lambda found: found.findtext('memory_device/state') == 'overdue')
    second = jobs(client, vm)[0].get('id')
    client.wait(f'jobs/{second}/steps', lambda found: 'did not free it' in found.findtext('step/description'))
    assert carried(vm) is not None
    vm.guest('kill $(pidof hold)')
    vm.set_deaf(False)
    event(client, 20001)
    for each in jobs(client, vm):
        wait_job(client, each.get('id'), 'finished')
    assert carried(vm) is None and values(client, vm) == (256, 256, 256, 256)


def test_a_device_that_is_being_freed_is_on_its_way_out(stuck, serve):
    """Then a second request for it joins the first."""
    client = serve(answer_timeout=30, guest_timeout=60).client()
    where = client.get(path(stuck, '/memorydevices')).xml[0].get('href')
    with client.live() as live, ThreadPoolExecutor(1) as pool:
        first = pool.submit(client.delete, where)
        live.wait('vm', lambda vm: vm['memory_devices']['memory_device'][0]['state'] == 'going')
        inside.wait_going_offline(stuck)
        assert client.get(where).xml.findtext('state') == 'going'
        second = client.delete(where)
        assert (second.status, second.xml.findtext('status')) == (202, 'in_progress'), second
        assert not first.done()
        stuck.guest('kill $(pidof hold)')
        assert first.result().status == 200
    assert first.result().xml.find('job').get('id') == second.xml.find('job').get('id')
    assert len(jobs(client, stuck)) == 1


def test_two_ask_for_a_device_while_another_change_is_under_way(stuck, serve):
    """Both find it there, and it has gone when it is the second one's turn: it says by which job."""
    web, = plug(stuck, 128)
    client = serve(answer_timeout=30, guest_timeout=4).client()
    stays, goes = (device.get('href') for device in client.get(path(stuck, '/memorydevices')).xml)
    assert goes.endswith(web)
    with ThreadPoolExecutor(3) as pool:
        before = pool.submit(client.delete, stays)
        inside.wait_going_offline(stuck)
        answers = [one.result() for one in [pool.submit(client.delete, goes) for _ in range(2)]]
        assert before.result().status == 409
    assert [answer.status for answer in answers] == [200, 200], answers
    assert len({answer.xml.find('job').get('id') for answer in answers}) == 1


def test_a_check_while_one_is_freed_takes_nothing_back(stuck, serve):
    client = serve(answer_timeout=30, guest_timeout=10).client()
    assert client.get(path(stuck, '/memorycheck')).status == 200
    devices = path(stuck, '/memorydevices')
    assert [device.findtext('movable') for device in client.get(devices).xml] == ['true']
    put(client, stuck, 256, query='?async=true')
    inside.wait_going_offline(stuck)
    answer = client.get(path(stuck, '/memorycheck'))
    assert 'is busy with another program' in answer.text, answer
    assert [device.findtext('movable') for device in client.get(devices).xml] == ['true']
    wait_job(client, job(client, stuck).get('id'), 'failed')


@pytest.mark.parametrize('how', ['stop', 'kill'])
def test_the_daemon_ends_in_the_middle(stuck, serve, how):
    asked = inside.times_asked(stuck)
    daemon = serve(answer_timeout=1, guest_timeout=60)
    start_stuck(daemon.client(), stuck)
    assert getattr(daemon, how)() in (0, None)
    inside.wait_whole(stuck, 256)
    assert inside.times_asked(stuck) == asked
    assert how == 'kill' or carried(stuck) is None
    client = daemon.restart().client()
    client.wait('jobs', lambda found: all(each.findtext('status') != 'started' for each in found))
    assert carried(stuck) is None and sizes_of(stuck) == [256]
    assert values(client, stuck)[0] == 512
    stuck.guest('kill $(pidof hold)')
    assert client.put(path(stuck), change(256)).status == 200
    wait_job(client, jobs(client, stuck)[0].get('id'), 'finished')
    assert sizes_of(stuck) == []


def test_a_flood_harms_no_other_guest(host, web, serve):
    flood = host.start_guest('flood', memory_mib=256, max_mib=2048, agent=True, files=inside.liar())
    plug(flood, 128)
    inside.end_agent(flood)
    flood.guest('setsid liar flood cat /dev/zero >/dev/null 2>&1 &')
    flood.wait_port('org.dimmer.guest.0', 'connected')
    client = serve().client()
    assert memory(put(client, flood, 256)) == (256, 256)
    assert memory(put(client, web, 256)) == (256, 256)
    notes = [note.text for note in job(client, flood).iter('note')]
    assert any('dimmer-guest' in note for note in notes), notes


def test_how_new_memory_is_used_is_reported(host, serve):
    """The agent onlines as movable; one that has no driver takes nothing. The configuration chooses the kind."""
    vm = host.start_guest('vm', memory_mib=512, max_mib=2048, agent=True, files=inside.without_module('virtio_mem'))
    client = serve(guest_timeout=2, plug_kind=f'virtio-mem {host.uri}=auto', plug_policy='whole').client()
    answer = client.post(path(vm, '/memorydevices'), f'<memory_device><size>{256 << 20}</size></memory_device>')
    assert answer.status == 201, answer
    device, = answer.xml
    assert (device.findtext('kind'), device.findtext('use')) == ('dimm', 'online-movable')
    event(client, 20014)
    assert event(client, 20014).findtext('description') == (
        f"Memory device ({device.get('id')}) of size 256MiB of VM 'vm' is online as movable")
    plan = client.get(path(vm, f'/memoryplan?memory={1024 << 20}')).xml
    assert [step.findtext('size') for step in plan.iter('step')] == [str(256 << 20)]
    inside.load_module(vm, 'virtio_mem')
    client.get(path(vm, '/memorycheck'))
    plan = client.get(path(vm, f'/memoryplan?plug={128 << 20}&kind=virtio-mem&max_size={512 << 20}')).xml
    assert [step.findtext('size') for step in plan.iter('step')] == [str(512 << 20)]
    assert client.get(path(vm, f'/memoryplan?plug={128 << 20}&kind=auto')).xml.findtext('notes/note')
    assert client.get(path(vm, f'/memoryplan?plug={128 << 20}&kind=dim')).status == 400


def test_a_plan_of_kind_auto_asks_the_guest_first(host, serve):
    """Nobody has asked it yet: which kind suits it is not known, and what does for one does not for the other."""
    vm = host.start_guest('vm', memory_mib=512, max_mib=2048, agent=True)
    client = serve().client()
    plan = client.get(path(vm, f'/memoryplan?plug={100 << 20}&kind=auto'))
    assert plan.status == 200, plan
    step, = plan.xml.iter('step')
    assert int(step.findtext('to')) >> 20 == 100, 'a DIMM would be whole memory blocks'
    assert any('virtio-mem device is chosen' in note.text for note in plan.xml.iter('note'))


def test_a_request_of_kind_auto_that_nobody_waits_for_is_not_refused_for_the_wrong_kind(host, serve):
    vm = host.start_guest('vm', memory_mib=512, max_mib=2048, agent=True)
    client = serve().client()
    answer = client.put(path(vm, '?kind=auto&async=true'), change(612))
    assert answer.status == 200, answer
    client.wait(path(vm), lambda found: memory(found)[0] == 612)
