# SPDX-License-Identifier: Apache-2.0
"""PUTs to dimmerd of one VM, while another one of its host, or another host, does not behave: measured for bench.py."""

import contextlib
import os
import signal
import statistics
import sys
import threading
import time

import testbed
from testbed.daemon import Daemon, make_users

COUNT = 300
MIB = 1 << 20
FLOOD = 'kill -9 $(pidof qemu-ga); setsid cat /dev/zero >/dev/virtio-ports/org.qemu.guest_agent.0 2>/dev/null &'


def path(vm):
    return 'vms/' + vm.host.virsh('domuuid', vm.name).strip()


def put_all(client, where):
    """Seconds of each."""
    seconds = []
    for count in range(COUNT):
        started = time.monotonic()
        answer = client.put(where, f'<vm><memory_policy><guaranteed>{(256 + count % 2) * MIB}</guaranteed></memory_policy></vm>')
        if answer.status != 200:
            raise SystemExit(f'bench: {answer}')
        seconds.append(time.monotonic() - started)
    return seconds


@contextlib.contextmanager
def asked(daemon, *paths):
    """Somebody asks how much memory those VMs can spare, all the time."""
    over = threading.Event()

    def ask(where):
        client = daemon.client()
        while not over.is_set():
            client.get(f'{where}/memorycheck')
    threads = [threading.Thread(target=ask, args=(where,)) for where in paths]
    for thread in threads:
        thread.start()
    yield
    over.set()
    for thread in threads:
        thread.join()


@contextlib.contextmanager
def hanging(host):
    os.kill(host.libvirtd_pid(), signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(host.libvirtd_pid(), signal.SIGCONT)


def measure():
    with testbed.SessionHost() as host, testbed.SessionHost() as other:
        web = host.start_guest('web', os=False)
        stuck = [host.start_guest(f'stuck{number}', os=False) for number in range(3)]
        flooder = host.start_guest('flooder', memory_mib=256, qga=True)
        away = other.start_guest('away', os=False)
        daemon = Daemon(host, other, users=make_users(host, host.folder / 'users'), answer_timeout=40)
        client, where = daemon.client(), path(web)
        rows = []

        def row(what, *vms):
            with asked(daemon, *[path(vm) for vm in vms]):
                rows.append({'what': what, 'seconds': put_all(client, where)})
            print(f'  {what}', file=sys.stderr)
        put_all(client, where)  # warms up
        row('nothing')
        paths = [path(vm) for vm in stuck]
        with asked(daemon, *paths), testbed.stopped(*stuck):
            row('three VMs whose QEMU hangs')
        flooder.guest(FLOOD)
        row('a qemu-guest-agent that floods', flooder)
        where_away = path(away)
        with asked(daemon, where_away), hanging(other):
            row('another host that hangs')
        daemon.stop()
    return [{'what': row['what'], 'ms_median': statistics.median(row['seconds']) * 1000,
             'ms_p99': sorted(row['seconds'])[COUNT * 99 // 100] * 1000} for row in rows]


def print_tables(rows):
    print('\n| beside | ms of a PUT of another VM, median | 99th percentile |\n| --- | ---: | ---: |')
    for row in rows:
        print(f"| {row['what']} | {row['ms_median']:.1f} | {row['ms_p99']:.1f} |")
