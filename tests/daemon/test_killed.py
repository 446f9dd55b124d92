# SPDX-License-Identifier: Apache-2.0
"""SIGKILL of dimmerd after each changing libvirt call of a request, each call that fails, and what follows."""

import http.client
import re
import signal

import pytest

from rest import MIB, change, event, events, fault, path, plug, put, sizes_of, values, vm_id, wait_job, wait_memory

MORE_THAN_ANY_REQUEST_MAKES = 12
DETACH, ATTACH = 'virDomainDetachDeviceAlias', 'virDomainAttachDeviceFlags'
REQUESTED, REQUESTED_ALONE, REMOVED, FAILED_UNPLUG, UPDATED, FAILED = 2046, 2049, 20001, 2047, 35, 58
STORE, DEFINE = 'virDomainSetMetadata', 'virDomainDefineXML'


@pytest.fixture
def daemon(serve):
    """Its guests have a second for each answer; a PUT waits for longer than that."""
    return serve(guest_timeout=20, answer_timeout=30)


def carried(vm):
    """The request that the VM carries, or None."""
    metadata = vm.live_xml().find('metadata')
    return None if metadata is None else metadata.find('.//{urn:dimmer:memory:1}request')


def armed(daemon, interpose, at, do):
    """A client of it, started anew so that it does that at its changing call of that number."""
    if daemon.running():
        assert daemon.stop() == 0
    daemon.environment = interpose.environment(at, do)
    daemon.restart()
    daemon.environment = {}
    return daemon.client()


def kill_after_each_call(daemon, interpose, ask):
    """Asks it, killed after its 1st, 2nd, ... call, until it comes through.

    Yields after each, with a new dimmerd ready: a client, the calls, and the id of the request
    that the VM carried when the new one came, or None.
    """
    for at in range(1, MORE_THAN_ANY_REQUEST_MAKES):
        try:
            answer = ask(armed(daemon, interpose, at, 'kill'))
        except (ConnectionError, http.client.HTTPException):
            assert daemon.wait_exit() == -signal.SIGKILL
        else:
            assert answer.status in (200, 201), answer
            assert at > 3, 'it was hardly ever killed'
            return
        yield interpose.calls()
    raise AssertionError('it never came through')


def restarted(daemon, vm):
    """A client of the next dimmerd, and the job of what the VM carried before it came, or None."""
    request = carried(vm)
    client = daemon.restart().client()
    if request is None:
        return client, None
    answer = client.get(f'jobs/{request.get("id")}')
    assert answer.status == 200, answer
    return client, request.get('id')


def ids_of(vm):
    """The ids of the devices, which the API gave their aliases."""
    return [alias.removeprefix('ua-') for alias in vm.memory_devices()]


def check_reported(client, code, devices):
    """That there is one event of that code for each, however often it was killed."""
    texts = [found.findtext('description') for found in events(client, code, wait=True)]
    assert [sum(f'({device})' in text for text in texts) for device in devices] == [1] * len(devices), texts


def grow(client, vm, *sizes):
    """PUT, and wait until the guest uses what is new."""
    before = set(vm.memory_devices())
    put(client, vm, *sizes)
    for alias in set(vm.memory_devices()) - before:
        vm.wait_plugged(alias)


def check_left_in_order(client, vm):
    """What must hold in the end, whatever happened: the truth, and no trace."""
    found = values(client, vm)
    assert found[0] == 256 + sum(sizes_of(vm))
    assert found[1] <= found[0] and found[3] <= found[2]
    assert carried(vm) is None
    assert all(job.findtext('status') != 'started' for job in client.get('jobs').xml)


def test_a_put_that_lowers(guest, daemon, interpose):
    grow(daemon.client(), guest, 512, 256)
    puts, devices = 1, ids_of(guest)
    for calls in kill_after_each_call(daemon, interpose,
                                      lambda client: client.put(path(guest), change(256, 200))):
        asks = calls.count(STORE) >= 2  # by the record: unknown whether it was requested, so it is requested again
        client, job = restarted(daemon, guest)
        wait_memory(client, guest, 256 if asks else 512)
        if job:
            done = wait_job(client, job, 'finished', 'failed')
            assert done.findtext('status') == ('finished' if asks else 'failed')
        assert values(client, guest) == (256 if asks else 512, 200, 256, 200)
        check_reported(client, REQUESTED if asks else FAILED_UNPLUG, devices)
        check_reported(client, REMOVED if asks else FAILED_UNPLUG, devices)
        puts += 1
        client.wait('events', lambda _: len(events(client, UPDATED) + events(client, FAILED)) == puts)
        # Once more finishes it.
        put(client, guest, 256, 200)
        puts += 1
        wait_memory(client, guest, 256)
        assert values(client, guest) == (256, 200, 256, 200)
        check_left_in_order(client, guest)
        grow(client, guest, 512, 256)
        puts, devices = puts + 1, ids_of(guest)


