# SPDX-License-Identifier: Apache-2.0
"""Starting, stopping, being killed, losing libvirt, being crowded."""

import http.client
import re
import resource
import socket
import time

import pytest

import testbed
from rest import (change, event, events, job, memory, path, plug, put, steps, values, wait_job,
                  wait_memory, wait_status)
from testbed.daemon import Daemon, user_command


# SIGKILL.

def test_killed_while_a_guest_owes_an_answer(guest, serve, pool):
    """The VM carries the request: the next dimmerd finds it and finishes the account."""
    daemon = serve(answer_timeout=50)
    client = daemon.client()
    put(client, guest, 384)
    alias, = guest.memory_devices()
    guest.wait_plugged(alias)
    guest.set_deaf(True)
    waiting = pool.submit(client.put, path(guest), change(256))
    event(client, 2046)
    before = [found for found in client.get('jobs').xml if found.findtext('status') == 'started']
    daemon.kill()
    with pytest.raises((ConnectionError, http.client.HTTPException)):
        waiting.result(timeout=30)
    daemon.restart()
    client = daemon.client()
    found = client.get(f'jobs/{before[0].get("id")}')
    assert found.status == 200 and found.xml.findtext('status') == 'started'
    assert [state for state, _ in steps(client, before[0].get('id'))] == ['started']
    assert values(client, guest) == (384, 384, 256, 256)
    state = client.get(path(guest, '/memorydevices')).xml.findtext('memory_device/state')
    assert state in ('going', 'overdue')
    guest.set_deaf(False)
    wait_job(client, before[0].get('id'), 'finished')
    assert values(client, guest) == (256, 256, 256, 256)
    assert memory(put(client, guest, 384)) == (384, 384)


def test_a_job_that_comes_back_has_its_owner_and_shares_its_device(guest, serve):
    """Two jobs wait for one device then; its removal is reported once."""
    device, = plug(guest, 128)
    daemon = serve(answer_timeout=1, guest_timeout=3)
    wait_memory(daemon.client(), guest, 384)
    guest.set_deaf(True)
    put(daemon.client(), guest, 256)
    before = job(daemon.client(), guest)
    daemon.kill()
    daemon.restart()
    client = daemon.client()
    again = client.get(f'jobs/{before.get("id")}').xml
    assert again.find('owner').get('id') == before.find('owner').get('id')
    client.wait(path(guest, f'/memorydevices/{device}'), lambda found: found.findtext('state') == 'overdue')
    deadline = time.monotonic() + 30
    while 'dimmer_vms_changing 0\n' not in client.get('/metrics').text:  # while it waits, a DELETE would join it
        assert time.monotonic() < deadline
    answer = client.delete(path(guest, f'/memorydevices/{device}'))
    assert answer.status == 202 and answer.xml.find('job').get('id') != before.get('id')
    guest.set_deaf(False)
    for ident in (before.get('id'), answer.xml.find('job').get('id')):
        wait_job(client, ident, 'finished')
    assert len(events(client, 20001)) == 1
    released = re.search(r'dimmer_memory_release_duration_seconds_count (\d+)', client.get('/metrics').text)
    assert released[1] == '1'


def test_the_guest_answers_while_no_dimmerd_runs(guest, serve, pool):
    daemon = serve(answer_timeout=50)
    client = daemon.client()
    put(client, guest, 384)
    alias, = guest.memory_devices()
    guest.wait_plugged(alias)
    guest.set_deaf(True)
    pool.submit(client.put, path(guest), change(256))
    event(client, 2046)
    ident = [found.get('id') for found in client.get('jobs').xml
             if found.findtext('status') == 'started'][0]
    daemon.kill()
    guest.set_deaf(False)
    guest.wait_gone(alias)
    daemon.restart()
    client = daemon.client()
    wait_job(client, ident, 'finished')
    client.wait(path(guest, '?next_run=true'), lambda vm: memory(vm) == (256, 256))
    assert values(client, guest) == (256, 256, 256, 256)
    assert guest.live_xml().find('metadata').find('.//{urn:dimmer:memory:1}request') is None


def test_killed_in_a_row(off, serve):
    """Whatever it was writing, the next start takes its files."""
    daemon = serve()
    for size in (512, 600, 700, 800):
        put(daemon.client(), off, size)
        daemon.kill()
        daemon.restart()
    assert len(events(daemon.client(), 35)) == 4
    assert values(daemon.client(), off)[0] == 800


