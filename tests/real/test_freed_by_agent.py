# SPDX-License-Identifier: Apache-2.0
"""dimmer with dimmer-guest in the VM: it knows before it asks, and what it asks for is free already.

What goes wrong on the way is in test_freeing.py and test_lying.py.
"""

import json
import re

import pytest

from look import MIB, fail, plug, read_until, run, show, steps, values
from testbed import dimm_xml, inside, virtio_mem_xml
from testbed.inside import KERNEL, MOVABLE, OFFLINE


@pytest.fixture
def vm(host):
    """256 MiB, and 256 MiB in one device."""
    vm = host.start_guest('vm', memory_mib=256, max_mib=4096, agent=True,
                          files=inside.holder())
    vm.alias, = plug(host, vm, 256, '--policy', 'whole')
    inside.wait_whole(vm, 256)
    return vm


def verdicts(host, vm, *checks):
    report = json.loads(host.dimmer('doctor', vm.name, '-o', 'json').stdout)
    return {finding['verdict'] for finding in report['findings'] if finding['check'] in checks}, report


@pytest.mark.parametrize(('kind', 'kernel', 'qga'), [
    ('host', '6.1', False), ('host', '6.1', True), ('host', '5.10', False), ('host', '6.12', False),
    ('embed', '6.1', False)])
def test_worked_example(request, kind, kernel, qga):
    host = request.getfixturevalue(kind)
    vm = host.start_guest('web1', memory_mib=1024, max_mib=4096, agent=True, qga=qga, kernel=kernel,
                          auto_online='offline')
    vm.set_auto_online('offline')  # the agent has set the kernel to do it itself
    for _ in range(3):
        plug(host, vm, 256, '--policy', 'ovirt')
    inside.wait_whole(vm, 768)
    found, report = verdicts(host, vm, 'ports', 'guest-os', 'movable', 'onlining', 'spare')
    assert found == {'good'}, report
    assert report['guest']['agent'].startswith('dimmer-guest ')
    assert report['guest']['qemu_agent'] == qga
    result = run(host, 'set', 'web1', '--memory', str(1400 * MIB), '--guaranteed', str(900 * MIB))
    assert result['outcome'] == 'done' and result['notes'] == ['no set of devices gives exactly 1400 MiB: '
                                                               'web1 runs on with 1408 MiB']
    assert sorted(steps(result)) == [('unplug', 128, 'removed'), ('unplug', 256, 'removed')]
    assert values(host, 'web1') == (1408, 900, 1400, 900)
    assert vm.guest_memory_mib() == 1408
    assert set(inside.blocks(vm)) == {MOVABLE} and len(inside.blocks(vm)) == 3
    assert show(host, 'web1')['request'] is None


def test_what_is_asked_for_is_free_already(host, vm):
    """The guest does not get the request, and has still freed the device."""
    vm.set_deaf(True)
    process = host.dimmer_start('unplug', 'vm', vm.alias)
    read_until(process, 'asked to go')
    assert inside.blocks(vm) == [OFFLINE, OFFLINE]
    vm.set_deaf(False)
    output, errors = process.communicate(timeout=30)
    assert process.returncode == 0, output + errors
    assert inside.blocks(vm) == [] and vm.memory_devices() == {}


def test_the_balloon_takes_what_a_refused_device_keeps(host, vm):
    """Which has its memory back by then, or the guest could spare less."""
    vm.set_refusing(True)
    result = run(host, 'set', 'vm', '--memory', '240MiB', '--balloon', '--live')
    assert steps(result) == [('unplug', 256, 'refused')]
    assert (result['outcome'], result['balloon_step']['reached']) == ('done', 240 * MIB)
    assert inside.blocks(vm) == [MOVABLE, MOVABLE]


def test_kernel_memory_is_left_out_or_reported_without_asking(host, vm):
    vm.set_auto_online('online_kernel')
    kernel, = plug(host, vm, 256, '--policy', 'whole')
    inside.wait_for_blocks(vm, MOVABLE, MOVABLE, KERNEL, KERNEL)
    vm.pin_memory(150)
    before = inside.times_asked(vm)
    assert 'in a kernel zone' in fail(host, 'unplug', 'vm', kernel, status=3, code='not-movable')
    result = run(host, 'unplug', 'vm', kernel, '--try-unmovable', status=5)
    step, = result['steps']
    assert step['state'] == 'refused' and step['seconds'] is None
    assert 'the guest cannot free the memory block at 0x1' in step['reason']
    assert 'stays online: the kernel keeps something in it' in step['reason']
    assert inside.times_asked(vm) == before
    assert [state.split()[0] for state in inside.blocks(vm)] == ['online'] * 4
    done = host.dimmer('unplug', 'vm', kernel, '--try-unmovable', check=5)
    assert 'stays: the guest cannot free' in done.stdout and 'a guest refuses where' not in done.stdout
    result = run(host, 'set', 'vm', '--memory', '256MiB')
    assert [step['alias'] for step in result['steps']] == [vm.alias]
    assert any('left out' in note and 'kernel zone' in note for note in result['notes']), result
    assert inside.times_asked(vm) == before + 1
    assert show(host, 'vm')['request'] is None


