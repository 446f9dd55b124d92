# SPDX-License-Identifier: Apache-2.0
"""VMs in other states than running, what they are prepared with, and what must stay."""

from xml.etree import ElementTree

import pytest

from look import fail, mib, plug, run, show, values
from testbed import dimm_xml

VNC = ("<graphics type='vnc' port='-1' passwd='secret'><listen type='none'/></graphics>")
NOTE = "<app:note xmlns:app='urn:example:app' kind='a'>keep <app:b>me</app:b></app:note>"


def without_memory(xml):
    """A definition as text, without what dimmer has to change."""
    for path in ('memory', 'currentMemory', 'maxMemory', 'cpu/numa'):
        for element in xml.findall(path):
            parent = xml.find('cpu') if '/' in path else xml
            parent.remove(element)
    metadata = xml.find('metadata')
    for element in list(metadata):
        if element.tag.startswith('{urn:dimmer:memory:1}'):
            metadata.remove(element)
    for element in xml.iter():
        element.tail = (element.tail or '').strip()
        element.text = (element.text or '').strip()
    return ElementTree.tostring(xml)


def test_shut_off_only_the_configuration_changes(host):
    vm = host.define('vm', os=False)
    run(host, 'set', 'vm', '--memory', '1500MiB', '--guaranteed', '700MiB')
    assert values(host, 'vm') == (None, None, 1500, 700)
    assert show(host, 'vm')['next_run_differs'] is False
    for verb in (('plug', 'vm', '128MiB'), ('unplug', 'vm', 'dimm0')):
        assert 'vm is shut off' in fail(host, *verb, status=3, code='not-running')
    vm.start()
    assert values(host, 'vm') == (1500, 700, 1500, 700)


def test_everything_else_in_the_definition_is_preserved(host):
    vm = host.start_guest('vm', os=False, devices=VNC, metadata=NOTE, cells=[512, 512], vcpus=2,
                          extra="<title>My VM</title><memoryBacking><nosharepages/></memoryBacking>"
                                "<resource><partition>/machine</partition></resource>")
    before = without_memory(vm.inactive_xml())
    assert b'secret' in before and b'urn:example:app' in before
    plug(host, vm, 256)
    run(host, 'set', 'vm', '--memory', '1100MiB', '--guaranteed', '900MiB', '-t', '0', status=6)
    run(host, 'set', 'vm', '--memory', '2GiB', '--maximum', '8GiB', '--next-run')
    assert without_memory(vm.inactive_xml()) == before
    live = vm.live_xml().find('metadata')
    assert live.find('{urn:example:app}note/{urn:example:app}b').text == 'me'
    vm.destroy()
    vm.start()
    assert values(host, 'vm') == (2048, 900, 2048, 900)
    assert mib(show(host, 'vm')['live']['maximum']) == 8192


def test_two_cells(host):
    vm = host.start_guest('vm', cells=[256, 256], vcpus=2)
    plug(host, vm, 256, '--node', '1', '--policy', 'whole')
    plug(host, vm, 256, '--node', '0', '--policy', 'whole')
    found = show(host, 'vm')
    assert [mib(size) for size in found['live']['boot_by_node']] == [256, 256]
    assert [mib(size) for size in found['next_run']['boot_by_node']] == [512, 512]
    assert [device['node'] for device in found['live']['devices']] == [1, 0]
    # What is unplugged from a node comes off the same node of the next run.
    run(host, 'unplug', 'vm', found['live']['devices'][0]['id'])
    assert [mib(size) for size in show(host, 'vm')['next_run']['boot_by_node']] == [512, 256]
    # Taken down as a number, the cells are lowered to one level.
    run(host, 'set', 'vm', '--memory', '400MiB')
    found = show(host, 'vm')
    assert [mib(size) for size in found['next_run']['boot_by_node']] == [200, 200]
    assert mib(found['live']['memory']) == 512
    message = fail(host, 'plug', 'vm', '128MiB', '--node', '2', status=3, code='no-such-node')
    assert 'no NUMA node 2, only nodes 0 to 1' in message


