# SPDX-License-Identifier: Apache-2.0
"""vms/{id}/memorycheck: what a guest reports, and what is made of it in devices, plans and changes."""

import os
import re
import signal
import time
import uuid

import pytest

from rest import (MIB, change, empty, event, events, fault, job, jobs, mib, path, plug, put, rule, vm_id,
                  wait_job, wait_memory)
from testbed import inside

# An agent that does not answer is given up after so many seconds, by each look that asks it.
GIVEN_UP = 3


@pytest.fixture
def vm(host):
    """A running guest of 256 MiB, at most 2048, with qemu-guest-agent; its kernel takes what is plugged for itself."""
    return host.start_guest('web1', memory_mib=256, max_mib=2048, qga=True,
                            auto_online='online_kernel')


def check(client, vm, query=''):
    answer = client.get(path(vm, '/memorycheck' + query))
    assert answer.status == 200, answer
    assert answer.xml.tag == 'memory_check', answer
    return answer.xml


def finding(report, name, device=None):
    """{member: text} of the one finding of that name, of the VM or of a device."""
    found, = [row for row in report.findall('findings/finding') if row.findtext('check') == name and
              (row.find('device').get('id') if row.find('device') is not None else None) == device]
    return {child.tag: child.text for child in found}


def device_where(vm, device):
    return path(vm, f'/memorydevices/{device}')


def movable(client, vm, device):
    return client.get(device_where(vm, device)).xml.findtext('movable')


def pending_calls(client):
    text = client.get('/metrics').text
    return int(re.search(r'^dimmer_libvirt_tasks_pending (\d+)', text, re.MULTILINE)[1])


def wait_calls(client, count=1):
    """Until so many calls of libvirt are under way; the daemon has no event for it."""
    deadline = time.monotonic() + 10
    while pending_calls(client) < count:
        assert time.monotonic() < deadline, 'nothing is asked of the host'


# What it says.

def test_an_unprepared_guest_and_then_a_prepared_one(vm, client):
    stays, = plug(vm, 128)
    wait_memory(client, vm, 384)
    report = check(client, vm)
    assert report.findtext('verdict') == 'bad'
    onlining = finding(report, 'onlining')
    assert (onlining['code'], onlining['verdict'], onlining['source']) == ('online-kernel', 'bad', 'qemu-guest-agent')
    assert 'online_kernel' in onlining['evidence'] and onlining['remedy'].startswith('prepare the guest')
    assert onlining['command'] == vm.host.printed('dimmer guest prepare web1')
    found = finding(report, 'movable', stays)
    assert found['verdict'] == 'bad' and 'kernel zone' in found['evidence'], found
    assert (found['remedy'], found['command']) == (
        'prepare the guest, which makes as much of it movable as it can', vm.host.printed('dimmer guest prepare web1'))
    link, = [row.find('device') for row in report.findall('findings/finding')
             if row.find('device') is not None and row.findtext('check') == 'movable']
    assert client.get(link.get('href')).xml.findtext('alias') == f'ua-{stays}'
    assert finding(report, 'hot-plugged')['verdict'] == 'good'
    assert report.find('vm').get('id') == vm_id(vm)

    guest = report.find('guest')
    assert guest.findtext('qemu_agent') == 'true' and guest.find('agent') is None
    assert guest.findtext('policy') == 'online_kernel'
    assert mib(guest.findtext('block')) == 128
    assert guest.findtext('kernel') == vm.guest('uname -r').strip()
    assert 256 < mib(guest.findtext('total')) < 384
    assert 0 < int(report.findtext('spare')) < int(guest.findtext('available'))
    assert guest.findtext('memory_source') == 'qemu-guest-agent'

    vm.set_auto_online('online_movable')
    goes, = plug(vm, 128)
    wait_memory(client, vm, 512)
    report = check(client, vm)
    assert finding(report, 'onlining')['verdict'] == 'good'
    found = finding(report, 'movable', goes)
    assert found['verdict'] == 'good' and not {'remedy', 'command'} & set(found), found
    assert finding(report, 'movable', stays)['verdict'] == 'bad'


