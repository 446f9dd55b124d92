# SPDX-License-Identifier: Apache-2.0
"""Clients that send nonsense, hold connections, or come in numbers: what stays, and who still gets in."""

import contextlib
import os
import re
import socket
import time
from pathlib import Path

import pytest

from testbed.client import TOKEN
from testbed.daemon import ADMIN

HOST = b'Host: x\r\n'
# 31 KB of target nearly fill the memory that a connection has.
MALFORMED = [
    b'GET /?' + b'a&' * 600 + b' HTTP/1.1\r\n' + HOST + b'\r\n',
    b'GET /?' + b'a&' * 15500 + b' HTTP/1.1\r\n' + HOST + b'\r\n',
    b'GET /' + b'a' * 12000 + b' HTTP/1.1\r\nCookie: ' + b'a;' * 4000 + b'\r\n\r\n',
    b'GET /' + b'a' * 40000 + b' HTTP/1.1\r\n' + HOST + b'\r\n',
    b'GET / HTTP/1.1\r\n' + HOST + b'a: b\r\n' * 600 + b'\r\n',
    b'PUT /' + b'a' * 8000 + b' HTTP/1.1\r\n' + HOST + b'Content-Length : 9\r\n\r\n123456789',
    b'PUT /' + b'a' * 8000 + b' HTTP/1.1\r\n' + HOST + b'Content-Length: 9\0 1\r\n\r\n123456789',
    b'POST ' + TOKEN.encode() + b' HTTP/1.1\r\n' + HOST + b'Content-Length: 100000\r\n\r\n' + b'a' * 50000,
    b'POST ' + TOKEN.encode() + b' HTTP/1.1\r\n' + HOST + b'Transfer-Encoding: chunked\r\n\r\n' +
    b'ff\r\n' + b'a' * 255 + b'\r\nxyz\r\n',
    b'GET /' + b'a' * 12000,
    b'\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03\r\n\r\n',
]


def connect(daemon, source='127.0.0.1'):
    connection = socket.create_connection(('127.0.0.1', daemon.port), timeout=60, source_address=(source, 0))
    return daemon.tls.context().wrap_socket(connection, server_hostname='localhost') if daemon.tls else connection


def resident(daemon):
    return int(re.search(r'VmRSS:\s+(\d+)', Path(f'/proc/{daemon.process.pid}/status').read_text())[1]) * 1024


def descriptors(daemon):
    return len(os.listdir(f'/proc/{daemon.process.pid}/fd'))


def send_all_kinds(daemon, rounds):
    """Every other client hangs up at once, the others wait to be answered or closed."""
    for _ in range(rounds):
        with contextlib.ExitStack() as stack:
            waiting = []
            for number, text in enumerate(MALFORMED * 6):
                connection = stack.enter_context(connect(daemon))
                with contextlib.suppress(OSError):
                    connection.sendall(text)
                if number % 2:
                    waiting.append(connection)
            for connection in waiting:
                with contextlib.suppress(OSError):
                    while connection.recv(65536):
                        pass


@pytest.mark.parametrize('tls', [False, True])
def test_malformed_requests_leave_nothing(serve, authority, tls):
    """Where libmicrohttpd ends them, as they are idle, before their time to send a request is up."""
    daemon = serve(tls=authority if tls else None, request_timeout=2, idle_timeout=1)
    send_all_kinds(daemon, 2)
    memory, files = resident(daemon), descriptors(daemon)
    send_all_kinds(daemon, 4)
    answer = daemon.client().get('vms')
    assert answer.status == 200
    assert daemon.is_sanitized() or resident(daemon) - memory < 1 << 20  # there LeakSanitizer tells
    assert descriptors(daemon) <= files + 3


def clients(daemon):
    """The connections it has taken from clients: what it opens for itself meanwhile is another matter."""
    tables = ''.join(Path(f'/proc/{daemon.process.pid}/net/{table}').read_text() for table in ('tcp', 'tcp6'))
    rows = [line.split() for line in tables.splitlines() if ':' in line.split()[0]]
    ours = {row[9] for row in rows if int(row[1].rpartition(':')[2], 16) == daemon.port and row[3] != '0A'}
    count = 0
    for link in Path(f'/proc/{daemon.process.pid}/fd').iterdir():
        with contextlib.suppress(FileNotFoundError):
            count += re.sub(r'socket:\[(\d+)\]', r'\1', os.readlink(link)) in ours
    return count


@contextlib.contextmanager
def held(daemon, count, source='127.0.0.1'):
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(connect(daemon, source)) for _ in range(count)]


def test_held_connections_keep_no_client_out(serve):
    """Neither those of one address, nor more from others than there are places."""
    daemon = serve(max_connections=60, max_per_address=20)
    client = daemon.client()
    with held(daemon, 100, '127.0.0.2'):
        assert client.get('vms').status == 200
        assert 1 <= clients(daemon) <= 20 + 1
        with held(daemon, 50, '127.0.0.3'), held(daemon, 50, '127.0.0.4'), held(daemon, 50, '127.0.0.5'):
            for _ in range(5):
                assert client.get('vms').status == 200
                assert daemon.anonymous().ask_token(*ADMIN).status == 200
            assert 20 < clients(daemon) <= 60


def cpu_seconds(daemon):
    fields = Path(f'/proc/{daemon.process.pid}/stat').read_text().rpartition(')')[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


def test_without_descriptors_it_says_so_once_and_rests(serve):
    """A limit that leaves it hardly any beside what it has open itself."""
    daemon = serve()
    own = descriptors(daemon)
    daemon.stop()
    daemon.wrapper = ['prlimit', f'--nofile={own + 4}:{own + 4}']
    daemon.restart()
    with held(daemon, 100):
        daemon.wait_log('cannot take another client')
        used, started = cpu_seconds(daemon), time.monotonic()
        for _ in range(3):
            assert daemon.anonymous().get('/health').status == 200  # the idle went for it
        assert cpu_seconds(daemon) - used < 0.3 * (time.monotonic() - started) + 0.2
    assert daemon.anonymous().get('/health').status == 200
    assert daemon.text().count('cannot take another client') == 1
