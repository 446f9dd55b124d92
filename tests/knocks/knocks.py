# SPDX-License-Identifier: Apache-2.0
"""usage: knocks.py [--minutes N] [--seed N] [--only NAME]

Random changes of several guests, by dimmerd and by dimmer, while something goes wrong each time: a knock. After each,
all is mended, and then every account of the guests' memory must agree: the API's, dimmer's, libvirt's, the guest's own;
no request may be lost or stuck, no event lost or doubled, and dimmerd must not have grown. The last line counts knocks
and differences, and has the seed that makes the same knocks again; the moments at which they hit are never quite the
same.
"""

import argparse
import collections
import concurrent.futures
import contextlib
import http.client
import random
import shlex
import signal
import socket
import subprocess
import sys
import time

from world import ADDED, BOOT, MIB, MOST, REMOVED, SANITIZED, GuestError, World, inside

STEP = 128
LONGEST = 0.4  # seconds from the beginning of a change to its knock
CALLS = 10     # more than most changes make that change something
HTTP_FINE = {200, 201, 202, 400, 404, 409, 503}
EXIT_FINE = {0, 1, 3, 4, 5, 6, 7, 8, 9}  # whatever dimmer says, but for a wrong command line or a crash
MORE_MEMORY, MORE_DESCRIPTORS = 64, 40

KNOCKS = {}


def knock(function):
    """A knock is a context: it hits on entering, and is mended on leaving."""
    KNOCKS[function.__name__] = contextlib.contextmanager(function)
    return function


def moment(rng):
    """A random moment of the change under way: to hit any of them is the point."""
    time.sleep(rng.uniform(0, LONGEST))


# ---- requests ----

def sizes(world, vm):
    return world.by_libvirt(vm)[0]


