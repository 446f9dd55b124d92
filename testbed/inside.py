# SPDX-License-Identifier: Apache-2.0
"""What a busybox guest's own kernel says of its plugged memory, and what can hold on to it there."""

import re
import subprocess
import time

from .setup import BUILD, REPO, guest_image
from .wire import GuestError

PLUGGED = 4 << 30  # where QEMU puts the first device of a small guest
BLOCK = 128  # MiB
MOVABLE, KERNEL, OFFLINE = 'online Movable', 'online Normal', 'offline'
MEMORY = '/sys/devices/system/memory'
TIMEOUT = 30
TOUCH_TIMEOUT = 120  # emulated, on a busy machine, a guest takes that long for its first GiB


def blocks(vm):
    """'STATE ZONE' of each plugged block, or its state if it is not online, by address."""
    text = vm.guest(f"""cd {MEMORY}
        for id in $(ls -d memory[0-9]* | sed s/memory// | sort -n); do
          [ $id -ge {PLUGGED // (BLOCK << 20)} ] || continue
          state=$(cat memory$id/state)
          # By way of its node: without one yet, it would crash the kernel (see guest/blocks.c).
          case $state in online) state="$state $(cat ../node/node*/memory$id/valid_zones)" ;; esac
          echo "$state"
        done""")
    return text.splitlines()


def wait_for_blocks(vm, *wanted, timeout=TIMEOUT):
    """Wait until they are so: what a guest does by itself is not reported to a host."""
    deadline = time.monotonic() + timeout
    while (found := blocks(vm)) != list(wanted):
        assert time.monotonic() < deadline, found
        vm.guest('sleep 0.2')


def wait_whole(vm, mib, timeout=TIMEOUT):
    """Wait until all plugged memory is there, online, and movable."""
    wait_for_blocks(vm, *[MOVABLE] * (mib // BLOCK), timeout=timeout)


def wait_going_offline(vm):
    """Wait until the kernel is at taking a block offline."""
    vm.guest(f"""n=0
        until grep -q going-offline {MEMORY}/memory*/state; do
          sleep 0.1; n=$((n + 1)); [ $n -lt 200 ] || exit 1
        done""")


def refuse_onlining(vm, refuse):
    """Let its kernel bring no memory online, as if it had no memory left for that, or do it again."""
    vm.guest(f"""mountpoint -q /sys/kernel/debug || mount -t debugfs debug /sys/kernel/debug
        echo {-12 if refuse else 0} >/sys/kernel/debug/notifier-error-inject/memory/actions/MEM_GOING_ONLINE/error""")


def times_asked(vm):
    """How often QEMU has notified the guest of its DIMMs, through ACPI: at each plug and each request."""
    return int(vm.guest('cat /sys/firmware/acpi/interrupts/gpe03').split()[0])


def fill(vm, mib):
    """Let files in memory take so much that not all of what is plugged can go."""
    vm.guest(f'mount -o remount,size=2g /tmp && dd if=/dev/zero of=/tmp/filled bs=1M count={mib}')


def empty(vm):
    vm.guest('rm /tmp/filled')


def holder():
    """testbed/guest/hold.c, built, for a VM's files."""
    program = BUILD / 'testbed/hold'
    source = REPO / 'testbed/guest/hold.c'
    if not program.exists() or program.stat().st_mtime < source.stat().st_mtime:
        program.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(['cc', '-static', '-Os', '-o', program, source], check=True)
    return {'bin/hold': program}


def hold(vm, mib, how):
    """Let a program hold memory: see hold.c. GuestError if the kernel does not let it."""
    vm.guest(f"""hold {mib} {how} >/run/hold 2>&1 &
        until grep -q held /run/hold; do kill -0 $! || {{ cat /run/hold; exit 1; }}; sleep 0.1; done""",
             timeout=TOUCH_TIMEOUT)


def use_once(vm):
    """Have nearly all that is free in use once: before, QEMU has nothing of it on the host, as it has of a guest that
    has run for a while. It needs holder() among its files. Its kernel may end that program before it has all.
    """
    free = int(re.search(r'MemFree: +(\d+)', vm.guest('cat /proc/meminfo'))[1]) >> 10
    vm.guest(f"""hold {free - 60} touch >/run/hold 2>&1 &
        until grep -q held /run/hold; do kill -0 $! || exit 0; sleep 0.1; done
        kill -9 $!; while pidof hold; do sleep 0.1; done""", timeout=TOUCH_TIMEOUT)


def holds(vm):
    """Whether that program is still there."""
    try:
        vm.guest('pidof hold')
    except GuestError:
        return False
    return True


FIRST = r"$(pidof dimmer-guest | tr ' ' '\n' | sort -n | head -1)"


def signal_agent(vm, name):
    """To dimmer-guest; to its child too, if one is at work, which comes after it."""
    vm.guest(f'kill -{name} {FIRST}')


def end_agent(vm):
    """As if it had crashed; wait until it is gone, with its child."""
    signal_agent(vm, 'KILL')
    vm.guest('while pidof dimmer-guest; do sleep 0.1; done')
    vm.wait_port('org.dimmer.guest.0', 'disconnected')


START = 'setsid dimmer-guest >>/run/dimmer-guest.log 2>&1 &'


def start_agent(vm):
    vm.guest(START)


def restart_agent(vm):
    """End it as if it had crashed, and start it again at once: sooner than anybody can miss it."""
    vm.guest(f'kill -9 {FIRST}; while pidof dimmer-guest; do sleep 0.1; done; {START}')


def without_module(name):
    """For a VM's files: its guest leaves that module out; see load_module()."""
    modules = guest_image()[0].parent / 'parts/modules/order'
    order = BUILD / f'testbed/order-without-{name}'
    order.parent.mkdir(parents=True, exist_ok=True)
    order.write_text(''.join(f'{module}\n' for module in modules.read_text().split() if module != name))
    return {'modules/order': order}


def load_module(vm, name):
    vm.guest(f'insmod /modules/{name}.ko')


def windows():
    """testbed/guest/windows, for a VM's files; see start_windows()."""
    return {'bin/windows': REPO / 'testbed/guest/windows'}


def start_windows(vm):
    """Let the guest say that it is Windows, in place of its qemu-guest-agent."""
    vm.kill_agent()
    vm.guest('setsid windows >/run/windows.out 2>&1 &')
    vm.wait_port('org.qemu.guest_agent.0', 'connected')


def liar():
    """testbed/guest/liar, for a VM's files."""
    return {'bin/liar': REPO / 'testbed/guest/liar'}