def refused(host, vm, *wish):
    """Which devices doctor says were refused, and the notes of a dry run that say so."""
    _, report = verdicts(host, vm)
    notes = run(host, *wish, '--dry-run')['notes']
    return ([finding['device'] for finding in report['findings'] if finding['check'] == 'refused'],
            [note for note in notes if 'refused to release' in note])


def test_a_refusal_is_remembered_until_the_guest_changes(host, vm):
    """Though the attempt itself leaves the device in other zones; and what is stuck is not freed ahead of the others."""
    vm.set_auto_online('online_kernel')
    kernel, = plug(host, vm, 256, '--policy', 'whole')
    inside.wait_for_blocks(vm, MOVABLE, MOVABLE, KERNEL, KERNEL)
    vm.set_auto_online('online_movable')
    last, = plug(host, vm, 128)
    vm.pin_memory(60)
    wish = 'set', 'vm', '--memory', '256MiB', '--try-unmovable', '--force'
    assert refused(host, vm, *wish) == ([], [])
    assert run(host, 'unplug', 'vm', kernel, '--try-unmovable', status=5)['outcome'] == 'refused'
    assert inside.blocks(vm)[2:4] != [KERNEL, KERNEL], 'the attempt was to change the zones'
    devices, notes = refused(host, vm, *wish)
    assert devices == [kernel] and len(notes) == 1, notes
    assert [step['alias'] for step in run(host, *wish, '--dry-run')['steps']] == [last, vm.alias, kernel]
    vm.reset()
    vm.wait_port('org.dimmer.guest.0', 'connected')
    assert refused(host, vm, *wish) == ([], [])


def test_the_guest_keeps_what_it_needs(host, vm):
    """The rule refuses before anything is asked; forced, the guest itself says no, and is well."""
    inside.fill(vm, 350)
    before, asked = values(host, 'vm'), inside.times_asked(vm)
    for wish in (['set', 'vm', '--memory', '256MiB'], ['unplug', 'vm', vm.alias]):
        message = fail(host, *wish, status=3, code='guest-needs-memory')
        assert 'dimmer-guest: ' in message and 'force it' in message
    result = run(host, 'unplug', 'vm', vm.alias, '--force', '--timeout', '2s', status=5)
    step, = result['steps']
    assert 'the guest did not free it within 2 s' in step['reason'] or 'no memory left' in step['reason']
    assert any('forced beyond that' in note for note in result['notes'])
    assert (values(host, 'vm'), inside.times_asked(vm)) == (before, asked)
    assert inside.blocks(vm) == [MOVABLE, MOVABLE]
    # On OOM, only the process that took the memory away was killed.
    killed = [line for line in vm.console().splitlines() if 'Killed process' in line]
    assert all('(dimmer-guest)' in line and 'oom_score_adj:1000' in line for line in killed), killed
    inside.empty(vm)
    run(host, 'unplug', 'vm', vm.alias)


def test_asking_again_keeps_to_the_rule(host, vm):
    """What the guest was asked for can still go, and is accounted for then; but it is not asked a second time."""
    vm.set_deaf(True)
    run(host, 'unplug', 'vm', vm.alias, '--timeout', '1s', status=6)
    inside.wait_whole(vm, 256)
    inside.fill(vm, 350)
    for args, status in (['--dry-run'], 0), (['--timeout', '5s'], 6):
        result = run(host, 'settle', 'vm', *args, status=status)
        note, = [note for note in result['notes'] if 'not asked again' in note]
        assert 'vm can spare' in note and 'force it' in note
        assert steps(result) == ([] if status == 0 else [('unplug', 256, 'overdue')])
    assert inside.blocks(vm) == [MOVABLE, MOVABLE]
    result = run(host, 'settle', 'vm', '--force', '--dry-run')
    assert steps(result) == [('unplug', 256, 'planned')] and any('forced beyond' in note for note in result['notes'])
    inside.empty(vm)
    vm.set_deaf(False)
    run(host, 'settle', 'vm')
    assert vm.memory_devices() == {} and show(host, 'vm')['request'] is None


@pytest.mark.parametrize('how', ['touch', 'lock', 'pin'])
def test_programs_lose_nothing(host, vm, how):
    """Used and locked memory moves, and what io_uring pins has moved when it was pinned."""
    plug(host, vm, 512, '--policy', 'whole')
    inside.wait_whole(vm, 768)
    inside.hold(vm, 60 if how == 'pin' else 400, how)
    run(host, 'set', 'vm', '--memory', '768MiB' if how != 'pin' else '512MiB')
    assert inside.holds(vm) and set(inside.blocks(vm)) <= {MOVABLE}