def test_a_transient_vm_has_no_next_run(host):
    vm = host.create('vm', memory_mib=256)
    vm.wait_ready()
    plug(host, vm, 256)
    result = run(host, 'set', 'vm', '--memory', '384MiB', '--guaranteed', '300MiB')
    assert any('transient' in note for note in result['notes'])
    assert values(host, 'vm') == (384, 300, None, None)
    assert host.virsh('list', '--all', '--persistent').split() == []
    for verb in (('set', 'vm', '--memory', '1GiB', '--next-run'), ('set', 'vm', '--maximum', '8GiB'),
                 ('enable', 'vm', '--maximum', '8GiB')):
        assert 'transient' in fail(host, *verb, status=3, code='no-next-run')


def test_a_paused_vm(host):
    vm = host.start_guest('vm', os=False)
    alias, _ = plug(host, vm, 256)
    vm.suspend()
    for verb in (('set', 'vm', '--memory', '1GiB'), ('set', 'vm', '--memory', '2GiB'),
                 ('unplug', 'vm', alias), ('plug', 'vm', '128MiB')):
        assert 'vm is paused' in fail(host, *verb, status=3, code='not-running')
    run(host, 'set', 'vm', '--guaranteed', '700MiB')
    run(host, 'set', 'vm', '--next-run', '--memory', '2GiB')
    assert values(host, 'vm') == (1280, 700, 2048, 700)


def test_a_vm_as_people_have_it_is_enabled(host):
    vm = host.start_guest('vm', memory_mib=512, max_mib=None, vcpus=2)
    for verb in (('plug', 'vm', '128MiB'), ('set', 'vm', '--memory', '1GiB')):
        message = fail(host, *verb, status=3, code='not-enabled')
        assert host.printed('dimmer enable vm --maximum SIZE') in message
    assert host.printed('dimmer enable vm') in fail(host, 'set', 'vm', '--maximum', '2GiB', status=3, code='not-enabled')
    fail(host, 'enable', 'vm', '--maximum', '512MiB', status=3, code='memory-above-maximum')
    run(host, 'enable', 'vm', '--maximum', '2GiB', '--slots', '3', '--dry-run')
    assert vm.inactive_xml().find('maxMemory') is None
    run(host, 'enable', 'vm', '--maximum', '2GiB', '--slots', '3')
    assert show(host, 'vm')['live']['can_hot_plug'] is False
    vm.destroy()
    vm.start().wait_ready()
    plug(host, vm, 256)
    run(host, 'set', 'vm', '--memory', '512MiB')
    assert values(host, 'vm') == (512, 512, 512, 512)


def test_maximum_as_boot_memory_starts_and_comes_back(host):
    vm = host.define('vm', os=False, memory_mib=512, max_mib=1024)
    result = run(host, 'set', 'vm', '--memory', '1GiB')
    assert any('maximum of 1024 MiB as boot memory' in note for note in result['notes'])
    vm.start()
    assert values(host, 'vm')[0] == 1024
    assert mib(show(host, 'vm')['live']['maximum']) == 1024
    message = fail(host, 'plug', 'vm', '128MiB', status=3, code='not-enabled')
    assert 'started with its maximum as boot memory' in message
    fail(host, 'set', 'vm', '--memory', '2GiB', status=3, code='not-enabled')
    run(host, 'set', 'vm', '--memory', '512MiB', status=9)
    assert vm.inactive_xml().find('maxMemory').attrib == {'slots': '16', 'unit': 'KiB'}
    vm.destroy()
    vm.start()
    plug(host, vm, 128)


def test_devices_that_other_tools_configured(host):
    vm = host.start_guest('vm', memory_mib=256)
    vm.attach(dimm_xml(256, alias='ua-both'), '--live', '--config')
    vm.wait_plugged('ua-both')
    assert values(host, 'vm') == (512, 512, 512, 512)
    run(host, 'unplug', 'vm', 'ua-both')
    assert values(host, 'vm') == (256, 256, 256, 256)
    found = show(host, 'vm')
    assert found['next_run']['devices'] == [] and mib(found['next_run']['boot']) == 256


