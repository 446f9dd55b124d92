# SPDX-License-Identifier: Apache-2.0
"""start, stop, shutdown and reboot: their bodies, their answers, and what they refuse."""

import concurrent.futures
import os
from datetime import datetime

import pytest

from rest import (FAILED, NEXT_RUN, RUNS, event, events, memory, next_run_exists, path, put, rule, search, values,
                  vm_id, wait_runs, wait_status)

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
    vm = wait_runs(client, off)
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


def test_reboot_and_shutdown_of_a_paused_vm(mute, client):
    mute.suspend()
    wait_status(client, mute, 'paused')
    refused(act(client, mute, 'reboot'), 'web1', 'paused')
    refused(act(client, mute, 'shutdown'), 'web1', 'paused', 'start it')
    mute.resume()
    wait_runs(client, mute)
    done(act(client, mute, 'shutdown'), mute)


@pytest.mark.parametrize('body', ['<action>', '<vm/>', 'action',
                                  '<action><async>perhaps</async></action>'])
def test_bad_bodies(off, client, body):
    answer = act(client, off, 'start', body)
    assert answer.status == 400 and b'<reason>' in answer.body, answer
    assert off.state() == 'shut off'


def test_unknown_vm_and_unknown_action(off, client):
    assert client.post('vms/00000000-0000-4000-8000-0000000000a1/start', PYTHON).status == 404
    assert act(client, off, 'explode').status == 404


def test_a_start_that_fails_says_why(host, daemon):
    client = daemon.client()
    vm = host.define('web1', os=False, devices="""
        <disk type='file' device='disk'><source file='/nowhere/at/all'/>
        <target dev='vda' bus='virtio'/></disk>""")
    wait_status(client, vm, 'down')
    answer = act(client, vm, 'start')
    assert answer.status in (400, 409, 500), answer
    assert answer.xml.tag == 'action' and answer.xml.findtext('status') == 'failed'
    assert '/nowhere/at/all' in answer.xml.findtext('fault/detail')
    assert event(client, 54).findtext('severity') == 'error'
    assert list((daemon.folder / 'passing').iterdir()) == []  # nor does the next dimmerd take it for on its way


def test_shutdown_asks_the_guest(guest, client):
    """The press of the power button arrives; this small guest does not act on it."""
    done(act(client, guest, 'shutdown'), guest)
    assert client.get(path(guest)).xml.findtext('status') in ('powering_down', 'up')
    assert event(client, 73).find('vm').get('id') == vm_id(guest)
    guest.wait_event('POWERDOWN')


def test_a_warm_reboot(guest, client):
    done(act(client, guest, 'reboot'), guest)
    assert len(events(client, 157, wait=True)) == 1
    wait_runs(client, guest)


def test_the_status_on_the_way(host, serve):
    """What clients wait for: a reboot begins with another status than up, and ends with the agent's sign."""
    vm = host.start_guest('web1', memory_mib=256, max_mib=2048, agent=True)
    client = serve().client()

    def status():
        return client.get(path(vm)).xml.findtext('status')

    assert status() == 'up'
    done(act(client, vm, 'shutdown'), vm)
    assert status() == 'powering_down'
    done(act(client, vm, 'reboot'), vm)
    assert status() == 'reboot_in_progress'
    assert names_of(client, 'status=RebootInProgress') == ['web1'] and names_of(client, 'status=up') == []
    assert memory(put(client, vm, 384))[0] == 384
    with client.live() as live:
        host.virsh('reset', 'web1')
        live.wait('vm', lambda data: data['status'] == 'powering_up')
        live.wait('vm', lambda data: data['status'] == 'up')
    vm.wait_port('org.dimmer.guest.0', 'connected')
    done(act(client, vm, 'stop'), vm)
    assert wait_status(client, vm, 'down').find('start_time') is None


def test_a_start_is_on_the_way_until_the_agent_tells(host, serve):
    vm = host.define('web1', memory_mib=256, max_mib=2048, agent=True)
    client = serve(answer_timeout=50).client()
    with client.live() as live:
        done(act(client, vm, 'start'), vm)
        live.wait('vm', lambda data: data['status'] == 'powering_up')
        live.wait('vm', lambda data: data['status'] == 'up')
    vm.wait_port('org.dimmer.guest.0', 'connected')


def test_a_start_that_no_agent_tells_of(off, daemon, host):
    """It goes on after a restart of the daemon, takes changes, and ends by itself."""
    client = daemon.client()
    done(act(client, off, 'start'), off)
    assert client.get(path(off)).xml.findtext('status') == 'powering_up'
    assert names_of(client, 'status=PoweringUp') == ['web1']
    assert memory(put(client, off, 1152))[0] == 1152
    client = restarted(daemon, True)
    assert client.get(path(off)).xml.findtext('status') == 'powering_up'
    created = host.create('web2', os=False)
    wait_status(client, created, 'powering_up')
    wait_status(client, off, 'up')


