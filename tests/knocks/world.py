# SPDX-License-Identifier: Apache-2.0
"""What is knocked at: a host with guests and a dimmerd, and all accounts there are of their memory. Sizes are MiB."""

import json
import os
import shutil
import struct
import sys
import time
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPO))

from testbed import GuestError, SessionHost, inside  # noqa: E402  (it is beside tests, not in the path)
from testbed.daemon import Daemon, make_users  # noqa: E402
from testbed.interpose import BUILDS, Interpose, library  # noqa: E402

MIB = 1 << 20
BOOT = 256
MOST = 1280
QUIET_TIMEOUT = 90
ADDED, REMOVED = 20004, 20001
REQUEST = './/{urn:dimmer:memory:1}request'
SANITIZED = 'build/asan' in os.environ.get('DIMMERD', '') or 'build/tsan' in os.environ.get('DIMMERD', '')


def preload():
    """The library that world.c is built into, or None."""
    found = [path for build in BUILDS for path in build.glob('tests/knocks/world.so')]
    return found[0] if found else None


class KnockHost(SessionHost):
    """A host whose disk fills, whose clock moves, and whose libvirt loses events, on request."""

    def _make_folders(self):
        super()._make_folders()
        self.control = self.folder / 'world'
        self._write(self.control, '')
        self.preload = self.folder / 'bin/world.so'
        shutil.copyfile(preload(), self.preload)
        self.preload.chmod(0o755)
        self.set_world()

    def set_world(self, *, ahead=0, full=False, deaf=False):
        with self.control.open('r+b') as file:
            file.write(struct.pack('=qII', ahead, full, deaf))

    def world(self, *disks):
        """The environment of a program that is to live in this world."""
        return {'LD_PRELOAD': str(self.preload), 'WORLD': str(self.control),
                'WORLD_DISKS': ':'.join(str(Path(disk).resolve()) for disk in disks),
                'ASAN_OPTIONS': os.environ.get('ASAN_OPTIONS', '') + ':verify_asan_link_order=0'}

    def _daemon_environment(self):
        return super()._daemon_environment() | self.world(self.folder / 'config', self.folder / 'run')


