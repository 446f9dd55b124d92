# SPDX-License-Identifier: Apache-2.0
"""How much memory each way to ask for it gets out of a guest, measured for bench.py.

Every way has a fresh guest in the same state, which the guest itself confirms, and the same
request. What any order of asking could have released is found by trying: on one more guest each
device is asked to go, alone, and plugged again; the best sum of those that went is then taken
from a guest of that state, which must give it without ending a program.

The ways beside dimmer never go below what was asked for: they pass over devices that are larger
than what is missing.
"""

import itertools
import json
import re
import sys
import time
from dataclasses import dataclass

import testbed
from testbed.vm import ACPI_ANSWER, ACPI_IN_PROGRESS, ACPI_UNPLUG

MIB = 1 << 20
ANSWER_SECONDS = 10  # for those that wait for the guest's answer
POLL_SECONDS = 3
PIN_LESS = 64  # MiB that are not pinned of the devices in the kernel's zone: less than any has
SAME_MIB = 32  # by how much the free memory of guests in the same state may differ
POLICIES = {'m': 'online_movable', 'k': 'online_kernel'}


@dataclass
class Scenario:
    """devices: sizes in MiB in the order of slots and addresses, 'm' movable, 'k' with memory that
    the kernel never gives away. file and program: MiB that a file in memory and a program hold."""

    name: str
    devices: str
    decrement: int
    memory: int = 1024
    file: int = 0
    program: int = 0

    def __post_init__(self):
        self.dimms = {f'ua-{slot}{word[-1]}': int(word[:-1])
                      for slot, word in enumerate(self.devices.split())}

    @property
    def pinned(self):
        return [size for alias, size in self.dimms.items() if alias.endswith('k')]


LITTLE = 'little to spare'
SCENARIOS = [
    Scenario('all movable', '384m 128m 512m 384m', 768),
    Scenario('pinned ones highest', '128m 256m 256m 512k 384k 128k', 640),
    Scenario('pinned ones between, 200 MiB in files', '256m 256k 128m 384k 384m 128k', 640, file=200),
    Scenario(LITTLE, '256m 128m 384m 256m', 1024, memory=512, program=700),
    Scenario('16 devices, 300 MiB in files',
             '256m 128m 512k 384m 512m 128k 640m 128m 256m 256k 1024m 384m 768k 256m 384k 128m',
             2944, file=300),
]


# The guest and its state.

def start(host, scenario, **spec):
    """A guest in the scenario's state."""
    vm = host.start_guest('yield', memory_mib=scenario.memory, max_mib=16384, slots=32, **spec)
    for alias in scenario.dimms:
        plug(vm, scenario, alias)
    if scenario.pinned:
        vm.pin_memory(sum(scenario.pinned) - PIN_LESS)
    if scenario.file:
        vm.guest(f'dd if=/dev/zero of=/tmp/file bs=1M count={scenario.file}')
    if scenario.program:
        # It writes once its buffer is full, and that is not read. Nothing reports it.
        vm.guest(f'mkfifo /run/hold; dd if=/dev/zero bs={scenario.program}M count=1 2>/dev/null '
                 '| (head -c 1; echo >/run/hold; sleep 100000) >/dev/null 2>&1 & read -r _ </run/hold')
    vm.events()
    return vm


def plug(vm, scenario, alias):
    """The devices' order is that of their slots."""
    vm.set_auto_online(POLICIES[alias[-1]])
    slot = list(scenario.dimms).index(alias)
    vm.attach(testbed.dimm_xml(scenario.dimms[alias], alias=alias, slot=slot))
    vm.wait_plugged(alias)


def state(vm):
    """(what must be the same in all guests of a scenario, MiB that programs could still have)."""
    devices = [(data['id'], data['slot'], data['addr'], data['size'])
               for data in (device['data'] for device in vm.qmp('query-memory-devices'))]
    blocks = vm.guest('cd /sys/devices/system/node; grep -H . node*/memory*/state node*/memory*/valid_zones')
    pinned = vm.guest('cat /sys/kernel/tracing/buffer_total_size_kb 2>/dev/null || echo 0')
    available = re.search(r'MemAvailable: +(\d+)', vm.guest('cat /proc/meminfo'))[1]
    return (sorted(devices), sorted(blocks.split('\n')), int(pinned) >> 10), int(available) >> 10


def check_pinned(vm, scenario):
    """With so little free in the kernel's zone, none of its devices can be without pinned memory."""
    normal = re.search(r'zone +Normal\n +pages free +(\d+)', vm.guest('cat /proc/zoneinfo'))
    if scenario.pinned and int(normal[1]) * 4096 >= min(scenario.pinned) * MIB:
        raise SystemExit(f'bench: {scenario.name}: a device in the kernel zone may be free')