def test_a_put_that_raises(guest, daemon, interpose):
    before = 256
    for calls in kill_after_each_call(
            daemon, interpose, lambda client: client.put(path(guest), change(before + 384))):
        client, job = restarted(daemon, guest)
        if job:
            wait_job(client, job, 'finished', 'failed')
        memory = 256 + sum(sizes_of(guest))
        assert (memory > before) == (ATTACH in calls)
        assert values(client, guest)[::2] == (memory, before + 384)
        check_left_in_order(client, guest)
        put(client, guest, memory + 128)
        before = memory + 128
        assert values(client, guest) == (before,) * 4


def test_an_unplug(guest, daemon, interpose):
    grow(daemon.client(), guest, 512)

    def ask(client):
        nonlocal devices
        device = client.get(path(guest, '/memorydevices')).xml[0]
        devices = [device.get('id')]
        return client.delete(device.get('href'))

    devices = []
    for _ in kill_after_each_call(daemon, interpose, ask):
        client, job = restarted(daemon, guest)
        if job:
            wait_job(client, job, 'finished')
        wait_memory(client, guest, 384)
        check_reported(client, REQUESTED_ALONE, devices)
        check_reported(client, REMOVED, devices)
        client.wait(path(guest, '?next_run=true'),
                    lambda found: found.findtext('memory') == str(384 * MIB))
        assert values(client, guest) == (384,) * 4
        check_left_in_order(client, guest)
        grow(client, guest, 512)


def test_a_plug(guest, daemon, interpose):
    before = 256
    body = f'<memory_device><size>{256 * MIB}</size></memory_device>'
    for calls in kill_after_each_call(
            daemon, interpose, lambda client: client.post(path(guest, '/memorydevices'), body)):
        client, job = restarted(daemon, guest)
        if job:
            done = wait_job(client, job, 'finished', 'failed')
            assert ATTACH in calls or done.findtext('status') == 'failed'
        memory = 256 + sum(sizes_of(guest))
        assert (memory > before) == (ATTACH in calls)
        client.wait(path(guest, '?next_run=true'),
                    lambda found: found.findtext('memory') == str(memory * MIB))
        assert values(client, guest) == (memory,) * 4
        check_left_in_order(client, guest)
        put(client, guest, memory + 128)
        before = memory + 128
        assert values(client, guest) == (before,) * 4


# Calls that fail.

def fail_each_call(daemon, interpose, ask):
    """Asks it with its 1st, 2nd, ... call failing, until none is left to fail; yields a client, the
    calls of the request, the number of the one that failed, and the answer."""
    for at in range(1, MORE_THAN_ANY_REQUEST_MAKES):
        client = armed(daemon, interpose, at, 'fail')
        answer = ask(client)
        calls = interpose.calls()
        if len(calls) < at:
            assert answer.status in (200, 201) and at > 3, answer
            return
        yield client, calls[at - 1], at, answer
    raise AssertionError('it never came through')


@pytest.mark.tsan
def test_a_put_that_lowers_with_a_call_that_fails(guest, daemon, interpose):
    grow(daemon.client(), guest, 512, 256)
    for client, call, at, answer in fail_each_call(
            daemon, interpose, lambda client: client.put(path(guest), change(256, 200))):
        if call != DETACH:  # then it was requested, or another device was
            detail = fault(answer, answer.status)
            assert answer.status >= 400 and 'web1' in detail
        if at < 3:
            assert values(client, guest) == (512, 256, 512, 256)
        put(client, guest, 256, 200)
        assert values(client, guest) == (256, 200, 256, 200)
        check_left_in_order(client, guest)
        grow(client, guest, 512, 256)


@pytest.mark.parametrize('call', [1, 3])
def test_a_request_that_cannot_be_recorded_leaves_nothing(guest, daemon, interpose, call):
    """As on a full disk: libvirt still has it in memory."""
    grow(daemon.client(), guest, 512, 256)
    client = armed(daemon, interpose, call, 'late')
    detail = fault(client.put(path(guest), change(256, 200)), 500)
    assert 'cannot write to the metadata of web1' in detail
    assert interpose.calls()[call - 1] == STORE and DETACH not in interpose.calls()
    assert carried(guest) is None
    failed = event(client, FAILED)
    assert 'cannot write to the metadata' in failed.findtext('description')
    assert values(client, guest) == ((512, 256, 512, 256) if call == 1 else (512, 200, 256, 200))
    put(client, guest, 256, 200)
    check_left_in_order(client, guest)


def test_a_put_that_raises_with_a_call_that_fails(guest, daemon, interpose):
    before = 256
    for client, call, _, answer in fail_each_call(
            daemon, interpose, lambda client: client.put(path(guest), change(before + 384))):
        if call != ATTACH:
            assert 'web1' in fault(answer, answer.status)
        before = 256 + sum(sizes_of(guest)) + 128
        put(client, guest, before)
        assert values(client, guest) == (before,) * 4
        check_left_in_order(client, guest)