# SIGTERM and SIGHUP.

def wait_refused(port, timeout=10):
    """Wait until the port is closed: there is no event for that."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        try:
            socket.create_connection(('127.0.0.1', port)).close()
        except ConnectionRefusedError:
            return
        except ConnectionResetError:  # it was closed at that moment
            pass
    raise AssertionError(f'port {port} still takes connections')


def test_sigterm_leaves_no_request_without_an_answer(guest, serve, pool):
    """It says what the VM has by then; the request itself goes on in the VM."""
    daemon = serve(answer_timeout=20)
    plug(guest, 128)
    client = daemon.client()
    wait_memory(client, guest, 384)
    guest.set_deaf(True)
    waiting = pool.submit(client.put, path(guest), change(256))
    event(client, 2046)
    stopping = pool.submit(daemon.stop)
    wait_refused(daemon.port)
    answer = waiting.result(timeout=30)
    assert answer.status == 200 and memory(answer.xml) == (384, 384)
    assert stopping.result(timeout=30) == 0
    guest.set_deaf(False)
    daemon.restart()
    assert memory(wait_memory(daemon.client(), guest, 256)) == (256, 256)


def test_sigterm_does_not_wait_for_a_guest_forever(mute, serve, pool):
    plug(mute, 128)
    daemon = serve(answer_timeout=2)
    client = daemon.client()
    waiting = pool.submit(client.put, path(mute), change(1024))
    event(client, 2046)
    assert daemon.stop() == 0
    answer = waiting.result(timeout=30)
    assert answer.status == 200 and memory(answer.xml)[0] == 1152
    daemon.restart()
    assert job(daemon.client(), mute).findtext('status') == 'started'


def test_sighup_is_not_the_end(daemon, client):
    daemon.reload()
    daemon.reload()
    assert client.get().status == 200 and daemon.running()


def test_a_reload_takes_new_users(daemon):
    host = daemon.host
    users = daemon.folder / 'users'
    host.run([*user_command(host, 'add', 'new@internal', '--role', 'viewer'),
              '--users', users], stdin='secret word\n', check=0)
    with daemon.client().live():
        daemon.reload()
        daemon.wait_log('(?i)reload|read again')
    assert daemon.anonymous().token('new@internal', 'secret word')


def test_a_reload_tells_of_users_and_configuration_apart(daemon):
    users = daemon.folder / 'users'
    good_users, good_config = users.read_text(), daemon.config.read_text()
    users.write_text('no user at all\n')
    daemon.reload()
    daemon.wait_log('the configuration was reloaded')
    daemon.wait_log('the users stay as they were: .*users')
    assert 'the users were reloaded' not in daemon.text()
    users.write_text(good_users)
    daemon.config.write_text(good_config + '\n[nonsense]\n')
    daemon.reload()
    daemon.wait_log('the configuration stays as it was: .*nonsense')
    daemon.wait_log('the users were reloaded')
    assert daemon.text().count('the configuration was reloaded') == 1
    assert daemon.client().get().status == 200


# libvirt goes and comes.

def test_libvirtd_is_stopped_and_started(users, require):
    require(testbed.missing())
    with testbed.SessionHost() as host:
        vm = host.start_guest('web1', os=False)
        off = host.define('web2', os=False)
        where, where_off = path(vm), path(off)
        with Daemon(host, users=users) as daemon:
            client = daemon.client()
            host.stop_libvirtd()
            client.wait(where, lambda found: found.findtext('status') == 'unknown')
            assert client.get(where_off).xml.findtext('status') == 'unknown'
            assert client.get('hosts').xml.findtext('host/status') != 'up'
            lost = f'the connection to {host.uri} was lost: libvirt closed it'
            assert re.search(rf' warning +{re.escape(lost)} host=\S+$', daemon.wait_log(re.escape(lost)))
            description = events(client, 20007)[-1].findtext('description')
            assert description.endswith(f' cannot be reached: {lost}') and description.count(host.uri) == 1
            answer = client.put(where, change(1280))
            assert answer.status == 503 and answer.xml.findtext('detail')
            for action in 'shutdown', 'stop', 'reboot', 'prepareguest':
                answer = client.post(f'{where}/{action}', '<action/>')
                assert answer.status == 503, answer
                assert re.search('host .* cannot be reached', answer.xml.findtext('fault/detail')), answer
            answer = client.get(f'{where}/memorycheck')
            assert answer.status == 503 and 'cannot be reached' in answer.xml.findtext('detail'), answer
            assert client.get('/health').status in (200, 503)
            host.start_libvirtd()
            client.wait(where, lambda found: found.findtext('status') == 'up')
            wait_status(client, off, 'down')
            client.wait('hosts', lambda found: found.findtext('host/status') == 'up')
            assert memory(put(client, vm, 1280)) == (1280, 1280)
            assert daemon.stop() == 0


def test_what_changed_while_libvirt_was_away_is_seen(users, require):
    require(testbed.missing())
    with testbed.SessionHost() as host:
        kept = host.start_guest('kept', os=False)
        gone = host.define('gone', os=False)
        gone_path = path(gone)
        with Daemon(host, users=users) as daemon:
            client = daemon.client()
            host.stop_libvirtd()
            client.wait(gone_path, lambda found: found.findtext('status') == 'unknown')
            (host.folder / 'config/libvirt/qemu/gone.xml').unlink()
            kept.qmp('quit')
            host.start_libvirtd()
            client.wait('vms', lambda found: [vm.findtext('name') for vm in found] == ['kept'] and
                        found.findtext('vm/status') == 'down')
            assert client.get(gone_path).status == 404


def test_it_starts_without_a_host_that_is_not_there(off, host, serve):
    """READY comes for the hosts that can be reached."""
    daemon = serve(connections=f'{host.uri} qemu+unix:///session?socket=/nowhere/at/all')
    client = daemon.client()
    assert [vm.findtext('name') for vm in client.get('vms').xml] == ['web1']
    statuses = sorted(found.findtext('status') for found in client.get('hosts').xml)
    assert len(statuses) == 2 and 'up' in statuses and statuses != ['up', 'up']


def test_two_hosts_side_by_side(off, host, serve):
    with testbed.SessionHost() as other:
        there = other.define('web2', os=False)
        client = serve(host, other).client()
        found = {vm.findtext('name'): vm for vm in client.get('vms').xml}
        assert set(found) == {'web1', 'web2'}
        assert len(client.get('hosts').xml) == 2
        assert client.post(path(there, '/start'), '<action/>').status == 200
        assert there.state() == 'running' and off.state() == 'shut off'
        host_id = client.get(path(there)).xml.find('host').get('id')
        assert host_id in [element.get('id') for element in client.get('hosts').xml]


# Configurations.

def replace(old, new):
    return lambda text: text.replace(old, new, 1)


def connections(uris):
    return lambda text: re.sub(r'(?m)^connections=.*', f'connections={uris}', text)


@pytest.mark.parametrize('changed, words', [
    (replace('port=0', 'port=99999'), ['port', '99999']),
    (replace('port=0', 'port=http'), ['port', 'http']),
    (replace('port=0', 'prot=0'), ['prot']),
    (replace('[database]', '[databasse]'), ['databasse']),
    (replace('address=127.0.0.1', 'address=localhost'), ['address', 'localhost']),
    (replace('address=127.0.0.1', 'address=0.0.0.0'), ['0.0.0.0', 'certificate']),
    (replace('port=0', 'port=0\ncertificate=/nowhere/server.pem'), ['key']),
    (replace('port=0', 'port=0\ncertificate=/nowhere/s.pem\nkey=/nowhere/s.key'), ['/nowhere/s']),
    (replace('port=0', 'port=0\nanswer-timeout=soon'), ['answer-timeout', 'soon']),
    (lambda text: 'nothing that is a configuration\n' + text, ['dimmerd.conf']),
    (connections('quemu:///system'), ['connections', "driver 'quemu'", 'qemu:///system']),
    (connections('test:///default test:///default'), ['connections', 'test:///default', 'twice']),
    (replace('dimmerd.db', 'users/dimmerd.db'), ['users/dimmerd.db']),
])
def test_a_bad_configuration_is_reported(serve, changed, words):
    daemon = serve(start=False)
    daemon.config.write_text(changed(daemon.config.read_text()))
    status, said = daemon.run_to_end()
    assert status > 0, said
    for word in [*words, 'dimmerd']:
        assert word in said, said
    assert 'listening on' not in said and len(said.splitlines()) <= 3, said


def test_a_configuration_that_is_not_there(serve):
    daemon = serve(start=False)
    daemon.config.unlink()
    status, said = daemon.run_to_end()
    assert status > 0 and 'dimmerd.conf' in said


def test_a_users_file_that_others_can_read(serve):
    daemon = serve(start=False)
    (daemon.folder / 'users').chmod(0o644)
    status, said = daemon.run_to_end()
    assert status > 0 and str(daemon.folder / 'users') in said


def test_a_port_that_is_taken(daemon, serve):
    other = serve(start=False, port=daemon.port)
    status, said = other.run_to_end()
    assert status > 0 and str(daemon.port) in said


# Many at once.

def test_a_thousand_idle_connections(off, serve):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert hard >= 4096, 'ulimit -Hn is too low for this test'
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 4096), hard))
    client = serve().client()
    idle = []
    try:
        for number in range(1000):
            connection = socket.create_connection(('127.0.0.1', client.port), timeout=10)
            if number % 2:
                connection.sendall(b'GET /ovirt-engine/api HTTP/1.1\r\nHost:')  # and no more
            idle.append(connection)
        for _ in range(20):
            assert client.get('vms').status == 200
        assert memory(put(client, off, 512))[0] == 512
    finally:
        for connection in idle:
            connection.close()
    assert client.get().status == 200


def test_idle_connections_are_closed(serve):
    daemon = serve(idle_timeout=1)
    with socket.create_connection(('127.0.0.1', daemon.port), timeout=20) as idle:
        assert idle.recv(1) == b''


def test_more_connections_than_allowed(serve):
    daemon = serve(max_connections=10)
    client = daemon.client()
    idle = [socket.create_connection(('127.0.0.1', daemon.port)) for _ in range(30)]
    for connection in idle:
        connection.close()
    client.wait('', lambda found: found.tag == 'api')


@pytest.mark.parametrize('begun', [b'', b'PUT /ovirt-engine/api/vms/x HTTP/1.1\r\nHost: x\r\n'
                                   b'Content-Length: 1000\r\n\r\n'])
@pytest.mark.parametrize('encrypted', [False, True])
def test_dripping_clients_lock_no_other_out(serve, authority, begun, encrypted):
    """All connections are theirs, and never idle; but they end, however much they say."""
    count, limit = 8, 2
    tls = authority if encrypted else None
    daemon = serve(tls=tls, max_connections=count, idle_timeout=60, request_timeout=limit)
    token = daemon.client()
    drips = []
    for _ in range(count):
        drip = socket.create_connection(('127.0.0.1', daemon.port), timeout=20)
        drips.append(tls.context().wrap_socket(drip, server_hostname='localhost') if tls else drip)
        drips[-1].sendall(begun + b'G')
    started = time.monotonic()
    assert token.get('vms').status == 200  # one of them gives way
    while drips and time.monotonic() - started < 20:
        for drip in list(drips):
            try:
                drip.settimeout(0.1)
                drip.sendall(b'E')
                cut = drip.recv(4096) == b''
            except TimeoutError:
                continue
            except OSError:
                cut = True
            if cut:
                drips.remove(drip)
    assert not drips


def test_health_and_metrics(mute, client):
    assert client.anonymous().get('/health').status == 200
    put(client, mute, 1152)
    text = client.anonymous().get('/metrics').text
    samples = dict(line.rsplit(' ', 1) for line in text.splitlines() if not line.startswith('#'))
    assert all(float(value) >= 0 for value in samples.values())
    assert any('vms' in name and float(value) == 1 for name, value in samples.items())
    assert any(float(value) == 1152 * 1024 * 1024 for value in samples.values()), text


def test_the_bounds_of_histograms_are_written_as_people_do(client):
    """Not 0.050000000000000003: queries name buckets."""
    text = client.anonymous().get('/metrics').text
    bounds = re.findall(r'dimmer_memory_release_duration_seconds_bucket{le="(.*)"}', text)
    assert bounds == '0.05 0.1 0.25 0.5 1 2.5 5 10 30 60 300 +Inf'.split()
