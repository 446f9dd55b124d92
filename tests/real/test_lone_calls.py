# SPDX-License-Identifier: Apache-2.0
"""No libvirt connection has two calls under way: src/hypervisor/connection.c says why.

What came of it in dimmerd is in tests/daemon/test_stuck_vm.py.
"""

import os
import re
import shutil

import pytest

from look import facts, plug, run, steps
from testbed import interpose, stopped

# They open a connection: none is there yet.
OPENING = {'virConnectOpen', 'virConnectOpenAuth'}

# No line of the debugging log.
SILENT = {'virConnectDomainEventDeregisterAny', 'virConnectRegisterCloseCallback',
          'virConnectUnregisterCloseCallback', 'virStreamAbort', 'virStreamSend'}

# What libvirt runs for a connection to another machine: it leads to this one's libvirtd, and counts how often.
WAY = """#!/usr/bin/python3
import os, select, socket
with open({log!r}, 'a') as log:
    log.write('.')
far = socket.socket(socket.AF_UNIX)
far.connect({socket!r})
ways = {{0: far.fileno(), far.fileno(): 1}}
while True:
    for source in select.select(list(ways), [], [])[0]:
        sent = os.read(source, 65536)
        if not sent:
            raise SystemExit
        while sent:
            sent = sent[os.write(ways[source], sent):]
"""


class Watch:
    """dimmer, with each two calls at once on one connection written down."""

    def __init__(self, host, library):
        self.host = host
        self.log, self.made, self.logins = (host.folder / 'tmp' / name for name in ('lone', 'calls', 'logins'))
        for file in (self.log, self.made, self.logins):
            file.unlink(missing_ok=True)
        preloaded = host.folder / 'bin' / library.name
        shutil.copyfile(library, preloaded)
        preloaded.chmod(0o755)
        self.environment = {
            'LD_PRELOAD': str(preloaded), 'LONE_LOG': str(self.log), 'LONE_CALLS': str(self.made),
            'ASAN_OPTIONS': os.environ.get('ASAN_OPTIONS', '') + ':verify_asan_link_order=0'}

    def together(self):
        """Those that were."""
        return self.log.read_text() if self.log.exists() else ''

    def calls(self):
        return self.made.read_text().split()

    def far(self):
        """What makes dimmer take this host for another machine."""
        way = self.host.folder / 'bin' / 'way'
        way.write_text(WAY.format(socket=str(self.host.socket), log=str(self.logins)))
        way.chmod(0o755)
        return ['--connect', f'qemu+ext://elsewhere/session?command={way}']


@pytest.fixture
def watch(host, require):
    require([] if interpose.library('lone_calls') else ['tests/real/lone_calls.so (built by meson)'])
    return Watch(host, interpose.library('lone_calls'))


def test_each_call_is_watched():
    used = set(re.findall(r'^#define (vir\w+)\(', facts.source('hypervisor/virt_calls.h'), re.MULTILINE))
    source = (facts.REPO / 'tests/real/lone_calls.c').read_text()
    assert set(re.findall(r'^OF_\w+\((\w+)\)$', source, re.MULTILINE)) == used - OPENING | SILENT


def test_a_list_with_vms_that_hang(host, watch):
    vms = [host.start_guest(f'vm{number}', os=False, memory_mib=64, max_mib=None) for number in range(4)]
    for vm in vms:
        run(host, 'enable', vm.name, '--balloon-use', 'allow')
    with stopped(*vms[:2]):
        here = run(host, 'list', env=watch.environment)
        asked = watch.calls().count('virDomainMemoryStats')
        far = run(host, 'list', *watch.far(), env=watch.environment)
    assert asked == len(here['vms']) == len(far['vms']) == len(vms)
    assert watch.together() == ''
    assert watch.logins.stat().st_size == 1


@pytest.mark.parametrize('elsewhere', [False, True])
def test_an_unplug_while_its_agent_is_talked_to(host, watch, elsewhere):
    vm = host.start_guest('vm', memory_mib=256, max_mib=2048, agent=True)
    alias, = plug(host, vm, 128)
    result = run(host, 'unplug', 'vm', alias, *(watch.far() if elsewhere else []), env=watch.environment)
    assert steps(result) == [('unplug', 128, 'removed')]
    assert 'virStreamSend' in watch.calls() and watch.together() == ''
    assert not elsewhere or watch.logins.stat().st_size == 2  # one of them for the agent's channel