def test_a_prepared_guest_is_good_altogether(host, client):
    vm = host.start_guest('web1', memory_mib=512, max_mib=2048, qga=True)
    plug(vm, 128)
    wait_memory(client, vm, 640)
    report = check(client, vm)
    wrong = [(row.findtext('check'), row.findtext('evidence')) for row in report.iter('finding')
             if row.findtext('verdict') != 'good']
    assert (report.findtext('verdict'), wrong) == ('good', [])


def test_json(vm, client):
    device, = plug(vm, 128)
    wait_memory(client, vm, 384)
    answer = client.get(path(vm, '/memorycheck'), json=True)
    assert answer.status == 200
    found = answer.json
    assert found['verdict'] == 'bad' and found['vm']['id'] == vm_id(vm)
    assert found['guest']['policy'] == 'online_kernel' and found['guest']['qemu_agent'] == 'true'
    rows = found['findings']['finding']
    row, = [row for row in rows if row['check'] == 'movable']
    assert (row['verdict'], row['source'], row['device']['id']) == ('bad', 'qemu-guest-agent', device)
    assert {row['verdict'] for row in rows} <= {'good', 'unknown', 'warning', 'bad'}


def test_against_a_size(vm, client):
    vm.set_auto_online('online_movable')
    plug(vm, 128)
    wait_memory(client, vm, 384)
    spare = finding(check(client, vm, f'?memory={256 * MIB}'), 'spare')
    assert spare['verdict'] == 'good' and 'lowering to 256 MiB takes 128 MiB' in spare['evidence'], spare
    for size, why in ((300, 'no memory device of web1 is small enough'), (4096, 'above its maximum of 2048 MiB')):
        report = check(client, vm, f'?memory={size * MIB}')
        spare = finding(report, 'spare')
        assert spare['verdict'] == report.findtext('verdict') == 'bad' and why in spare['evidence'], spare
    for wrong in ('much', '-1', '0', '100', ''):
        answer = client.get(path(vm, f'/memorycheck?memory={wrong}'))
        assert answer.status == 400 and 'memory' in answer.xml.findtext('detail'), answer


def test_a_guest_without_any_agent(guest, client):
    device, = plug(guest, 128)
    wait_memory(client, guest, 384)
    report = check(client, guest)
    for name, of in (('onlining', None), ('guest-os', None), ('block-size', None), ('movable', device)):
        found = finding(report, name, of)
        assert found['verdict'] == 'unknown' and 'unknown: no agent reported' in found['evidence'], found
        assert 'source' not in found
    assert finding(report, 'ports')['verdict'] == 'warning'
    assert movable(client, guest, device) is None


def test_a_vm_that_is_shut_off(off, client):
    report = check(client, off)
    found = finding(report, 'state')
    assert (report.findtext('verdict'), found['verdict']) == ('bad', 'bad')
    assert (found['remedy'], found['command']) == ('start it', off.host.printed('virsh start web1'))
    assert report.find('guest') is None


def test_an_unknown_vm(off, client):
    empty(client.get(f'vms/{uuid.uuid4()}/memorycheck'), 404)


def test_a_viewer_may_read_it(vm, viewer):
    assert check(viewer, vm).findtext('guest/policy') == 'online_kernel'


def test_a_vm_that_went_meanwhile(host, client):
    vm = host.define('gone', os=False)
    where = path(vm, '/memorycheck')
    client.wait(path(vm), lambda found: found.findtext('status') == 'down')
    host.remove(vm)
    assert client.get(where).status == 404


# Waiting.

@pytest.mark.tsan
def test_they_ask_once_for_all_who_wait(vm, client, viewer, pool):
    """An agent that does not answer takes each look its time: four of them one after the other would take longer."""
    vm.guest('kill -STOP $(pidof qemu-ga)')
    started = time.monotonic()
    waiting = [pool.submit(check, who, vm, query) for query in ('', f'?memory={256 * MIB}')
               for who in (client, viewer)]
    wait_calls(client)
    assert client.get('vms').status == 200
    assert pending_calls(client) <= 1
    reports = [one.result(timeout=30) for one in waiting]
    assert time.monotonic() - started < 3 * GIVEN_UP
    for report in reports:
        assert finding(report, 'onlining')['verdict'] == 'unknown'
        assert report.findall('guest/notes/note')
    vm.guest('kill -CONT $(pidof qemu-ga)')
    assert finding(check(client, vm), 'onlining')['verdict'] == 'bad'


