# SPDX-License-Identifier: Apache-2.0
"""dimmerd, run against real hosts as their ordinary user.

    with Daemon(host, users=users, answer_timeout=1) as daemon:
        daemon.client().get('vms')
        daemon.kill()
        daemon.restart()

Its configuration, users file and database are in a folder below the host's; so whatever happens
to the test, it ends with the host.
"""

import os
import re
import selectors
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time
from pathlib import Path

from .client import Client
from .setup import dimmerd, web_page

ADMIN = ('admin@internal', 'correct horse')
VIEWER = ('viewer@internal', 'battery staple')
START_TIMEOUT = 60
STOP_TIMEOUT = 60

# The section of each key that a test may set; a key's '-' is '_' there.
SECTIONS = {
    'server': ['address', 'port', 'certificate', 'private_key', 'ca_certificate', 'answer_timeout', 'web',
               'trusted_proxies'],
    'hosts': ['connections', 'guest_timeout', 'shutdown_timeout', 'plug_kind', 'plug_policy', 'balloon_statistics'],
    'users': ['token_idle', 'token_life'],
    'database': ['event_retention'],
    'metrics': ['vms'],
    'log': ['level'],
    'limits': ['max_connections', 'max_per_address', 'max_body', 'idle_timeout', 'request_timeout'],
}


def user_command(host, *args):
    """The command line of dimmerd's subcommand user."""
    return [str(binary(host)), 'user', *map(str, args)]


def binary(host):
    return host.user.reachable_copy(dimmerd(), host.folder / 'bin')


def make_page(host):
    """A copy of the WebAdmin page that the host's user can read; its folder."""
    folder = host.folder / 'web'
    shutil.copytree(web_page(), folder)
    for path in (folder, *folder.rglob('*')):
        path.chmod(0o755 if path.is_dir() else 0o644)
        host.user.give(path)
    return folder


def make_users(host, path):
    """A users file with ADMIN and VIEWER, by dimmerd itself. Their hashes take a while."""
    for (name, password), role in ((ADMIN, 'admin'), (VIEWER, 'viewer')):
        host.run(user_command(host, 'add', name, '--role', role, '--users', path),
                 stdin=password + '\n', check=0)
    return path


