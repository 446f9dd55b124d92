# SPDX-License-Identifier: Apache-2.0
"""/health and /metrics where something they tell of is not well."""

import contextlib
import sqlite3
import time

import testbed
from rest import fault, path, wait_runs
from testbed.daemon import Daemon


def samples(client):
    lines = client.anonymous().get('/metrics').text.splitlines()
    return {name: float(value) for name, value in
            (line.rsplit(' ', 1) for line in lines if not line.startswith('#'))}


def vms_by_state(client):
    found = samples(client)
    return [found[f'dimmer_vms{{state="{state}"}}'] for state in ('running', 'not_running', 'unknown')]


def test_nothing_is_said_of_vms_whose_host_is_gone(users, require):
    require(testbed.missing())
    with testbed.SessionHost() as host:
        vm = host.start_guest('web1', os=False)
        host.define('web2', os=False)
        path_of_vm = path(vm)
        where = path_of_vm + '/memorycheck'
        with Daemon(host, users=users) as daemon:
            client = daemon.client()
            assert client.get(where).status == 200
            assert vms_by_state(client) == [1, 1, 0]
            host.stop_libvirtd()
            client.wait(path_of_vm, lambda found: found.findtext('status') == 'unknown')
            detail = fault(client.get(where), 503)
            assert 'web1 cannot be checked: its host' in detail
            assert vms_by_state(client) == [0, 0, 2]
            assert samples(client)['dimmer_memory_bytes{kind="boot"}'] == 0
            assert client.get('/health').status == 503
            host.start_libvirtd()
            wait_runs(client, vm)
            assert client.get(where).status == 200
            assert vms_by_state(client) == [1, 1, 0]


def health(client):
    answer = client.anonymous().get('/ovirt-engine/services/health')
    return answer.status, answer.text


def wait_health(client, status, timeout=10):
    """There is no event for it, and the database is looked at once a second."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if health(client)[0] == status:
            return
    raise AssertionError(f'/health does not become {status}: {health(client)}')


def test_health_tells_of_a_database_that_takes_nothing(off, daemon, client):
    """What happens then is reported at once, is in the list, and is stored when the database is back."""
    with client.live() as live, contextlib.closing(sqlite3.connect(daemon.folder / 'dimmerd.db')) as other:
        assert health(client) == (200, 'DB Up!Welcome to Health Status! 1 of 1 hosts connected\n')
        other.execute('BEGIN IMMEDIATE')
        client.post(path(off, '/start'), '<action/>')
        found = live.wait('event', lambda data: data['code'] == '150')
        assert client.get(found['href']).status == 200
        wait_health(client, 503)
        status, text = health(client)
        assert status == 503 and text.startswith('DB Down!') and str(daemon.folder) not in text
        daemon.wait_log('not healthy: cannot write the database .*: database is locked')
        other.execute('ROLLBACK')
    wait_health(client, 200)
    assert daemon.stop() == 0
    daemon.restart()
    client = daemon.client()
    assert client.get(found['href']).xml.findtext('code') == '150'
    (daemon.folder / 'dimmerd.db').unlink()
    wait_health(client, 503)
    daemon.wait_log('not healthy: the database .* was removed')
