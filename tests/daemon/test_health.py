# SPDX-License-Identifier: Apache-2.0
"""/health and /metrics where something they tell of is not well."""

import contextlib
import sqlite3
import time

from rest import path


def health(client):
    answer = client.anonymous().get('/health')
    return answer.status, answer.text


def wait_health(client, status, timeout=10):
    """There is no event for it, and the database is looked at once a second."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if health(client)[0] == status:
            return
    raise AssertionError(f'/health does not become {status}: {health(client)}')


def test_health_tells_of_a_database_that_takes_nothing(off, daemon, client):
    """And what happens then is told to those who listen."""
    with client.live() as live, contextlib.closing(sqlite3.connect(daemon.folder / 'dimmerd.db')) as other:
        assert health(client) == (200, 'DB Up!Welcome to Health Status! 1 of 1 hosts connected\n')
        other.execute('BEGIN IMMEDIATE')
        client.post(path(off, '/start'), '<action/>')
        found = live.wait('event', lambda data: data['code'] == '150')
        assert 'id' not in found and 'href' not in found and int(found['time']) > 0
        status, text = health(client)
        assert status == 503 and text.startswith('DB Down!') and str(daemon.folder) not in text
        daemon.wait_log('not healthy: cannot write the database .*: database is locked')
        other.execute('ROLLBACK')
    wait_health(client, 200)
    (daemon.folder / 'dimmerd.db').unlink()
    wait_health(client, 503)
    daemon.wait_log('not healthy: the database .* was removed')
