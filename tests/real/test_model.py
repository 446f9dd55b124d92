# SPDX-License-Identifier: Apache-2.0
"""Random sequences over DIMMs, virtio-mem and the balloon on a real guest, against a model of what must come of them.

After each step all accounts of its memory agree: see accounts.py. DIMMER_MODEL is how many sequences ('make model'),
DIMMER_SEED the first one's seed, of which each next one is one more, DIMMER_KERNEL the guest's kernel.
tests/unit/plan_model.c does the same without a guest.
"""

import itertools
import os
import random
import signal
import time

import pytest

from accounts import NEAR, Guest, agreed, left_by_balloon, near
from look import run, show

SEQUENCES = int(os.environ.get('DIMMER_MODEL', '1'))
SEED = int(os.environ.get('DIMMER_SEED', '1'))
KERNEL = os.environ.get('DIMMER_KERNEL', '6.1')
STEPS = 8
BOOT, MOST, LEAST = 1024, 2304, 512  # MiB; below the last one a guest here has little to spare
DONE, RULE, PARTLY, REFUSED, OVERDUE, KEPT = 0, 3, 4, 5, 6, 9
ENDS = {DONE, PARTLY, REFUSED, OVERDUE, KEPT}
PIECE = 4 if KERNEL == '5.10' else 2  # MiB, in which a guest has virtio-mem: Linux before 5.19 in more than its block
SHORT = PIECE - 2  # MiB: what it may lack of a block
CALLS = 9  # as many that change something as most requests make


def releasable(devices, less):
    """The most that devices can give of so much: whole DIMMs, virtio-mem in blocks."""
    dimms = [device['size'] >> 20 for device in devices if device['kind'] == 'dimm']
    virtio = [(device['memory'] >> 20, max(device['block'] >> 20, PIECE)) for device in devices if device['kind'] == 'virtio-mem']
    best = 0
    for chosen in itertools.chain.from_iterable(itertools.combinations(dimms, n) for n in range(len(dimms) + 1)):
        given = sum(chosen)
        if given > less:
            continue
        for memory, block in virtio:
            given += min(memory, less - given) // block * block
        best = max(best, given)
    return best