def test_a_next_run_that_cannot_follow_keeps_nothing_open(host):
    vm = host.start_guest('vm', memory_mib=1024)
    alias, _ = plug(host, vm, 256)
    path = vm.folder / 'huge.xml'
    text = host.virsh('dumpxml', '--inactive', 'vm')
    huge = "<memoryBacking><hugepages><page size='1' unit='G'/></hugepages></memoryBacking>"
    path.write_text(text.replace('<vcpu', huge + '<vcpu', 1))
    host.user.give(path)
    host.virsh('define', path)
    result = run(host, 'unplug', 'vm', alias)
    assert any('the next run stays as it is' in note for note in result['notes'])
    assert values(host, 'vm')[::2] == (1152, 1280)
    assert show(host, 'vm')['request'] is None
    run(host, 'set', 'vm', '--guaranteed', '1GiB')


@pytest.mark.parametrize('wish, expected', [
    # memory and guaranteed requested for a VM of 1024 + 128 + 128 MiB whose guest never answers:
    # what is live and what the next run has then. Lowering is overdue, so live stays.
    (('--memory', '1152MiB'), (1280, 1280, 1152, 1152)),
    (('--memory', '1200MiB'), (1280, 1280, 1200, 1200)),
    (('--memory', '1408MiB'), (1408, 1408, 1408, 1408)),
    (('--memory', '1280MiB'), (1280, 1280, 1280, 1280)),
    (('--guaranteed', '700MiB'), (1280, 700, 1280, 700)),
    (('--memory', '1152MiB', '--guaranteed', '700MiB'), (1280, 700, 1152, 700)),
    (('--memory', '1408MiB', '--guaranteed', '1300MiB'), (1408, 1300, 1408, 1300)),
    (('--memory', str((1153 << 20) - 1)), (1280, 1280, 1152, 1152)),
    (('--maximum', '8GiB'), (1280, 1280, 1280, 1280)),
    (('--next-run', '--memory', '3GiB'), (1280, 1280, 3072, 3072)),
    (('--next-run', '--guaranteed', '1GiB'), (1280, 1280, 1280, 1024)),
    (('--next-run', '--memory', '100MiB', '--guaranteed', '50MiB'), (1280, 1280, 100, 50)),
])
def test_next_run_rules(two_dimms, host, wish, expected):
    host.dimmer('set', 'vm', *wish, '-t', '0')
    assert values(host, 'vm') == expected
    differs = expected[:2] != expected[2:] or '--maximum' in wish
    assert show(host, 'vm')['next_run_differs'] == differs


@pytest.fixture
def two_dimms(host):
    vm = host.start_guest('vm', os=False)
    plug(host, vm, 256)
    return vm


def test_the_newest_request_wins(two_dimms, host):
    run(host, 'set', 'vm', '--next-run', '--memory', '2GiB', '--guaranteed', '1100MiB')
    run(host, 'set', 'vm', '--memory', '1408MiB')
    assert values(host, 'vm') == (1408, 1408, 1408, 1100)
    run(host, 'set', 'vm', '--memory', '1280MiB', '--guaranteed', '1GiB', '-t', '0', status=6)
    assert values(host, 'vm') == (1408, 1024, 1280, 1024)


def test_saved_with_a_request_open(host):
    """It comes back with the memory; until then there is nothing to settle."""
    vm = host.start_guest('vm', os=False)
    alias, = plug(host, vm, 256, '--policy', 'whole')
    run(host, 'unplug', 'vm', alias, '--timeout', '0', status=6)
    host.virsh('managedsave', 'vm')
    assert show(host, 'vm')['saved'] and 'shut off, saved, request open' in host.dimmer('list', check=0).stdout
    assert any('saved with a request open; start it' in note for note in run(host, 'settle', 'vm')['notes'])
    vm.close()
    vm.start()
    assert not show(host, 'vm')['saved'] and show(host, 'vm')['request'] is not None