def test_a_shutdown_that_a_booting_guest_may_not_hear_is_repeated(off, client):
    """Nothing tells that it has not; and where it never does, an event says so. With a next run, a reboot is a cold one."""
    for verb, next_run in (('shutdown', None), ('reboot', None), ('reboot', 1100), ('shutdown', None)):
        done(act(client, off, 'start'), off)
        off.connect()
        if next_run is not None:
            put(client, off, next_run, query=NEXT_RUN)
        done(act(client, off, verb), off)
        for _ in range(3):
            off.wait_event('POWERDOWN')
        if verb == 'reboot':
            assert client.get(path(off)).xml.findtext('status') == 'reboot_in_progress'
        else:
            assert client.get(path(off)).xml.findtext('status') == 'powering_down'
        off.close()
        done(act(client, off, 'stop'), off)
    assert events(client, 147) == []


def test_a_shutdown_that_is_ignored_is_reported(mute, client):
    done(act(client, mute, 'shutdown'), mute)
    reported = event(client, 147)
    assert reported.findtext('severity') == 'warning' and 'web1' in reported.findtext('description')
    assert client.get(path(mute)).xml.findtext('status') == 'up'
    mute.wait_event('POWERDOWN')
    mute.qmp('query-status')  # all events before its answer are read
    with pytest.raises(TimeoutError):  # it was up, and hears it once
        mute.wait_event('POWERDOWN', timeout=0)


def restarted(daemon, kills):
    daemon.kill() if kills else daemon.stop()
    return daemon.restart().client()


@pytest.mark.parametrize('kills', [False, True], ids=['ended', 'killed'])
def test_the_status_goes_on_after_a_restart(host, serve, kills):
    """Each stage, for what is left of it; a reset that is seen ends it, and so does a stop."""
    vm = host.start_guest('web1', memory_mib=256, max_mib=2048, agent=True)
    daemon = serve()
    done(act(daemon.client(), vm, 'reboot'), vm)
    client = restarted(daemon, kills)
    assert client.get(path(vm)).xml.findtext('status') == 'reboot_in_progress'
    host.virsh('suspend', 'web1')
    wait_status(client, vm, 'paused')
    host.virsh('resume', 'web1')
    wait_status(client, vm, 'reboot_in_progress')
    with client.live() as live:
        host.virsh('reset', 'web1')
        live.wait('vm', lambda data: data['status'] == 'powering_up')
    client = restarted(daemon, kills)
    wait_status(client, vm, 'up')  # by the agent's sign
    vm.wait_port('org.dimmer.guest.0', 'connected')
    done(act(client, vm, 'shutdown'), vm)
    client = restarted(daemon, kills)
    assert client.get(path(vm)).xml.findtext('status') == 'powering_down'
    daemon.stop()
    vm.destroy()
    vm.start()
    client = daemon.restart().client()
    assert client.get(path(vm)).xml.findtext('status') == 'up'
    assert list((daemon.folder / 'passing').iterdir()) == []


def test_a_stage_of_long_ago(mute, daemon):
    """It ends when it would have ended without the restart."""
    os.utime(next(mute.host.folder.glob('run/**/web1.pid')), (1, 1))  # it runs since long ago
    done(act(daemon.client(), mute, 'reboot'), mute)
    daemon.stop()
    kept = daemon.folder / 'passing' / vm_id(mute)
    stage, began, closed, *_ = kept.read_text().split()
    for ago, status in ((27, 'reboot_in_progress'), (31, 'up'), (-500, 'up')):
        kept.write_text(f'{stage} {int(began) - ago * 1000} {closed}\n')
        client = daemon.restart().client()
        assert client.get(path(mute)).xml.findtext('status') == status
        if status != 'up':
            wait_status(client, mute, 'up')
        daemon.stop()
        assert not kept.exists()
    for text in ('', 'x', '9 9 9', '2', '-1 1 1', '\0' * 100):
        kept.write_text(text)
        assert daemon.restart().client().get(path(mute)).xml.findtext('status') == 'up'
        daemon.stop()
        kept.unlink(missing_ok=True)


def test_since_when_it_runs(off, daemon):
    """libvirt knows it where dimmerd did not run; and what is not known is not 0."""
    client = daemon.client()
    assert elapsed(client, off) is None
    done(act(client, off, 'start'), off)
    seen = datetime.fromisoformat(wait_runs(client, off).findtext('start_time'))
    daemon.stop()
    daemon.restart()
    client = daemon.client()
    vm = client.get(path(off)).xml
    assert datetime.fromisoformat(vm.findtext('start_time')) == seen
    assert elapsed(client, off) > 0 and client.get(search('vms', 'uptime<1')).xml[0].findtext('name') == 'web1'
    off.destroy()
    wait_status(client, off, 'down')
    assert elapsed(client, off) is None


def names_of(client, text):
    return [vm.findtext('name') for vm in client.get(search('vms', text)).xml]


