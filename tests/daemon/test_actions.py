# SPDX-License-Identifier: Apache-2.0
"""start, stop, shutdown and reboot: their bodies, their answers, and what they refuse."""

import concurrent.futures

import pytest

from rest import (FAILED, event, events, memory, next_run_exists, path, put, values, vm_id,
                  wait_status)

PYTHON, GO, LIBGOVIRT = ('<action/>', '<action></action>',
                         '<action><async>false</async></action>')


def act(client, vm, action, body='<action/>', **options):
    return client.post(path(vm, f'/{action}'), body, **options)


def done(answer, vm):
    """An action that must have done well; libgovirt takes no other status than complete."""
    assert answer.status == 200, answer
    if answer.type == 'application/json':
        assert answer.json['status'] == 'complete'
        return answer.json
    assert answer.xml.tag == 'action' and answer.xml.findtext('status') == 'complete', answer
    linked = answer.xml.find('vm')
    assert linked is None or linked.get('id') == vm_id(vm)
    return answer.xml


def refused(answer, *words):
    """The detail of an action that must be refused, in its own shape."""
    assert answer.status == 409, answer
    if answer.type == 'application/json':
        found = answer.json
        assert found['status'] == 'failed' and found['fault']['reason'] == FAILED
        return found['fault']['detail']
    assert answer.xml.tag == 'action' and answer.xml.findtext('status') == 'failed', answer
    assert answer.xml.findtext('fault/reason') == FAILED
    detail = answer.xml.findtext('fault/detail')
    assert detail.startswith('[') and detail.endswith(']')
    assert all(word in detail for word in words), detail
    return detail


@pytest.mark.parametrize('body', [PYTHON, GO, LIBGOVIRT, '', {}, {'async': 'false'}],
                         ids=['python', 'go', 'libgovirt', 'empty', 'json', 'json-async'])
def test_start_and_stop(off, client, body):
    done(act(client, off, 'start', body), off)
    assert off.state() == 'running'
    vm = wait_status(client, off, 'up')
    assert vm.find('host') is not None and vm.findtext('start_time')
    done(act(client, off, 'stop', body), off)
    assert off.state() == 'shut off'
    vm = wait_status(client, off, 'down')
    assert vm.find('host') is None and vm.findtext('stop_time')


def test_the_answer_is_what_the_next_get_says(off, client):
    """Ansible looks right after it."""
    done(act(client, off, 'start'), off)
    assert client.get(path(off)).xml.findtext('status') in ('up', 'powering_up')
    done(act(client, off, 'stop'), off)
    assert client.get(path(off)).xml.findtext('status') == 'down'


def test_start_with_what_clients_add(off, client):
    body = ('<action><async>false</async><use_cloud_init>false</use_cloud_init>'
            f'<vm id="{vm_id(off)}"><name>web1</name><os/></vm><volatile>true</volatile><filter>true</filter></action>')
    done(act(client, off, 'start', body), off)


@pytest.mark.parametrize('inside, words', [
    ('<vm><memory>536870912</memory></vm>', ["'memory'", 'PUT']),
    ('<vm><memory_policy><guaranteed>1</guaranteed></memory_policy></vm>', ["'memory_policy'", 'PUT']),
    ('<vm><name>web1</name><os><boot/></os></vm>', ["'os'"]),
    ('<use_cloud_init>true</use_cloud_init>', ['use_cloud_init']),
    ('<pause>true</pause>', ['pause']),
    ('<grace_period><expiry>60000</expiry></grace_period>', ['grace_period'])])
def test_start_does_not_drop_what_it_cannot_do(off, client, inside, words):
    answer = act(client, off, 'start', f'<action>{inside}</action>')
    assert answer.status == 400 and answer.xml.findtext('status') == 'failed', answer
    assert all(word in answer.xml.findtext('fault/detail') for word in words), answer
    assert off.state() == 'shut off'


def test_start_resumes_a_paused_vm(mute, client):
    mute.suspend()
    wait_status(client, mute, 'paused')
    done(act(client, mute, 'start'), mute)
    assert mute.state() == 'running'


def test_stop_of_a_paused_vm(mute, client):
    mute.suspend()
    wait_status(client, mute, 'paused')
    done(act(client, mute, 'stop'), mute)
    assert mute.state() == 'shut off'


def test_what_is_refused(mute, off_too, client):
    refused(act(client, mute, 'start'), 'web1')
    for action in ('stop', 'shutdown', 'reboot'):
        refused(act(client, off_too, action), 'web2')
    assert refused(act(client, mute, 'start', {}))
    assert mute.state() == 'running' and off_too.state() == 'shut off'


@pytest.fixture
def off_too(host):
    return host.define('web2', os=False)


