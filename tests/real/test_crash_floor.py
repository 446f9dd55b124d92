# SPDX-License-Identifier: Apache-2.0
"""SIGKILL after each step of a change over all three ways, on a VM with a floor: 'settle' makes all accounts agree."""

import signal

import pytest

from accounts import Guest, agreed, near
from look import run, show

MORE_THAN_ANY_REQUEST_MAKES = 14
DOWN = ('set', 'vm', '--memory', '450MiB', '--balloon', '--force')  # its statistics may be older than what it has
UP = ('set', 'vm', '--memory', '1152MiB', '--balloon')
CALLS = {'virDomainSetMetadata', 'virDomainDefineXML', 'virDomainSetMemoryFlags'}


def settled(vm, guest):
    run(vm.host, 'settle', 'vm')
    assert show(vm.host, 'vm')['request'] is None
    return agreed(vm, guest)


@pytest.mark.parametrize('kind, call, killed', [
    ('virtio-mem', 'virDomainUpdateDeviceFlags', {DOWN, UP}),
    ('dimm', 'virDomainDetachDeviceAlias', {DOWN}),  # nobody plugs a DIMM again: see test_crash.py
])
def test_down_by_devices_and_the_balloon_and_up_again(host, interpose, kind, call, killed):
    """Deflate, unplug, set anew, the next run's devices, and each record of them: killed after each."""
    vm = host.define('vm', memory_mib=1024, max_mib=4096)
    run(host, 'enable', 'vm', '--maximum', '4GiB', '--floor', '512MiB', '--kind', kind)
    vm.start().wait_ready()
    guest, seen, left = Guest(vm), set(), set(killed)
    for at in range(1, MORE_THAN_ANY_REQUEST_MAKES):
        for wish, memory in ((DOWN, 450), (UP, 1152)):
            now = None
            if wish in left:
                done = interpose.run(at, 'kill', *wish)
                left -= {wish} if done.returncode == 0 else set()
                assert done.returncode in (0, -signal.SIGKILL), done
                seen |= {(wish, interpose.calls()[-1])}
                now = settled(vm, guest)
                asks = interpose.calls().count('virDomainSetMetadata') > 1
                assert now.next_run == memory, now
                assert not asks or near(now.usable, memory), (interpose.calls(), now)
            if now is None or not near(now.usable, memory):
                run(host, *wish)
                now = agreed(vm, guest)
                assert near(now.usable, memory) and now.next_run == memory, now
        if not left:
            break
    assert seen >= {(wish, each) for wish in killed for each in CALLS | {call}}, seen
