# SPDX-License-Identifier: Apache-2.0
"""dimmerd with 10,000 VMs of libvirt's test driver, measured for bench.py.

The daemon runs on one core and wrk on another, so the numbers are those of one core.
"""

import os
import re
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path

import testbed
import testbed.setup
from testbed.daemon import ADMIN, Daemon, make_users

COUNT = 10_000
VM = """<domain type='test'><name>vm{n:05}</name><uuid>{id}</uuid><memory unit='MiB'>2048</memory>
<vcpu>2</vcpu><os><type arch='x86_64'>hvm</type></os></domain>
"""


class TestDriverHost(testbed.SessionHost):
    """The test driver within libvirtd, where the VMs of real hosts are kept as well."""

    @property
    def uri(self):
        return f'test+unix://{self.folder}/vms.xml?socket={self.folder}/run/libvirt/libvirt-sock'

    def fill(self):
        text = '<node>\n' + ''.join(VM.format(n=n, id=uuid.uuid5(uuid.NAMESPACE_URL, str(n)))
                                    for n in range(COUNT)) + '</node>\n'
        self._write(self.folder / 'vms.xml', text)


def virsh(host, *command):
    """(seconds, most resident MiB) of a virsh command."""
    started = time.monotonic()
    process = host.popen([testbed.setup.program('virsh'), '--quiet', '--connect', host.uri, *command],
                         stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        raise SystemExit(f'bench: virsh {command} failed')
    return time.monotonic() - started, usage.ru_maxrss / 1024


def resident(process):
    return int(re.search(r'VmRSS:\s+(\d+)', Path(f'/proc/{process.pid}/status').read_text())[1]) / 1024


def milliseconds(text):
    number, unit = re.fullmatch(r'([\d.]+)(us|ms|s)', text).groups()
    return float(number) * {'us': 0.001, 'ms': 1, 's': 1000}[unit]


def wrk(daemon, token, path, accept, connections):
    done = subprocess.run(
        ['taskset', '-c', '1', 'wrk', '-t1', f'-c{connections}', '-d3s', '--latency', '-H',
         f'Authorization: Bearer {token}', '-H', f'Accept: {accept}',
         f'http://127.0.0.1:{daemon.port}/ovirt-engine/api/{path}'],
        check=True, capture_output=True, text=True).stdout
    if 'Non-2xx' in done:
        raise SystemExit(f'bench: {path}:\n{done}')
    part = {percent: milliseconds(value)
            for percent, value in re.findall(r'^\s+(50|99)%\s+(\S+)$', done, re.MULTILINE)}
    return {'per_second': float(re.search(r'Requests/sec:\s+([\d.]+)', done)[1]),
            'ms_median': part['50'], 'ms_p99': part['99']}


# Long operations, which would block others if done in one go.
LONG = [('all 10,000, for the first time', 'vms'),
        ('with their statistics', 'vms?follow=statistics'),
        ('with them, asked for 30 times', 'vms?follow=' + ','.join(['statistics'] * 30)),
        ('a search of 4 KB: names', 'vms?search=' + '%20or%20'.join(f'name%3Dvm{n:05}x' for n in range(220))),
        ('a search of 4 KB: words', 'vms?search=' + 'ab%20' * 1300),
        ('a search of 4 KB: hosts', 'vms?search=' + '%20or%20'.join(f'hosts.name%3Dx{n}' for n in range(220)))]


class Other(threading.Thread):
    """Somebody who reads one VM again and again meanwhile."""

    def __init__(self, client, path):
        super().__init__(daemon=True)
        self.client, self.path = client, path
        self.going, self.waits = True, []

    def run(self):
        while self.going:
            started = time.monotonic()
            self.client.get(self.path)
            self.waits.append(time.monotonic() - started)
            time.sleep(0.005)

    def stop(self):
        """The longest wait, in ms."""
        self.going = False
        self.join()
        return max(self.waits) * 1000


def measure_long(daemon, client, one):
    rows = []
    for what, path in LONG:
        other = Other(client, f'vms/{one}')
        other.start()
        started = time.monotonic()
        size = len(client.get(path).body)
        rows.append({'what': what, 'seconds': time.monotonic() - started, 'mib': size / (1 << 20),
                     'others_wait_ms': other.stop(), 'resident_mib': resident(daemon.process)})
        print(f'  {what}', file=sys.stderr)
    return rows


def measure():
    with TestDriverHost() as host:
        host.fill()
        own = virsh(host, 'list --all')
        ways = [{'way': 'virsh list --all', 'seconds': own[0]},
                {'way': 'virsh domstats', 'seconds': virsh(host, 'domstats --state')[0]}]
        daemon = Daemon(host, users=make_users(host, host.folder / 'users'), start=False)
        started = time.monotonic()
        daemon.start()
        ready = time.monotonic() - started
        os.sched_setaffinity(daemon.process.pid, {0})
        for task in Path(f'/proc/{daemon.process.pid}/task').iterdir():
            os.sched_setaffinity(int(task.name), {0})
        token = daemon.anonymous().token(*ADMIN)
        client = daemon.client()
        one = client.get('vms?max=1').xml[0].get('id')
        memory = {'ready': resident(daemon.process)}
        long = measure_long(daemon, client, one)
        rows = []
        for what, path, accept, connections in [
                ('vms/{id}, XML', f'vms/{one}', 'application/xml', 32),
                ('vms/{id}, JSON', f'vms/{one}', 'application/json', 32),
                ('vms?max=100', 'vms?max=100', 'application/xml', 8),
                ('a search that finds 10', 'vms?search=name%3Dvm0012*', 'application/xml', 8),
                ('all 10,000, XML', 'vms', 'application/xml', 1),
                ('all 10,000, JSON', 'vms', 'application/json', 1)]:
            rows.append({'what': what, **wrk(daemon, token, path, accept, connections)})
            print(f'  {what}', file=sys.stderr)
        memory['after'] = resident(daemon.process)
        daemon.stop()
        return {'count': COUNT, 'virsh_seconds': own[0], 'virsh_mib': own[1], 'ways': ways,
                'ready_seconds': ready, 'mib': memory, 'requests': rows, 'long': long}


def print_tables(result):
    print(f"\ndimmerd, {result['count']:,} VMs: ready after {result['ready_seconds']:.2f} s, where "
          f"virsh list --all takes {result['virsh_seconds']:.2f} s (libvirt's own work); resident "
          f"{result['mib']['ready']:.0f} MiB when ready and {result['mib']['after']:.0f} MiB with "
          f"everything rendered twice, where virsh takes {result['virsh_mib']:.0f} MiB.\n")
    print('| answer | requests a second | ms, median | 99th percentile |\n| --- | ---: | ---: | ---: |')
    for row in result['requests']:
        print(f"| {row['what']} | {row['per_second']:,.0f} | {row['ms_median']:.2f} | "
              f"{row['ms_p99']:.2f} |")
    for row in result['ways']:
        print(f"| {row['way']} | {1 / row['seconds']:.1f} | {row['seconds'] * 1000:.0f} | |")
    print('\n| answer | MiB | seconds | another waits, ms, longest | resident, MiB |\n| --- | ---: | ---: | ---: | ---: |')
    for row in result['long']:
        print(f"| {row['what']} | {row['mib']:.1f} | {row['seconds']:.2f} | {row['others_wait_ms']:.0f} | "
              f"{row['resident_mib']:.0f} |")