def check_same(vm, scenario, seen):
    """The first guest's state is the one that all others must have."""
    check_pinned(vm, scenario)
    same, available = state(vm)
    first, most = seen.setdefault(scenario.name, (same, available))
    if same != first or abs(available - most) > SAME_MIB:
        raise SystemExit(f'bench: {scenario.name}: guests differ: {first}, {most} MiB\n'
                         f'{same}, {available} MiB')


def size_now(vm):
    return {device['data']['id']: device['data']['size'] // MIB
            for device in vm.qmp('query-memory-devices')}


def ended_programs(vm):
    return int(re.search(r'oom_kill (\d+)', vm.guest('cat /proc/vmstat'))[1])


# The guest's answers, as QEMU reports them.

def unplug_answers(vm):
    """(the devices that the guest was asked for, those for which it answered no)."""
    infos = [event['data']['info'] for event in vm.events() if event['event'] == ACPI_ANSWER]
    infos = [info for info in infos if info['source'] == ACPI_UNPLUG and 'device' in info]
    return ({info['device'] for info in infos},
            {info['device'] for info in infos if info['status'] not in (0, ACPI_IN_PROGRESS)})


def wait_answers(vm, aliases, seconds=ANSWER_SECONDS):
    """Wait until each device is gone or refused, or for so long."""
    deadline = time.monotonic() + seconds
    while set(aliases) & set(size_now(vm)) - unplug_answers(vm)[1]:
        try:
            vm.wait_any_event(ACPI_ANSWER, 'DEVICE_DELETED', timeout=deadline - time.monotonic())
        except TimeoutError:
            return


# The ways. Each returns (the devices it tried, a remark).

def set_memory(host, vm, mib):
    done = host.dimmer('set', vm.name, '--memory', f'{mib}MiB', '--timeout', f'{ANSWER_SECONDS}s',
                       '-o', 'json')
    document = json.loads(done.stdout)
    if 'error' in document:
        return [], document['error']['message']
    return [step['alias'] for step in document['steps'] if step['state'] != 'planned'], ''


def run_dimmer(host, vm, scenario):
    memory = scenario.memory + sum(scenario.dimms.values())
    return set_memory(host, vm, memory - scenario.decrement)


def run_advised(host, vm, scenario):
    """Asks, is refused, and asks for the least that dimmer named."""
    _, message = run_dimmer(host, vm, scenario)
    least = re.search(r'set memory to (\d+) MiB or more', message)
    return set_memory(host, vm, int(least[1]))


def run_greedy(_host, vm, scenario):
    """oVirt: largest first, each that still fits, each asked once and none again."""
    chosen, rest = [], scenario.decrement
    for alias, size in sorted(scenario.dimms.items(), key=lambda item: -item[1]):
        if size <= rest:
            chosen.append(alias)
            rest -= size
    for alias in chosen:
        vm.qmp('device_del', id=alias)
    wait_answers(vm, chosen)
    return chosen, ''


def run_polling(_host, vm, scenario):
    """Proxmox VE: highest first, a look after 3 s, and the end at the first that stays."""
    tried, rest = [], scenario.decrement
    for alias, size in reversed(scenario.dimms.items()):
        if size > rest:
            continue
        vm.qmp('device_del', id=alias)
        tried.append(alias)
        time.sleep(POLL_SECONDS)  # this is the way being measured
        if alias in size_now(vm):
            break
        rest -= size
    return tried, ''


def run_virsh(host, vm, scenario):
    """In the order of slots, until the decrement is reached, by what the live XML says: virsh waits
    for the answer, but for no more than 5 s, and then calls it a success."""
    tried, rest = [], scenario.decrement
    for device in vm.live_xml().findall('devices/memory'):
        alias = device.find('alias').get('name')
        size = scenario.dimms[alias]
        if size > rest:
            continue
        path = vm.folder / f'{alias}.xml'
        path.write_bytes(testbed.vm.ElementTree.tostring(device))
        host.user.give(path)
        host.virsh('detach-device', vm.name, path, '--live', check=None)
        tried.append(alias)
        rest -= 0 if alias in vm.memory_devices() else size
    return tried, ''


def start_statistics(host, vm):
    """The balloon's statistics, each second, without any agent."""
    host.virsh('dommemstat', vm.name, '--period', '1', '--live')
    deadline = time.monotonic() + ANSWER_SECONDS
    while 'usable' not in host.virsh('dommemstat', vm.name):
        if time.monotonic() > deadline:
            raise SystemExit('bench: the balloon tells nothing')


@dataclass
class Way:
    name: str
    run: callable
    spec: dict
    prepare: callable = lambda host, vm: None
    only: tuple = ()  # scenarios, if not all


