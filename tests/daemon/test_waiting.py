# SPDX-License-Identifier: Apache-2.0
"""Requests that wait: for a guest that is late or mute, for one another."""

import concurrent.futures
import threading

import pytest

from rest import (change, event, job, jobs, memory, path, plug, put, sizes_of, steps,
                  values, wait_job, wait_memory)


@pytest.fixture
def pool():
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        yield pool


def test_a_guest_that_never_answers_beside_one_that_does(host, serve, pool):
    mute = host.start_guest('mute', os=False)
    web = host.start_guest('web', memory_mib=256)
    plug(mute, 128)
    plug(web, 128)
    client = serve(answer_timeout=1).client()
    slow = pool.submit(put, client, mute, 1024)
    event(client, 2046)
    assert memory(put(client, web, 256)) == (256, 256)
    # It answers with the VM as it is, while the request goes on as a job.
    assert memory(slow.result())[0] == 1152
    assert values(client, mute)[::2] == (1152, 1024)
    assert job(client, mute).findtext('status') == 'started'
    assert [state for state, _ in steps(client, job(client, mute).get('id'))] == ['started']
    assert job(client, mute).find('end_time') is None
    wait_job(client, job(client, web).get('id'), 'finished')
    device, = client.get(path(mute, '/memorydevices')).xml
    assert device.findtext('state') in ('going', 'overdue')


def test_a_late_answer_is_the_jobs_end(guest, serve):
    plug(guest, 128)
    guest.set_deaf(True)
    client = serve(answer_timeout=1).client()
    assert memory(put(client, guest, 256)) == (384, 384)
    found = job(client, guest)
    assert found.findtext('status') == 'started'
    guest.set_deaf(False)
    done = wait_job(client, found.get('id'), 'finished')
    assert done.findtext('end_time')
    assert [state for state, _ in steps(client, found.get('id'))] == ['finished']
    assert values(client, guest) == (256, 256, 256, 256)


def test_an_answer_in_time_ends_the_waiting(guest, serve, pool):
    plug(guest, 128)
    guest.set_deaf(True)
    client = serve(answer_timeout=50).client()
    waiting = pool.submit(put, client, guest, 256)
    event(client, 2046)
    assert not waiting.done()
    guest.set_deaf(False)
    assert memory(waiting.result(timeout=30)) == (256, 256)


def test_what_the_guest_does_not_answer_in_its_time_is_overdue(mute, serve):
    plug(mute, 128)
    client = serve(answer_timeout=1, guest_timeout=2).client()
    put(client, mute, 1024)
    device = client.wait(path(mute, '/memorydevices'),
                         lambda found: found.findtext('memory_device/state') == 'overdue')
    assert len(device) == 1
    assert values(client, mute)[::2] == (1152, 1024)


def test_two_puts_at_once_on_one_vm_are_never_mixed(guest, serve, pool):
    plug(guest, 128, 128)
    client = serve(answer_timeout=60).client()
    wishes = [(384, 300), (256, 200)]
    together = threading.Barrier(2)

    def ask(wish):
        together.wait()
        return client.put(path(guest), change(*wish))

    answers = list(pool.map(ask, wishes))
    statuses = [answer.status for answer in answers]
    assert set(statuses) <= {200, 409} and 200 in statuses, answers
    done = [wish for wish, status in zip(wishes, statuses) if status == 200]
    found = values(client, guest)
    assert found[:2] == found[2:] and found[:2] in done
    assert sum(sizes_of(guest)) == found[0] - 256


def test_a_second_request_behind_one_that_hangs_is_answered(mute, serve, pool):
    """It waits its turn, or is told that it cannot be: it does not hang, and nothing mixes."""
    first, second = plug(mute, 128, 128)
    client = serve(answer_timeout=2, guest_timeout=4).client()
    slow = pool.submit(put, client, mute, 1152)
    event(client, 2046)
    answer = pool.submit(client.put, path(mute), change(1024)).result(timeout=30)
    assert answer.status in (200, 409), answer
    if answer.status == 409:
        assert 'web1' in answer.xml.findtext('detail')
    assert memory(slow.result())[0] == 1280
    assert sorted(mute.memory_devices()) == sorted([f'ua-{first}', f'ua-{second}'])


def test_a_next_run_is_not_shown_before_it_is_written(mute, serve, pool):
    """Behind a request that hangs it could not be: then it is taken back, and that is said."""
    plug(mute, 128)
    client = serve(answer_timeout=1).client()
    hanging = pool.submit(put, client, mute, 1024)
    event(client, 2046)
    answer = client.put(path(mute, '?next_run=true'), change(600))
    assert answer.status == 409 and 'nothing was changed' in answer.xml.findtext('detail')
    hanging.result()
    assert values(client, mute)[2] == 1024
    assert len(jobs(client, mute)) == 1


def test_many_waiting_requests_hold_up_nobody(host, serve, pool):
    """More of them than a pool of threads would have."""
    vms = [host.start_guest(f'mute{number}', os=False, memory_mib=256) for number in range(6)]
    for vm in vms:
        plug(vm, 128)
    client = serve(answer_timeout=30).client()
    waiting = [pool.submit(put, client, vm, 256) for vm in vms]
    client.wait('events?search=type%3D2046', lambda found: len(found) == 6)
    assert client.get('vms').status == 200
    other = host.start_guest('other', os=False, memory_mib=256)
    client.wait(path(other), lambda found: found.findtext('status') == 'up')
    assert memory(put(client, other, 384)) == (384, 384)
    assert not any(request.done() for request in waiting)
    for vm in vms:
        vm.destroy()
    for request in waiting:
        with pytest.raises(AssertionError):
            request.result(timeout=30)


def test_the_vm_stops_in_the_middle(mute, serve, pool):
    plug(mute, 128)
    client = serve(answer_timeout=50).client()
    waiting = pool.submit(client.put, path(mute), change(1024))
    event(client, 2046)
    mute.destroy()
    answer = waiting.result(timeout=30)
    assert answer.status in (200, 409), answer
    if answer.status == 409:
        assert 'web1' in answer.xml.findtext('detail')
    ended = wait_job(client, job(client, mute).get('id'), 'finished', 'failed', 'aborted')
    assert ended.findtext('end_time')
    assert client.get(path(mute)).xml.findtext('status') == 'down'


def test_a_client_that_goes_away_changes_nothing(mute, serve):
    plug(mute, 128)
    client = serve(answer_timeout=6).client()
    client.timeout = 2
    with pytest.raises(TimeoutError):
        client.put(path(mute), change(1024))
    client.timeout = 60
    assert job(client, mute).findtext('status') == 'started'
    assert values(client, mute)[::2] == (1152, 1024)


def test_devices_that_go_and_come_behind_its_back_in_the_middle(guest, serve, pool):
    first, second = plug(guest, 128, 128)
    guest.set_deaf(True)
    client = serve(answer_timeout=60).client()
    waiting = pool.submit(put, client, guest, 384)
    event(client, 2046)
    text = event(client, 2046).findtext('description')
    asked, = [device for device in (first, second) if device in text]
    other, = {first, second} - {asked}
    guest.eject(slot=[first, second].index(other))
    wait_memory(client, guest, 384)
    guest.set_deaf(False)
    assert memory(waiting.result(timeout=30))[0] == 256
    assert len(jobs(client, guest)) == 1
