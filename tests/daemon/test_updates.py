# SPDX-License-Identifier: Apache-2.0
"""What a PUT of a VM may name besides memory: its comment and description, what equals, and all the rest.

Ansible's ovirt_vm sends whatever a playbook names (build_entity() in plugins/modules/ovirt_vm.py), Python's SDK a whole
VM that was read before (lib/ovirtsdk4/writers.py, VmWriter).
"""

import copy
from xml.etree import ElementTree

from rest import BAD_SYNTAX, MIB, change, event, events, fault, jobs, memory, path, rule, vm_id, wait_runs

# As a playbook of every day sends it; none of it as a VM of these tests has it.
PLAYBOOK = '''<bios><boot_menu><enabled>true</enabled></boot_menu></bios><cpu><mode>host_passthrough</mode>
<topology><cores>4</cores><sockets>1</sockets></topology></cpu><cpu_shares>512</cpu_shares>
<custom_properties><custom_property><name>a</name><value>b</value></custom_property></custom_properties>
<delete_protected>true</delete_protected><high_availability><enabled>true</enabled></high_availability>
<io><threads>1</threads></io><os><boot><devices><device>hd</device><device>network</device></devices></boot>
<type>rhel_8x64</type></os><placement_policy><affinity>pinned</affinity></placement_policy>
<time_zone><name>Etc/GMT</name></time_zone><type>desktop</type><template id="11111111-1111-4111-8111-111111111111"/>
<cluster><name>Other</name></cluster>'''
NAMED = ['bios.boot_menu.enabled', 'cpu.mode', 'cpu.topology.cores', 'cpu_shares', 'custom_properties',
         'delete_protected', 'high_availability.enabled', 'io', 'os.boot.devices.device', 'os.type', 'placement_policy',
         'time_zone', 'type', 'cluster', 'template']
# What a VM of these tests has, in other spellings, and what says nothing.
EQUAL = '''<bios><boot_menu><enabled>FALSE</enabled></boot_menu></bios><cpu><architecture>x86_64</architecture>
<topology><cores>01</cores></topology></cpu><delete_protected>0</delete_protected><placement_policy/>
<os><boot><devices><device>hd</device></devices></boot></os><status>down</status><start_paused>false</start_paused>
<cluster><name>Default</name></cluster><template id="00000000-0000-0000-0000-000000000000"/>
<host><name>elsewhere</name></host><display><type> vnc </type></display>'''


MEMORY = f'<memory>{512 * MIB}</memory>'


def words(vm):
    """(title, description) of the running VM, and of its definition."""
    return [(found.findtext('title'), found.findtext('description'))
            for found in ((vm.live_xml(),) if vm.state() == 'running' else ()) + (vm.inactive_xml(),)]


def put(client, vm, body, query=''):
    answer = client.put(path(vm, query), body)
    assert answer.status == 200, answer
    return answer.json if isinstance(body, dict) else answer.xml


def test_comment_and_description(off, client):
    """Shut off, then running; what a PUT leaves out stays."""
    found = put(client, off, '<vm><comment>Größe &lt;1></comment><description>front\nend</description></vm>')
    assert (found.findtext('comment'), found.findtext('description')) == ('Größe <1>', 'front\nend')
    assert words(off) == [('Größe <1>', 'front\nend')]
    off.start()
    wait_runs(client, off)
    found = put(client, off, {'comment': '"two"', 'description': ''})
    assert (found['comment'], found['description']) == ('"two"', '')
    assert words(off) == 2 * [('"two"', None)]
    found = put(client, off, '<vm><description>\tback  end\n</description></vm>', '?next_run=true')
    assert words(off) == 2 * [('"two"', '\tback  end\n')]
    assert found.findtext('description') == '\tback  end\n'
    put(client, off, '<vm><comment/><description></description></vm>')
    assert words(off) == 2 * [(None, None)]
    assert 'updated by admin@internal' in events(client, 35)[0].findtext('description')
    assert events(client, 20009) == []
    assert len(jobs(client, off)) == 4
    put(client, off, '<vm><comment></comment></vm>')
    assert len(jobs(client, off)) == 4


def test_words_that_cannot_be(off, client):
    before = client.get(path(off)).body
    for body, word in (('<vm><comment>a\nb</comment></vm>', 'line break'), ({'comment': 'a\nb'}, 'line break'),
                       ({'description': 'a\u0007b'}, '0x07'), ({'description': 'a\rb'}, '0x0d'),
                       ({'description': 'x' * 4001}, '4000'), ({'comment': 'x' * 4001}, '4000')):
        assert word in fault(client.put(path(off), body), 400, 'Invalid value')
    for body in ('<vm><comment>a</comment><comment>b</comment></vm>', '<vm><description><b/></description></vm>',
                 '<vm><cluster>Other</cluster></vm>', {'template': 'Other'}, f'<vm><bios/>{MEMORY}<bios/></vm>'):
        assert client.put(path(off), body).status == 400
    # A rule forbids the memory: then nothing is changed.
    assert client.put(path(off), change(512, 1024, rest='<comment>no</comment>')).status == 400
    assert client.get(path(off)).body == before and words(off) == [(None, None)]


def test_words_and_memory_at_once(mute, client):
    found = put(client, mute, change(1280, rest='<comment>more</comment>'))
    assert memory(found)[0] == 1280 and found.findtext('comment') == 'more'
    assert words(mute) == 2 * [('more', None)]
    assert sorted(mute.memory_devices().values()) == [128, 128]


