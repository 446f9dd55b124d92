# SPDX-License-Identifier: Apache-2.0
"""A database whose disk is full or whose file is locked, and a clock that is wrong: they stop nothing, lose nothing."""

import contextlib
import sqlite3
import sys
from pathlib import Path

import pytest

import testbed
from rest import change, events, path, put, search
from testbed.daemon import ADMIN
from testbed.host import SessionHost

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / 'knocks'))

from world import KnockHost, preload  # noqa: E402  (it is beside this folder)


class StrangeHost(KnockHost):
    """Only dimmerd lives in that world."""

    def _daemon_environment(self):
        return SessionHost._daemon_environment(self)


@pytest.fixture(scope='module')
def strange(require):
    require(testbed.missing())
    require([] if preload() else ['the library of tests/knocks (build it)'])
    with StrangeHost() as host:
        yield host


@pytest.fixture
def daemon(strange, serve):
    """One in a world where all can be well, or not."""
    daemon = serve(strange, start=False)
    daemon.environment = strange.world(daemon.folder)
    yield daemon.start()
    strange.set_world()
    strange.remove_all()


def updates(client, vm, sizes):
    for size in sizes:
        put(client, vm, size)
    found = events(client, 35)
    assert len(found) == len(sizes)
    return [found.get('id') for found in found]


def test_a_full_disk_stops_neither_logins_nor_changes(strange, daemon):
    vm = strange.define('web1', os=False)
    strange.set_world(full=True)
    client = daemon.anonymous().bearer(daemon.anonymous().token(*ADMIN))
    client.wait('vms', lambda found: len(found) == 1)
    written = updates(client, vm, [512, 600, 700])
    daemon.wait_log('events and logins are kept in memory only: cannot write the database')
    assert daemon.anonymous().get('/health').status == 503
    strange.set_world()
    daemon.wait_log('the database is written to again')
    assert daemon.stop() == 0
    daemon.restart()
    client = daemon.anonymous().bearer(client.authorization.removeprefix('Bearer '))
    assert [found.get('id') for found in events(client, 35)]== written


def test_a_database_that_is_locked_stops_neither_logins_nor_changes(strange, daemon):
    vm = strange.define('web1', os=False)
    with contextlib.closing(sqlite3.connect(daemon.folder / 'dimmerd.db', isolation_level=None)) as other:
        other.execute('BEGIN IMMEDIATE')
        client = daemon.anonymous().bearer(daemon.anonymous().token(*ADMIN))
        client.wait('vms', lambda found: len(found) == 1)
        written = updates(client, vm, [512, 600, 700])
        assert client.get(f'events/{written[0]}').status == 200
        assert len(client.get(search('events', 'type=35 sortby time asc')).xml) == 3
        assert client.put(path(vm), change(500)).status == 200
        daemon.wait_log('events and logins are kept in memory only: .* database is locked')
        other.execute('ROLLBACK')
    daemon.wait_log('the database is written to again')
    daemon.kill()
    daemon.restart()
    client = daemon.anonymous().bearer(client.authorization.removeprefix('Bearer '))
    assert [found.get('id') for found in events(client, 35)][1:] == written


def test_a_clock_that_is_ahead_makes_no_event_old(strange, daemon):
    vm = strange.define('web1', os=False)
    client = daemon.client()
    client.wait('vms', lambda found: len(found) == 1)
    written = updates(client, vm, [512, 600])
    strange.set_world(ahead=40 * 86400)
    daemon.reload()
    daemon.wait_log('the users were reloaded')
    put(daemon.basic(), vm, 700)
    assert [found.get('id') for found in events(daemon.basic(), 35)][1:] == written
    assert daemon.stop() == 0
    daemon.restart()
    assert [found.get('id') for found in events(daemon.basic(), 35)][1:] == written
