# SPDX-License-Identifier: Apache-2.0
"""What an ordinary VM gives back while it runs, by each way that people have for it, measured for bench.py.

An ordinary VM is one as virt-install makes it: boot memory alone, and a virtio balloon. Each way has a fresh guest in
the same state and the same request: that the guest can use no more than a size. Each guest has used all of its memory
once, as one that has run for a while, so that QEMU has all of it resident. What the host got is how much less of it is
resident afterwards.

What the guest could spare is what 'dimmer doctor' reckons: what it has available, less a reserve of a twentieth (64 MiB
to 1 GiB). In one guest more is asked for than that.

MoM and Proxmox VE do not lower a VM on request, but by themselves, when the host is short: see Pressure. What they do
then is written down here from their sources: MoM's doc/balloon.rules, and AutoBalloon.pm of pve-manager.
"""

import collections
import json
import re
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import testbed
from testbed import inside

STILL_SECONDS = 10  # a balloon that has not moved for so long has come to its end
LONGEST_SECONDS = 180
SAME_MIB = 32  # by how much what is available in guests of the same state may differ
FASTER = 5  # the intervals of those that act by themselves are a fifth of their own, so that a run ends today


@dataclass
class Scenario:
    """In MiB. program: what a program holds; files: read from a disk, so that the guest caches them; to: what the guest
    is to be left with, if not what is left when all that it can spare is gone."""

    name: str
    memory: int
    program: int
    files: int
    to: int = 0


SCENARIOS = [
    Scenario('much to spare', 2048, program=400, files=200),
    Scenario('little to spare', 1024, program=500, files=100),
    Scenario('asked for more than it can spare', 2048, program=400, files=200, to=320),
]


# The guest and its state.

def disk(host, mib):
    path = host.folder / f'files-{mib}.img'
    with path.open('wb') as file:
        file.truncate(mib << 20)
    host.user.give(path)
    return (f"<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='{path}'/>"
            "<target dev='vda' bus='virtio'/><readonly/></disk>")


def start(host, scenario):
    """A guest in the scenario's state, with the balloon's statistics on."""
    vm = host.start_guest('ordinary', memory_mib=scenario.memory, max_mib=None, files=inside.holder(),
                          devices=disk(host, scenario.files))
    inside.use_once(vm)
    inside.hold(vm, scenario.program, 'touch')
    # What is cached of a disk goes when the last one closes it.
    vm.guest('sleep 1000000 </dev/vda >/dev/null 2>&1 &')
    read_files(vm)
    host.virsh('dommemstat', vm.name, '--period', '1', '--live')
    reported = balloon(host, vm).get('last_update', 0)
    deadline = time.monotonic() + STILL_SECONDS
    while balloon(host, vm).get('last_update', 0) < reported + 2:
        if time.monotonic() > deadline:
            raise SystemExit('bench: the balloon tells nothing')
        time.sleep(0.2)
    return vm


def read_files(vm):
    vm.guest('cat /dev/vda >/dev/null', timeout=120)


def resident(vm):
    """MiB of the host that its QEMU has."""
    text = Path(f'/proc/{vm.qemu_pid()}/smaps_rollup').read_text()
    return int(re.search(r'^Rss: +(\d+) kB', text, re.MULTILINE)[1]) >> 10


def balloon(host, vm):
    """libvirt's statistics of it, sizes in KiB."""
    return {name: int(value) for name, value in
            re.findall(r'^(\w+) (\d+)$', host.virsh('dommemstat', vm.name), re.MULTILINE)}


def actual(host, vm):
    """MiB that it leaves the guest."""
    return balloon(host, vm)['actual'] / 1024


def count(vm, name):
    """The kernel's counters of that name, and with it as the beginning of their names."""
    found = re.findall(rf'^{name}\w* (\d+)$', vm.guest('cat /proc/vmstat'), re.MULTILINE)
    return sum(map(int, found))


def available(vm):
    return int(re.search(r'MemAvailable: +(\d+)', vm.guest('cat /proc/meminfo'))[1]) >> 10