class World:
    """A context manager. Its guests release what they are asked for; each has another agent, or none."""

    def __init__(self):
        self.host = KnockHost()
        try:
            self._fill()
        except BaseException:
            self.host.close()
            raise

    def _fill(self):
        kinds = {'plain': {}, 'agent': {'agent': True, 'files': inside.liar()}, 'qga': {'qga': True}}
        self.guests = [self.host.define(name, memory_mib=BOOT, max_mib=2048, **spec)
                       for name, spec in kinds.items()]
        for vm in self.guests:
            vm.start()
        for vm in self.guests:
            vm.wait_ready()
        self.ids = {vm.name: self.host.virsh('domuuid', vm.name).strip() for vm in self.guests}
        self.interpose = Interpose(self.host, library())
        users = make_users(self.host, self.host.folder / 'users')
        self.daemon = Daemon(self.host, users=users, start=False, guest_timeout=10, answer_timeout=15)
        self.start_daemon()
        self.events = []
        self.footprint = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            self.daemon.close()
        finally:
            self.host.close()

    # The daemon.

    def start_daemon(self, at=None):
        """Start it; so that it is killed after its changing libvirt call of that number, where one is given."""
        environment = self.host.world(self.daemon.folder)
        if at:
            more = self.interpose.environment(at, 'kill')
            environment = environment | more | {'LD_PRELOAD': f'{more["LD_PRELOAD"]}:{environment["LD_PRELOAD"]}'}
        self.daemon.environment = environment
        self.daemon.restart()

    def footprint_now(self):
        """(MiB resident, descriptors) of dimmerd."""
        process = Path('/proc') / str(self.daemon.process.pid)
        resident = next(line for line in (process / 'status').read_text().splitlines() if line.startswith('VmRSS'))
        return int(resident.split()[1]) >> 10, len(list((process / 'fd').iterdir()))

    # The accounts.

    def carried(self, vm):
        metadata = vm.live_xml().find('metadata')
        return None if metadata is None else metadata.find(REQUEST)

    def by_api(self, vm):
        client = self.daemon.client()
        found = []
        for query in ('', '?next_run=true'):
            element = client.get(f'vms/{self.ids[vm.name]}{query}').xml
            found.append((int(element.findtext('memory')) // MIB,
                          int(element.findtext('memory_policy/guaranteed')) // MIB))
        return found

    def by_dimmer(self, vm):
        shown = json.loads(self.host.dimmer('show', vm.name, '-o', 'json', check=0).stdout)
        live = shown['live']
        later = shown['next_run'] or live
        return [(config['memory'] // MIB, config['guaranteed'] // MIB) for config in (live, later)]

    def by_libvirt(self, vm):
        """Memory alone: guaranteed is dimmer's own."""
        found = []
        for definition in (vm.live_xml(), vm.inactive_xml()):
            cells = [int(cell.get('memory')) for cell in definition.iter('cell')]
            devices = [int(size.text) for size in definition.findall('devices/memory/target/size')]
            found.append(sum(cells + devices) >> 10)
        return found

    def devices(self, vm):
        """The ids of the memory devices."""
        answer = self.daemon.client().get(f'vms/{self.ids[vm.name]}/memorydevices')
        return {device.get('id') for device in answer.xml}

    def started_jobs(self):
        return [job.get('id') for job in self.daemon.client().get('jobs').xml
                if job.findtext('status') == 'started']

    # Rest.

    def rest(self):
        """Wait until nothing is under way any more; what is, if that does not come. A request that was left without
        having been sent is sent by 'dimmer settle', as dimmer says itself.
        """
        deadline = time.monotonic() + QUIET_TIMEOUT
        with self.daemon.client().live() as live:
            while True:
                open_here = [vm for vm in self.guests if self.carried(vm) is not None]
                jobs = self.started_jobs()
                if not open_here and not jobs:
                    return []
                if time.monotonic() > deadline:
                    return [f'{vm.name} still carries a request' for vm in open_here] + [
                        f'job {job} is still open' for job in jobs]
                if live.next(timeout=1) is None:
                    for vm in open_here:
                        self.host.dimmer('settle', vm.name)

    def differences(self):
        """Where the accounts of the guests' memory do not agree, at rest."""
        deadline = time.monotonic() + QUIET_TIMEOUT
        found = ['not looked yet']
        with self.daemon.client().live() as live:
            while found:
                found = [text for vm in self.guests for text in self._differences_of(vm)]
                if not found or time.monotonic() > deadline:
                    return found
                live.next(timeout=0.5)

    def _check_runs(self, vm):
        """AssertionError with QEMU's own last words: nothing here ends a guest."""
        reason = self.host.virsh('domstate', '--reason', vm.name).strip()
        if not reason.startswith('running'):
            logs = ''.join(path.read_text(errors='replace')[-3000:] for path in self.host.folder.rglob(f'{vm.name}.log'))
            raise AssertionError(f'{vm.name} is {reason}\n--- log of QEMU:\n{logs}\n--- console:\n{vm.console()[-2000:]}')

    def _differences_of(self, vm):
        self._check_runs(vm)
        api, shown, libvirt = self.by_api(vm), self.by_dimmer(vm), self.by_libvirt(vm)
        guest = vm.guest_memory_mib()
        account = f'{vm.name}: API {api}, dimmer {shown}, libvirt {libvirt}, guest {guest}'
        agree = api == shown and [memory for memory, _ in api] == libvirt and guest == libvirt[0]
        sane = all(guaranteed <= memory for memory, guaranteed in api)
        return [] if agree and sane else [account]

    def libvirt_lost_a_device(self):
        """A libvirt that is killed between QEMU's plug and its own note of it does not know the device any more.

        Then all accounts that come from it agree, and a guest has more than that.
        """
        found = [(self.by_api(vm), self.by_dimmer(vm), self.by_libvirt(vm), vm.guest_memory_mib()) for vm in self.guests]
        return (all(api == shown and [memory for memory, _ in api] == libvirt and guest >= libvirt[0]
                    for api, shown, libvirt, guest in found) and
                any(guest > libvirt[0] for _, _, libvirt, guest in found))

    # Events.

    def new_events(self):
        """[(id, code, description)] since the last time, oldest first."""
        last = self.events[-1][0] if self.events else 0
        answer = self.daemon.client().get(f'events?from={last}&max=100000')
        found = sorted((int(event.get('id')), int(event.findtext('code')), event.findtext('description'))
                       for event in answer.xml)
        self.events += found
        return found

    def count_reports(self, code, device):
        return sum(1 for _, found, text in self.events if found == code and f'({device})' in text)
