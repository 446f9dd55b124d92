# SPDX-License-Identifier: Apache-2.0
"""SIGKILL after each step of a change over all three ways, on a VM with a floor: 'settle' makes all accounts agree."""

import signal

from accounts import Guest, agreed, near
from look import run, show

MORE_THAN_ANY_REQUEST_MAKES = 14
DOWN = ('set', 'vm', '--memory', '450MiB', '--balloon')
UP = ('set', 'vm', '--memory', '1152MiB', '--balloon')


def settled(vm, guest):
    run(vm.host, 'settle', 'vm')
    assert show(vm.host, 'vm')['request'] is None
    return agreed(vm, guest)


def test_down_by_virtio_mem_and_the_balloon_and_up_again(host, interpose):
    """Deflate, unplug, set anew, the next run's devices, and each record of them: killed after each."""
    vm = host.define('vm', memory_mib=1024, max_mib=4096)
    run(host, 'enable', 'vm', '--maximum', '4GiB', '--floor', '512MiB')
    vm.start().wait_ready()
    guest, seen, through = Guest(vm), set(), set()
    for at in range(1, MORE_THAN_ANY_REQUEST_MAKES):
        for wish, memory in ((DOWN, 450), (UP, 1152)):
            now = None
            if wish not in through:
                done = interpose.run(at, 'kill', *wish)
                seen |= {(wish, interpose.calls()[-1])}
                through |= {wish} if done.returncode == 0 else set()
                assert done.returncode in (0, -signal.SIGKILL), done
                now = settled(vm, guest)
                asks = interpose.calls().count('virDomainSetMetadata') > 1
                assert now.next_run == memory, now
                assert not asks or near(now.usable, memory), (interpose.calls(), now)
            if now is None or not near(now.usable, memory):
                run(host, *wish)
                now = agreed(vm, guest)
                assert near(now.usable, memory) and now.next_run == memory, now
        if through == {DOWN, UP}:
            break
    calls = {'virDomainSetMetadata', 'virDomainDefineXML', 'virDomainSetMemoryFlags', 'virDomainUpdateDeviceFlags'}
    assert seen >= {(wish, call) for wish in (DOWN, UP) for call in calls}, seen
