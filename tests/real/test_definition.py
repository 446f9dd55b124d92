# SPDX-License-Identifier: Apache-2.0
"""What the persistent definition says in other words than the running VM, and what it keeps."""

import re

import pytest

from look import fail, plug, run, show, values
from testbed import dimm_xml


def define(host, vm, old, new):
    """The VM defined anew with that text in place of another."""
    text = host.virsh('dumpxml', '--inactive', vm.name)
    assert old in text
    path = vm.folder / 'edited.xml'
    path.write_text(text.replace(old, new))
    vm.host.user.give(path)
    host.virsh('define', path)


def definition(host, vm):
    return host.virsh('dumpxml', '--inactive', vm.name)


def test_rounding_is_no_next_run(host):
    """libvirt rounds what starts up to whole MiB, DIMMs to 2 MiB, and keeps the definition as it was written."""
    vm = host.define('vm', cells=[512, 512], max_mib=4096, vcpus=2, os=False, devices=dimm_xml(129))
    define(host, vm, "id='0' cpus='0' memory='524288'", "id='0' cpus='0' memory='500001'")
    define(host, vm, '>4194304</maxMemory>', '>4194001</maxMemory>')
    vm.start()
    assert not show(host, 'vm')['next_run_differs']
    assert values(host, 'vm') == (1131, 1131, 1131, 1131)
    run(host, 'plug', 'vm', '128MiB')
    assert values(host, 'vm') == (1259, 1259, 1259, 1259)
    assert not show(host, 'vm')['next_run_differs']
    # Values not given stay as written.
    run(host, 'set', 'vm', '--next-run', '--guaranteed', '700MiB')
    assert '>4194001</maxMemory>' in definition(host, vm)
    assert "memory='524288'" in definition(host, vm)
    run(host, 'set', 'vm', '--next-run', '--memory', '900MiB')
    vm.host.virsh('destroy', 'vm')
    vm.start()
    assert values(host, 'vm') == (900, 700, 900, 700)


def test_rounding_without_numa(host):
    plain = host.define('plain', max_mib=None, os=False)
    host.virsh('setmaxmem', 'plain', '1000000', '--config')
    assert values(host, 'plain') == (None, None, 977, 977)
    plain.start()
    assert values(host, 'plain') == (977, 977, 977, 977)
    assert host.dimmer('list', check=0).stdout.splitlines()[1].split()[-1] == 'same'
    run(host, 'set', 'plain', '--guaranteed', '512MiB')
    assert '>1000000</memory>' in definition(host, plain)


@pytest.mark.parametrize('change', [['plug', 'vm', '128MiB'], ['set', 'vm', '--memory', '812MiB']], ids=['plug', 'set'])
def test_a_rounded_balloon_is_none(host, change):
    """The start rounds <memory> up, and leaves currentMemory: 415 KiB less are no one's intention."""
    vm = host.define('vm', max_mib=None, os=False)
    host.virsh('setmaxmem', 'vm', '700001', '--config')
    host.virsh('setmem', 'vm', '700001', '--config')
    run(host, 'enable', 'vm', '--maximum', '1GiB')
    vm.start()
    run(host, *change)
    assert values(host, 'vm') == (812, 812, 812, 812)
    assert show(host, 'vm')['next_run']['ballooned'] == 0
    assert f'>{812 << 10}</currentMemory>' in definition(host, vm)



MEMFD = "<memoryBacking><source type='memfd'/></memoryBacking>"


def shared_dimm(size_mib, access, slot):
    return dimm_xml(size_mib, slot=slot).replace("model='dimm'", f"model='dimm' access='{access}'")


def accesses(root):
    """What a definition says of the sharing of its DIMMs, in order."""
    return [device.get('access') for device in root.iter('memory') if device.get('model') == 'dimm']


@pytest.fixture
def both(host):
    """Two DIMMs of one size, from the definition, that differ in the sharing of their memory alone."""
    vm = host.define('vm', memory_mib=512, extra=MEMFD,
                     devices=shared_dimm(256, 'shared', 0) + shared_dimm(256, 'private', 1))
    vm.start().wait_ready()
    assert values(host, 'vm') == (1024, 1024, 1024, 1024)
    return vm


def test_the_twin_of_what_went_is_dropped(host, both):
    alias, = plug(host, both, 256, '--policy', 'whole')
    run(host, 'unplug', 'vm', alias)  # which the definition never had
    assert accesses(both.inactive_xml()) == ['shared', 'private']
    run(host, 'unplug', 'vm', 'dimm0')
    assert accesses(both.inactive_xml()) == accesses(both.live_xml()) == ['private']
    assert values(host, 'vm') == (768, 768, 768, 768)


