# SPDX-License-Identifier: Apache-2.0
"""packaging/60-dimmer.rules grants what dimmer's calls need of libvirt's fine-grained access control, and no more."""

import re

import facts

WRITE = {'domain.write', 'domain.save'}
READ = {'domain.read'}
GETATTR = {'connect.getattr'}
SEARCH = {'connect.search-domains'}

# As libvirt has it (src/remote/remote_protocol.x, qemu_protocol.x), for all flags that dimmer sets.
NEEDS = {
    'virConnectClose': set(),
    'virConnectDomainEventRegisterAny': SEARCH | {'domain.getattr'},
    'virConnectDomainXMLToNative': {'connect.write'},
    'virConnectGetAllDomainStats': SEARCH | READ,
    'virConnectGetCapabilities': {'connect.read'},
    'virConnectGetHostname': GETATTR,
    'virConnectGetLibVersion': GETATTR,
    'virConnectListAllDomains': SEARCH | {'domain.getattr'},
    'virConnectOpen': GETATTR,
    'virConnectOpenAuth': GETATTR,
    'virDomainAttachDeviceFlags': WRITE,
    'virDomainCreate': {'domain.start'},
    'virDomainCreateXML': {'domain.write', 'domain.start'},
    'virDomainDefineXML': WRITE,
    'virDomainDestroy': {'domain.stop'},
    'virDomainDetachDeviceAlias': WRITE,
    'virDomainGetJobStats': READ,
    'virDomainGetState': READ,
    'virDomainGetXMLDesc': READ | {'domain.read-secure'},
    'virDomainHasManagedSaveImage': READ,
    'virDomainIsPersistent': READ,
    'virDomainLookupByName': {'domain.getattr'},
    'virDomainLookupByUUIDString': {'domain.getattr'},
    'virDomainManagedSaveGetXMLDesc': READ | {'domain.read-secure'},
    'virDomainMemoryStats': READ,
    'virDomainOpenChannel': {'domain.open-device'},
    'virDomainPMWakeup': {'domain.pm-control'},
    'virDomainQemuAgentCommand': {'domain.write'},
    'virDomainReboot': {'domain.init-control', 'domain.write'},
    'virDomainResume': {'domain.suspend'},
    'virDomainSetLifecycleAction': {'domain.write'},
    'virDomainSetMemoryFlags': WRITE,
    'virDomainSetMemoryStatsPeriod': WRITE,
    'virDomainSetMetadata': WRITE,
    'virDomainShutdown': {'domain.init-control', 'domain.write'},
    'virDomainUpdateDeviceFlags': WRITE,
    'virNodeGetFreePages': {'connect.read'},
    'virNodeGetInfo': {'connect.read'},
    'virNodeGetMemoryStats': {'connect.read'},
}

# dimmer does without: see SECURITY.md.
WITHHELD = {'connect.write'}


def granted():
    text = (facts.REPO / 'packaging/60-dimmer.rules').read_text()
    return {f'{kind}.{name}' for kind, names in re.findall(r'var (connect|domain) = \[(.*?)\]', text, re.DOTALL)
            for name in re.findall(r"'([a-z-]+)'", names)}


def test_every_call_is_here():
    used = set(re.findall(r'^#define (vir\w+)\(', facts.source('hypervisor/virt_calls.h'), re.MULTILINE))
    assert used == set(NEEDS)


def test_what_is_needed_is_granted_and_no_more():
    assert granted() == set.union(*NEEDS.values()) - WITHHELD
    words = ' '.join((facts.REPO / 'SECURITY.md').read_text().split())
    assert all(f'`{name}`' in words for name in WITHHELD)
