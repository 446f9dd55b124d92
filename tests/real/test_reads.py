# SPDX-License-Identifier: Apache-2.0
"""What only reads makes no libvirt call that changes a VM. For dimmerd see tests/daemon/test_gets.py."""

import re

from look import facts, plug, run

# What libvirt is called for without a change. A conversation with an agent in the guest is none.
READS = {
    'virConnectClose', 'virConnectDomainEventRegisterAny', 'virConnectDomainXMLToNative', 'virConnectGetAllDomainStats',
    'virConnectGetCapabilities', 'virConnectGetHostname',
    'virConnectGetLibVersion', 'virConnectListAllDomains', 'virConnectOpen', 'virConnectOpenAuth',
    'virDomainGetJobStats', 'virDomainGetState', 'virDomainGetXMLDesc', 'virDomainHasManagedSaveImage',
    'virDomainIsPersistent', 'virDomainLookupByName', 'virDomainLookupByUUIDString', 'virDomainManagedSaveGetXMLDesc',
    'virDomainMemoryStats', 'virDomainOpenChannel', 'virDomainQemuAgentCommand', 'virNodeGetInfo',
    'virNodeGetFreePages', 'virNodeGetMemoryStats',
}


def test_each_changing_call_is_watched():
    used = set(re.findall(r'^#define (vir\w+)\(', facts.source('hypervisor/virt_calls.h'), re.MULTILINE))
    source = (facts.REPO / 'tests/real/interpose.c').read_text()
    watched = set(re.findall(r'^(?:WRAP|WATCH)\(\s*\w+, (\w+),', source, re.MULTILINE))
    assert used == READS | watched and not READS & watched


def test_no_verb_that_shows_changes_a_vm(host, interpose):
    guest = host.start_guest('vm', max_mib=2048)
    alias, = plug(host, guest, 128)
    environment = interpose.watching()
    for words in (['list'], ['show', 'vm'], ['doctor', 'vm'], ['hosts'],
                  ['reclaim', '--memory', '64MiB', '--dry-run'], ['set', 'vm', '--memory', '256MiB', '--dry-run'],
                  ['plug', 'vm', '128MiB', '--dry-run'], ['unplug', 'vm', alias, '--dry-run'],
                  ['enable', 'vm', '--maximum', '4GiB', '--dry-run']):
        done = host.dimmer(*words, env=environment)
        assert done.returncode in (0, 3), (words, done)
    assert interpose.changes() == []
    run(host, 'unplug', 'vm', alias, env=environment)
    assert 'virDomainDetachDeviceAlias' in interpose.changes()
