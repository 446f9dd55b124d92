# SPDX-License-Identifier: Apache-2.0
"""virtio-mem devices: grown, shrunk, partly shrunk, and beside DIMMs."""

import pytest

from look import fail, mib, plug, run, show, steps, values
from testbed import virtio_mem_xml


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
    assert mib(device(host)['current']) == 0
    assert values(host, 'vm') == (256, 256, 256, 256)
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


def test_a_partial_success_is_told_as_it_is(host):
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


def test_growth_beyond_the_device_needs_whole_dimms(host, vm):
    plug_virtio(host, vm, 128, 128)
    message = fail(host, 'set', 'vm', '--memory', '400MiB', status=3, code='not-a-multiple')
    assert 'steps of 128 MiB' in message
