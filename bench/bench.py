# SPDX-License-Identifier: Apache-2.0
"""usage: bench.py [--rounds N] [--counts 1,8,16] [--only unplug|plan|daemon|beside|yield|ordinary]

Measures dimmer side by side with the ways people have, on real guests, and its planner.
Prints tables in Markdown and writes build/bench.json. All ways take turns in each round, on
the same guest, so that ratios hold when the machine's speed drifts.

(a) unplug of 1, 8 and 16 DIMMs of 128 MiB:
    floor     a bare program that sends the same device_del's at once to QEMU and waits
    libvirt   a bare program that asks through libvirt: what is left of the ratio is dimmer's own
    dimmer    guest:   from the first asking to the last removed event
              request: from the plan to that event: with the record and the configuration
              process: the whole command
    virsh     virsh detach-device, one after the other
    recorded  the same, after what a request that survives a crash has to do: see floor-libvirt.c
    put       PUT of the lower memory to dimmerd
              gone:   until QEMU's last removed event
              answer: until its answer
    polling   one by one over QMP, looking every 3 s whether it is gone
(b) the planner and (c) the plug policies: see plan.c; a total shared out among many VMs: see reclaim.c.
(d) dimmerd with 10,000 VMs: see daemon.py.
(e) a PUT beside VMs and hosts that hang or flood: see beside.py.
(f) what each way gets out of guests whose memory cannot all go: see yields.py.
(g) what each way gets out of an ordinary VM, which has a balloon and no memory device: see ordinary.py.

With --only, build/bench.json keeps what it has of the other parts.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

REPO = Path(__file__).resolve().parent.parent
RELEASE = REPO / 'build/release'
os.environ.setdefault('DIMMER', str(RELEASE / 'src/cli/dimmer'))
os.environ.setdefault('DIMMERD', str(RELEASE / 'src/daemon/dimmerd'))
os.environ.setdefault('DIMMER_GUEST', str(RELEASE / 'guest/dimmer-guest'))
sys.path.insert(0, str(REPO))

import beside  # noqa: E402
import daemon as scale  # noqa: E402
import ordinary  # noqa: E402
import testbed  # noqa: E402
import yields  # noqa: E402
from testbed.daemon import Daemon, make_users  # noqa: E402

POLL_SECONDS = 3
WAYS = ['floor', 'libvirt', 'guest', 'request', 'process', 'recorded', 'gone', 'answer', 'virsh',
        'polling']
MIB = 1024 * 1024


def plug(host, vm, count):
    """count DIMMs of 128 MiB, all online in the guest; their aliases."""
    for _ in range(count):
        host.dimmer('plug', vm.name, '128MiB', '--policy', 'whole', check=0)
    vm.wait_ready()
    return list(vm.memory_devices())


def run_floor(host, vm, aliases, floor):
    # The VM's second monitor takes one client at a time; the testbed's own lets go of it.
    vm.close()
    done = host.run([floor, vm.folder / 'qmp.sock', *aliases], check=0)
    vm.connect()
    return {'floor': float(done.stdout)}


def run_libvirt(host, vm, aliases, bare):
    done = host.run([bare, host.uri, vm.name, *aliases], check=0)
    return {'libvirt': float(done.stdout)}


def run_recorded(host, vm, aliases, bare):
    done = host.run([bare, '--recorded', host.uri, vm.name, *aliases], check=0)
    return {'recorded': float(done.stdout)}


def last_removed(vm):
    """When QEMU reported the removal of the last device, in seconds since 1970."""
    stamp = [event['timestamp'] for event in vm.events() if event['event'] == 'DEVICE_DELETED'][-1]
    return stamp['seconds'] + stamp['microseconds'] / 1e6


def run_dimmer(host, vm, aliases):
    started = time.monotonic()
    done = host.dimmer('unplug', vm.name, *aliases, '-o', 'json', check=0)
    process = time.monotonic() - started
    return json.loads(done.stdout)['timing'] | {'process': process}


def run_put(vm, count, client):
    path = f"vms/{vm.live_xml().findtext('uuid')}"
    memory = int(client.get(path).xml.findtext('memory')) - count * 128 * MIB
    body = f'<vm><memory>{memory}</memory></vm>'
    started = time.time()
    answer = client.put(path, body)
    answered = time.time()
    if answer.status != 200 or int(answer.xml.findtext('memory')) != memory:
        raise SystemExit(f'bench: {answer}')
    return {'gone': last_removed(vm) - started, 'answer': answered - started}


def run_virsh(host, vm, aliases):
    files = []
    for device in vm.live_xml().findall('devices/memory'):
        path = vm.folder / f"{device.find('alias').get('name')}.xml"
        path.write_bytes(testbed.vm.ElementTree.tostring(device))
        host.user.give(path)
        files.append(path)
    started = time.monotonic()
    host.virsh('; '.join(f'detach-device {vm.name} {path} --live' for path in files), timeout=300)
    return {'virsh': time.monotonic() - started}


def run_polling(_host, vm, aliases):
    started = time.monotonic()
    for alias in aliases:
        vm.qmp('device_del', id=alias)
        while any(device['data'].get('id') == alias for device in vm.qmp('query-memory-devices')):
            time.sleep(POLL_SECONDS)  # this is the way being measured
    return {'polling': time.monotonic() - started}


def measure_unplug(counts, rounds):
    """For each count and way the seconds of each round."""
    results = {count: {way: [] for way in WAYS} for count in counts}
    with testbed.SessionHost() as host:
        floor, bare = (host.user.reachable_copy(RELEASE / 'bench' / name, host.folder / 'bin')
                       for name in ('bench-floor', 'bench-floor-libvirt'))
        vm = host.start_guest('bench', memory_mib=1024, max_mib=8192, slots=32)
        daemon = Daemon(host, users=make_users(host, host.folder / 'users'))
        client = daemon.client()
        runs = [lambda aliases: run_floor(host, vm, aliases, floor),
                lambda aliases: run_libvirt(host, vm, aliases, bare),
                lambda aliases: run_dimmer(host, vm, aliases),
                lambda aliases: run_recorded(host, vm, aliases, bare),
                lambda aliases: run_put(vm, len(aliases), client),
                lambda aliases: run_virsh(host, vm, aliases)]
        poll = lambda aliases: run_polling(host, vm, aliases)  # noqa: E731
        for count in counts:
            for round_ in range(rounds + 1):
                # Each begins in turn; once is enough for what takes a minute.
                turns = runs[round_ % len(runs):] + runs[:round_ % len(runs)]
                for run in turns + ([poll] if round_ == 0 else []):
                    seconds = run(plug(host, vm, count))
                    left = vm.memory_devices()
                    if left:
                        raise SystemExit(f'bench: {left} stayed; nothing measured')
                    if round_ > 0 or run is poll:  # the first round warms up
                        for way, value in seconds.items():
                            results[count][way].append(value)
                print(f'  {count} devices, round {round_} of {rounds}', file=sys.stderr)
        daemon.stop()
    return results


def summarize(results):
    """Medians, and the median of the ratios to the floor, round by round."""
    table = []
    for count, ways in results.items():
        for way in WAYS:
            ratios = [value / floor for value, floor in zip(ways[way], ways['floor'])]
            table.append({'devices': count, 'way': way, 'runs': len(ways[way]),
                          'seconds_median': statistics.median(ways[way]),
                          'seconds_min': min(ways[way]), 'seconds_max': max(ways[way]),
                          'ratio_to_floor_median': statistics.median(ratios)})
    return table


def print_unplug(table):
    names = {'floor': 'floor: bare device_del', 'libvirt': 'bare libvirt: asking to last event',
             'guest': 'dimmer, asking to last event',
             'request': 'dimmer, plan to last event', 'process': 'dimmer, whole process',
             'recorded': 'bare libvirt: record, define, asking to last event',
             'gone': 'dimmerd, PUT to last event', 'answer': 'dimmerd, PUT to its answer',
             'virsh': 'virsh, one after the other', 'polling': 'one by one, polled every 3 s'}
    print('\n| devices | way | median s | min | max | × floor |\n| ---: | --- | ---: | ---: | ---: | ---: |')
    for row in table:
        print(f"| {row['devices']} | {names[row['way']]} | {row['seconds_median']:.3f} | "
              f"{row['seconds_min']:.3f} | {row['seconds_max']:.3f} | "
              f"{row['ratio_to_floor_median']:.2f} |")


def print_plan(plan):
    print(f"\nOver {plan['requests']} random requests each:\n")
    print('| way to choose | MiB missed, mean | requests short of the best |\n| --- | ---: | ---: |')
    for row in plan['ways']:
        print(f"| {row['way']} | {row['missed_mib_mean']:.1f} | "
              f"{row['requests_short_of_best_percent']:.1f} % |")
    print('\n| devices | largest, MiB | µs per plan, median | 99th percentile |\n'
          '| ---: | ---: | ---: | ---: |')
    for row in plan['times']:
        print(f"| {row['devices']} | {row['largest_mib']} | {row['microseconds_median']:.1f} | "
              f"{row['microseconds_p99']:.1f} |")
    print('\n| plug policy | MiB missed by later decrements, mean | slots used, mean |\n'
          '| --- | ---: | ---: |')
    for row in plan['policies']:
        print(f"| {row['policy']} | {row['missed_mib_mean']:.1f} | {row['slots_mean']:.1f} |")
    print('\n| VMs that a total is shared out among | what each could give, ms | the shares, ms |\n'
          '| ---: | ---: | ---: |')
    for row in plan['reclaim']:
        print(f"| {row['vms']} | {row['offers_ms_median']:.1f} | {row['shares_ms_median']:.1f} |")


def machine():
    qemu = subprocess.run(['qemu-system-x86_64', '--version'], capture_output=True, text=True,
                          check=True).stdout.split('\n')[0]
    return f'{os.cpu_count()} cores, {qemu}, {testbed.accel()}'


def printed(program):
    return json.loads(subprocess.run([RELEASE / 'bench' / program], capture_output=True, check=True).stdout)


def measure_plan():
    return printed('bench-plan') | {'reclaim': printed('bench-reclaim')}


def main():
    parts = {'unplug': print_unplug, 'plan': print_plan, 'daemon': scale.print_tables,
             'beside': beside.print_tables, 'yield': yields.print_tables, 'ordinary': ordinary.print_tables}
    parser = argparse.ArgumentParser()
    parser.add_argument('--rounds', type=int, default=7)
    parser.add_argument('--counts', default='1,8,16')
    parser.add_argument('--only', choices=parts)
    arguments = parser.parse_args()
    lacks = testbed.missing()
    if lacks:
        raise SystemExit('bench: this machine lacks\n  ' + '\n  '.join(lacks))
    counts = [int(count) for count in arguments.counts.split(',')]
    measures = {'unplug': lambda: summarize(measure_unplug(counts, arguments.rounds)),
                'plan': measure_plan, 'daemon': scale.measure, 'beside': beside.measure,
                'yield': yields.measure, 'ordinary': ordinary.measure}
    chosen = [arguments.only] if arguments.only else list(parts)
    measured = {'machine': machine()} | {part: measures[part]() for part in chosen}
    file = REPO / 'build/bench.json'
    kept = json.loads(file.read_text()) if arguments.only and file.exists() else {}
    file.write_text(json.dumps(kept | measured, indent=2) + '\n')
    print(f"\n{measured['machine']}")
    for part in chosen:
        parts[part](measured[part])


main()