def can_spare(host, vm):
    """MiB, as 'dimmer doctor' reckons."""
    guest = json.loads(host.dimmer('doctor', vm.name, '-o', 'json').stdout)['guest']
    return (guest['available'] - min(max(guest['total'] // 20, 64 << 20), 1 << 30)) >> 20


# The ways. Each lowers the VM to a number of MiB, and returns (the seconds until its balloon stood still, a remark).

def run_dimmer(host, vm, to):
    started = time.monotonic()
    done = host.dimmer('set', vm.name, '--memory', f'{to}MiB', '--balloon', '--live', '-o', 'json',
                       timeout=LONGEST_SECONDS)
    seconds = time.monotonic() - started
    document = json.loads(done.stdout)
    step = document['balloon_step']
    return seconds, f"{document['outcome']}, {step['reached'] >> 20} of {to} MiB"


class Watch:
    """When the balloon of a VM moved last."""

    def __init__(self, host, vm):
        self.host, self.vm = host, vm
        self.started = self.moved = time.monotonic()
        self.actual = actual(host, vm)

    def look(self):
        """MiB that it leaves the guest now."""
        now = actual(self.host, self.vm)
        if now != self.actual:
            self.actual, self.moved = now, time.monotonic()
        return now

    def goes_on(self, still=STILL_SECONDS):
        now = time.monotonic()
        return now - self.moved < still and now - self.started < LONGEST_SECONDS

    def seconds(self):
        return self.moved - self.started


def run_virsh(host, vm, to):
    watch = Watch(host, vm)
    host.virsh('setmem', vm.name, f'{to}MiB', '--live')
    while watch.goes_on():
        watch.look()
        time.sleep(0.2)
    return watch.seconds(), f'stands at {watch.actual:.0f} MiB'


class Pressure:
    """What those that act by themselves see of a host: a tenth of its memory is free at first, and a fifth once it has
    got all that is asked for. There MoM has its threshold and Proxmox VE its target, which is 80% used."""

    def __init__(self, vm, asked):
        self.vm, self.total, self.before = vm, 10 * asked, resident(vm)

    def free(self):
        return self.total / 10 + self.before - resident(self.vm)

    def is_over(self):
        return self.free() >= self.total / 5


def set_target(host, vm, mib):
    host.virsh('setmem', vm.name, f'{int(mib * 1024)}KiB', '--live')


Sample = collections.namedtuple('Sample', 'actual unused host_free')


def mom_target(samples, to, host_total):
    """MiB by MoM's rules when the host is short (shrink_guest); None: the balloon stays. The lowest is what the VM is
    guaranteed."""
    def average(name):
        return statistics.mean(getattr(sample, name) for sample in samples)
    threshold, critical, guest_free, most_change, least_change = 0.20, 0.05, 0.20, 0.05, 0.0025
    current, host_free = samples[-1].actual, average('host_free') / host_total
    if host_free >= threshold:
        return None
    keeps = host_free - 0.05 if host_free <= critical else guest_free * host_free / threshold
    used = average('actual') - average('unused')
    size = max(current * (1 - most_change), to, used + keeps * current)
    return size if current - size > least_change * current else None


def run_mom(host, vm, to):
    """Its policy goes every 10 s by averages of the last 10 reports, one each 5 s."""
    pressure, samples, watch = Pressure(vm, vm.spec.memory_mib - to), collections.deque(maxlen=10), Watch(host, vm)
    while watch.goes_on(still=2 * STILL_SECONDS) and not pressure.is_over():
        for _ in range(2):
            time.sleep(5 / FASTER)
            now = watch.look()
            samples.append(Sample(now, balloon(host, vm)['unused'] / 1024, pressure.free()))
        target = mom_target(samples, to, pressure.total)
        if target is not None:
            set_target(host, vm, target)
    return watch.seconds(), f'stands at {watch.look():.0f} MiB'


def proxmox_target(current, to, missing):
    """MiB by Proxmox VE's auto-ballooning with a single VM (compute_alg1); None: the balloon stays. The lowest is the
    VM's own minimum."""
    most_change, least_change = 100, 10
    size = max(current - most_change, current - missing, to)
    return size if missing > least_change and size < current else None


def run_proxmox(host, vm, to):
    """pvestatd looks every 10 s."""
    pressure, watch = Pressure(vm, vm.spec.memory_mib - to), Watch(host, vm)
    while watch.goes_on():
        target = proxmox_target(watch.look(), to, pressure.total / 5 - pressure.free())
        if target is not None:
            set_target(host, vm, target)
        time.sleep(10 / FASTER)
    return watch.seconds(), f'stands at {watch.look():.0f} MiB'


WAYS = {'dimmer set --balloon --live': run_dimmer, 'virsh setmem --live': run_virsh, "MoM's balloon rules": run_mom,
        "Proxmox VE's auto-ballooning": run_proxmox}


# The measurement.

def run_way(host, scenario, way, first):
    """first: what the first guest of the scenario could spare, which all are asked for; None: this is the first."""
    vm = start(host, scenario)
    spare = can_spare(host, vm)
    first = spare if first is None else first
    if abs(spare - first) > SAME_MIB:
        raise SystemExit(f'bench: {scenario.name}: guests differ: {first} and {spare} MiB can be spared')
    to = scenario.to or scenario.memory - first
    before, ended = resident(vm), count(vm, 'oom_kill')
    seconds, remark = WAYS[way](host, vm, to)
    row = {'scenario': scenario.name, 'way': way, 'asked_mib': scenario.memory - to, 'spare_mib': spare,
           'resident_mib': before, 'got_mib': before - resident(vm), 'left_available_mib': available(vm),
           'seconds': seconds, 'remark': remark}
    refaults, started = count(vm, 'workingset_refault'), time.monotonic()
    read_files(vm)
    row |= {'read_again_seconds': time.monotonic() - started,
            'refaults_mib': (count(vm, 'workingset_refault') - refaults) // 256,
            'programs_ended': count(vm, 'oom_kill') - ended, 'program_left': inside.holds(vm)}
    host.remove(vm)
    return row


def measure():
    rows = []
    with testbed.SessionHost() as host:
        for scenario in SCENARIOS:
            first = None
            for way in WAYS:
                rows.append(run_way(host, scenario, way, first))
                first = rows[-1]['spare_mib'] if first is None else first
                print(f'  {rows[-1]}', file=sys.stderr)
    return rows


def print_tables(rows):
    columns = ['guest', 'way', 'asked for, MiB', 'could spare', 'the host got', 'of what it could spare',
               'left available', 'programs ended', 'refaults, MiB', 's']
    print(f"\n| {' | '.join(columns)} |\n| --- | --- |{' ---: |' * (len(columns) - 2)}")
    for row in rows:
        print(f"| {row['scenario']} | {row['way']} | {row['asked_mib']} | {row['spare_mib']} | {row['got_mib']} | "
              f"{row['got_mib'] / row['spare_mib']:.0%} | {row['left_available_mib']} | {row['programs_ended']} | "
              f"{row['refaults_mib']} | {row['seconds']:.1f} |")
    print()
    for row in rows:
        print(f"- {row['scenario']}, {row['way']}: {row['remark']}")
