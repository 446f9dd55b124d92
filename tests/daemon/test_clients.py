# SPDX-License-Identifier: Apache-2.0
"""What clients that are no package of Debian's want of an answer, by their sources:

go-ovirt-client (and so Terraform's provider): vm.go and template.go, convertSDKVM() and
convertSDKTemplate(), which fail on the first of many elements that is not there; client.go.
Python's SDK, lib/ovirtsdk4: readers.py, services.py, and its examples.
Ansible's collection ovirt.ovirt: plugins/modules/*_info.py, plugins/module_utils/ovirt.py.
"""

import uuid
from xml.etree import ElementTree

import pytest

from rest import MIB, empty, fault, path, search, vm_id
from test_wire import links

NO_ONE = '11111111-1111-4111-8111-111111111111'

# go-ovirt-client, vm.go: each converter fails the whole list if its element is missing.
OF_A_VM = ['name', 'comment', 'description', 'status', 'memory', 'memory_policy/guaranteed', 'memory_policy/max',
           'memory_policy/ballooning', 'cpu/topology/cores', 'cpu/topology/threads', 'cpu/topology/sockets',
           'os/type', 'type', 'console/enabled']
# ovirt_vm.py of Ansible, _update_check(): what it reads into without a look whether it is there.
OF_A_VM += ['placement_policy/affinity', 'cluster', 'os/boot/devices/device']
# template.go, cluster.go, datacenter.go, host.go, tag.go.
OF_OTHERS = {
    'templates': ['name', 'comment', 'description', 'status', 'cpu/topology/cores', 'cpu/topology/threads',
                  'cpu/topology/sockets'],
    'clusters': ['name', 'comment', 'description'], 'datacenters': ['name', 'comment', 'description'],
    'hosts': ['name', 'status'], 'tags': ['name', 'description'], 'users': ['name', 'user_name'],
}


@pytest.fixture
def two(host):
    """One that runs, one that is shut off; neither has a title or a description."""
    return [host.start_guest('web1', os=False), host.define('web2', os=False)]


def test_a_vm_has_what_go_wants(two, client):
    found = client.get('vms').xml
    assert len(found) == 2
    for vm in found:
        for name in OF_A_VM:
            assert vm.find(name) is not None, name
        for name in ('cluster', 'template'):
            assert vm.find(name).get('id') and vm.find(name).get('href')
        assert (vm.findtext('comment'), vm.findtext('description')) == ('', '')
    assert client.get(path(two[1]), json=True).json['comment'] == ''


def test_others_have_what_go_wants(client):
    for kind, names in OF_OTHERS.items():
        item = client.get(kind).xml[0]
        for name in names:
            assert item.find(name) is not None, (kind, name)
        assert client.get(item.get('href')).xml.get('id') == item.get('id')


def test_comment_and_description_are_the_vms_own(two, client):
    two[0].host.virsh('desc', 'web1', '--title', '--live', '--config', 'Größe <1>')
    two[0].host.virsh('desc', 'web1', '--live', '--config', 'front\nend')
    vm = client.wait(path(two[0]), lambda found: found.findtext('description') == 'front\nend')
    assert vm.findtext('comment') == 'Größe <1>'


def test_the_empty_description_is_left_out_for_libgovirt(two, client):
    """Its ovirt_resource_set_description_from_xml() wants content in it; it sends Filter."""
    two[0].host.virsh('desc', 'web1', '--live', '--config', 'front end')
    client.wait(path(two[0]), lambda found: found.findtext('description') == 'front end')
    one, other = client.get('vms', headers={'Filter': 'true'}).xml
    assert (one.findtext('description'), other.find('description')) == ('front end', None)


