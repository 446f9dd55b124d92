# SPDX-License-Identifier: Apache-2.0
"""What others do to a VM in the middle of a request."""

import json
import os
import signal

import pytest

import testbed
from look import fail, plug, read_until, run, show, values
from testbed import dimm_xml

# The calls of 'set' before its first device is requested: record, next run, "asked".
BEFORE_ASKING = 3


@pytest.fixture
def vm(host):
    return host.start_guest('vm', memory_mib=256, max_mib=4096)


def resume(process, status):
    """Lets a stopped dimmer go on to its end; what it printed."""
    process.send_signal(signal.SIGCONT)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == status, output + errors
    return json.loads(output)


def test_the_chosen_device_is_removed(host, vm, interpose):
    first, second = plug(host, vm, 256)
    process = interpose.stopped(BEFORE_ASKING, 'set', 'vm', '--memory', '384MiB', '-o', 'json')
    vm.detach(second)
    vm.wait_gone(second)
    result = resume(process, 0)
    assert [(step['alias'], step['state']) for step in result['steps']] == [(second, 'removed')]
    assert list(vm.memory_devices()) == [first]
    assert values(host, 'vm') == (384, 384, 384, 384)


def test_another_device_is_removed(host, vm, interpose):
    first, second = plug(host, vm, 256)
    process = interpose.stopped(BEFORE_ASKING, 'set', 'vm', '--memory', '384MiB', '-o', 'json')
    vm.detach(first)
    vm.wait_gone(first)
    result = resume(process, 0)
    assert result['after']['memory'] >> 20 == 256  # reported as it is
    assert values(host, 'vm') == (256, 256, 384, 384)


def test_a_device_is_added(host, vm, interpose):
    plug(host, vm, 256)
    process = interpose.stopped(BEFORE_ASKING, 'set', 'vm', '--memory', '384MiB', '-o', 'json')
    vm.attach(dimm_xml(128, alias='ua-theirs'))
    result = resume(process, 0)
    assert result['after']['memory'] >> 20 == 512
    assert 'ua-theirs' in vm.memory_devices()
    assert values(host, 'vm') == (512, 512, 384, 384)


def test_the_vm_is_destroyed_before_asking(host, vm, interpose):
    plug(host, vm, 256)
    process = interpose.stopped(BEFORE_ASKING, 'set', 'vm', '--memory', '384MiB', '-o', 'json')
    vm.destroy()
    error = resume(process, 1)['error']
    assert error['code'] == 'vm-stopped'
    assert 'vm stopped during the request' in error['message']
    assert values(host, 'vm') == (None, None, 384, 384)


def test_the_vm_is_destroyed_while_it_is_waited_for(host, interpose):
    vm = host.start_guest('vm', os=False)
    alias, _ = plug(host, vm, 256)
    process = interpose.stopped(2, 'unplug', 'vm', alias, '-o', 'json')
    process.send_signal(signal.SIGCONT)
    vm.destroy()
    error = resume(process, 1)['error']
    assert error['code'] == 'vm-stopped'
    assert values(host, 'vm') == (None, None, 1280, 1280)
    assert show(host, 'vm')['request'] is None


def test_the_next_run_follows_what_went_before_the_vm_was_destroyed(host, vm, interpose):
    released, out = plug(host, vm, 256)
    vm.set_deaf(True)
    process = interpose.stopped(3, 'unplug', 'vm', released, out)
    vm.eject(slot=0)
    vm.wait_gone(released)
    process.send_signal(signal.SIGCONT)
    read_until(process, 'removed')
    vm.destroy()
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1 and 'stopped during the request' in errors
    assert values(host, 'vm') == (None, None, 384, 384)


def test_a_transient_vm_is_destroyed(host, interpose):
    vm = host.create('vm', os=False)
    alias, _ = plug(host, vm, 256)
    process = interpose.stopped(2, 'unplug', 'vm', alias, '-o', 'json')
    vm.destroy()
    assert resume(process, 1)['error']['code'] == 'vm-stopped'
    assert run(host, 'list')['vms'] == []


def test_libvirtd_dies(require):
    """The connection is lost: that is said, and the VM still carries the request."""
    require(testbed.missing())
    with testbed.SessionHost() as own:
        vm = own.start_guest('vm', os=False)
        alias, _ = plug(own, vm, 256)
        process = own.dimmer_start('unplug', 'vm', alias)
        read_until(process, 'asked to go')
        os.kill(int((own.folder / 'libvirtd.pid').read_text()), signal.SIGKILL)
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 7
        assert 'settle it when the connection is back' in errors and own.printed('dimmer settle vm') in errors
        assert fail(own, 'list', status=7, code='connection')