def test_reboot_of_a_paused_vm(mute, client):
    mute.suspend()
    wait_status(client, mute, 'paused')
    refused(act(client, mute, 'reboot'), 'web1', 'paused')


@pytest.mark.parametrize('body', ['<action>', '<vm/>', 'action',
                                  '<action><async>perhaps</async></action>'])
def test_bad_bodies(off, client, body):
    answer = act(client, off, 'start', body)
    assert answer.status == 400 and b'<reason>' in answer.body, answer
    assert off.state() == 'shut off'


def test_unknown_vm_and_unknown_action(off, client):
    assert client.post('vms/00000000-0000-4000-8000-0000000000a1/start', PYTHON).status == 404
    assert act(client, off, 'explode').status == 404


def test_a_start_that_fails_says_why(host, client):
    vm = host.define('web1', os=False, devices="""
        <disk type='file' device='disk'><source file='/nowhere/at/all'/>
        <target dev='vda' bus='virtio'/></disk>""")
    wait_status(client, vm, 'down')
    answer = act(client, vm, 'start')
    assert answer.status in (400, 409, 500), answer
    assert answer.xml.tag == 'action' and answer.xml.findtext('status') == 'failed'
    assert '/nowhere/at/all' in answer.xml.findtext('fault/detail')
    assert event(client, 54).findtext('severity') == 'error'


def test_shutdown_asks_the_guest(guest, client):
    """The press of the power button arrives; this small guest does not act on it."""
    done(act(client, guest, 'shutdown'), guest)
    assert client.get(path(guest)).xml.findtext('status') in ('powering_down', 'up')
    assert event(client, 73).find('vm').get('id') == vm_id(guest)
    guest.wait_event('POWERDOWN')


def test_a_warm_reboot(guest, client):
    done(act(client, guest, 'reboot'), guest)
    assert len(events(client, 157, wait=True)) == 1
    wait_status(client, guest, 'up')


def test_a_reboot_with_a_next_run_comes_when_the_guest_has_gone_down(guest, client):
    put(client, guest, 512, 300, query='?next_run=true')
    done(act(client, guest, 'reboot'), guest)
    assert client.get(path(guest)).xml.findtext('memory') == str(256 << 20)
    guest.wait_event('POWERDOWN')
    with pytest.raises(ConnectionError):
        guest.guest('poweroff -f')
    vm = client.wait(path(guest), lambda found: memory(found)[0] == 512 and
                     found.findtext('status') == 'up')
    assert memory(vm) == (512, 300) and next_run_exists(vm) == 'false'
    assert guest.state() == 'running' and values(client, guest) == (512, 300, 512, 300)


def test_a_reboot_that_was_ignored_brings_no_destroyed_vm_back(guest, client):
    """The guest here does not heed the power button, and then somebody pulls the plug."""
    put(client, guest, 512, 300, query='?next_run=true')
    done(act(client, guest, 'reboot'), guest)
    guest.wait_event('POWERDOWN')
    guest.host.virsh('destroy', 'web1')
    wait_status(client, guest, 'down')
    done(act(client, guest, 'start'), guest)
    wait_status(client, guest, 'up')
    assert [item.findtext('code') for item in client.get('events').xml].count('32') == 1


def test_a_reboot_that_is_ignored_is_told(guest, serve):
    client = serve(shutdown_timeout=1).client()
    put(client, guest, 512, 300, query='?next_run=true')
    done(act(client, guest, 'reboot'), guest)
    told = event(client, 158)
    assert told.findtext('severity') == 'error' and told.find('vm').get('id') == vm_id(guest)
    assert 'web1' in told.findtext('description') and 'next-run' in told.findtext('description')
    with pytest.raises(ConnectionError):
        guest.guest('poweroff -f')
    wait_status(client, guest, 'down')
    assert guest.state() == 'shut off' and len(events(client, 158)) == 1


def test_a_start_takes_the_next_run(off, client):
    put(client, off, 1500, 1100)
    done(act(client, off, 'start'), off)
    vm = wait_status(client, off, 'up')
    assert memory(vm) == (1500, 1100) and next_run_exists(vm) == 'false'


def test_events_of_actions(off, client):
    done(act(client, off, 'start'), off)
    done(act(client, off, 'stop'), off)
    started = events(client, 153) + events(client, 150) + events(client, 32)
    assert started and all('web1' in found.findtext('description') for found in started)
    assert events(client, 20005) == []  # libvirt resumes what it starts, too
    stopped = event(client, 33)
    assert stopped.find('vm').get('id') == vm_id(off)
    assert stopped.find('user').findtext('name').startswith('admin@internal')


def test_two_starts_at_once(off, client):
    """One of them starts it; the other is told that it runs, or that it is being changed."""
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda _: act(client, off, 'start'), range(2)))
    assert sorted(answer.status for answer in answers) == [200, 409], answers
    assert off.state() == 'running'
