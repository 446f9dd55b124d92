# SPDX-License-Identifier: Apache-2.0
"""virtio-mem devices: grown, shrunk, partly shrunk, and beside DIMMs."""

import pytest

from look import fail, mib, plug, run, show, steps, values
from testbed import inside, virtio_mem_xml


@pytest.fixture
def vm(host):
    return host.start_guest('vm', memory_mib=256, max_mib=2048, pci_ports=2)


def plug_virtio(host, vm, size, most):
    alias, = plug(host, vm, size, '--kind', 'virtio-mem', '--max-size', f'{most}MiB')
    vm.wait_size(alias, size)
    return alias


def device(host):
    found, = [device for device in show(host, 'vm')['live']['devices']
              if device['kind'] == 'virtio-mem']
    return found


def test_plugged_grown_and_shrunk(host, vm):
    plug_virtio(host, vm, 256, 512)
    assert values(host, 'vm') == (512, 512, 512, 512)
    found = device(host)
    assert (mib(found['size']), mib(found['memory']), mib(found['block'])) == (512, 256, 2)
    assert found['bus_address'] and found['slot'] is None
    for memory in (300, 766, 258, 256):
        result = run(host, 'set', 'vm', '--memory', f'{memory}MiB')
        assert [step['op'] for step in result['steps']] == ['resize']
        assert values(host, 'vm') == (memory,) * 4
        assert vm.guest_memory_mib() >= memory  # the guest counts whole memory blocks
    assert vm.memory_devices() != {}


def test_unplugged_it_is_shrunk_to_nothing(host, vm):
    alias = plug_virtio(host, vm, 256, 512)
    result = run(host, 'unplug', 'vm', alias)
    assert steps(result) == [('resize', 512, 'resized')]
    assert any('keeps the empty device' in note for note in result['notes'])
    assert values(host, 'vm') == (256, 256, 256, 256)
    version = vm.qmp('query-version')['qemu']
    if (version['major'], version['minor']) >= (8, 2):  # which lets the empty device go
        vm.wait_gone(alias)
        assert show(host, 'vm')['live']['devices'] == []
        return
    assert mib(device(host)['current']) == 0
    result = run(host, 'unplug', 'vm', alias)
    assert result['steps'] == [] and any('empty already' in note for note in result['notes'])


def test_one_set_served_by_both_kinds(host, vm):
    plug(host, vm, 384, '--policy', 'ovirt')
    plug_virtio(host, vm, 128, 512)
    result = run(host, 'set', 'vm', '--memory', '450MiB')
    assert sorted(steps(result)) == [('resize', 512, 'resized'), ('unplug', 256, 'removed')]
    assert values(host, 'vm') == (450, 450, 450, 450)
    # Upwards as well: 62 MiB of 190 by virtio-mem make the rest a multiple of 128.
    result = run(host, 'set', 'vm', '--memory', '1218MiB')
    assert sorted(op for op, _, _ in steps(result)) == ['plug', 'resize']
    assert values(host, 'vm') == (1218, 1218, 1218, 1218)


def test_a_partial_success_is_reported_as_it_is(host):
    vm = host.start_guest('vm', memory_mib=256, auto_online='online_kernel',
                          devices=virtio_mem_xml(512, 256, alias='ua-v'))
    vm.wait_size('ua-v', 256)
    vm.pin_memory(64)
    result = run(host, 'set', 'vm', '--memory', '256MiB', '--timeout', '4s', status=4)
    step, = result['steps']
    assert result['outcome'] == 'partly' and step['state'] == 'overdue'
    left = mib(step['reached'])
    assert 64 <= left < 256
    live, guaranteed, next_run, _ = values(host, 'vm')
    assert live == guaranteed == 256 + left and next_run == 256
    assert f'has {left} MiB, asked for 0 MiB' in host.dimmer('show', 'vm').stdout
    # To what the guest holds anyway: nothing is out any more.
    run(host, 'set', 'vm', '--memory', f'{live}MiB')
    assert values(host, 'vm') == (live,) * 4
    assert mib(device(host)['requested']) == left
    assert show(host, 'vm')['request'] is None


