# SPDX-License-Identifier: Apache-2.0
"""usage: versions.py OLD NEW [--rounds N]

Measures two versions side by side, in one run and on one guest: OLD and NEW are folders of release builds. In each round
both do the same, in turns of who begins: 'dimmer set' takes memory down by 4 DIMMs and up again, and dimmerd answers PUTs
that do so by one DIMM, and PUTs of guaranteed memory, in which the guest has no part. Prints a table in Markdown.
"""

import argparse
import json
import os
import statistics
import sys
import time
from pathlib import Path

REPO = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPO))

import testbed  # noqa: E402
from testbed.daemon import Daemon, make_users  # noqa: E402

MIB = 1 << 20
LOW, HIGH = 1024, 1536
PUTS = 60
WAYS = {'down': 'dimmer set, 512 MiB down: whole process', 'down request': 'the same, from its plan to the last event',
        'up': 'dimmer set, 512 MiB up: whole process', 'put down': 'PUT, 128 MiB down: to its answer',
        'put up': 'PUT, 128 MiB up: to its answer', 'put guaranteed': f'PUT of guaranteed memory, {PUTS} in a row: each'}


class Version:
    def __init__(self, host, folder, name):
        self.host = host
        self.folder = folder
        (host.folder / name).mkdir()
        self.program = host.user.reachable_copy(folder / 'src/cli/dimmer', host.folder / name)
        self.seconds = {way: [] for way in WAYS}

    def dimmer(self, *words):
        started = time.monotonic()
        done = self.host.run([self.program, '-c', self.host.uri, *words], check=0)
        return time.monotonic() - started, json.loads(done.stdout)

    def set(self, vm, memory):
        return self.dimmer('set', vm.name, '--memory', f'{memory}MiB', '-o', 'json')

    def round(self, vm, users):
        """{way: seconds}."""
        down, result = self.set(vm, LOW)
        found = {'down': down, 'down request': result['timing']['request'], 'up': self.set(vm, HIGH)[0]}
        vm.wait_ready()
        return found | self.put(vm, users)

    def put(self, vm, users):
        os.environ['DIMMERD'] = str(self.folder / 'src/daemon/dimmerd')
        daemon = Daemon(self.host, users=users)
        client = daemon.client()
        where = f"vms/{vm.live_xml().findtext('uuid')}"

        def put(body):
            started = time.monotonic()
            answer = client.put(where, f'<vm>{body}</vm>')
            seconds = time.monotonic() - started
            if answer.status != 200:
                raise SystemExit(f'versions: {answer}')
            return seconds
        found = {'put down': put(f'<memory>{(HIGH - 128) * MIB}</memory>')}
        found['put up'] = put(f'<memory>{HIGH * MIB}</memory>')
        vm.wait_ready()
        found['put guaranteed'] = statistics.median(
            put(f'<memory_policy><guaranteed>{(256 + count % 2) * MIB}</guaranteed></memory_policy>') for count in range(PUTS))
        daemon.stop()
        daemon.close()
        return found


def measure(folders, rounds):
    with testbed.SessionHost() as host:
        users = make_users(host, host.folder / 'users')
        vm = host.start_guest('bench', memory_mib=LOW, max_mib=8192, slots=32)
        versions = [Version(host, folder, name) for folder, name in zip(folders, ('old', 'new'))]
        for _ in range(4):
            host.dimmer('plug', vm.name, '128MiB', '--policy', 'whole', check=0)
        vm.wait_ready()
        for round_ in range(rounds + 1):
            for version in versions if round_ % 2 == 0 else versions[::-1]:
                found = version.round(vm, users)
                for way, seconds in found.items() if round_ > 0 else ():  # the first round warms up
                    version.seconds[way].append(seconds)
            print(f'  round {round_} of {rounds}', file=sys.stderr)
        return versions


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('old', type=Path)
    parser.add_argument('new', type=Path)
    parser.add_argument('--rounds', type=int, default=7)
    arguments = parser.parse_args()
    old, new = measure([arguments.old.absolute(), arguments.new.absolute()], arguments.rounds)
    print('| what | old, median s | new, median s | new by old, median of the rounds |\n| --- | ---: | ---: | ---: |')
    for way, name in WAYS.items():
        ratio = statistics.median(later / before for before, later in zip(old.seconds[way], new.seconds[way]))
        print(f'| {name} | {statistics.median(old.seconds[way]):.3f} | {statistics.median(new.seconds[way]):.3f} | {ratio:.2f} |')


main()