WAYS = [
    Way('dimmer, dimmer-guest', run_dimmer, {'agent': True}),
    Way('dimmer, dimmer-guest, then what it named', run_advised, {'agent': True}, only=(LITTLE,)),
    Way('dimmer, qemu-guest-agent', run_dimmer, {'qga': True}),
    Way('dimmer, balloon statistics', run_dimmer, {}, start_statistics, only=(LITTLE,)),
    Way('dimmer, neither', run_dimmer, {}),
    Way("oVirt's greedy choice", run_greedy, {}),
    Way('highest first, 3 s poll', run_polling, {}),
    Way('virsh, in slot order', run_virsh, {}),
]


# What any order could have released.

def can_go(host, scenario, seen):
    """The devices that go when asked alone."""
    vm = start(host, scenario)
    check_same(vm, scenario, seen)
    found = []
    for alias in scenario.dimms:
        vm.qmp('device_del', id=alias)
        wait_answers(vm, [alias])
        if alias not in size_now(vm):
            found.append(alias)
            vm.wait_gone(alias)
            plug(vm, scenario, alias)
        vm.connect()  # the events so far are about this device
    host.remove(vm)
    return found


def goes_unharmed(host, scenario, seen, aliases):
    vm = start(host, scenario)
    check_same(vm, scenario, seen)
    for alias in aliases:
        vm.qmp('device_del', id=alias)
        wait_answers(vm, [alias])
    unharmed = not set(aliases) & set(size_now(vm)) and ended_programs(vm) == 0
    host.remove(vm)
    return unharmed


def find_best(host, scenario, seen):
    """(MiB, the devices that can go alone): the largest sum that a guest really gave unharmed."""
    movable = can_go(host, scenario, seen)
    sums = {}
    for count in range(len(movable) + 1):
        for chosen in itertools.combinations(movable, count):
            sums.setdefault(sum(scenario.dimms[alias] for alias in chosen), chosen)
    available = seen[scenario.name][1]
    for total in sorted(sums, reverse=True):
        if (total <= min(scenario.decrement, available) and
                goes_unharmed(host, scenario, seen, sums[total])):
            return total, movable
    raise AssertionError('even nothing did harm')


# The measurement.

def run_way(host, scenario, way, seen):
    vm = start(host, scenario, **way.spec)
    way.prepare(host, vm)
    check_same(vm, scenario, seen)
    started = time.monotonic()
    tried, remark = way.run(host, vm, scenario)
    seconds = time.monotonic() - started
    left = size_now(vm)
    unknown = unplug_answers(vm)[0] - set(tried)
    if unknown:
        raise SystemExit(f'bench: {way.name} also tried {unknown}')
    row = {'scenario': scenario.name, 'way': way.name,
           'released_mib': sum(scenario.dimms.values()) - sum(left.values()),
           'attempts': len(tried), 'stayed': sum(alias in left for alias in tried),
           'programs_ended': ended_programs(vm), 'seconds': seconds, 'remark': remark}
    host.remove(vm)
    return row


def measure():
    rows, bests, seen = [], [], {}
    with testbed.SessionHost() as host:
        for scenario in SCENARIOS:
            best, movable = find_best(host, scenario, seen)
            bests.append({'scenario': scenario.name, 'devices': scenario.devices,
                          'asked_mib': scenario.decrement, 'best_mib': best, 'can_go': movable})
            for way in WAYS:
                if way.only and scenario.name not in way.only:
                    continue
                rows.append(run_way(host, scenario, way, seen))
                print(f'  {scenario.name}: {way.name}: {rows[-1]["released_mib"]} of {best} MiB',
                      file=sys.stderr)
    return {'scenarios': bests, 'ways': rows}


def print_tables(result):
    print()
    for number, best in enumerate(result['scenarios'], 1):
        print(f"{number}. {best['scenario']}: {best['devices']}; asked for {best['asked_mib']} MiB; "
              f"any order could have released {best['best_mib']} MiB")
    print('\n| guest | way | MiB released | of what any order could | attempts | of them stayed '
          '| programs ended | s |\n| ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |')
    for number, best in enumerate(result['scenarios'], 1):
        for row in result['ways']:
            if row['scenario'] == best['scenario']:
                print(f"| {number} | {row['way']} | {row['released_mib']} | "
                      f"{row['released_mib'] / best['best_mib']:.0%} | {row['attempts']} | "
                      f"{row['stayed']} | {row['programs_ended']} | {row['seconds']:.2f} |")
    print()
    for row in result['ways']:
        if row['remark']:
            print(f"- {row['scenario']}, {row['way']}: {row['remark']}")
