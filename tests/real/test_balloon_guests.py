# SPDX-License-Identifier: Apache-2.0
"""Guests that make it hard for their balloon: short of memory, silent in the middle, or lying."""

import json
import signal

import pytest

from accounts import Guest, agreed, left_by_balloon, near
from look import mib, plug, run, show, steps
from testbed import inside

SET = 'virDomainSetMemoryFlags'
CHURN = 'while :; do dd if=/dev/zero of=/tmp/churn bs=1M count=200 conv=notrunc; done >/dev/null 2>&1 &'


@pytest.mark.parametrize('autodeflate', [False, True])
def test_no_program_is_ended(host, autodeflate):
    """One holds memory, and another writes to its own again and again."""
    vm = host.define('vm', memory_mib=1024, max_mib=4096, files=inside.holder())
    if autodeflate:
        run(host, 'enable', 'vm', '--maximum', '4GiB', '--autodeflate')
    vm.start().wait_ready()
    guest = Guest(vm)
    inside.hold(vm, 150, 'touch')
    vm.guest(CHURN)
    result = run(host, 'set', 'vm', '--memory', '64MiB', '--balloon', '--live', status=4)
    assert result['balloon_step']['reason_code'] == 'balloon-spare-ends', result
    left = agreed(vm, guest)
    assert 400 < left.usable < 700 and inside.holds(vm), left
    if autodeflate:
        vm.guest('rm /run/hold')  # in which the first one says that it has its memory
        inside.hold(vm, 400, 'touch')  # more than it has left: it takes that back
        more = agreed(vm, guest)
        assert more.usable > left.usable + 50 and len(vm.guest('pidof hold').split()) == 2, more


def test_one_that_falls_silent(host, interpose):
    """It stands still in the middle: what it was to give does not strike when it runs again."""
    vm = host.start_guest('vm', memory_mib=1024, max_mib=None)
    guest = Guest(vm)
    process = interpose.stopped(2, 'set', 'vm', '--memory', '400MiB', '--balloon', '--live', '-o', 'json')
    assert interpose.calls()[-1] == SET
    vm.suspend()
    process.send_signal(signal.SIGCONT)
    printed, errors = process.communicate(timeout=60)
    step = json.loads(printed)['balloon_step']
    assert (process.returncode, step['state']) in ((4, 'overdue'), (6, 'overdue')), printed + errors
    assert step['reason_code'] == 'balloon-silent', step
    left = left_by_balloon(vm)
    vm.resume()
    assert near(agreed(vm, guest).usable, left)
    assert show(host, 'vm')['request']['balloon_step']['to'] >> 20 == 400
    assert run(host, 'settle', 'vm')['balloon_step']['state'] == 'ballooned'
    assert near(agreed(vm, guest).usable, 400)


LIE = """cd /sys/bus/pci/devices
    device=$(dirname "$(grep -l 0x1045 */device)") # virtio's balloon, and the fifth of its BARs
    devmem $(($(sed -n '5s/ .*//p' $device/resource) + 0x2004)) 32 {pages}"""


def lie(vm, held):
    """Let its guest tell QEMU that the balloon holds so many MiB, which its driver knows nothing of."""
    vm.guest(LIE.format(pages=held * 256))


def test_one_that_claims_what_it_did_not_give(host):
    """What QEMU is told counts, and the lie ends where the driver moves it next. It harms itself only."""
    vm = host.start_guest('vm', memory_mib=1024, max_mib=4096, cmdline='iomem=relaxed')
    guest = Guest(vm)
    lie(vm, 400)
    assert left_by_balloon(vm) == 624 and guest.ballooned() == 0
    run(host, 'set', 'vm', '--memory', '624MiB', '--balloon', '--live')
    run(host, 'set', 'vm', '--memory', '500MiB', '--balloon', '--live')
    assert near(agreed(vm, guest).usable, 500)
    lie(vm, 1000)
    assert run(host, 'set', 'vm', '--memory', '1024MiB', '--balloon', '--live')['outcome'] == 'done'
    assert agreed(vm, guest).ballooned == 0
    alias, = plug(host, vm, 256, '--policy', 'whole')
    lie(vm, 200)
    assert steps(run(host, 'unplug', 'vm', alias)) == [('unplug', 256, 'removed')]
    lie(vm, 9000)  # more than there is
    found = show(host, 'vm')['live']
    assert (mib(found['memory']), mib(found['ballooned'])) == (1024, 0), found
    assert host.dimmer('set', 'vm', '--memory', '700MiB', '--balloon', '--live').returncode in (0, 4, 5, 6)
    lie(vm, 0)
    run(host, 'set', 'vm', '--memory', '700MiB', '--balloon', '--live')
    assert near(agreed(vm, guest).usable, 700)