def test_the_twin_of_another_that_went_instead(host, both):
    """Asked for the one, which the guest keeps, the other goes: so does its twin, and that of the first comes back."""
    for block in 34, 35:  # of dimm1: a kernel zone
        both.guest(f'cd /sys/devices/system/memory/memory{block} && echo offline >state && echo online_kernel >state')
    both.pin_memory(150)
    result = run(host, 'set', 'vm', '--memory', '768MiB')
    assert {step['alias']: step['state'] for step in result['steps']} == {'dimm1': 'refused', 'dimm0': 'removed'}
    assert accesses(both.live_xml()) == accesses(both.inactive_xml()) == ['private']
    assert values(host, 'vm') == (768, 768, 768, 768)


def test_the_twin_is_known_after_a_crash(host, both):
    """The dimmer that asked is gone; the record in the VM tells which it was."""
    both.set_deaf(True)
    run(host, 'unplug', 'vm', 'dimm0', '--timeout', '0', status=6)
    both.set_deaf(False)
    both.wait_gone('dimm0')
    run(host, 'settle', 'vm')
    assert accesses(both.inactive_xml()) == accesses(both.live_xml()) == ['private']


def test_in_doubt_nothing_is_dropped(host, both):
    """A third one, in the definition in another slot than live: attached to both in two steps."""
    both.attach(shared_dimm(256, 'shared', 3), '--live')
    both.attach(shared_dimm(256, 'shared', 4), '--config')
    both.wait_plugged('dimm3')
    assert values(host, 'vm') == (1280, 1280, 1280, 1280)
    result = run(host, 'unplug', 'vm', 'dimm3')
    assert any('no memory device is removed from the definition' in note for note in result['notes'])
    assert accesses(both.inactive_xml()) == ['shared', 'private', 'shared']
    assert values(host, 'vm') == (1024, 1024, 1024, 1024)


def test_a_node_gives_back_what_it_took(host):
    vm = host.start_guest('vm', cells=[512, 512, 256], vcpus=3)
    for back in (('unplug', 'vm'), ('set', 'vm', '--memory', '1280MiB')):
        alias, = plug(host, vm, 256, '--node', '2', '--policy', 'whole')
        assert cells(vm) == [512, 512, 512]
        run(host, *back, *([alias] if back[0] == 'unplug' else []))
        assert cells(vm) == [512, 512, 256]
        assert values(host, 'vm') == (1280, 1280, 1280, 1280)


def cells(vm):
    """The boot memory of each node at the next start, in MiB."""
    return [int(cell.get('memory')) >> 10 for cell in vm.inactive_xml().iter('cell') if cell.get('memory')]


HUGE = """<memoryBacking><hugepages>
  <page size='1' unit='GiB' nodeset='0'/><page size='2' unit='MiB' nodeset='1'/>
</hugepages></memoryBacking>"""


def test_huge_pages_of_each_node(host):
    """Of 1 GiB for node 0 and of 2 MiB for node 1."""
    vm = host.define('vm', cells=[1024, 512], vcpus=2, max_mib=16384, extra=HUGE, os=False)
    for memory, expected in ((2048, [1024, 1024]), (1536, [1024, 512]), (8192, [5120, 3072]), (2560, [1024, 1536])):
        run(host, 'set', 'vm', '--memory', f'{memory}MiB')
        assert (values(host, 'vm')[2], cells(vm)) == (memory, expected)
    message = fail(host, 'set', 'vm', '--memory', '1024MiB', status=2, code='size-zero')
    assert 'ask for at least 1026 MiB' in message


def test_a_balloon_in_the_definition(host):
    """Administrators set it on purpose: it is shown, and only a request that names memory writes it."""
    vm = host.define('vm', memory_mib=1024, max_mib=4096, os=False)
    host.virsh('setmem', 'vm', '409600', '--config')
    assert show(host, 'vm')['next_run']['ballooned'] >> 20 == 624
    listed = 'ballooned by 624 MiB'
    assert listed in host.dimmer('list', check=0).stdout and '624 MiB' in host.dimmer('show', 'vm', check=0).stdout
    run(host, 'set', 'vm', '--guaranteed', '300MiB')
    run(host, 'set', 'vm', '--maximum', '3GiB')
    assert '>409600</currentMemory>' in definition(host, vm)
    vm.start()
    told = host.dimmer('plug', 'vm', '256MiB', check=0).stdout
    assert re.search('next run .* ballooned 880 MiB: the guest can use 400 MiB', told), told
    assert '>409600</currentMemory>' in definition(host, vm)
    assert 'same, ballooned by 880 MiB' in host.dimmer('list', check=0).stdout
    result = run(host, 'set', 'vm', '--next-run', '--memory', '1280MiB')
    assert any('inflates by 880 MiB' in note for note in result['notes'])
    assert '>1310720</currentMemory>' in definition(host, vm)
    assert show(host, 'vm')['next_run']['ballooned'] == 0
    assert run(host, 'set', 'vm', '--next-run', '--memory', '1024MiB')['notes'] == []
