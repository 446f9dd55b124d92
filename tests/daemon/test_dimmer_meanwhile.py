# SPDX-License-Identifier: Apache-2.0
"""dimmer and dimmerd on the same VMs at the same time."""

import signal

import pytest

from rest import (NEXT_RUN, change, event, path, plug, put, rule, values, wait_job,
                  wait_memory)

DETACH = 'virDomainDetachDeviceAlias'


def carried(vm):
    """The request that the VM carries, or None."""
    metadata = vm.live_xml().find('metadata')
    return None if metadata is None else metadata.find('.//{urn:dimmer:memory:1}request')


def jobs(client):
    return list(client.get('jobs').xml)


def finish(process):
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, out + err


@pytest.mark.tsan
def test_the_daemon_follows_what_dimmer_does(host, guest, client):
    host.dimmer('set', 'web1', '--memory', '512MiB', '--guaranteed', '300MiB', check=0)
    wait_memory(client, guest, 512)
    for alias in guest.memory_devices():
        guest.wait_plugged(alias)
    wait_memory(client, guest, 512, NEXT_RUN)  # the definition is written last, and has an event of its own
    assert values(client, guest) == (512, 300, 512, 300)
    host.dimmer('set', 'web1', '--memory', '384MiB', check=0)
    wait_memory(client, guest, 384, NEXT_RUN)
    assert values(client, guest) == (384, 300, 384, 300)
    assert jobs(client) == []
    assert values(client, guest) == values(client, put_nothing(client, guest))


def put_nothing(client, vm):
    assert client.put(path(vm), change()).status == 200
    return vm


@pytest.mark.parametrize('at', [1, 3, 4])
def test_a_request_of_dimmer_is_its_own_while_it_lives(host, guest, client, interpose, at):
    plug(guest, 128)
    wait_memory(client, guest, 384)
    process = interpose.stopped(at, 'set', 'web1', '--memory', '256MiB', '--guaranteed', '200MiB')
    try:
        client.wait(path(guest), lambda vm: vm.findtext('memory_policy/guaranteed') == str(200 << 20))
        if DETACH in interpose.calls():
            wait_memory(client, guest, 256)
        assert jobs(client) == []
        for body in (change(384), change(256)):
            detail = rule(client.put(path(guest), body), 409)
            assert f'process {process.pid}' in detail and 'web1' in detail, detail
        assert jobs(client) == []  # nothing of them was begun
    finally:
        process.send_signal(signal.SIGCONT)
    finish(process)
    wait_memory(client, guest, 256)
    assert jobs(client) == []
    assert memory_after(client, guest) == (384,) * 4
    assert carried(guest) is None


def memory_after(client, vm):
    put(client, vm, 384, 384)
    return values(client, vm)


@pytest.mark.parametrize('at', [1, 2, 3, 4])
def test_a_request_of_dimmer_is_taken_over_once_that_is_killed(host, guest, client, interpose, at):
    """Nothing changes in the VM when that happens: only the lock tells."""
    plug(guest, 128)
    wait_memory(client, guest, 384)
    process = interpose.stopped(at, 'set', 'web1', '--memory', '256MiB', '--guaranteed', '200MiB')
    client.wait(path(guest), lambda vm: vm.findtext('memory_policy/guaranteed') == str(200 << 20))
    asked = DETACH in interpose.calls()
    if asked:
        wait_memory(client, guest, 256)
    assert jobs(client) == []
    ident = carried(guest).get('id')
    process.kill()
    process.wait()
    where = f'jobs/{ident}'
    if at == 3:  # the record says "asked", but it was not requested
        client.wait(f'{where}/steps', lambda found: found.findtext('step/status') == 'started')
    else:
        wait_job(client, ident, 'finished' if asked else 'failed')
    client.wait(path(guest, '?next_run=true'),
                lambda vm: vm.findtext('memory') == str(256 << 20))
    memory = 256 if asked else 384
    assert values(client, guest) == (memory, 200, 256, 200)
    put(client, guest, 256, 200)
    assert values(client, guest) == (256, 200, 256, 200)
    assert carried(guest) is None
    assert all(job.findtext('end_time') for job in jobs(client))


@pytest.mark.tsan
def test_dimmer_reports_that_dimmerd_is_at_it(host, guest, daemon, client, pool):
    plug(guest, 128)
    guest.set_deaf(True)
    wait_memory(client, guest, 384)
    waiting = pool.submit(client.put, path(guest), change(256))
    event(client, 2046)
    done = host.dimmer('set', 'web1', '--memory', '384MiB', check=3)
    assert f'process {daemon.process.pid}' in done.stderr
    guest.set_deaf(False)
    assert waiting.result(timeout=30).status == 200
    wait_memory(client, guest, 256)


def test_an_overdue_job_ends_when_dimmer_settles_it(guest, serve, interpose):
    """What the guest releases for dimmer, it has released for the job as well."""
    plug(guest, 128)
    guest.set_deaf(True)
    client = serve(guest_timeout=1).client()
    put(client, guest, 256)
    found, = jobs(client)
    client.wait(path(guest, '/memorydevices'),
                lambda devices: devices.findtext('memory_device/state') == 'overdue')
    settling = interpose.stopped(3, 'settle', 'web1', '-t', '30')
    guest.set_deaf(False)
    settling.send_signal(signal.SIGCONT)
    finish(settling)
    wait_job(client, found.get('id'), 'finished')
    assert values(client, guest) == (256,) * 4 and carried(guest) is None
