# SPDX-License-Identifier: Apache-2.0
"""A VM that moves to another host in the middle of what its balloon, or a floor's devices, are asked for."""

import signal

import pytest

from accounts import Guest, agreed, near
from look import run, show
from testbed.migration import Migration

BALLOON, RECORD = 'virDomainSetMemoryFlags', 'virDomainSetMetadata'
RESIZE, DETACH = 'virDomainUpdateDeviceFlags', 'virDomainDetachDeviceAlias'


def moved(vm, other, process, guest):
    """dimmer goes on once the VM is on the other host, where its request is too."""
    there = Migration(vm, other).finish()
    process.send_signal(signal.SIGCONT)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 1, output + errors
    assert 'vm was migrated to another host during the request, along with the request; settle it there' in errors
    guest.vm = there
    return there


def test_in_the_middle_of_a_balloons_way(host, other, interpose):
    vm = host.start_guest('vm', memory_mib=1024, max_mib=None)
    guest = Guest(vm)
    process = interpose.stopped(2, 'set', 'vm', '--memory', '400MiB', '--balloon')
    while interpose.calls()[-1] != BALLOON:
        process.kill()
        process.communicate()
        process = interpose.stopped(len(interpose.calls()) + 1, 'set', 'vm', '--memory', '400MiB', '--balloon')
    there = moved(vm, other, process, guest)
    assert show(other, 'vm')['request']['balloon_step']['to'] >> 20 == 400
    result = run(other, 'settle', 'vm')
    assert result['balloon_step']['state'] == 'ballooned', result
    now = agreed(there, guest)
    assert near(now.usable, 400) and (now.memory, now.next_run) == (1024, 400), now
    assert run(other, 'set', 'vm', '--memory', '1024MiB')['outcome'] == 'done'
    assert agreed(there, guest).ballooned == 0 and show(other, 'vm')['request'] is None


@pytest.mark.parametrize('kind, at, call', [
    ('virtio-mem', 3, RECORD), ('virtio-mem', 4, RESIZE), ('dimm', 4, DETACH)])
def test_in_the_middle_of_a_floors_lowering(host, other, interpose, kind, at, call):
    """Recorded as asked, or asked, of some DIMMs: its guest may answer before, after, or while it moves."""
    vm = host.define('vm', memory_mib=1024, max_mib=4096)
    run(host, 'enable', 'vm', '--maximum', '4GiB', '--floor', '512MiB', '--kind', kind)
    vm.start().wait_ready()
    guest = Guest(vm)
    process = interpose.stopped(at, 'set', 'vm', '--memory', '640MiB')
    assert interpose.calls()[-1] == call, interpose.calls()
    there = moved(vm, other, process, guest)
    # Seen once in many runs: an emulated CPU that is moved within an exception; its kernel starts anew.
    there.expect_trouble('ct_nmi_|NULL pointer dereference, address: 0000000000000001|Oops|kill the idle task')
    run(other, 'settle', 'vm')
    now = agreed(there, guest)
    assert (now.memory, now.usable, now.next_run) == (640, 640, 640) and show(other, 'vm')['request'] is None
    run(other, 'set', 'vm', '--memory', '512MiB')
    now = agreed(there, guest)
    assert (now.memory, now.next_run) == (512, 512), now