def elapsed(client, vm):
    """The value of the VM's elapsed.time, or None. A statistic is there in any case; but a value is never 0."""
    found = client.get(path(vm, '/statistics')).xml
    data = {item.findtext('name'): item.findtext('values/value/datum') for item in found}
    assert 'memory.buffered' in data and '0' not in data.values()
    return data['elapsed.time'] and int(data['elapsed.time'])


def test_what_libvirt_only_rounds_is_no_next_run(host, serve):
    """A reboot that took it for one would wait for the guest to go down."""
    vm = host.define('web1', max_mib=None, os=False)
    host.virsh('setmaxmem', 'web1', '1000000', '--config')
    vm.start()
    client = serve().client()
    assert next_run_exists(client.get(path(vm)).xml) == 'false'
    done(act(client, vm, 'reboot'), vm)
    assert "<on_reboot>restart</on_reboot>" in host.virsh('dumpxml', 'web1')


def test_a_reboot_with_a_next_run_comes_when_the_guest_has_gone_down(guest, client):
    put(client, guest, 512, 300, query='?next_run=true')
    done(act(client, guest, 'reboot'), guest)
    assert client.get(path(guest)).xml.findtext('memory') == str(256 << 20)
    guest.wait_event('POWERDOWN')
    with pytest.raises(ConnectionError):
        guest.guest('poweroff -f')
    vm = client.wait(path(guest), lambda found: memory(found)[0] == 512 and
                     found.findtext('status') in RUNS)
    assert memory(vm) == (512, 300) and next_run_exists(vm) == 'false'
    assert guest.state() == 'running' and values(client, guest) == (512, 300, 512, 300)


def test_a_reboot_that_was_ignored_brings_no_destroyed_vm_back(guest, client):
    """The guest here ignores the power button, and is then powered off."""
    put(client, guest, 512, 300, query='?next_run=true')
    done(act(client, guest, 'reboot'), guest)
    guest.wait_event('POWERDOWN')
    guest.host.virsh('destroy', 'web1')
    wait_status(client, guest, 'down')
    done(act(client, guest, 'start'), guest)
    wait_runs(client, guest)
    assert [item.findtext('code') for item in client.get('events').xml].count('32') == 1


def test_a_reboot_that_is_ignored_is_reported(guest, serve):
    client = serve(shutdown_timeout=1).client()
    put(client, guest, 512, 300, query='?next_run=true')
    done(act(client, guest, 'reboot'), guest)
    reported = event(client, 158)
    assert reported.findtext('severity') == 'error' and reported.find('vm').get('id') == vm_id(guest)
    assert 'web1' in reported.findtext('description') and 'next-run' in reported.findtext('description')
    with pytest.raises(ConnectionError):
        guest.guest('poweroff -f')
    wait_status(client, guest, 'down')
    assert guest.state() == 'shut off' and len(events(client, 158)) == 1


def test_a_start_takes_the_next_run(off, client):
    put(client, off, 1500, 1100)
    done(act(client, off, 'start'), off)
    vm = wait_runs(client, off)
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
    """One of them starts it; the other is refused, as it runs or is being changed."""
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda _: act(client, off, 'start'), range(2)))
    assert sorted(answer.status for answer in answers) == [200, 409], answers
    assert off.state() == 'running'


def test_each_fault_of_an_action_is_in_an_action(off, client, viewer):
    """Python's and Go's SDKs read it from there; a viewer's, a broken body's, and of what is not done here."""
    for who, verb, body, status in (
            (viewer, 'start', PYTHON, 403), (client, 'start', '<action', 400), (client, 'stop', '<vm/>', 400),
            (client, 'migrate', PYTHON, 400), (viewer, 'migrate', PYTHON, 403), (client, 'suspend', {}, 400)):
        answer = act(who, off, verb, body)
        assert answer.status == status, (verb, answer)
        found = answer.json if isinstance(body, dict) else {child.tag: child for child in answer.xml}
        assert (found['status'] if isinstance(body, dict) else found['status'].text) == 'failed'
        fault = found['fault'] if isinstance(body, dict) else {c.tag: c.text for c in found['fault']}
        assert fault['reason'] and fault['detail']
    assert off.state() == 'shut off'


def test_vms_are_not_made_here(off, client, viewer):
    """Ansible's state=absent, Terraform's destroy and create: said in words, with the tool that does it."""
    for answer, word in ((client.post('vms', '<vm><name>web2</name></vm>'), 'virt-install'),
                         (client.post('vms', {'name': 'web2'}), 'virt-install'),
                         (client.delete(path(off)), 'virsh undefine'),
                         (client.post('tags', '<tag><name>x</name></tag>'), 'GET'),
                         (client.put(path(off, '/nics'), '<nic/>'), 'GET')):
        assert word in rule(answer, 405)
    assert viewer.delete(path(off)).status == 403
    assert client.delete('vms/11111111-1111-4111-8111-111111111111').status == 404
    assert client.post(path(off, '/bogus'), PYTHON).status == 404
    assert len(client.get('vms').xml) == 1