def test_a_client_that_goes_away(vm, serve):
    client = serve().client()
    vm.guest('kill -STOP $(pidof qemu-ga)')
    client.timeout = 1
    with pytest.raises(TimeoutError):
        client.get(path(vm, '/memorycheck'))
    vm.guest('kill -CONT $(pidof qemu-ga)')
    client.timeout = 60
    assert finding(check(client, vm), 'onlining')['verdict'] == 'bad'


@pytest.mark.tsan
def test_the_daemon_ends_while_one_waits(vm, serve, pool):
    daemon = serve()
    client = daemon.client()
    vm.guest('kill -STOP $(pidof qemu-ga)')
    waiting = pool.submit(client.get, path(vm, '/memorycheck'))
    wait_calls(client)
    assert daemon.stop() == 0
    assert 'the guest of web1' in fault(waiting.result(timeout=10), 409)


def test_a_host_that_hangs(own_host, serve):
    vm = own_host.start_guest('stuck', os=False)
    where = path(vm, '/memorycheck')
    daemon = serve(own_host, answer_timeout=1)
    client = daemon.client()
    pid = own_host.libvirtd_pid()
    os.kill(pid, signal.SIGSTOP)
    try:
        started = time.monotonic()
        assert 'within 1 s; ask again' in rule(client.get(where), 409)
        assert time.monotonic() - started < 3
        assert daemon.stop(timeout=25) == 0
    finally:
        os.kill(pid, signal.SIGCONT)
        own_host.remove_all()


# What is made of it.

def test_devices_say_what_is_known_until_they_are_others(vm, client):
    first, = plug(vm, 128)
    wait_memory(client, vm, 384)
    assert movable(client, vm, first) is None
    with client.live() as live:
        check(client, vm)
        assert live.wait('vm', lambda vm: vm['memory_devices']['memory_device'][0].get('movable') == 'false')
    assert movable(client, vm, first) == 'false'
    vm.set_auto_online('online_movable')
    second, = plug(vm, 128)
    wait_memory(client, vm, 512)
    assert movable(client, vm, first) is None and movable(client, vm, second) is None
    check(client, vm)
    assert (movable(client, vm, first), movable(client, vm, second)) == ('false', 'true')
    vm.detach(f'ua-{second}')
    wait_memory(client, vm, 384)
    client.wait(path(vm, '/memorydevices'), lambda found: len(found) == 1)
    assert movable(client, vm, first) is None
    check(client, vm)
    assert movable(client, vm, first) == 'false'


def test_a_silent_agent_takes_nothing_back(vm, client):
    device, = plug(vm, 128)
    wait_memory(client, vm, 384)
    check(client, vm)
    vm.guest('kill -STOP $(pidof qemu-ga)')
    assert finding(check(client, vm), 'movable', device)['verdict'] == 'unknown'
    assert movable(client, vm, device) == 'false'
    assert 'kernel zone' in rule(client.get(path(vm, f'/memoryplan?device={device}')), 409)
    vm.guest('kill -CONT $(pidof qemu-ga)')
    vm.set_auto_online('online_movable')
    assert finding(check(client, vm), 'onlining')['verdict'] == 'good'


def test_a_guest_that_boots_anew_has_reported_nothing(vm, client):
    device, = plug(vm, 128)
    wait_memory(client, vm, 384)
    check(client, vm)
    assert movable(client, vm, device) == 'false'
    vm.host.virsh('reset', vm.name)
    client.wait(path(vm, '/memorydevices'), lambda found: found[0].find('movable') is None)


