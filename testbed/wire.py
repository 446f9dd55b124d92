# SPDX-License-Identifier: Apache-2.0
"""The sockets of a running virtual machine: to its guest, and to its QEMU (QMP)."""

import base64
import itertools
import json
import secrets
import socket
import time


class GuestError(Exception):
    """A command in the guest ended with another status than 0."""

    def __init__(self, command, status, output):
        super().__init__(f'guest: {command!r} ended with status {status}: {output.strip()}')
        self.status = status
        self.output = output


class QmpError(Exception):
    """QEMU refused a QMP command."""


class Lines:
    """A unix socket on which both sides speak in lines, with a deadline on each read."""

    def __init__(self, path):
        self._path = path
        self._received = b''
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(str(path))

    def send(self, line):
        self._socket.settimeout(None)
        self._socket.sendall(line.encode() + b'\n')

    def receive(self, deadline):
        """The next line; TimeoutError at the deadline, ConnectionError if the VM is gone."""
        while b'\n' not in self._received:
            self._socket.settimeout(max(deadline - time.monotonic(), 0.001))
            try:
                data = self._socket.recv(65536)
            except TimeoutError:
                raise TimeoutError(f'no answer on {self._path} in time') from None
            if not data:
                raise ConnectionResetError(f'{self._path} was closed')
            self._received += data
        line, self._received = self._received.split(b'\n', 1)
        return line.decode()

    def close(self):
        self._socket.close()


class Guest:
    """Runs commands in the guest; guest/init has the other side and the protocol.

    A command sent before the guest is up waits in the socket and is answered when it is.
    """

    def __init__(self, path):
        self._lines = Lines(path)
        self._ids = (f'{secrets.token_hex(4)}.{n}' for n in itertools.count(1))

    def run(self, command, timeout):
        """(exit status, output) of a shell command in the guest."""
        deadline = time.monotonic() + timeout
        ident = next(self._ids)
        # The empty line ends what a host that went away may have left half said.
        self._lines.send(f'\n{ident} {base64.b64encode(command.encode()).decode()}')
        while True:
            answer = self._lines.receive(deadline).split(' ')
            if answer[0] == ident:
                return int(answer[1]), base64.b64decode(answer[2]).decode(errors='replace')

    def close(self):
        self._lines.close()


class Agent:
    """Speaks docs/guest-protocol.md as a host does, one side of one conversation."""

    def __init__(self, path):
        self._lines = Lines(path)
        self._ids = itertools.count(1)

    def send(self, do, **members):
        """Send a request; its id."""
        ident = next(self._ids)
        self.send_line(json.dumps({'id': ident, 'do': do, **members}))
        return ident

    def send_line(self, line):
        self._lines.send(line)

    def receive(self, timeout=30):
        """The next message that is no empty line."""
        deadline = time.monotonic() + timeout
        while not (line := self._lines.receive(deadline)):
            pass
        return json.loads(line)

    def answer(self, ident, timeout=30):
        """(the last answer to a request, its progress); other messages are passed over."""
        progress, deadline = [], time.monotonic() + timeout
        while True:
            message = self.receive(deadline - time.monotonic())
            if message['id'] != ident:
                continue
            if 'progress' not in message:
                return message, progress
            progress.append(message)

    def ask(self, do, timeout=30, **members):
        """The last answer to a request."""
        return self.answer(self.send(do, **members), timeout)[0]

    def hello(self, timeout=30):
        self.send_line('')
        return self.ask('hello', timeout, version=1)

    def close(self):
        self._lines.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Qmp:
    """QEMU's own account of a VM, beside libvirt's monitor and not through it."""

    def __init__(self, path, timeout=10):
        self._lines = Lines(path)
        self._ids = itertools.count(1)
        self._events = []
        self._taken = set()
        self._receive(time.monotonic() + timeout)
        self.command('qmp_capabilities')

    def command(self, name, timeout=10, **arguments):
        """What QEMU returns for a command; QmpError if it refuses."""
        deadline = time.monotonic() + timeout
        ident = next(self._ids)
        self._lines.send(json.dumps({'execute': name, 'arguments': arguments, 'id': ident}))
        while True:
            message = self._receive(deadline)
            if message.get('id') != ident:
                continue
            if 'error' in message:
                raise QmpError(f"{name}: {message['error']['desc']}")
            return message['return']

    def events(self):
        """All events so far."""
        try:
            while True:
                self._receive(time.monotonic())
        except TimeoutError:
            return self._events

    def take_event(self, wanted, timeout):
        """The first event, past or to come, for which wanted(event) and not taken before."""
        deadline = time.monotonic() + timeout
        seen = 0
        while True:
            for number in range(seen, len(self._events)):
                if number not in self._taken and wanted(self._events[number]):
                    self._taken.add(number)
                    return self._events[number]
            seen = len(self._events)
            while len(self._events) == seen:
                self._receive(deadline)

    def _receive(self, deadline):
        message = json.loads(self._lines.receive(deadline))
        if 'event' in message:
            self._events.append(message)
        return message

    def close(self):
        self._lines.close()