def test_what_was_read_is_sent_back(mute, client):
    """Of a running VM, whole, with what follow brings; in both formats. Nothing is changed, nothing is said."""
    client.put(path(mute), '<vm><comment>c</comment><description>d</description></vm>')
    before = client.get(path(mute)).body
    count = len(events(client))
    for query in ('', '?follow=cluster,host,template,statistics,nics,cdroms,numa_nodes,memory_devices'):
        whole = client.get(path(mute, query))
        assert client.put(path(mute), whole.text).status == 200
        assert client.put(path(mute), client.get(path(mute, query), json=True).json).status == 200
    assert client.get(path(mute)).body == before
    assert events(client, 20009) == [] and len(events(client)) >= count


# Python's and Go's SDK write each link of a VM as an element without content, by these names where they differ.
SDK_NAMES = {'affinitylabels': 'affinity_labels', 'diskattachments': 'disk_attachments', 'numanodes': 'host_numa_nodes',
             'graphicsconsoles': 'graphics_consoles', 'hostdevices': 'host_devices', 'reporteddevices': 'reported_devices'}


def as_sdks_write(vm, **followed):
    """What VmWriter makes of a VM that was read; followed: {rel: what the link leads to}."""
    for link in vm.findall('link'):
        vm.remove(link)
        rel = link.get('rel')
        item = ElementTree.SubElement(vm, SDK_NAMES.get(rel, rel), href=link.get('href'))
        item.extend(followed.get(rel, ()))
    for item in (vm.find('actions'), vm.find('status')):
        vm.remove(item)
    return ElementTree.tostring(vm, encoding='unicode')


def test_what_an_sdk_read_is_sent_back(mute, client):
    """Nothing is changed by it, nothing is said of it; and a memory in it counts."""
    vm = client.get(path(mute)).xml
    before = client.get(path(mute)).body
    followed = {rel: client.get(path(mute, f'/{rel}')).xml for rel in ('numanodes', 'snapshots', 'cdroms', 'statistics')}
    assert all(len(found) > 0 for found in followed.values())
    for more in ({}, followed):
        answer = client.put(path(mute), as_sdks_write(copy.deepcopy(vm), **more))
        assert (answer.status, answer.body) == (200, before), answer
    vm.find('memory').text = str(1280 * MIB)
    answer = client.put(path(mute), as_sdks_write(vm))
    assert memory(answer.xml)[0] == 1280 and answer.xml.find('notes') is None
    assert events(client, 20009) == []


def test_what_equals_is_ignored(off, client):
    before = client.get(path(off)).body
    for body in (EQUAL, EQUAL.replace('<host>', '<host id="x">')):
        assert client.put(path(off), f'<vm>{body}</vm>').body == before
    assert jobs(client, off) == [] and events(client, 35) == []


def test_what_is_left_out_stops_no_memory_change(mute, client):
    found = put(client, mute, change(1280, rest=PLAYBOOK))
    assert memory(found)[0] == 1280
    note = found.findtext('notes/note')
    reported = event(client, 20009).findtext('description')
    job, = jobs(client, mute)
    for text in (note, reported, job.findtext('notes/note')):
        assert [name for name in NAMED if name not in text] == [], text
    assert event(client, 20009).find('vm').get('id') == vm_id(mute)
    assert event(client, 20009).findtext('severity') == 'warning' and 'admin@internal' in reported
    assert event(client, 35)
    # The same again changes nothing: then it requests only what was left out.
    detail = rule(client.put(path(mute), change(1280, rest=PLAYBOOK)), 409)
    assert 'os.type' in detail and 'web1' in detail
    assert len(jobs(client, mute)) == 1 and len(events(client, 20009)) == 1


def test_nothing_but_what_is_left_out(off, client):
    before = client.get(path(off)).body
    for body, name in (('<vm><os><type>windows_10</type></os></vm>', 'os.type'), ({'cpu': {'mode': 'x'}}, 'cpu.mode'),
                       ('<vm><memory_policy><ballooning>false</ballooning></memory_policy></vm>', 'ballooning'),
                       ('<vm><cluster><name>Other</name></cluster></vm>', 'cluster'),
                       ('<vm><template id="11111111-1111-4111-8111-111111111111"/></vm>', 'template'),
                       ('<vm><serial_number><policy>custom</policy></serial_number></vm>', 'serial_number'),
                       ('<vm><os><boot><devices><device>cdrom</device></devices></boot></os></vm>', 'os.boot.devices'),
                       ('<vm><comment></comment><nonsense>1</nonsense></vm>', 'nonsense'),
                       (change(1024, 1024, rest='<type>desktop</type>'), 'type'),
                       ('<vm><balloon_use>allow</balloon_use></vm>', 'balloon_use'),
                       ({'a' * 5000: 1, 'b\n': 2}, 'aaa')):
        for query in ('', '?async=true', '?next_run=true'):
            detail = rule(client.put(path(off, query), body), 409)
            assert name in detail and '\n' not in detail and len(detail) < 1000, detail
    assert client.get(path(off)).body == before
    assert jobs(client, off) == [] and events(client, 35) == [] and events(client, 20009) == []


def test_another_vm_is_another(off, client):
    """Whatever else is in it."""
    before = client.get(path(off)).body
    for inside in ('<name>web2</name>', '<id>11111111-1111-4111-8111-111111111111</id>'):
        fault(client.put(path(off), change(512, 512, rest=f'<comment>x</comment>{inside}')), 409,
              'Broken immutability constraint')
    for body in (f'<vm><name>web1</name><name>web2</name>{MEMORY}</vm>',
                 {'name': ['web1', 'web2'], 'memory': 512 * MIB},
                 f'<vm id="{vm_id(off)}"><id>11111111-1111-4111-8111-111111111111</id>{MEMORY}</vm>',
                 f'<vm><name><first>web2</first></name>{MEMORY}</vm>', {'id': {'id': 'x'}, 'memory': 512 * MIB}):
        assert fault(client.put(path(off), body), 400, BAD_SYNTAX)
    assert client.get(path(off)).body == before