# Each collection that Python's SDK can ask for, and the element that its reader knows, by hand from services.py.
WALKS = {
    '': 'affinitylabels:affinity_labels clusters:clusters cpuprofiles:cpu_profiles datacenters:data_centers '
        'diskprofiles:disk_profiles disks:disks domains:domains groups:groups icons:icons '
        'imagetransfers:image_transfers instancetypes:instance_types macpools:mac_pools networks:networks '
        'networkfilters:network_filters permissions:permissions roles:roles schedulingpolicies:scheduling_policies '
        'storageconnections:storage_connections storagedomains:storage_domains tags:tags users:users '
        'vmpools:vm_pools vnicprofiles:vnic_profiles katelloerrata:katello_errata clusterlevels:cluster_levels',
    'vms': 'applications:applications backups:backups cdroms:cdroms checkpoints:checkpoints '
           'hostdevices:host_devices katelloerrata:katello_errata mediateddevices:vm_mediated_devices '
           'permissions:permissions sessions:sessions snapshots:snapshots watchdogs:watchdogs',
    'hosts': 'affinitylabels:affinity_labels devices:host_devices fenceagents:agents hooks:hooks nics:host_nics '
             'numanodes:host_numa_nodes permissions:permissions statistics:statistics storage:host_storages '
             'tags:tags unmanagednetworks:unmanaged_networks',
    'clusters': 'affinitygroups:affinity_groups enabledfeatures:cluster_features networks:networks '
                'permissions:permissions',
    'datacenters': 'clusters:clusters networks:networks quotas:quotas storagedomains:storage_domains',
    'templates': 'cdroms:cdroms diskattachments:disk_attachments nics:nics permissions:permissions tags:tags',
    'users': 'permissions:permissions roles:roles tags:tags sshpublickeys:ssh_public_keys',
}


def test_what_clients_walk_through(off, client):
    for kind, name, root in ((kind, *walk.split(':')) for kind, walks in WALKS.items() for walk in walks.split()):
        base = f'{client.get(kind).xml[0].get("href")}/' if kind else ''
        answer = client.get(f'{base}{name}')
        assert (answer.status, answer.xml.tag) == (200, root)
        assert client.get(f'{base}{name}?search=name%3Dx&max=1', json=True).status == 200
        if kind:
            empty(client.get(f'{kind}/{NO_ONE}/{name}'), 404)


def test_each_link_answers(off, client):
    for kind in ('vms', 'hosts', 'clusters', 'datacenters', 'templates', 'users'):
        item = client.get(kind).xml[0]
        for rel, href in links(item).items():
            assert client.get(href).status == 200, (kind, rel)
    assert {'permissions', 'snapshots', 'cdroms', 'applications', 'sessions', 'watchdogs', 'hostdevices'} <= set(
        links(client.get('vms').xml[0]))
    assert 'statistics' in links(client.get('hosts').xml[0])
    root = client.get().xml
    for rel, href in links(root).items():
        assert rel.endswith('/search') or client.get(href).status == 200, rel
    tag = client.get(root.find('special_objects/root_tag').get('href')).xml
    assert (tag.tag, tag.findtext('name')) == ('tag', 'root')


def test_the_first_of_what_is_never_empty(off, client):
    """ovirt_vm_info with current_cd takes cdroms[0]; list_host_statistics.py values[0].datum of each."""
    drive, = client.get(path(off, '/cdroms')).xml
    assert client.get(f'{drive.get("href")}?current=true').xml.find('vm').get('id') == vm_id(off)
    host = client.get('hosts').xml[0]
    for statistic in client.get(f'{host.get("href")}/statistics').xml:
        assert int(statistic.findtext('values/value/datum')) > 512 * MIB
        assert client.get(statistic.get('href')).xml.findtext('name') == statistic.findtext('name')


def test_the_active_snapshot(off, client):
    """Each VM has it in oVirt: ovirt_exporter leaves out the first of them without looking."""
    snapshot, = client.get(path(off, '/snapshots')).xml
    assert (snapshot.findtext('snapshot_type'), snapshot.findtext('snapshot_status')) == ('active', 'ok')
    assert snapshot.findtext('date') and client.get(snapshot.get('href')).xml.get('id') == snapshot.get('id')
    empty(client.get(path(off, f'/snapshots/{NO_ONE}')), 404)
    found = client.get('vms?follow=snapshots', json=True).json['vm'][0]['snapshots']['snapshot'][0]
    assert found['description'] == 'Active VM' and found['persist_memorystate'] == 'false'


# As kubev2v/forklift asks for its inventory (pkg/controller/provider/container/ovirt), in JSON; what is read of each.
FORKLIFT = [
    ('datacenters', 'data_center', 'id name description'), ('storagedomains', 'storage_domain', ''),
    ('vnicprofiles', 'vnic_profile', ''), ('diskprofiles', 'disk_profile', ''),
    ('networks?follow=vnic_profiles', 'network', ''), ('disks', 'disk', ''),
    ('clusters', 'cluster', 'id name description data_center.id'),
    ('hosts?follow=network_attachments%2Cnics', 'host', 'id name cluster.id status cpu.topology.sockets cpu.topology.cores'),
    ('vms?follow=disk_attachments%2Chost_devices%2Csnapshots%2Cwatchdogs%2Ccdroms%2Cnics', 'vm',
     'id name description cluster.id host.id cpu.topology.sockets memory bios.type display.type memory_policy.ballooning '
     'high_availability.enabled')]