@pytest.mark.parametrize('teller', ['agent', 'qga'])
def test_a_plug_takes_no_more_than_the_guest_can_spare(host, teller):
    """Linux makes page descriptors for all of it at once, of memory that is the kernel's own."""
    vm = host.start_guest('vm', memory_mib=512, max_mib=96 << 10, **{teller: True})
    before = host.virsh('dumpxml', 'vm'), host.virsh('dumpxml', '--inactive', 'vm')
    for request in (('plug', 'vm', '64GiB', '--policy', 'whole'), ('plug', 'vm', '64GiB', '--dry-run'),
                    ('set', 'vm', '-m', str(66048 * MIB)), ('plug', 'vm', '64GiB', '--kind', 'virtio-mem')):
        message = fail(host, *request, status=3, code='guest-needs-memory')
        assert 'takes 1024 MiB' in message and 'page descriptors' in message
    assert before == (host.virsh('dumpxml', 'vm'), host.virsh('dumpxml', '--inactive', 'vm'))
    planned = run(host, 'plug', 'vm', '64GiB', '--dry-run', '--force')
    assert any('forced beyond' in note for note in planned['notes'])

    # In steps it goes; what the kernel has left for itself counts, however much is free in movable memory.
    most = int(re.search(r'at most (\d+) MiB', message)[1])
    assert 8 << 10 < most < 24 << 10
    result = run(host, 'plug', 'vm', f'{most}MiB', '--policy', 'whole')
    assert result['outcome'] == 'done' and any('more than 12:1' in note for note in result['notes'])
    alias = result['steps'][0]['alias']
    vm.wait_plugged(alias)
    assert vm.guest_memory_mib() == 512 + most
    _, report = verdicts(host, vm, 'kernel-memory')
    kernel, = [found for found in report['findings'] if found['check'] == 'kernel-memory']
    assert kernel['verdict'] == 'warning' and 'more than 12:1' in kernel['evidence']
    fail(host, 'plug', 'vm', '32GiB', '--policy', 'whole', status=3, code='guest-needs-memory')


@pytest.mark.parametrize('teller', ['agent', 'qga', None])
def test_a_dimm_behind_an_odd_device_begins_with_a_block(host, teller):
    """libvirt before 9.4 does not tell where a virtio-mem device lies; and a guest may tell nothing."""
    vm = host.start_guest('vm', memory_mib=512, max_mib=8192, pci_ports=2, **({teller: True} if teller else {}))
    vm.attach(virtio_mem_xml(130, 0, alias='ua-odd'))
    # What another tool plugs there the guest does not take; so it takes nothing to let it go.
    vm.attach(dimm_xml(512, alias='ua-lost'))
    if teller:
        lost, = [finding for finding in run(host, 'doctor', 'vm', status=3)['findings']
                 if finding['device'] == 'ua-lost' and finding['check'] == 'block-size']
        assert lost['verdict'] == 'bad' and 'plug a multiple of 128 MiB beside it' in lost['remedy']
    for size in (256, 640):
        for alias in plug(host, vm, size):
            assert int(vm.live_xml().find(f"devices/memory/alias[@name='{alias}']/../address").get('base'), 16) % \
                (128 * MIB) == 0
    inside.wait_for_blocks(vm, *[MOVABLE] * 7)
    inside.fill(vm, 900)
    result = run(host, 'unplug', 'vm', 'ua-lost')
    assert steps(result) == [('unplug', 512, 'removed')]
    assert set(result['note_codes']) <= {'address-not-kept'}, 'of libvirt before 9.4 alone'
    assert values(host, 'vm')[0] == 512 + 256 + 640


@pytest.mark.parametrize('teller', ['agent', 'qga'])
def test_a_plug_tells_what_the_guest_makes_of_it(host, teller):
    vm = host.start_guest('vm', memory_mib=512, max_mib=4096, pci_ports=2, auto_online='offline', **{teller: True})
    if teller == 'agent':
        inside.end_agent(vm)
        vm.guest('setsid dimmer-guest --no-online >>/run/dimmer-guest.log 2>&1 &')
        vm.wait_port('org.dimmer.guest.0', 'connected')
    made = {}
    for policy in ('offline', 'online_kernel', 'online_movable'):
        vm.set_auto_online(policy)
        planned = run(host, 'plug', 'vm', '128MiB', '--dry-run')['notes']
        result = run(host, 'plug', 'vm', '128MiB')
        assert result['outcome'] == 'done' and result['notes'][:len(planned)] == planned
        made[policy] = ' '.join(planned), ' '.join(result['notes'][len(planned):])
    assert 'offline' in made['offline'][0] and 'does not use 128 MiB of dimm' in made['offline'][1]
    assert 'for itself' in made['online_kernel'][0] and 'kernel uses 128 MiB of dimm' in made['online_kernel'][1]
    assert made['online_movable'] == ('', '')
