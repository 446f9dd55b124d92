# SPDX-License-Identifier: Apache-2.0
"""Looks into a guest whose memory comes and goes at that moment: no kernel may suffer from that.

For a few seconds each, or DIMMER_SOAK minutes in all ('make soak'). What fails a test is what a guest's console says, or a
device that neither comes nor goes.
"""

import itertools
import json
import os
import threading
import time

import pytest

from testbed import dimm_xml, inside

KERNELS = '5.10', '6.1', '6.12'
SIZES = 1024, 256  # MiB: with more blocks it takes longer until the first one is whole


def plug_and_unplug(vm, until):
    """How often. A guest that refuses, as something in it brings blocks online again, is asked once more."""
    for count, size in enumerate(itertools.cycle(SIZES)):
        if time.monotonic() > until:
            return count
        vm.attach(dimm_xml(size, alias='ua-a'))
        vm.wait_plugged('ua-a')
        event = None
        while event != 'DEVICE_DELETED':
            vm.qmp('device_del', id='ua-a')
            event = vm.wait_any_event('DEVICE_DELETED', 'DEVICE_UNPLUG_GUEST_ERROR')['event']
        vm.wait_gone('ua-a')
    raise AssertionError


class Looks:
    """Looks again and again beside what is done in its context; `count` has how often."""

    def __init__(self, look):
        self.count = 0
        self._look, self._stop, self._error = look, threading.Event(), None
        self._thread = threading.Thread(target=self._run)

    def _run(self):
        try:
            while not self._stop.is_set():
                self._look()
                self.count += 1
        except Exception as error:  # set by the test's own thread
            self._error = error

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, kind, *_):
        self._stop.set()
        self._thread.join()
        if kind is None and self._error:
            raise self._error


def record_look(host, vm):
    """The script by which dimmer looks through qemu-guest-agent, as /run/look in the guest."""
    vm.guest(r"""rm /bin/sh
        printf '#!/bin/busybox sh\necho "$2" >/run/look\nexec /bin/busybox sh "$@"\n' >/bin/sh; chmod +x /bin/sh""")
    doctor(host)
    vm.guest('ln -sf busybox /bin/sh; grep -q "echo hot-remove" /run/look')


def doctor(host):
    assert json.loads(host.dimmer('doctor', 'vm', '-o', 'json').stdout)['findings']


def loop(vm, command):
    """Let the guest do that again and again until end_loop()."""
    vm.guest(f'rm -f /run/over; while [ ! -e /run/over ]; do {command} >/dev/null 2>&1; echo >>/run/rounds; done &')


def end_loop(vm):
    """How many rounds there were."""
    vm.guest('touch /run/over')
    return int(vm.guest('wc -l </run/rounds; rm /run/rounds'))


def by_dimmer_guest(host, vm):
    with vm.dimmer_guest() as agent:
        agent.hello()
        with Looks(lambda: agent.ask('blocks', **{'from': inside.PLUGGED})) as looks:
            plugs = plug_and_unplug(vm, time.monotonic() + SECONDS)
    return plugs, looks.count


def by_script(host, vm):
    record_look(host, vm)
    loop(vm, 'sh /run/look')
    with Looks(lambda: doctor(host)) as looks:
        plugs = plug_and_unplug(vm, time.monotonic() + SECONDS)
    return plugs, min(looks.count, end_loop(vm))


def by_files(host, vm):
    vm.kill_agent()
    vm.start_agent('guest-exec')
    with Looks(lambda: doctor(host)) as looks:
        plugs = plug_and_unplug(vm, time.monotonic() + SECONDS)
    return plugs, looks.count


def by_preparing(host, vm):
    script = host.dimmer('guest', 'prepare', 'vm', '--print', check=0).stdout
    vm.guest(f"cat >/run/prepare <<'END'\n{script}\nEND")
    loop(vm, f'sh /run/prepare {inside.PLUGGED}+{max(SIZES) << 20}')
    plugs = plug_and_unplug(vm, time.monotonic() + SECONDS)
    return plugs, end_loop(vm)


WAYS = by_dimmer_guest, by_script, by_files, by_preparing
SECONDS = float(os.environ.get('DIMMER_SOAK', 0)) * 60 / len(KERNELS) / len(WAYS) or 3


@pytest.mark.parametrize('kernel', KERNELS)
def test_looks_beside_plugs(host, kernel):
    vm = host.start_guest('vm', memory_mib=512, agent=True, qga=True, kernel=kernel)
    for way in WAYS:
        if way is by_script:
            inside.end_agent(vm)  # else it is requested first
        plugs, looks = way(host, vm)
        print(f'{kernel}, {way.__name__}: {plugs} plugs beside {looks} looks')
        assert plugs > 0 and looks > 0 and not vm.trouble()
