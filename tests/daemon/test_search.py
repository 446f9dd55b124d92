# SPDX-License-Identifier: Apache-2.0
"""oVirt's search language over all that can be searched: its fields, references and forms."""

import re
import time

import pytest

from rest import fault, path, put, search, vm_id

# All of oVirt's fields, with a value that it takes: searchbackend's *ConditionFieldAutoCompleter.
VM_FIELDS = '''name=x comment=x status=PoweringUp ip=10.* on_host=x fqdn=x uptime>1.02:03:04 os=other_linux
    creationdate>yesterday address=x cpu_usage>5 mem_usage<=90 network_usage!=1 memory>1 guaranteed_memory<1
    migration_progress_percent=1 apps=x cluster=x pool=x loggedinuser=x tag=x datacenter=x type=Server
    quota=x id=00000000-0000-0000-0000-000000000000 description=x architecture=x86_64
    custom_emulated_machine=x custom_cpu_type=x compatibility_level=4.7 custom_compatibility_level=4.7
    created_by_user_id=x next_run_config_exists=true has_illegal_images=TRUE bios_type=q35_ovmf
    k8s_namespace=x vcpus>=1'''
HOST_FIELDS = '''name=x comment=x status=NonResponsive external_status=ok cluster=x address=x cpu_usage>5
    mem_usage>5 network_usage>5 load>1.5 version=x cpus>=1 memory>1 cpu_speed<2400.5 cpu_model=x
    active_vms>1 migrating_vms=1 committed_mem>1 tag=x type=RHEL datacenter=x architecture=x86_64
    update_available=false ha_score=1 spm_id=1 hw_id=x id=x'''
CLUSTER_FIELDS = 'name=x description=x comment=x architecture=x86_64 compatibility_level=4.7 cpu_type=x'
DATACENTER_FIELDS = '''name=x description=x local=true status=Up comment=x
    compatibility_version=4.7'''
TEMPLATE_FIELDS = '''name=x comment=x os=other creationdate<today childcount>1 mem>=1 description=x
    status=OK sealed=false cluster=x datacenter=x quota=null architecture=x86_64 version_name=x tag=x
    _vmt_id=x'''
EVENT_FIELDS = '''type=35 severity>normal message=x time>today usrname=x usrid=x event_host=x event_vm=x
    event_template=x event_storage=x event_datacenter=x event_volume=x correlation_id=x origin=x
    custom_event_id=1 deleted=false _event_vm_id=x _event_template_id=x _event_storage_id=x
    _event_host_id=x _event_datacenter_id=x _event_quota_id=x'''
USER_FIELDS = '''name=x lastname=x usrname=x@internal user_and_domain=x login=x directory=x department=x
    tag=x pool=x type=User'''
REFERENCES = {'vms': VM_FIELDS, 'hosts': HOST_FIELDS, 'templates': TEMPLATE_FIELDS, 'events': EVENT_FIELDS,
              'users': USER_FIELDS, 'clusters': CLUSTER_FIELDS, 'datacenter': DATACENTER_FIELDS}
COLLECTIONS = {
    'vms': (VM_FIELDS, 'hosts templates events users storage vnic'),
    'hosts': (HOST_FIELDS, 'vms templates events users storage nic'),
    'templates': (TEMPLATE_FIELDS, 'vms hosts events users storage vnic'),
    'clusters': (CLUSTER_FIELDS, 'datacenter vms storage cluster_network'),
    'datacenters': (DATACENTER_FIELDS, 'clusters vms storage network'),
    'users': (USER_FIELDS, 'vms hosts templates events'),
    'events': (EVENT_FIELDS, 'vms hosts templates users clusters volumes quota'),
}


def every_form(kind):
    """Searches of every field, and of every field of every reference, that oVirt takes."""
    fields, references = COLLECTIONS[kind]
    for condition in fields.split():
        yield condition
        yield 'sortby ' + re.match(r'\w+', condition)[0]
    for reference in references.split():
        for name in {reference, reference.removesuffix('s'), reference.capitalize()}:
            yield f'{name}=x'
            yield f'{name}!=x'
            for condition in REFERENCES.get(reference, '').split():
                yield f'{name}.{condition}'
    yield from ('storage.name=x', 'Storage.free_size>1') if 'storage' in references else ()
    yield from ('vnic.mac=x', 'VNIC.network_name=x') if 'vnic' in references else ()