def test_growing_that_the_guest_does_not_take_is_overdue(host):
    host.start_guest('vm', os=False, devices=virtio_mem_xml(512, 0, alias='ua-v'))
    result = run(host, 'set', 'vm', '--memory', '1200MiB', '-t', '500ms', status=6)
    assert steps(result) == [('resize', 512, 'overdue')]
    assert mib(result['steps'][0]['reached']) == 0
    assert values(host, 'vm') == (1024, 1024, 1200, 1200)


def test_growth_beyond_the_device_needs_whole_dimms(host, vm):
    plug_virtio(host, vm, 128, 128)
    message = fail(host, 'set', 'vm', '--memory', '400MiB', status=3, code='not-a-multiple')
    assert 'steps of 128 MiB' in message


def test_what_the_guest_does_not_take_is_no_memory(host):
    """A guest whose driver is missing, until it is loaded."""
    vm = host.start_guest('vm', memory_mib=512, max_mib=4096, pci_ports=2,
                          files=inside.without_module('virtio_mem'))
    result = run(host, 'plug', 'vm', '256MiB', '--kind', 'virtio-mem', '-t', '500ms', status=6)
    step, = result['steps']
    assert (result['outcome'], step['state'], step['reached']) == ('overdue', 'overdue', 0)
    assert mib(result['planned']['memory']) == 768 and mib(result['after']['memory']) == 512
    assert values(host, 'vm') == (512,) * 4
    found = device(host)
    assert (found['memory'], mib(found['requested']), found['state']) == (0, 256, 'overdue')
    assert 'has 0 MiB, asked for 256 MiB' in host.dimmer('show', 'vm').stdout
    taken, = [finding for finding in run(host, 'doctor', 'vm')['findings'] if finding['check'] == 'taken']
    assert taken['verdict'] == 'warning' and 'holds 0 MiB of the 256 MiB' in taken['evidence']

    # A DIMM beside it counts, and the next run follows as far as memory came.
    plug(host, vm, 128)
    assert values(host, 'vm') == (640,) * 4
    assert show(host, 'vm')['request']['steps'][0]['op'] == 'plug'

    # The guest answers late: all of it, and the next run follows.
    inside.load_module(vm, 'virtio_mem')
    vm.wait_size(step['alias'], 256)
    assert values(host, 'vm')[0] == 896
    result = run(host, 'settle', 'vm')
    assert any('has been added' in note for note in result['notes'])
    assert values(host, 'vm') == (896,) * 4 and show(host, 'vm')['request'] is None


@pytest.mark.parametrize('away', ['set', 'unplug'])
def test_what_the_guest_did_not_take_is_called_back(host, away):
    host.start_guest('vm', memory_mib=512, max_mib=4096, os=False, devices=virtio_mem_xml(512, 256, alias='ua-v'))
    assert values(host, 'vm')[0] == 512
    result = run(host, *(('set', 'vm', '-m', '512MiB') if away == 'set' else ('unplug', 'vm', 'ua-v')))
    assert steps(result) == [('resize', 512, 'resized')]
    assert (device(host)['requested'], values(host, 'vm')[0]) == (0, 512)


def test_settle_asks_again_for_what_was_not_taken(host):
    vm = host.start_guest('vm', memory_mib=512, max_mib=4096, files=inside.without_module('virtio_mem'))
    run(host, 'plug', 'vm', '256MiB', '--kind', 'virtio-mem', '-t', '0', status=6)
    assert steps(run(host, 'settle', 'vm', '-t', '500ms', status=6)) == [('resize', 256, 'overdue')]
    assert values(host, 'vm') == (512,) * 4
    inside.load_module(vm, 'virtio_mem')
    assert run(host, 'settle', 'vm')['outcome'] == 'done'
    assert values(host, 'vm') == (768,) * 4