def test_an_unplug_with_a_call_that_fails(guest, daemon, interpose):
    grow(daemon.client(), guest, 512)

    def ask(client):
        device = client.get(path(guest, '/memorydevices')).xml[0]
        return client.delete(device.get('href'))

    for client, call, _, answer in fail_each_call(daemon, interpose, ask):
        assert answer.status >= 400 and answer.xml.find('fault/detail').text, (call, answer)
        put(client, guest, 256)
        assert values(client, guest) == (256,) * 4
        check_left_in_order(client, guest)
        grow(client, guest, 512)


@pytest.mark.tsan
def test_a_recovery_that_fails_is_tried_again(guest, daemon, interpose):
    """By the next that happens to the VM at the latest."""
    plug(guest, 128)
    client = armed(daemon, interpose, 1, 'kill')
    with pytest.raises((ConnectionError, http.client.HTTPException)):
        client.put(path(guest), change(256, 200))
    daemon.wait_exit()
    ident = carried(guest).get('id')
    client = armed(daemon, interpose, 1, 'fail')
    assert client.get(f'jobs/{ident}').status == 200
    wait_job(client, ident, 'failed')
    assert values(client, guest) == (384, 200, 256, 200)
    assert carried(guest) is None


def test_what_was_out_goes_on_after_a_kill_until_it_is_overdue(mute, serve):
    daemon = serve(guest_timeout=3)
    device, = plug(mute, 128)
    client = daemon.client()
    wait_memory(client, mute, 1152)
    where = path(mute, f'/memorydevices/{device}')
    assert client.put(path(mute, '?async=true&correlation_id=again'), change(1024)).status == 200
    event(client, 2046)
    assert client.get(where).xml.findtext('state') == 'going'
    daemon.kill()
    client = daemon.restart().client()
    client.wait(where, lambda found: found.findtext('state') == 'going')
    client.wait(where, lambda found: found.findtext('state') == 'overdue')
    assert event(client, 20002).findtext('severity') == 'warning'
    assert event(client, 2046).findtext('correlation_id') == 'again'
    updated, = events(client, UPDATED, wait=True)
    assert 'has not answered yet' in updated.findtext('description')
    assert updated.findtext('correlation_id') == 'again'


def test_what_is_too_old_does_not_go_on(mute, serve):
    """No client waits for it any more, so it is not asked for again, but overdue, and 'settle' asks."""
    daemon = serve(guest_timeout=3)
    plug(mute, 128)
    client = daemon.client()
    wait_memory(client, mute, 1152)
    assert client.put(path(mute, '?async=true'), change(1024)).status == 200
    event(client, 2046)
    daemon.kill()
    metadata = mute.host.virsh('metadata', mute.name, 'urn:dimmer:memory:1')
    old = re.sub(r'deadline="\d+"', 'deadline="1"', metadata)
    assert old != metadata
    mute.host.virsh('metadata', mute.name, 'urn:dimmer:memory:1', '--key', 'dimmer', '--live', '--set', old)
    client = daemon.restart().client()
    assert event(client, 20002).findtext('severity') == 'warning'
    assert carried(mute).get('pid') is None
    events(client, UPDATED, wait=True)
    job, = client.get('jobs').xml
    assert job.findtext('status') == 'started'


def test_each_step_that_was_out_goes_back_to_its_own_job(mute, serve):
    daemon = serve(guest_timeout=1)
    plug(mute, 128)
    client = daemon.client()
    wait_memory(client, mute, 1152)
    put(client, mute, 1024)
    lowered, = client.get('jobs').xml
    put(client, mute, 1280)
    raised = next(job for job in client.get('jobs').xml if job.get('id') != lowered.get('id'))
    assert (lowered.findtext('status'), raised.findtext('status')) == ('started', 'finished')
    assert daemon.stop() == 0
    client = daemon.restart().client()
    answer = client.get(f'jobs/{lowered.get("id")}')
    assert answer.status == 200, answer
    for name in ('description', 'status', 'start_time'):
        # seconds are what the VM keeps
        assert answer.xml.findtext(name)[:19] == lowered.findtext(name)[:19]
    assert client.get(f'jobs/{raised.get("id")}').status == 404  # nothing is left of it


def test_a_change_that_waited_for_its_turn_is_reported_at_the_end(mute, daemon):
    plug(mute, 128)
    client = daemon.client()
    wait_memory(client, mute, 1152)
    for size in (1024, 1280):
        assert client.put(path(mute, '?async=true'), change(size)).status == 200
    client.wait('jobs', lambda found: len(found) == 2 and 'going' in [
        device.findtext('state') for device in client.get(path(mute, '/memorydevices')).xml])
    assert daemon.stop() == 0
    client = daemon.restart().client()
    failed = event(client, 58)
    assert 'dimmerd is stopping' in failed.findtext('description')
    assert failed.find('vm').get('id') == vm_id(mute)