def test_a_device_in_a_kernel_zone_is_not_asked(vm, serve):
    device, = plug(vm, 128)
    vm.set_refusing(True)
    client = serve(answer_timeout=20, guest_timeout=15).client()
    where = device_where(vm, device)
    check(client, vm)
    plan = path(vm, f'/memoryplan?device={device}')
    assert 'kernel zone' in rule(client.get(plan), 409)
    assert client.get(plan + '&try_unmovable=true').status == 200

    answer = client.delete(where)
    assert (answer.status, answer.xml.tag) == (409, 'action'), answer
    assert '128 MiB of it in a kernel zone' in answer.xml.findtext('fault/detail')
    assert answer.xml.find('job') is None and events(client, 2049) == []

    answer = client.delete(where + '?try_unmovable=true')
    assert answer.status == 409 and 'the guest refused' in answer.xml.findtext('fault/detail'), answer
    assert event(client, 2049) is not None


def test_it_is_not_asked_even_where_its_guest_was_not_asked_yet(vm, serve):
    """The change looks for itself."""
    device, = plug(vm, 128)
    client = serve().client()
    answer = client.delete(device_where(vm, device))
    assert answer.status == 409 and 'kernel zone' in answer.xml.findtext('fault/detail'), answer


def test_more_than_the_guest_can_spare(vm, serve):
    vm.set_auto_online('online_movable')
    plug(vm, 256, 256)
    vm.guest('mkdir /full && mount -t tmpfs -o size=600m none /full && dd if=/dev/zero of=/full/file bs=1M count=400')
    client = serve(answer_timeout=20, guest_timeout=10).client()
    report = check(client, vm, f'?memory={256 * MIB}')
    assert finding(report, 'spare')['verdict'] == 'bad'
    words = rule(client.put(path(vm), change(256)), 409)
    assert 'web1 can spare' in words and 'force it' in words, words
    assert 'can spare' in rule(client.get(path(vm, f'/memoryplan?memory={256 * MIB}')), 409)
    assert events(client, 2046) == [] and jobs(client, vm) == []
    assert client.put(path(vm, '?async=true'), change(256)).status == 200
    failed = wait_job(client, job(client, vm).get('id'), 'failed')
    assert 'can spare' in failed.findtext('fault/detail') and events(client, 2046) == []

    plan = client.get(path(vm, f'/memoryplan?memory={256 * MIB}&force=true'))
    assert any('forced beyond that' in note.text for note in plan.xml.iter('note')), plan
    put(client, vm, 256, query='?force=true')
    assert len(events(client, 2046, wait=True)) == 2


def test_what_it_reported_long_ago_refuses_nothing(vm, client):
    """It needed its memory when it was looked at, and has let go of it since."""
    vm.set_auto_online('online_movable')
    plug(vm, 256)
    vm.guest('mkdir /full && mount -t tmpfs -o size=600m none /full && dd if=/dev/zero of=/full/file bs=1M count=250')
    wait_memory(client, vm, 512)
    check(client, vm)
    assert 'can spare' in rule(client.get(path(vm, f'/memoryplan?memory={256 * MIB}')), 409)
    vm.guest('rm /full/file')
    assert client.put(path(vm, '?async=true'), change(256)).status == 200
    wait_memory(client, vm, 256)


def test_windows_is_not_asked(host, serve):
    vm = host.start_guest('web1', memory_mib=256, max_mib=2048, qga=True, files=inside.windows())
    inside.start_windows(vm)
    device, = plug(vm, 128)
    client = serve().client()
    report = check(client, vm)
    assert report.findtext('verdict') == finding(report, 'guest-os')['verdict'] == 'bad'
    assert report.findtext('guest/os') == 'Windows Server 2022 Standard'
    assert finding(report, 'movable', device)['verdict'] == 'bad' and movable(client, vm, device) == 'false'
    answer = client.delete(device_where(vm, device))
    assert answer.status == 409 and 'is Windows, which cannot release' in answer.xml.findtext('fault/detail'), answer
    plan = client.get(path(vm, f'/memoryplan?memory={256 * MIB}'))
    assert any('left out, as Windows cannot release' in note.text for note in plan.xml.iter('note')), plan
    put(client, vm, 256)
    assert len(vm.memory_devices()) == 1 and events(client, 2046) == []
