# SPDX-License-Identifier: Apache-2.0
"""A VM that libvirt migrates live to another host: until it has, nothing is changed; then its request is there too."""

import time

import pytest

from look import fail, plug, read_until, run, show, steps, validate, values
from testbed import inside
from testbed.migration import Migration

# What would change a VM under way waits 30 s for libvirt and fails. A refusal is to be faster by far.
QUICK = 10

WISHES = [['set', 'vm', '--memory', '512MiB'], ['set', 'vm', '--guaranteed', '128MiB'],
          ['set', 'vm', '--memory', '256MiB', '--dry-run'], ['set', 'vm', '--next-run', '--memory', '1GiB'],
          ['set', 'vm', '--memory', '512MiB', '--balloon'], ['plug', 'vm', '128MiB'], ['settle', 'vm'],
          ['guest', 'prepare', 'vm']]


@pytest.fixture
def vm(host):
    """256 MiB, and a device of 256 MiB and one of 128."""
    vm = host.start_guest('vm', memory_mib=256, max_mib=4096, agent=True, qga=True)
    vm.large, = plug(host, vm, 256, '--policy', 'whole')
    vm.small, = plug(host, vm, 128)
    inside.wait_whole(vm, 384)
    return vm


def doctor(host):
    """(verdict, {check: finding} of those of the VM)."""
    report = validate('checkup', host.dimmer('doctor', 'vm', '-o', 'json').stdout)
    return report['verdict'], {finding['check']: finding for finding in report['findings']
                               if finding['device'] is None}


def refuse(host, *args):
    done = host.dimmer(*args, '-o', 'json', check=3)
    error = validate('error', done.stdout)['error']
    assert error['code'] == 'busy', error
    assert error['message'].startswith('vm is being migrated and cannot be changed until that is over; wait for it')


def test_nothing_is_changed_under_way_and_all_goes_on_once_that_is_aborted(host, other, vm):
    before = values(host, 'vm'), vm.memory_devices(), inside.times_asked(vm)
    migration = Migration(vm, other)
    started = time.monotonic()
    verdict, findings = doctor(host)
    assert verdict == findings['migration']['verdict'] == 'bad'
    assert 'is being migrated' in findings['migration']['evidence']
    assert findings['migration']['remedy'] == 'wait until that is over, or abort it'
    assert findings['migration']['command'] == host.printed('virsh domjobabort vm')
    assert findings['ports']['verdict'] == findings['spare']['verdict'] == 'good'
    for wish in [*WISHES, ['unplug', 'vm', vm.small]]:
        refuse(host, *wish)
    assert time.monotonic() - started < QUICK
    assert (values(host, 'vm'), vm.memory_devices(), inside.times_asked(vm)) == before
    assert show(host, 'vm')['request'] is None
    migration.abort()  # with the very command that is the remedy
    verdict, findings = doctor(host)
    assert verdict == findings['migration']['verdict'] == 'good', findings
    run(host, 'set', 'vm', '--memory', '512MiB')
    assert vm.memory_devices() == {vm.large: 256}


def test_where_it_comes_to(host, other, vm):
    migration = Migration(vm, other)
    verdict, findings = doctor(other)
    assert verdict == findings['migration']['verdict'] == findings['state']['verdict'] == 'bad'
    assert 'paused while it is being migrated' in findings['state']['evidence']
    assert findings['state']['remedy'] == findings['migration']['remedy'] == 'wait until that is over'
    assert findings['state']['command'] is findings['migration']['command'] is None
    for wish in WISHES[:3]:  # it is transient until it has come
        refuse(other, *wish)
    there = migration.finish()
    assert "no VM 'vm'" in host.dimmer('show', 'vm', check=8).stderr
    assert there.memory_devices() == {vm.large: 256, vm.small: 128}
    verdict, findings = doctor(other)
    assert verdict == 'good' and findings['ports']['evidence'].startswith('dimmer-guest'), findings
    run(other, 'unplug', 'vm', vm.small)
    run(other, 'plug', 'vm', '128MiB')
    run(other, 'set', 'vm', '--memory', '256MiB', '--guaranteed', '128MiB')
    assert there.memory_devices() == {} and values(other, 'vm') == (256, 128, 256, 128)


def test_an_overdue_request_goes_along(host, other, vm):
    vm.set_deaf(True)
    run(host, 'unplug', 'vm', vm.large, '--timeout', '1s', status=6)
    there = Migration(vm, other).finish()
    assert steps(show(other, 'vm')['request']) == [('unplug', 256, 'overdue')]
    run(other, 'settle', 'vm', '--timeout', '1s', status=6)
    there.set_deaf(False)
    there.wait_gone(vm.large)
    assert run(other, 'settle', 'vm')['outcome'] == 'done'
    assert show(other, 'vm')['request'] is None
    assert values(other, 'vm') == (384, 384, 384, 384)


def test_moved_while_dimmer_waits(host, other, vm):
    """QEMU does not take an unplug along that its guest has not heard of: only settle has it asked again."""
    vm.set_deaf(True)
    process = host.dimmer_start('unplug', 'vm', vm.large)
    read_until(process, 'asked to go')
    there = Migration(vm, other).finish()
    output, errors = process.communicate(timeout=20)
    assert process.returncode == 1, output + errors
    assert 'vm was migrated to another host during the request, along with the request; settle it there' in errors
    assert steps(show(other, 'vm')['request']) == [('unplug', 256, 'asked')]
    there.set_deaf(False)
    assert steps(run(other, 'settle', 'vm')) == [('unplug', 256, 'removed')]
    assert values(other, 'vm') == (384, 384, 384, 384)


def test_out_of_time_under_way(host, other, vm):
    """Then nothing can be accounted for yet."""
    vm.set_deaf(True)
    process = host.dimmer_start('unplug', 'vm', vm.large, '--timeout', '4s')
    read_until(process, 'asked to go')
    migration = Migration(vm, other)
    output, errors = process.communicate(timeout=4 + QUICK)
    assert process.returncode == 6 and errors == '', output + errors
    assert 'note: vm is being migrated: the outcome is accounted for only once that is over' in output
    assert fail(host, 'settle', 'vm', status=3, code='busy')
    migration.abort()
    vm.set_deaf(False)
    vm.wait_gone(vm.large)
    assert run(host, 'settle', 'vm')['outcome'] == 'done'
    assert values(host, 'vm') == (384, 384, 384, 384)


def test_moved_while_memory_is_taken_offline(host, other):
    """dimmer-guest brings it back there: its host has left."""
    vm = host.start_guest('vm', memory_mib=256, max_mib=4096, agent=True, kernel='5.10', files=inside.holder())
    alias, = plug(host, vm, 256, '--policy', 'whole')
    inside.wait_whole(vm, 256)
    inside.hold(vm, 30, 'pin')
    process = host.dimmer_start('unplug', 'vm', alias)
    inside.wait_going_offline(vm)
    there = Migration(vm, other).finish()
    output, errors = process.communicate(timeout=20)
    assert process.returncode == 1, output + errors
    assert 'nothing was asked of it, so repeat the request there' in errors
    inside.wait_whole(there, 256)
    assert show(other, 'vm')['request'] is None
    there.guest('kill $(pidof hold)')
    run(other, 'unplug', 'vm', alias)
