# SPDX-License-Identifier: Apache-2.0
"""A VM forgets a request only when what it came to is in dimmerd's database, so that no SIGKILL loses an event."""

import concurrent.futures
import contextlib
import http.client
import signal
import sqlite3
import subprocess

import pytest

from rest import change, event, events, path, plug, vm_id, wait_memory

REMOVED, UPDATED = 20001, 35
STORE = 'virDomainSetMetadata'


@pytest.fixture
def daemon(serve):
    return serve(guest_timeout=1, answer_timeout=30)


@contextlib.contextmanager
def locked(daemon):
    """Its database, by another process; yields a function that lets go."""
    with contextlib.closing(sqlite3.connect(daemon.folder / 'dimmerd.db', isolation_level=None)) as other:
        other.execute('BEGIN IMMEDIATE')
        yield lambda: other.execute('ROLLBACK')


def armed(daemon, interpose, at):
    assert daemon.stop() == 0
    daemon.environment = interpose.environment(at, 'kill')
    daemon.restart()
    daemon.environment = {}
    return daemon.client()


def wait_killed(daemon, timeout):
    """Whether it was, in that time."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        assert daemon.wait_exit(timeout) == -signal.SIGKILL
        return True
    return False


def killed_while_locked(daemon, begin):
    """begin() leads to its kill. The database is locked until then, or until it has waited for that."""
    with locked(daemon) as unlock, concurrent.futures.ThreadPoolExecutor(1) as pool:
        asked = pool.submit(begin)
        at_once = wait_killed(daemon, 1)
        unlock()
        assert at_once or wait_killed(daemon, 20), f'it was not killed:\n{daemon.text()}'
        with contextlib.suppress(ConnectionError, http.client.HTTPException):
            asked.result()


def released(client, device):
    return [found for found in events(client, REMOVED) if f'({device})' in found.findtext('description')]


def unplug(client, vm, device):
    return client.delete(path(vm, f'/memorydevices/{device}'))


def lower(client, vm, device):
    return client.put(path(vm), change(256, 200))


@pytest.mark.parametrize('ask, calls', [(unplug, 3), (lower, 5)])
def test_a_kill_after_the_last_call_of_a_request_loses_no_event(guest, daemon, interpose, ask, calls):
    device, = plug(guest, 128)
    client = armed(daemon, interpose, calls)
    wait_memory(client, guest, 384)
    killed_while_locked(daemon, lambda: ask(client, guest, device))
    assert interpose.calls()[-1] == STORE and len(interpose.calls()) == calls
    assert guest.live_xml().find('.//{urn:dimmer:memory:1}request') is None
    client = daemon.restart().client()
    wait_memory(client, guest, 256)
    assert len(released(client, device)) == 1
    if ask is lower:
        assert event(client, UPDATED).find('vm').get('id') == vm_id(guest)


def test_a_kill_after_the_account_of_a_late_answer_loses_no_event(guest, daemon, interpose):
    device, = plug(guest, 128)
    client = daemon.client()
    wait_memory(client, guest, 384)
    guest.set_deaf(True)
    assert unplug(client, guest, device).status == 202
    client = armed(daemon, interpose, 2)  # an account when it has come, and that of the late answer: both their writes
    client.wait(path(guest, f'/memorydevices/{device}'), lambda found: found.findtext('state') == 'overdue')
    killed_while_locked(daemon, lambda: guest.set_deaf(False))
    assert guest.live_xml().find('.//{urn:dimmer:memory:1}request') is None
    client = daemon.restart().client()
    wait_memory(client, guest, 256)
    assert len(released(client, device)) == 1