def test_all_that_ovirt_takes(off, client):
    refused = [f'{kind}: {text}: {answer.xml.findtext("detail")}' for kind in COLLECTIONS
               for text in every_form(kind) if (answer := client.get(search(kind, text))).status != 200]
    assert not refused, '\n'.join(refused)


@pytest.fixture
def farm(host):
    """web1 and web2 shut off, db1 running; of 512, 1024 and 768 MiB."""
    return [host.define('web1', os=False, memory_mib=512), host.define('web2', os=False, memory_mib=1024),
            host.start_guest('db1', os=False, memory_mib=768)]


def found(client, kind, text):
    """The names of what is found, or of events how many; the detail of a fault."""
    answer = client.get(search(kind, text))
    if answer.status != 200:
        return answer.xml.findtext('detail')
    if kind == 'events':
        return len(answer.xml)
    return ' '.join(sorted(element.findtext('name') for element in answer.xml))


def test_what_it_finds(farm, client, host):
    put(client, farm[0], 640)
    node = client.get('hosts').xml.findtext('host/name')
    cases = [
        # What nothing joins has to match, too, and looser than "or".
        ('vms', 'name=web* cluster="Default"', 'web1 web2'), ('vms', 'name=web1 datacenter="Default"', 'web1'),
        ('vms', 'name=web* status=up or memory=640', 'web1'), ('vms', 'web 1', 'web1'),
        ('vms', 'name=web1 and datacenter=Default', 'web1'), ('vms', 'datacenter=other', ''),
        # A value ends at a blank.
        ('vms', 'name=web(1)', ''), ('vms', 'name!=a=b<c', 'db1 web1 web2'),
        # Nothing here has it.
        ('vms', 'tag=x', ''), ('vms', 'tag!=x name=web*', 'web1 web2'), ('vms', 'fqdn=*', ''),
        ('vms', 'cpu_usage<200', ''), ('vms', 'quota=null name=db1', 'db1'), ('vms', 'pool=""', 'db1 web1 web2'),
        ('vms', 'users.name=admin*', ''), ('vms', 'storage.name=x or name=db1', 'db1'),
        # What is known under another name.
        ('vms', 'type=server', 'db1 web1 web2'), ('vms', 'type=desktop', ''), ('vms', 'uptime>1', ''),
        ('vms', 'creationdate>today', 'db1 web1 web2'), ('vms', 'creationdate<today', ''),
        ('vms', f'on_host={node}', 'db1'), ('vms', f'Hosts.name={node}', 'db1'), ('vms', f'host={node[:4]}', 'db1'),
        ('vms', 'host.status!=up', 'web1 web2'), ('vms', 'Templates.name=Blank name=web1', 'web1'),
        ('vms', 'Events.severity=normal', 'web1'), ('vms', 'events.severity>normal', ''),
        ('vms', 'Events.type=35', 'web1'), ('vms', 'events.type=35 and events.severity=error', ''),
        ('vms', 'event.type=35 or name=web2', 'web1 web2'), ('vms', 'events.type!=35', 'db1 web2'),
        # The one cluster, data center and template, and the hosts.
        ('clusters', 'datacenter=Default', 'Default'), ('clusters', 'datacenter.name=Default', 'Default'),
        ('clusters', 'datacenter.name=other', ''), ('clusters', 'Vms.name=web1', 'Default'),
        ('clusters', 'Vms.name=none', ''), ('clusters', 'vm.name=web1 and vms.status=up', ''),
        ('clusters', 'vm.name=db1 and vms.status=up', 'Default'), ('clusters', f'hosts.name={node}', 'Default'),
        ('datacenters', 'Clusters.name=Default', 'Default'), ('datacenters', 'vms.memory>1000', 'Default'),
        ('templates', 'vm.name=web1', ''), ('templates', 'datacenter=Default', ''), ('templates', 'status=ok', 'Blank'),
        ('hosts', 'datacenter=Default', node), ('hosts', 'Vms.name=db1', node), ('hosts', 'vms.name=web1', ''),
        ('hosts', 'active_vms=1', node), ('hosts', 'cluster=Default and status=up', node),
        ('hosts', 'events.type=35', node), ('hosts', 'events.type=36', ''),
        ('users', 'events.type=35', 'admin'), ('users', 'name=admin and type=user', 'admin'),
        ('users', 'usrname=admin@internal', 'admin'), ('users', 'events.type=36', ''), ('users', 'vms.name=web1', ''),
        # Of its own kind, and of what holds it.
        ('vms', 'Vms.name=web1', 'web1'), ('vms', 'clusters.name=Default name=db1', 'db1'), ('vms', 'cluster.name=other', ''),
        ('vms', 'datacenter.name=Default name=db1', 'db1'), ('vms', 'datacenters.name=other', ''),
        ('vms', 'template=Blank name=db1', 'db1'), ('vms', 'template=other', ''), ('vms', 'memorydevices=0 name=db1', 'db1'),
        ('vms', 'memorydevices>0', ''), ('hosts', f'hosts.name={node}', node), ('hosts', 'host.name=other', ''),
        ('hosts', 'cluster.name=Default', node), ('hosts', 'cluster.name=other', ''),
        ('hosts', 'datacenter.name=Default', node), ('hosts', 'datacenter.name=other', ''),
        # Events.
        ('events', f'type=35 Vms.id={vm_id(farm[0])}', 1), ('events', f'Vms.id={vm_id(farm[1])}', 0),
        ('events', 'type=35 vm.name=web1', 1), ('events', 'type=35 vms.memory=640', 1),
        ('events', 'type=35 Users.name=admin', 1), ('events', 'type=35 Users.usrname=admin@internal', 1),
        ('events', 'type=35 Users.name=other', 0), ('events', f'type=35 Hosts.name={node}', 1),
        ('events', 'type=35 time>today', 1), ('events', 'type=35 time=today', 1), ('events', 'time<today', 0),
        ('events', 'type=35 time<today', 0), ('events', 'type=35 time>yesterday', 1),
        ('events', time.strftime('type=35 time>="%Y-%m-%d"'), 1), ('events', 'type=35 time>"2020-11-29"', 1),
        ('events', 'type=35 time<"2020-11-29"', 0), ('events', 'type=35 time>"Nov 29, 2020 8:06 PM"', 1),
        ('events', 'type=35 clusters.name=Default', 1), ('events', 'type=35 templates.name=*', 0),
    ]
    wrong = [f'{kind}: {text}: {got!r}, not {expected!r}' for kind, text, expected in cases
             if (got := found(client, kind, text)) != expected]
    assert not wrong, '\n'.join(wrong)


