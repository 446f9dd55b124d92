# SPDX-License-Identifier: Apache-2.0
"""Every account of one guest's memory, side by side: dimmer's, libvirt's, QEMU's, and the guest's own. In MiB."""

import re
import time
from dataclasses import dataclass

from look import show
from testbed.sizes import MIB

TIMEOUT = 30
NEAR = 1  # MiB: what the accounts may differ by
METADATA = '{urn:dimmer:memory:1}memory'


@dataclass
class Numbers:
    """What a VM has by 'dimmer show'; held_by_dimmer is what its metadata says of the balloon."""

    memory: float
    ballooned: float
    guaranteed: float
    next_run: float
    next_guaranteed: float
    devices: list
    held_by_dimmer: float
    autodeflate: bool

    @property
    def usable(self):
        return self.memory - self.ballooned


def near(one, other):
    return abs(one - other) <= NEAR


def numbers(vm):
    shown = show(vm.host, vm.name)
    live, later = shown['live'], shown['next_run']
    element = vm.live_xml().find(f'metadata/{METADATA}')
    held = 0 if element is None else int(element.get('ballooned', '0'))
    sizes = (live['memory'], live['ballooned'] or 0, live['guaranteed'], later['memory'], later['guaranteed'])
    return Numbers(*[size / MIB for size in sizes], live['devices'], held / MIB, live['autodeflate'])


def of_definition(definition, held):
    """Boot memory, DIMMs, and of each virtio-mem device what the element of that name says."""
    cells = [int(cell.get('memory')) for cell in definition.iter('cell')]
    boot = sum(cells) if cells else int(definition.findtext('memory'))
    devices = 0
    for device in definition.findall('devices/memory'):
        devices += int(device.findtext(f"target/{held if device.get('model') == 'virtio-mem' else 'size'}"))
    return (boot + devices) / 1024


def left_by_balloon(vm):
    """What the balloon leaves of boot memory and DIMMs, by QEMU."""
    return vm.qmp('query-balloon')['actual'] / MIB


class Guest:
    """What the guest's kernel itself counts, once it has all that it started with.

    MemTotal is less than the VM's memory by what the kernel took at its start, which stays; and by what the balloon
    holds, unless that deflates by itself.
    """

    def __init__(self, vm):
        self.vm, self.taken = vm, None
        deadline = time.monotonic() + TIMEOUT
        while self.taken is None:
            now, total, online = numbers(vm), self._total(), vm.guest_memory_mib()
            taken = now.memory - total - (0 if now.autodeflate else now.ballooned)
            if online >= now.memory and 0 < taken < 250 and total == self._total() and now == numbers(vm):
                self.taken = taken
            assert time.monotonic() < deadline, (now, total, online)

    def _read(self, path, *names):
        text = self.vm.guest(f'cat {path}')
        return [int(re.search(rf'^{name}:? +(\d+)', text, re.MULTILINE)[1]) for name in names]

    def _total(self):
        return self._read('/proc/meminfo', 'MemTotal')[0] / 1024

    def ballooned(self):
        inflated, deflated = self._read('/proc/vmstat', 'balloon_inflate', 'balloon_deflate')
        return (inflated - deflated) / 256  # pages of 4 KiB

    def memory(self, autodeflate):
        return self._total() + self.taken + (0 if autodeflate else self.ballooned())

    def killed(self):
        """How many programs it had to end."""
        return self._read('/proc/vmstat', 'oom_kill')[0]


def differences(vm, guest):
    """Where they do not agree, a line each."""
    now, live = numbers(vm), vm.live_xml()
    virtio = sum(int(device.findtext('target/current')) for device in live.findall('devices/memory')
                 if device.get('model') == 'virtio-mem') / 1024
    accounts = [
        ('memory', now.memory, 'libvirt', of_definition(live, 'current')),
        ('next run', now.next_run, 'libvirt', of_definition(vm.inactive_xml(), 'requested')),
        ('usable', now.usable, 'QEMU', left_by_balloon(vm) + virtio),
        ('ballooned', now.ballooned, 'its guest', guest.ballooned()),
        ('memory', now.memory, 'its guest', guest.memory(now.autodeflate)),
    ]
    found = [f'{what}: {here} by dimmer, {there} by {who}' for what, here, who, there in accounts
             if not near(here, there)]
    if now.guaranteed > now.memory or now.next_guaranteed > now.next_run:
        found.append(f'guaranteed above memory: {now}')
    if guest.killed():
        found.append('its guest had to end programs')
    return found


def agreed(vm, guest):
    """The Numbers, when all accounts of them agree, which takes a guest a moment."""
    deadline = time.monotonic() + TIMEOUT
    while found := differences(vm, guest):
        assert time.monotonic() < deadline, '; '.join(found)
    return numbers(vm)