class Daemon:
    """Started and ready, unless start=False. A context manager.

    users is a users file, of which it has a copy; tls is an Authority. The settings are keys of
    the configuration, such as max_body=4096.
    """

    def __init__(self, *hosts, users, tls=None, start=True, **settings):
        self.host = hosts[0]
        self.tls = tls
        number = sum(1 for _ in self.host.folder.glob('dimmerd-*'))
        self.folder = self.host.folder / f'dimmerd-{number}'
        self.folder.mkdir(mode=0o700)
        self.host.user.give(self.folder)
        self.process = None
        self.port = None
        self.environment = {}  # of the next start, on top of the host's
        self.wrapper = []  # of the next start, a command that runs another
        self.log = []
        self._logged = threading.Condition()
        self._tokens = {}
        self._write_config(hosts, users, settings)
        if start:
            try:
                self.start()
            except BaseException:
                self.close()
                raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        if self.running():
            self.kill()

    def running(self):
        return self.process is not None and self.process.poll() is None

    def is_sanitized(self):
        """Whether AddressSanitizer keeps what was freed, so that its size says nothing."""
        return 'libasan' in Path(f'/proc/{self.process.pid}/maps').read_text()

    # Its life.

    def start(self):
        """Start it and wait until it says that it is ready, and where it listens."""
        ready = self._launch()
        with ready:
            said = self._wait_notified(ready, b'READY=1\n')
        assert said, f'dimmerd did not become ready:\n{self.text()}'
        line = self.wait_log(r'listening on https?://\S+:\d+')
        self.port = int(re.search(r'https?://\S+:(\d+)', line)[1])
        return self

    def begin(self):
        """Start it, and wait only until it connects to its hosts."""
        with self._launch() as ready:
            assert self._wait_notified(ready, b'STATUS='), f'dimmerd did not begin:\n{self.text()}'
        return self

    def stop(self, timeout=STOP_TIMEOUT):
        """SIGTERM; the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.wait_exit(timeout)

    def kill(self):
        """SIGKILL, as if it had crashed."""
        self.process.kill()
        self.wait_exit()

    def restart(self):
        """A new start, after stop() or kill(), with the same files; the port is another."""
        return self.start()

    def wait_exit(self, timeout=STOP_TIMEOUT):
        status = self.process.wait(timeout)
        self._reader.join(timeout)
        assert 'Sanitizer: ' not in self.text() and 'runtime error: ' not in self.text(), self.text()
        return status

    def run_to_end(self, timeout=START_TIMEOUT):
        """Start it where it must end by itself; (exit status, what it wrote to stderr)."""
        self._launch().close()
        return self.wait_exit(timeout), self.text()

    def reload(self):
        self.process.send_signal(signal.SIGHUP)

    # What it writes.

    def text(self):
        return '\n'.join(self.log)

    def wait_log(self, pattern, *, timeout=10):
        """The first line of its log, since the last start, that the pattern is found in."""
        deadline = time.monotonic() + timeout
        seen = self._log_start
        with self._logged:
            while True:
                for line in self.log[seen:]:
                    if re.search(pattern, line):
                        return line
                seen = len(self.log)
                left = deadline - time.monotonic()
                assert left > 0 and self._logged.wait(left), f'no {pattern!r} in:\n{self.text()}'

    def wait_logs(self, pattern, count, *, timeout=10):
        """Wait until the pattern is found in so many lines of its log."""
        deadline = time.monotonic() + timeout
        with self._logged:
            while sum(bool(re.search(pattern, line)) for line in self.log) < count:
                left = deadline - time.monotonic()
                assert left > 0 and self._logged.wait(left), f'no {pattern!r} in:\n{self.text()}'

    # Its clients.

    def anonymous(self):
        return Client(self.port, tls=self.tls and self.tls.context())

    def client(self, user=ADMIN):
        """A client with a token, which is kept over restarts."""
        if user not in self._tokens:
            self._tokens[user] = self.anonymous().token(*user)
        return self.anonymous().bearer(self._tokens[user])

    def forget_tokens(self):
        """The next client() logs in anew."""
        self._tokens.clear()

    def basic(self, user=ADMIN):
        return self.anonymous().basic(*user)

    # How.

    def _launch(self):
        path = self.folder / 'ready'
        path.unlink(missing_ok=True)
        ready = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        ready.bind(str(path))
        self.host.user.give(path)
        self._log_start = len(self.log)
        self.process = self.host.popen(
            [*self.wrapper, str(binary(self.host)), '--config', str(self.config)],
            env={'NOTIFY_SOCKET': str(path)} | self.environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self._reader = threading.Thread(target=self._read_log, args=[self.process], daemon=True)
        self._reader.start()
        return ready

    def _wait_notified(self, ready, word):
        """Whether it notified systemd before it ended, and in time."""
        deadline = time.monotonic() + START_TIMEOUT
        pidfd = os.pidfd_open(self.process.pid)
        with selectors.DefaultSelector() as selector:
            selector.register(ready, selectors.EVENT_READ)
            selector.register(pidfd, selectors.EVENT_READ)
            try:
                while keys := selector.select(max(deadline - time.monotonic(), 0)):
                    if all(key.fileobj is not ready for key, _ in keys):
                        self.wait_exit()
                        return False
                    if word in ready.recv(4096) + b'\n':
                        return True
            finally:
                os.close(pidfd)
        return False

    def _read_log(self, process):
        for line in process.stderr:
            with self._logged:
                self.log.append(line.rstrip('\n'))
                self._logged.notify_all()

    def _write_config(self, hosts, users, settings):
        users_file = self.folder / 'users'
        shutil.copyfile(users, users_file)
        self._own(users_file)
        values = {
            'server': {'address': '127.0.0.1', 'port': 0},
            'hosts': {'connections': ' '.join(host.uri for host in hosts)},
            'users': {'file': users_file},
            'database': {'file': self.folder / 'dimmerd.db'},
        }
        if self.tls:
            values['server'] |= {key: self._own(shutil.copy(file, self.folder))
                                 for key, file in self.tls.files().items()}
        for name, value in settings.items():
            section = next(section for section, keys in SECTIONS.items() if name in keys)
            values.setdefault(section, {})[name] = value
        self.config = self.folder / 'dimmerd.conf'
        self.config.write_text('\n'.join(
            f'[{section}]\n' + ''.join(f'{key.replace("_", "-")}={value}\n'
                                       for key, value in keys.items())
            for section, keys in values.items()))
        self._own(self.config)

    def _own(self, path):
        os.chmod(path, 0o600)
        self.host.user.give(path)
        return path


class Authority:
    """A CA and a certificate for 127.0.0.1 and localhost, made by openssl in a folder."""

    def __init__(self, folder):
        self.folder = folder
        self.ca = folder / 'ca.pem'
        self.certificate = folder / 'server.pem'
        self.key = folder / 'server.key'
        key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2']
        self._openssl('req', '-x509', *key, '-keyout', folder / 'ca.key', '-out', self.ca,
                      '-subj', '/CN=dimmer test CA',
                      '-addext', 'keyUsage=critical,keyCertSign,cRLSign')
        self._openssl('req', '-x509', *key, '-keyout', self.key, '-out', self.certificate,
                      '-subj', '/CN=localhost', '-CA', self.ca, '-CAkey', folder / 'ca.key',
                      '-addext', 'basicConstraints=critical,CA:FALSE',
                      '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1')

    def files(self):
        """The keys of the configuration's section server."""
        return {'certificate': self.certificate, 'private-key': self.key, 'ca-certificate': self.ca}

    def context(self):
        return ssl.create_default_context(cafile=self.ca)

    @staticmethod
    def _openssl(*args):
        subprocess.run(['openssl', *map(str, args)], check=True, capture_output=True)