class Sequence:
    """One VM from its start on. `said` are its steps so far, for whoever has to look into a failure."""

    def __init__(self, host, interpose, seed):
        self.rng, self.host, self.interpose = random.Random(seed), host, interpose
        self.said, self.guest, self.now = [], None, None
        self.kind = self.rng.choice(['plain', 'virtio-mem', 'dimm'])
        self.vm = host.define('vm', memory_mib=BOOT, max_mib=4096, pci_ports=3, kernel=KERNEL)
        if self.kind != 'plain':
            run(host, 'enable', 'vm', '--maximum', '4GiB', '--floor', f'{LEAST}MiB', '--kind', self.kind)
        self.start()

    def start(self):
        self.vm.start().wait_ready()
        self.guest = Guest(self.vm)
        self.now = agreed(self.vm, self.guest)
        assert abs(self.now.memory - self.now.next_run) <= SHORT + NEAR and self.now.ballooned == 0, self.now

    @staticmethod
    def has(memory, wanted):
        """As much as was wanted, but for what is no whole piece."""
        return abs(memory - wanted) <= SHORT

    def ask(self, verb, *args):
        result = self.host.dimmer(verb, 'vm', *args, '-o', 'json')
        self.said.append(f"{verb} {' '.join(args)}: {result.returncode}")
        assert result.returncode in ENDS | {RULE}, result.stdout + result.stderr
        return result.returncode

    def settled(self):
        """Nothing is out any more; then what there is."""
        deadline = time.monotonic() + 60
        while show(self.host, 'vm')['request'] is not None:
            self.ask('settle')
            assert time.monotonic() < deadline, show(self.host, 'vm')['request']
        self.now = agreed(self.vm, self.guest)
        return self.now

    # Steps.

    def size(self):
        """Half of them whole DIMMs away from what there is."""
        if self.rng.random() < 0.5:
            return max(LEAST, min(MOST, int(self.now.memory) + 128 * self.rng.randint(-6, 6)))
        return self.rng.randint(LEAST, MOST)

    def set(self):
        before, memory = self.now, self.size()
        wish, balloon = ['--memory', f'{memory}MiB'], self.rng.random() < 0.5
        how = self.rng.choice(['', '', '--live', '--next-run'])
        guaranteed = self.rng.randint(100, memory) if self.rng.random() < 0.4 else None
        wish += ['--guaranteed', f'{guaranteed}MiB'] if guaranteed else []
        wish += ['--balloon'] if balloon and how != '--next-run' else []
        wish += [how] if how else []
        status = self.ask('set', *wish)
        now = self.settled()
        if status == RULE:
            assert now == before, (before, now)
            return
        if how == '--next-run':
            assert (now.memory, now.usable) == (before.memory, before.usable)
        else:
            self.check_set(before, now, memory, balloon, status)
        later = before.next_run if how == '--live' else memory
        assert near(now.next_run, later) and (how == '--live' or now.next_run == later), (later, now)
        if how != '--live' and guaranteed:
            assert now.next_guaranteed == guaranteed
        if status in (DONE, KEPT):
            again = run(self.host, 'set', 'vm', *wish, '--dry-run')
            assert (again['steps'], again['balloon_step']) == ([], None), again

    def check_set(self, before, now, memory, balloon, status):
        """What the running VM has of a wish, as far as its guest did all that was asked."""
        own = before.ballooned > 0 and near(before.ballooned, before.held_by_dimmer)
        if memory >= before.memory:
            assert status != KEPT and (status != DONE or self.has(now.memory, memory)), (before, now)
        else:
            assert now.memory >= memory, 'never less than was asked for'
            fits = releasable(before.devices, before.memory - memory)
            assert status != DONE or near(now.memory, before.memory - fits), (before, now)
        if status != DONE:
            return
        if balloon:
            assert near(now.usable, memory), (before, now)
        elif own:
            assert now.usable >= min(memory, now.memory) - 1, (before, now)
        else:
            shrunk = max(0, before.memory - now.memory)
            assert now.usable >= min(before.usable, now.memory) - shrunk - 1, (before, now)

    def plug(self):
        before, size = self.now, 128 * self.rng.randint(1, 3)
        kind = self.rng.choice(['dimm', 'virtio-mem'])
        if before.memory + size > MOST or sum(device['kind'] == 'virtio-mem' for device in before.devices) > 1:
            kind = 'dimm'
        policy = ['--policy', self.rng.choice(['ovirt', 'whole', 'fine'])] if kind == 'dimm' else []
        status = self.ask('plug', f'{size}MiB', '--kind', kind, *policy)
        now = self.settled()
        added = size if status == DONE else 0
        assert status in (DONE, RULE) and self.has(now.memory, before.memory + added), (before, now)
        self.check_follows(before, now)

    def check_follows(self, before, now):
        """The next run goes with the running VM where it was the same before."""
        follows = near(before.memory, before.next_run)
        assert near(now.next_run, now.memory if follows else before.next_run), (before, now)

    def unplug(self):
        if not self.now.devices:
            return self.plug()
        before, device = self.now, self.rng.choice(self.now.devices)
        status = self.ask('unplug', device['alias'])
        now = self.settled()
        less = before.memory - now.memory
        assert status != DONE or near(less, device['memory'] / (1 << 20)), (before, now)
        left = min(before.usable, now.memory) if device['kind'] == 'dimm' else before.usable - less
        assert near(now.usable, left), (before, now)
        return self.check_follows(before, now)

    def others_move_the_balloon(self):
        virtio = sum(device['memory'] >> 20 for device in self.now.devices if device['kind'] == 'virtio-mem')
        fixed = int(self.now.memory) - virtio
        target = self.rng.randint(min(fixed, max(LEAST - 64, fixed - 300)), fixed)
        self.said.append(f'virsh setmem {target}')
        self.host.virsh('setmem', 'vm', f'{target}MiB', '--live')
        deadline = time.monotonic() + 60
        while not near(left_by_balloon(self.vm), target):
            assert time.monotonic() < deadline, 'the guest does not move its balloon'
            time.sleep(0.1)
        told = time.monotonic() + 3  # libvirt hears of it within a second; beside virtio-mem its sum may stay wrong
        while (time.monotonic() < told and
               not near(int(self.vm.live_xml().findtext('currentMemory')) / 1024, target + virtio)):
            time.sleep(0.1)
        now = self.settled()
        assert near(now.usable, target + virtio), (target, now)

    def killed(self):
        """dimmer, anywhere in a request; what is left is settled."""
        before, memory = self.now, self.size()
        wish = ['set', 'vm', '--memory', f'{memory}MiB', '--balloon']
        at = self.rng.randint(1, CALLS)
        done = self.interpose.run(at, 'kill', *wish)
        self.said.append(f"{' '.join(wish)}, killed at {at}: {done.returncode}")
        assert done.returncode in ENDS | {RULE, -signal.SIGKILL}, done
        now = self.settled()
        low, high = sorted((before.memory, memory))
        assert low - 1 <= now.memory <= high + 1, (before, now)
        assert near(now.next_run, before.next_run) or now.next_run == memory, (before, now)

    def power_cycle(self):
        expected = self.now.next_run
        self.said.append('power cycle')
        self.host.virsh('destroy', 'vm')
        self.start()
        assert self.has(self.now.memory, expected), (expected, self.now)

    def play(self):
        ways = [self.set] * 5 + [self.plug, self.unplug, self.others_move_the_balloon, self.killed, self.power_cycle]
        for _ in range(STEPS):
            self.rng.choice(ways)()


@pytest.mark.parametrize('seed', range(SEED, SEED + SEQUENCES))
def test_a_random_sequence(host, interpose, seed):
    sequence = None
    try:
        sequence = Sequence(host, interpose, seed)
        sequence.play()
    finally:
        print(f'DIMMER_SEED={seed} DIMMER_KERNEL={KERNEL}: {sequence and sequence.kind}',
              *(sequence.said if sequence else []), sep='\n  ')