def test_what_forklift_reads(mute, client):
    version = client.get(json=True).json['product_info']['version']
    assert all(isinstance(version[name], str) for name in ('build', 'major', 'minor', 'revision'))
    for where, name, fields in FORKLIFT:
        answer = client.get(where, json=True, headers={'Version': '4'})
        assert answer.status == 200, where
        for item in answer.json.get(name, []):
            for field in fields.split():
                value = item
                for part in field.split('.'):
                    value = value[part]
                assert isinstance(value, str), (where, field)
        assert not fields or answer.json[name]
    codes = ' or '.join(f'type={code}' for code in (950, 952, 954, 1122, 35, 113, 97, 88, 2016, 32, 61, 2042))
    client.put(path(mute), '<vm><comment>x</comment></vm>')
    last = int(client.get('events?max=1', json=True).json['event'][0]['id'])
    for query in (search('events', codes, **{'from': last - 1}),
                  search('events', f'time>11/29/2026 and {codes} sortby time asc page 1', max=10)):
        found = client.get(query, json=True).json['event']
        assert found[0]['code'] == '35' and client.get(found[0]['vm']['href'], json=True).json['name'] == 'web1'


def test_what_ovirt_exporter_reads(mute, client):
    """Each statistic of type integer or decimal has a unit, a kind and a number, or none."""
    for kind in ('vms', 'hosts'):
        item = client.get(kind).xml[0]
        assert client.get(f'clusters/{item.find("cluster").get("id")}').xml.findtext('name') == 'Default'
        assert all(int(item.findtext(f'cpu/topology/{each}')) for each in ('cores', 'sockets', 'threads'))
        names = set()
        for statistic in client.get(f'{item.get("href")}/statistics').xml:
            texts = [statistic.findtext(each) for each in ('name', 'unit', 'kind', 'type', 'description')]
            assert all(texts) and tuple(texts[:2]) not in names
            names.add(tuple(texts[:2]))
            float(statistic.findtext('values/value/datum') or 0)
        assert client.get(f'{item.get("href")}/nics').status == 200
    assert client.get('vms').xml.findtext('vm/status') == 'up'


def test_a_console(off, client):
    """ovirt_vm with graphical_console makes one where there is none of that protocol."""
    assert len(client.get(path(off, '/graphicsconsoles')).xml) == 0
    definition = off.inactive_xml()
    ElementTree.SubElement(definition.find('devices'), 'graphics', type='vnc', port='-1', autoport='yes')
    file = off.host.folder / 'console.xml'
    file.write_text(ElementTree.tostring(definition, 'unicode'))
    off.host.user.give(file)
    off.host.virsh('define', file)
    console, = client.wait(path(off, '/graphicsconsoles'), lambda found: len(found) == 1)
    assert (console.get('id'), console.findtext('protocol')) == (b'VNC'.hex(), 'vnc')
    assert client.get(console.get('href')).xml.find('vm').get('id') == vm_id(off)


def test_users(client, viewer):
    assert {user.findtext('user_name') for user in client.get('users').xml} == {'admin@internal', 'viewer@internal'}
    found, = client.get('users?search=usrname%3Dviewer%40internal').xml
    assert viewer.get(found.get('href')).xml.findtext('name') == 'viewer'
    empty(client.get(f'users/{NO_ONE}'), 404)


# follow.

FOLLOWED = [
    ('vms?follow=cluster', 'vm/cluster/name'), ('vms?follow=cluster.data_center', 'vm/cluster/data_center/status'),
    ('vms?follow=host.statistics', 'vm/host/statistics/statistic/name'), ('vms?follow=numa_nodes', 'vm/vm_numa_nodes'),
    ('vms?follow=cdroms.vm', 'vm/cdroms/cdrom/vm/status'), ('vms?follow=DiskAttachments.disk', 'vm/disk_attachments'),
    ('vms?follow=instance_type,permissions', 'vm/permissions'), ('hosts?follow=cluster', 'host/cluster/version'),
    ('datacenters?follow=clusters.networks', 'data_center/clusters/cluster/networks'),
    ('events?follow=user&max=1', 'event/user/principal'), ('{vm}?follow=template', 'template/version'),
    ('{vm};next_run?follow=cluster', 'cluster/name'), ('?follow=authenticated_user', 'authenticated_user/principal'),
    ('vms?follow=statistics,statistics', 'vm/statistics')]


