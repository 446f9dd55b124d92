# SPDX-License-Identifier: Apache-2.0
"""A VM that libvirt migrates live to another host while dimmerd knows it, and while a job waits for its guest."""

import time

import pytest

from rest import (change, event, events, job, mib, path, plug, put, rule, steps, values, vm_id, wait_job, wait_memory)
from testbed.migration import Farewell, Migration

# What would change a VM under way waits 30 s for libvirt and fails. A refusal is to be faster by far.
QUICK = 10


@pytest.fixture
def vm(host):
    """256 MiB, at most 2048, and a device of 256 MiB."""
    vm = host.start_guest('web1', memory_mib=256, max_mib=2048, qga=True)
    vm.device, = plug(vm, 256)
    return vm


def host_of(client, where):
    """The id of the host that the VM is on, by the daemon."""
    return client.get(where).xml.find('host').get('id')


def test_nothing_is_changed_under_way(vm, other, serve):
    client = serve().client()
    before = values(client, vm)
    migration = Migration(vm, other)
    started = time.monotonic()
    report = client.get(path(vm, '/memorycheck')).xml
    found, = [row for row in report.iter('finding') if row.findtext('check') == 'migration']
    assert report.findtext('verdict') == found.findtext('verdict') == 'bad'
    for size, guaranteed in ((256, None), (1024, None), (None, 128)):
        words = rule(client.put(path(vm), change(size, guaranteed)), 409)
        assert words == 'web1 is being migrated and cannot be changed until that is over; wait for it, or abort it'
    answer = client.delete(path(vm, f'/memorydevices/{vm.device}'))
    assert answer.status == 409 and 'is being migrated' in answer.xml.findtext('fault/detail')
    assert time.monotonic() - started < QUICK
    assert values(client, vm) == before and client.get('jobs').xml.findall('job') == []
    migration.abort()
    put(client, vm, 256)
    assert vm.memory_devices() == {}


def test_it_is_found_where_it_has_come_to(host, vm, other, serve):
    client = serve(host, other).client()
    where, left = path(vm), host_of(client, path(vm))
    there = Migration(vm, other).finish()
    client.wait(where, lambda found: found.find('host') is not None and found.find('host').get('id') != left)
    assert event(client, 63).findtext('description').startswith('VM web1 has moved away from Host')
    assert events(client, 61) == []
    assert client.get(where).xml.findtext('status') == 'up'
    assert [mib(found.findtext('size')) for found in client.get(f'{where}/memorydevices').xml] == [256]
    assert vm_id(there) == where.removeprefix('vms/')
    put(client, there, 256)
    assert there.memory_devices() == {}


@pytest.mark.tsan
@pytest.mark.parametrize('waits', [True, False], ids=['driven', 'overdue'])
def test_a_job_goes_along(host, vm, other, serve, waits):
    vm.set_deaf(True)
    client = serve(host, other, answer_timeout=1, guest_timeout=60 if waits else 1).client()
    put(client, vm, 256)  # may answer before the guest's agent has, and so before the device is requested
    found = job(client, vm)
    event(client, 2046 if waits else 20002)
    there = Migration(vm, other).finish()
    where = path(there, '/memorydevices')
    client.wait(where, lambda found: found.findtext('memory_device/state') == 'overdue')
    assert client.get(f'jobs/{found.get("id")}').xml.findtext('status') == 'started'
    there.set_deaf(False)
    client.delete(f'{where}/{vm.device}')  # QEMU did not take its request along: it requests again
    wait_memory(client, there, 256)
    wait_job(client, found.get('id'), 'finished')
    assert values(client, there) == (256, 256, 256, 256)


@pytest.mark.parametrize('waits', [True, False], ids=['driven', 'overdue'])
def test_a_job_ends_with_a_vm_that_has_moved_out_of_sight(vm, other, serve, waits):
    vm.set_deaf(True)
    client = serve(answer_timeout=1, guest_timeout=60 if waits else 1).client()
    put(client, vm, 256)
    found = job(client, vm)
    event(client, 2046 if waits else 20002)
    Migration(vm, other).finish()
    done = wait_job(client, found.get('id'), 'failed')
    assert 'along with the request; settle it there' in done.findtext('fault/detail'), done
    assert [state for state, _ in steps(client, found.get('id'))] == ['started']
    client.wait('vms', lambda vms: len(vms) == 0)


def test_it_goes_without_an_event(vm, other, serve):
    """Its host tells that it has moved while it still has it, shut off, and nothing when it has not any more."""
    client = serve().client()
    where = path(vm)
    farewell = Farewell(vm.folder, other.socket)
    migration = Migration(vm, other, through=farewell.address)
    migration.hurry()
    client.wait(where, lambda found: found.findtext('status') == 'down')
    assert farewell.came.is_set()
    farewell.release()
    migration.wait()
    client.wait('vms', lambda vms: len(vms) == 0)


def test_out_of_time_under_way(vm, other, serve):
    """The account comes when the migration is over, by itself."""
    vm.set_deaf(True)
    client = serve(answer_timeout=1, guest_timeout=4).client()
    put(client, vm, 256)
    found = job(client, vm)
    event(client, 2046)
    migration = Migration(vm, other)
    event(client, 20002)
    migration.abort()
    vm.set_deaf(False)
    wait_job(client, found.get('id'), 'finished')
    client.wait(path(vm), lambda _: values(client, vm) == (256, 256, 256, 256))
    assert '<dimmer:request' not in vm.host.virsh('dumpxml', 'web1')
