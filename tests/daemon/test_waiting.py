# SPDX-License-Identifier: Apache-2.0
"""Requests that wait: for a guest that is late or mute, for one another."""

import threading

import pytest

from rest import (change, event, events, job, jobs, memory, path, plug, put, sizes_of, steps, values, wait_job,
                  wait_memory, wait_runs)


def test_a_guest_that_never_answers_beside_one_that_does(host, serve, pool):
    mute = host.start_guest('mute', os=False)
    web = host.start_guest('web', memory_mib=256)
    plug(mute, 128)
    plug(web, 128)
    client = serve(answer_timeout=1).client()
    slow = pool.submit(put, client, mute, 1024)
    event(client, 2046)
    assert memory(put(client, web, 256)) == (256, 256)
    # It answers with the VM as it is, while the request continues as a job.
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
    """It waits its turn, or is refused: it does not hang, and nothing mixes."""
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


def notes(answer):
    return [note.text for note in answer.xml.findall('notes/note')]


def test_words_do_not_wait_for_a_guest(mute, serve, pool):
    """Behind a request that hangs a comment is written at once, of the running VM and its definition; memory says that
    it is still to come.
    """
    plug(mute, 128, 128)
    client = serve(answer_timeout=3, guest_timeout=30).client()
    slow = pool.submit(client.put, path(mute), change(1152))
    event(client, 2046)
    for text in ('one', 'two'):
        body = f'<vm><comment>{text}</comment><description>{text}!</description><cpu_shares>5</cpu_shares></vm>'
        answer = client.put(path(mute), body)
        assert (answer.status, answer.xml.findtext('comment'), answer.xml.findtext('description')) == (200, text, f'{text}!')
        note, = notes(answer)
        assert 'cpu_shares' in note
        for found in (mute.live_xml(), mute.inactive_xml()):
            assert (found.findtext('title'), found.findtext('description')) == (text, f'{text}!')
        assert client.get(path(mute)).xml.findtext('comment') == text
    assert not any(job.findtext('status') == 'failed' for job in jobs(client, mute))
    assert len([found for found in events(client, 35) if 'updated by admin@internal' in found.findtext('description')]) == 2
    behind = client.put(path(mute), change(1024, rest='<comment>three</comment>'))
    waits, = notes(behind)
    assert behind.status == 200 and 'nothing of this was done yet' in waits and 'web1' in waits
    job_id = waits.split()[-1]
    assert client.get(f'jobs/{job_id}').xml.findtext('status') == 'started'
    assert any('still in progress' in note or 'not answered' in note for note in notes(slow.result()))
    assert any('in progress' in note for note in notes(client.put(path(mute, '?async=true'), change(1024))))


def test_the_last_word_holds(mute, serve, pool):
    """No title is written beside a request that was sent before and names another one."""
    plug(mute, 128, 128)
    client = serve(answer_timeout=1, guest_timeout=8).client()
    slow = pool.submit(client.put, path(mute), change(1152))
    event(client, 2046)
    client.put(path(mute, '?async=true'), change(1280, rest='<comment>old</comment>'))
    assert client.put(path(mute), '<vm><comment>new</comment></vm>').status == 200
    slow.result()
    client.wait('jobs', lambda found: len([job for job in found if job.findtext('status') == 'started']) == 1)  # the slow one
    assert client.get(path(mute)).xml.findtext('comment') == 'new'
    assert {found.findtext('title') for found in (mute.live_xml(), mute.inactive_xml())} == {'new'}


def test_what_came_of_it_is_in_the_notes(guest, serve):
    """Refused, or no device that fits."""
    vm = guest
    client = serve().client()
    vm.set_refusing(True)
    device, = plug(vm, 128)
    wait_memory(client, vm, 384)
    answer = client.put(path(vm), change(256))
    assert answer.status == 200 and memory(answer.xml)[0] == 384
    assert 'refused' in notes(answer)[0] and '384 MiB' in notes(answer)[0] and '256 MiB' in notes(answer)[0]
    assert any(device in note for note in notes(answer)), notes(answer)
    codes = [code.text for code in answer.xml.findall('note_codes/note_code')]
    assert (codes[0], codes[-1]) == ('refused', 'step-refused') and len(codes) == len(notes(answer)), codes
    answer = client.put(path(vm), change(320))
    assert answer.status == 200 and memory(answer.xml)[0] == 384 and notes(answer) != []
    assert notes(client.put(path(vm), change(512))) == []


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


def test_many_waiting_requests_hold_up_no_other(host, serve, pool):
    """More of them than a pool of threads would have."""
    vms = [host.start_guest(f'mute{number}', os=False, memory_mib=256) for number in range(6)]
    for vm in vms:
        plug(vm, 128)
    client = serve(answer_timeout=30).client()
    waiting = [pool.submit(put, client, vm, 256) for vm in vms]
    client.wait('events?search=type%3D2046', lambda found: len(found) == 6)
    assert client.get('vms').status == 200
    other = host.start_guest('other', os=False, memory_mib=256)
    wait_runs(client, other)
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