def test_what_ovirt_refuses(client):
    for kind, text, place in (
            ('vms', 'hosts.nosuchfield=1', 'nosuchfield'), ('vms', 'name>web', 'name'), ('vms', 'memory=1GiB', '1GiB'),
            ('vms', 'events.severity=odd', 'normal, warning, error, alert'), ('vms', 'uptime>long', 'days'),
            ('vms', 'creationdate>soon', '2026-11-29'), ('events', 'time>"2026-02-30"', '2026-02-30'),
            ('vms', 'type=laptop', 'desktop, server'), ('hosts', 'sortby vms.name', 'vms.name'),
            ('vms', 'hosts>x', 'host'), ('clusters', 'status=up', 'status'), ('vms', 'name=we"b"', 'quote'),
            ('vms', 'name=web1 or', 'or')):
        answer = client.get(search(kind, text))
        assert place in fault(answer, 400, answer.xml.findtext('reason')), text


def test_the_order_of_events(off, client):
    for size in (512, 600):
        put(client, off, size)
    ids = [int(event.get('id')) for event in client.get(search('events', 'type=35')).xml]
    for text, expected in (('type=35 sortby time', ids[::-1]), ('type=35 sortby time asc', ids[::-1]),
                           ('type=35 sortby time desc', ids), ('type=35 sortby tag', None)):
        answer = client.get(search('events', text))
        assert expected is None or [int(event.get('id')) for event in answer.xml] == expected, text
    assert answer.status == 400  # events have no tag
    assert client.get(path(off)).status == 200
