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
    client = serve(answer_timeout=1, guest_timeout=6).client()
    job_id = start_stuck(client, stuck)
    assert memory(put(client, web, 256)) == (256, 256)
    assert job(client, web).findtext('status') == 'finished'
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
    """Both find it there, and it has gone when it is the second one's turn: it is told by whose job."""
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
    assert 'another program speaks to dimmer-guest' in answer.text, answer
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


def test_a_flood_harms_nobody_else(host, web, serve):
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