def ask_api(world, vm, rng):
    """A change by the API, as a function to call; its status, or None where the connection broke."""
    client, there = world.daemon.client(), f'vms/{world.ids[vm.name]}'
    kind = rng.choice(['set', 'set', 'set', 'plug', 'unplug', 'guaranteed'])
    size = STEP * rng.randint(BOOT // STEP, MOST // STEP)
    devices = sorted(world.devices(vm))
    guaranteed = f'<memory_policy><guaranteed>{rng.randint(64, BOOT) * MIB}</guaranteed></memory_policy>'
    calls = {
        'set': lambda: client.put(there, f'<vm><memory>{size * MIB}</memory>{guaranteed}</vm>'),
        'plug': lambda: client.post(f'{there}/memorydevices',
                                    f'<memory_device><size>{STEP * MIB}</size></memory_device>'),
        'unplug': lambda: client.delete(f'{there}/memorydevices/{rng.choice(devices)}'),
        'guaranteed': lambda: client.put(there, f'<vm>{guaranteed}</vm>'),
    }
    if (kind == 'unplug' and not devices) or (kind == 'plug' and sizes(world, vm) >= MOST):
        kind = 'set'

    def call():
        try:
            answer = calls[kind]()
        except (OSError, http.client.HTTPException):
            return None
        return answer.status
    return f'API {kind} {vm.name}', call, HTTP_FINE | {None}


def ask_dimmer(world, vm, rng, env=None):
    """The same by the command line."""
    size = STEP * rng.randint(BOOT // STEP, MOST // STEP)
    argv = rng.choice([
        ('set', vm.name, '--memory', f'{size}MiB', '--guaranteed', f'{rng.randint(64, BOOT)}MiB'),
        ('set', vm.name, '--memory', f'{size}MiB', '--timeout', '3'),
        ('plug', vm.name, f'{STEP}MiB') if sizes(world, vm) < MOST else ('set', vm.name, '--memory', f'{BOOT}MiB'),
    ])
    process = world.host.dimmer_start(*argv, env=env)

    def call():
        output, errors = process.communicate(timeout=120)
        assert 'Sanitizer: ' not in errors, f'{argv}: {output}{errors}'
        return process.returncode
    return 'dimmer ' + ' '.join(argv), call, EXIT_FINE, process


# ---- knocks ----

@knock
def nothing(world, vm, rng):
    """Only the change: what the others are compared with."""
    yield


@knock
def dimmerd_killed(world, vm, rng):
    moment(rng)
    world.daemon.kill()
    yield
    world.start_daemon()


@knock
def dimmerd_stopped(world, vm, rng):
    moment(rng)
    status = world.daemon.stop()
    assert status == 0, f'dimmerd ended with {status}:\n{world.daemon.text()[-4000:]}'
    yield
    world.start_daemon()


@knock
def libvirt_restarted(world, vm, rng):
    moment(rng)
    rng.choice([world.host.stop_libvirtd, world.host.kill_libvirtd])()
    world.host.start_libvirtd()
    yield
    world.daemon.client().wait('hosts', lambda hosts: hosts.findtext('host/status') == 'up')


@knock
def qemu_stopped(world, vm, rng):
    moment(rng)
    with vm.stopped():
        time.sleep(rng.uniform(0, 3))  # for how long is a part of the knock
    yield


@knock
def disks_full(world, vm, rng):
    moment(rng)
    world.host.set_world(full=True)
    moment(rng)
    yield
    world.host.set_world()


@knock
def clock_moved(world, vm, rng):
    moment(rng)
    world.host.set_world(ahead=rng.choice([-40, -1, 1, 40]) * 86400)
    world.daemon.reload()
    yield
    world.host.set_world()
    world.daemon.forget_tokens()  # it may have been later than they last


@knock
def logins_flooded(world, vm, rng):
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        client = world.daemon.anonymous()
        tries = [pool.submit(client.ask_token, f'nobody{number % 3}@internal', 'wrong') for number in range(30)]
        for one in tries:
            with contextlib.suppress(OSError, http.client.HTTPException):
                status = one.result().status
                assert status in (400, 401, 429, 503), f'a wrong password: {status}'
    yield


@knock
def connections_held(world, vm, rng):
    held = []
    for _ in range(100):
        with contextlib.suppress(OSError):
            held.append(socket.create_connection(('127.0.0.1', world.daemon.port), timeout=5))
            held[-1].send(rng.choice([b'', b'GET /', b'PUT /api/vms HTTP/1.1\r\nHost: x\r\nContent-Le']))
    yield
    for one in held:
        one.close()


@knock
def dimmer_guest_lies(world, vm, rng):
    """Or falls silent, or talks without end."""
    vm = next(vm for vm in world.guests if vm.spec.agent)
    how = rng.choice(['lie', 'flood', 'silence'])
    if how == 'silence':
        inside.signal_agent(vm, 'STOP')
        yield
        inside.signal_agent(vm, 'CONT')
        return
    inside.end_agent(vm)
    start_talker(vm, """liar '"ok":true'""" if how == 'lie' else 'liar flood cat /dev/zero')
    yield
    end_talker(vm)
    inside.start_agent(vm)


@knock
def qemu_agent_silent(world, vm, rng):
    vm = next(vm for vm in world.guests if vm.spec.qga)
    if rng.random() < 0.5:
        vm.guest('kill -STOP $(pidof qemu-ga)')
        yield
        vm.guest('kill -CONT $(pidof qemu-ga)')
        return
    vm.kill_agent()
    start_talker(vm, 'cat /dev/zero >/dev/virtio-ports/org.qemu.guest_agent.0')
    yield
    end_talker(vm)
    vm.start_agent()


def start_talker(vm, command):
    """A program that speaks in an agent's place, in a session of its own."""
    script = f'echo $$ >/run/talker; {command}'
    vm.guest(f'rm -f /run/talker; setsid sh -c {shlex.quote(script)} >/dev/null 2>&1 & '
             'until [ -s /run/talker ]; do sleep 0.05; done')


def end_talker(vm):
    vm.guest('kill -9 -$(cat /run/talker); true')


# ---- one after the other ----

class Knocks:
    def __init__(self, seed, only=None):
        self.world, self.seed = None, seed
        self.rng = random.Random(seed)
        self.names = sorted(name for name in [*KNOCKS, 'dimmerd_killed_at', 'dimmer_killed', 'dimmer_killed_at']
                            if only in (None, name))
        self.count = collections.Counter()
        self.differences = []
        self.lost = 0  # devices that libvirt has lost, for good
        self.broken = False  # what could not be mended: the world is another one then

    def one(self):
        name, vm = self.rng.choice(self.names), self.rng.choice(self.world.guests)
        self.count[name] += 1
        before = {guest.name: self.world.devices(guest) for guest in self.world.guests}
        by_api = False
        try:
            what, by_api, status, fine = self.hit(name, vm)
            self.check(status in fine, f'{what}: status {status}')
            self.settle(before, vm if by_api else None)
        except (AssertionError, OSError, GuestError, RuntimeError, http.client.HTTPException,
                subprocess.TimeoutExpired) as error:
            self.check(False, f'{type(error).__name__}: {error}')
            self.broken = True
        if self.here and not self.broken and name == 'libvirt_restarted' and self.world.libvirt_lost_a_device():
            self.lost, self.here, self.broken = self.lost + 1, [], True
        for text in self.here:
            if not self.differences or self.broken:
                print(f'--- log of dimmerd:\n{self.world.daemon.text()[-6000:]}')
            self.differences.append(f'knock {sum(self.count.values())}, {name}, {self.what}: {text}')
            print(self.differences[-1], flush=True)

    def check(self, well, text):
        if not well:
            self.here.append(text)

    def hit(self, name, vm):
        """(what was asked, by the API?, its status, which are fine); all is mended when it returns."""
        self.here, self.what = [], f'{vm.name}'
        if name in ('dimmer_killed', 'dimmer_killed_at'):
            return self.hit_dimmer(name, vm)
        if name == 'dimmerd_killed_at':
            return self.hit_dimmerd_at(vm)
        by_api = self.rng.random() < 0.6
        made = (ask_api if by_api else ask_dimmer)(self.world, vm, self.rng)
        self.what, call, fine = made[:3]
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            status = pool.submit(call)
            with KNOCKS[name](self.world, vm, self.rng):
                found = status.result(timeout=150)
        if name == 'disks_full':
            fine = fine | {500}
        return self.what, by_api, found, fine

    def hit_dimmer(self, name, vm):
        env = self.world.interpose.environment(self.rng.randint(1, CALLS), 'kill') if name.endswith('at') else None
        self.what, call, fine, process = ask_dimmer(self.world, vm, self.rng, env)
        if not env:
            moment(self.rng)
            process.kill()
        return self.what, False, call(), fine | {-signal.SIGKILL}

    def hit_dimmerd_at(self, vm):
        world = self.world
        self.check(world.daemon.stop() == 0, 'dimmerd did not end well')
        world.start_daemon(at=self.rng.randint(1, CALLS))
        try:
            self.what, call, fine = ask_api(world, vm, self.rng)
            status = call()
        finally:
            world.daemon.close()
            world.start_daemon()
        return self.what, True, status, fine

    def settle(self, before, asked):
        world = self.world
        self.check(world.daemon.running(), f'dimmerd has ended:\n{world.daemon.text()[-4000:]}')
        self.here += world.rest() + world.differences()
        ids = [number for number, _, _ in world.new_events()]
        self.check(len(set(ids)) == len(ids), f'event ids twice: {ids}')
        for vm in world.guests:
            after = world.devices(vm)
            for code, devices in ((REMOVED, before[vm.name] - after), (ADDED, after - before[vm.name])):
                for device in sorted(devices):
                    self.check_reported(code, device, exactly=vm is asked)
        self.check_footprint()

    def check_reported(self, code, device, exactly):
        times = self.world.count_reports(code, device)
        if times > 1 or (exactly and times != 1):
            texts = [event for event in self.world.events if device in event[2]]
            self.here.append(f'event {code} of device {device} stands {times} times: {texts}')

    def check_footprint(self):
        world, pid = self.world, self.world.daemon.process.pid
        memory, descriptors = world.footprint_now()
        if world.footprint is None or world.footprint[0] != pid:
            world.footprint = pid, memory, descriptors
        self.check(SANITIZED or memory <= world.footprint[1] + MORE_MEMORY,
                   f'dimmerd grew from {world.footprint[1]} to {memory} MiB')
        self.check(descriptors <= world.footprint[2] + MORE_DESCRIPTORS,
                   f'dimmerd had {world.footprint[2]} descriptors, and has {descriptors}')

    def line(self):
        kinds = ', '.join(f'{name} {count}' for name, count in sorted(self.count.items()))
        lost = f'{self.lost} lost by a killed libvirt, ' if self.lost else ''
        return (f'knocks: {sum(self.count.values())} knocks, {len(self.differences)} differences, {lost}'
                f'seed {self.seed} ({kinds})')


def run(minutes, seed, only=None):
    """All knocks of so many minutes; the Knocks."""
    deadline = time.monotonic() + minutes * 60
    knocks = Knocks(seed, only)
    while time.monotonic() < deadline:
        with World() as world:
            knocks.world, knocks.broken = world, False
            while time.monotonic() < deadline and not knocks.broken:
                knocks.one()
    return knocks


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--minutes', type=float, default=30)
    parser.add_argument('--seed', type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument('--only', choices=sorted([*KNOCKS, 'dimmerd_killed_at', 'dimmer_killed', 'dimmer_killed_at']))
    options = parser.parse_args()
    print(f'seed {options.seed}', flush=True)
    knocks = run(options.minutes, options.seed, options.only)
    print(knocks.line())
    return 1 if knocks.differences else 0


if __name__ == '__main__':
    sys.exit(main())