def test_a_reboot_keeps_what_was_taken(host):
    """While the guest starts anew it holds nothing: that shows, and takes nothing away."""
    vm = host.start_guest('vm', memory_mib=512, max_mib=4096, devices=virtio_mem_xml(512, 0, alias='ua-v'))
    run(host, 'set', 'vm', '-m', '768MiB', '-g', '700MiB')
    assert values(host, 'vm') == (768, 700, 768, 700)
    host.virsh('reset', 'vm')
    vm.wait_event('MEMORY_DEVICE_SIZE_CHANGE', id='ua-v', size=0)
    host.virsh('suspend', 'vm')
    live, guaranteed, next_run, _ = values(host, 'vm')
    assert (live, guaranteed, next_run) == (512, 512, 768)
    host.virsh('resume', 'vm')
    run(host, 'plug', 'vm', '128MiB')
    vm.connect()
    vm.wait_ready(480)
    vm.wait_size('ua-v', 256)
    assert values(host, 'vm') == (896, 700, 896, 700)
    run(host, 'unplug', 'vm', 'ua-v')
    assert values(host, 'vm') == (640, 640, 640, 640), 'what came back after the reboot can go like all else'


def test_a_slot_is_wanted_where_libvirt_wants_one(host):
    """libvirt 9.0 counts a virtio-mem device among the slots, 11.3 does not."""
    vm = host.start_guest('vm', os=False, slots=1, pci_ports=2)
    run(host, 'plug', 'vm', '128MiB')
    try:
        vm.attach(virtio_mem_xml(128, 0))
        attached = True
    except AssertionError:  # of virsh
        attached = False
    done = host.dimmer('plug', 'vm', '128MiB', '--kind', 'virtio-mem', '--timeout', '0')
    assert (done.returncode == 3 and 'all 1 memory slots' in done.stderr) is not attached, done
    assert show(host, 'vm')['live']['free_slots'] == 0
    # And the other way round: a DIMM beside virtio-mem devices.
    host.remove(vm)
    vm = host.start_guest('vm', os=False, slots=1, pci_ports=2)
    vm.attach(virtio_mem_xml(128, 0))
    done = host.dimmer('plug', 'vm', '128MiB')
    assert done.returncode == (0 if attached else 3), done


def test_a_part_that_the_guest_takes_is_reported_and_followed(host):
    """Behind a device that ends within a block half of one is lost, unless libvirt (9.4) lets us place it."""
    vm = host.start_guest('vm', memory_mib=512, max_mib=4096, pci_ports=3)
    vm.attach(virtio_mem_xml(130, 0, alias='ua-odd'))
    places = vm.live_xml().find("devices/memory[@model='virtio-mem']/target/address") is not None
    result = run(host, 'plug', 'vm', '256MiB', '--kind', 'virtio-mem', '-t', '4s', status=0 if places else 4)
    step, = result['steps']
    held = 256 if places else 128
    assert (result['outcome'], mib(step['reached'])) == ('done' if places else 'partly', held)
    assert values(host, 'vm') == (512 + held,) * 4


def test_a_guest_that_has_it_in_larger_pieces(host):
    """Linux before 5.19, by 4 MiB whatever the device's block: it is not waited for until the time is over."""
    vm = host.start_guest('vm', memory_mib=1024, max_mib=4096, pci_ports=2, kernel='5.10')
    alias, = plug(host, vm, 128, '--kind', 'virtio-mem')
    vm.wait_size(alias, 128)
    result = run(host, 'set', 'vm', '--memory', '1130MiB', '-t', '300')
    assert result['outcome'] == 'done' and 'pieces' in result['note_codes'], result
    device, = show(host, 'vm')['live']['devices']
    assert (mib(device['memory']), mib(device['requested'])) == (108, 108) and result['steps'][0]['seconds'] < 200