def test_links_are_followed(mute, client):
    for where, inside in FOLLOWED:
        where = where.replace('{vm}', path(mute))
        answer = client.get(where)
        assert answer.status == 200 and answer.xml.find(inside) is not None, ElementTree.tostring(answer.xml)
        assert len(answer.xml.findall('/'.join(inside.split('/')[:2]))) == 1
        assert client.get(where, json=True).status == 200


NO_LINKS = [
    ('vms?follow=bogus', 'bogus'), ('vms?follow=statistics,bogus', 'bogus'), ('vms?follow=cluster.bogus', 'bogus'),
    ('{vm}?follow=statistics.bogus', 'bogus'), ('{vm};next_run?follow=bogus', 'bogus'), ('hosts?follow=nic', 'nic'),
    ('events?follow=message&max=1', 'message'), ('clusters?follow=vms', 'vms'), ('?follow=bogus', 'bogus'),
    ('vms?follow=a.b.c.d.e.f.g', 'more than'), ('vms?follow=' + ','.join(f'a{i}' for i in range(40)), 'more than')]


# Whatever there is: of a VM that is shut off, or of none at all.
NO_LINKS_OF_A_TYPE = [
    ('vms?follow=host.bogus', 'bogus'), ('{vm}?follow=host.bogus', 'bogus'), ('vms?follow=nics.bogus', 'bogus'),
    ('vms?search=name%3Dnobody&follow=bogus', 'bogus'), ('vms?follow=disk_attachments.disk.bogus', 'bogus'),
    ('vms?follow=quota.bogus', 'bogus'), ('vms?follow=host.cluster.vms', 'vms'), ('disks?follow=bogus', 'bogus'),
    ('jobs?follow=bogus', 'bogus'), ('jobs?follow=steps.bogus', 'bogus'), ('events?from=99999999&follow=type', 'type'),
    ('events?follow=type', 'type'), ('events?follow=vm.type', 'type'), ('{vm}/nics?follow=bogus', 'bogus'),
    ('{vm}/memorydevices?follow=bogus', 'bogus'), ('{vm}/memoryplan?follow=bogus', 'bogus'),
    ('tags?follow=bogus', 'bogus'), ('operatingsystems?follow=bogus', 'bogus'), ('{vm}/statistics?follow=type', 'type'),
    ('vms?follow=statistics.vm.memory', 'memory'), ('?follow=vms', 'vms'), ('vms?follow=.', 'no link'),
    ('vms?follow=cluster.', 'no link'), ('templates?follow=vm', 'vm')]
LINKS_OF_A_TYPE = [
    'vms?follow=host.cluster', 'vms?follow=nics.vnic_profile.network', 'vms?follow=disk_attachments.disk.storage_domain',
    'vms?search=name%3Dnobody&follow=cluster.data_center', 'disks?follow=permissions.role', 'events?follow=vm.host,data_center',
    'vms?follow=snapshots.disks,instance_type.nics', '{vm}/nics?follow=network', 'jobs?follow=owner.permissions',
    '{vm}/statistics?follow=vm', 'vnicprofiles?follow=network,qos', 'hosts?follow=nics.network,numa_nodes.statistics',
    'networks?follow=vnic_profiles,network_labels', 'storagedomains?follow=disks,data_centers', 'vms?follow=numanodes.vm']


@pytest.mark.parametrize('runs', [False, True])
def test_what_is_no_link(request, client, runs):
    vm = request.getfixturevalue('mute' if runs else 'off')
    client.wait('vms', lambda found: len(found) == 1)
    for where, name in NO_LINKS + NO_LINKS_OF_A_TYPE:
        assert name in fault(client.get(where.replace('{vm}', path(vm))), 400, 'Invalid value'), where
    for where in LINKS_OF_A_TYPE:
        answer = client.get(where.replace('{vm}', path(vm)))
        assert answer.status == 200, (where, answer)


def test_a_job_with_its_steps(mute, client):
    client.put(path(mute, '?async=true'), f'<vm><memory>{1280 * MIB}</memory></vm>')
    found = client.wait('jobs?follow=steps,vm', lambda answer: answer.find('job/steps/step') is not None)
    assert found.findtext('job/vm/name') == 'web1'
    assert uuid.UUID(client.get(found.find('job').get('href')).xml.get('id'))
