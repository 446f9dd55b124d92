# SPDX-License-Identifier: Apache-2.0
"""libvirtd dies in the middle of a call: whether QEMU has got it is not known, so it counts as sent."""

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import testbed
from rest import change, events, path, plug, values, wait_job, wait_memory

TIMEOUT = 30
DETACH, ATTACH = 'virDomainDetachDeviceAlias', 'virDomainAttachDeviceFlags'


@pytest.fixture
def calls(fragile, require):
    library = testbed.interpose.library()
    require([] if library else ['tests/real/interpose.so (built by meson)'])
    return testbed.interpose.Interpose(fragile, library)


@pytest.fixture
def vm(fragile):
    return fragile.start_guest('web1', memory_mib=256, max_mib=2048)


@pytest.fixture
def daemon(serve, fragile, vm, calls):
    """A dimmerd whose changing calls are logged.

    It turns no balloon statistics on: a change would read them first, and wait for QEMU there already.
    """
    daemon = serve(fragile, start=False, guest_timeout=10, answer_timeout=20, balloon_statistics=0)
    daemon.environment = calls.environment(0, 'log')
    return daemon.start()


def answer_without_libvirt(vm, calls, call, ask):
    """What ask() answers where libvirtd dies while that call waits for QEMU, which hears of it only then."""
    with ThreadPoolExecutor(1) as pool, vm.stopped():
        answer = pool.submit(ask)
        deadline = time.monotonic() + TIMEOUT
        while call not in calls.calls() or 'occupied' not in vm.host.virsh('domcontrol', vm.name):
            assert time.monotonic() < deadline, f'{call} does not wait: {calls.calls()}'
        vm.host.kill_libvirtd()
        return answer.result(timeout=TIMEOUT)


def test_a_device_that_was_perhaps_requested_has_not_refused(fragile, vm, calls, daemon):
    device, = plug(vm, 256)
    client = daemon.client()
    wait_memory(client, vm, 512)
    answer = answer_without_libvirt(vm, calls, DETACH, lambda: client.put(path(vm), change(256, 200)))
    assert answer.status == 503, answer
    fragile.start_libvirtd()
    job = client.get('jobs').xml[0].get('id')
    client.wait(f'jobs/{job}/steps', lambda found: found.findtext('step/status') in ('started', 'finished'))
    fragile.dimmer('settle', 'web1', check=0)  # QEMU drops what it has not read when its peer is gone
    wait_memory(client, vm, 256)
    assert values(client, vm) == (256, 200, 256, 200)
    wait_job(client, job, 'finished')
    assert not events(client, 2047)
    assert [device in event.findtext('description') for event in events(client, 20001)] == [True]


def test_a_plug_whose_end_was_not_heard_ends(fragile, vm, calls, daemon):
    client = daemon.client()
    answer = answer_without_libvirt(vm, calls, ATTACH, lambda: client.put(path(vm), change(512)))
    assert answer.status == 503, answer
    daemon.process.send_signal(signal.SIGSTOP)
    fragile.start_libvirtd()
    fragile.dimmer('settle', 'web1')  # so that nothing in the VM shows it any more
    daemon.process.send_signal(signal.SIGCONT)
    job = client.get('jobs').xml[0].get('id')
    wait_job(client, job, 'finished', 'failed')
    has = 256 + sum(vm.memory_devices().values())
    wait_memory(client, vm, has)
    assert values(client, vm)[0] == has


@pytest.mark.parametrize('at', [1, 2])
@pytest.mark.parametrize('ask', [
    lambda client, vm, device: client.put(path(vm), change(256, 200)),
    lambda client, vm, device: client.delete(path(vm, f'/memorydevices/{device}'))], ids=['put', 'delete'])
def test_what_was_never_requested_ends(fragile, vm, serve, calls, ask, at):
    """libvirtd dies before the first or second call that changes something."""
    device, = plug(vm, 256)
    daemon = serve(fragile, start=False, guest_timeout=10, answer_timeout=20)
    daemon.environment = calls.environment(at, 'before')
    client = daemon.start().client()
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(ask, client, vm, device)
        _, status = os.waitpid(daemon.process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        fragile.kill_libvirtd()
        fragile.start_libvirtd()
        daemon.process.send_signal(signal.SIGCONT)
        answer.result(timeout=TIMEOUT)
    job = client.get('jobs').xml[0].get('id')
    if DETACH in calls.calls():  # perhaps it was
        client.wait(f'jobs/{job}/steps', lambda found: found.findtext('step/status') == 'started')
        fragile.dimmer('settle', 'web1')
    else:
        wait_memory(client, vm, 512)
    wait_job(client, job, 'failed', 'finished')
    assert sum(vm.memory_devices().values()) in (0, 256)
