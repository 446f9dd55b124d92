# SPDX-License-Identifier: Apache-2.0
"""A plain HTTP client for dimmerd, on the standard library alone: it adds nothing that a test
did not ask for, so that headers and bodies on the wire are the test's own.

    client = daemon.client()                  # as admin@internal, with a token
    answer = client.get('vms?search=name%3Dweb1')
    assert answer.status == 200 and answer.xml.find('vm').findtext('memory')
    answer = client.put('vms/' + id, {'memory': 1 << 30})       # a dict goes and comes as JSON
    with client.live() as live:
        live.wait('vm', lambda vm: vm['status'] == 'down')
"""

import base64
import http.client
import json
import queue
import socket
import threading
import time
import urllib.parse
from xml.etree import ElementTree

BASE = '/ovirt-engine/api'
TOKEN = '/ovirt-engine/sso/oauth/token'
LOGOUT = '/ovirt-engine/services/sso-logout'
XML = 'application/xml'
JSON = 'application/json'
FORM = 'application/x-www-form-urlencoded'
TIMEOUT = 60


class Answer:
    """What came back. Reading `xml` or `json` checks that the content type says so too."""

    def __init__(self, response, body):
        self.status = response.status
        self.headers = response.headers
        self.body = body

    @property
    def type(self):
        """The media type without its parameters; '' where there is none."""
        return self.headers.get('Content-Type', '').partition(';')[0].strip()

    @property
    def text(self):
        return self.body.decode()

    @property
    def xml(self):
        assert self.type == XML, f'not XML: {self}'
        return ElementTree.fromstring(self.body)

    @property
    def json(self):
        assert self.type == JSON, f'not JSON: {self}'
        return json.loads(self.body)

    def __str__(self):
        return f'{self.status} {self.type!r} {self.body[:2000]!r}'

    __repr__ = __str__


class Client:
    """Where the daemon listens, and who asks. Each request has a connection of its own."""

    def __init__(self, port, *, host='127.0.0.1', authorization=None, tls=None, timeout=TIMEOUT):
        self.host = host
        self.port = port
        self.authorization = authorization
        self.tls = tls
        self.timeout = timeout

    def anonymous(self):
        return self._as(None)

    def basic(self, user, password):
        pair = base64.b64encode(f'{user}:{password}'.encode()).decode()
        return self._as(f'Basic {pair}')

    def bearer(self, token):
        return self._as(f'Bearer {token}')

    def _as(self, authorization):
        return Client(self.port, host=self.host, authorization=authorization, tls=self.tls,
                      timeout=self.timeout)

    def connect(self):
        if self.tls:
            return http.client.HTTPSConnection(self.host, self.port, timeout=self.timeout,
                                               context=self.tls)
        return http.client.HTTPConnection(self.host, self.port, timeout=self.timeout)

    # Requests. A path without a leading slash is below the API's base.

    def request(self, method, path, body=None, headers=None):
        connection = self.connect()
        try:
            connection.request(method, self.target(path), body, self.headers(headers))
            response = connection.getresponse()
            return Answer(response, response.read())
        finally:
            connection.close()

    def get(self, path='', *, json=False, headers=None):
        return self.request('GET', path, None, ({'Accept': JSON} if json else {}) |
                            (headers or {}))

    def head(self, path='', headers=None):
        return self.request('HEAD', path, None, headers)

    def put(self, path, body, headers=None):
        return self._send('PUT', path, body, headers)

    def post(self, path, body='', headers=None):
        return self._send('POST', path, body, headers)

    def delete(self, path, headers=None):
        return self.request('DELETE', path, None, headers)

    def form(self, path, fields, *, accept=JSON, headers=None):
        headers = {'Content-Type': FORM} | ({'Accept': accept} if accept else {}) | (headers or {})
        return self.request('POST', path, urllib.parse.urlencode(fields), headers)

    def _send(self, method, path, body, headers):
        """XML text as XML, a dict as JSON; the answer is asked for in the same."""
        kind = JSON if isinstance(body, dict) else XML
        if kind == JSON:
            body = json.dumps(body)
        return self.request(method, path, body.encode(), {'Content-Type': kind, 'Accept': kind} |
                            (headers or {}))

    @staticmethod
    def target(path):
        if path.startswith('/'):
            return path
        return BASE + (path if path[:1] in ('', '?', ';') else f'/{path}')

    def headers(self, headers):
        own = {'Authorization': self.authorization} if self.authorization else {}
        return own | (headers or {})

    # The token end points.

    def ask_token(self, username, password, *, accept=JSON, **fields):
        """The answer to a request for a token; a field that is None is left out."""
        fields = {'grant_type': 'password', 'scope': 'ovirt-app-api', 'username': username,
                  'password': password} | fields
        fields = {key: value for key, value in fields.items() if value is not None}
        return self.anonymous().form(TOKEN, fields, accept=accept)

    def token(self, user, password):
        answer = self.ask_token(user, password)
        assert answer.status == 200, answer
        return answer.json['access_token']

    def logout(self, token):
        return self.anonymous().form(LOGOUT, {'scope': 'ovirt-app-api', 'token': token})

    # Live updates, and waiting for what a GET is to say.

    def live(self, path='live', headers=None):
        """The server-sent events from here on: what happens after this returns is among them."""
        return Live(self, path, headers)

    def wait(self, path, wanted, *, timeout=TIMEOUT):
        """GET path as XML until wanted(root element); that element.

        It looks again at each live update, so a change that none tells of is found late.
        """
        deadline = time.monotonic() + timeout
        with self.live() as live:
            while True:
                answer = self.get(path)
                if answer.status == 200 and wanted(answer.xml):
                    return answer.xml
                left = deadline - time.monotonic()
                assert left > 0, f'{path} has not become what was wanted; it is {answer}'
                live.next(timeout=min(left, 1))


class Live:
    """A stream of server-sent events; a context manager."""

    def __init__(self, client, path, headers=None):
        self._connection = client.connect()
        self._connection.request('GET', client.target(path), headers=client.headers(
            {'Accept': 'text/event-stream'} | (headers or {})))
        # The connection gives its socket up to an answer without end.
        self._socket = self._connection.sock
        self.response = self._connection.getresponse()
        self._socket.settimeout(None)
        self._events = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self.seen = []

    def __enter__(self):
        assert self.response.status == 200, f'{self.response.status} {self.response.read()!r}'
        self._reader.start()
        return self

    def __exit__(self, *_):
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # The server was faster.
        self._reader.join()
        self.response.close()
        self._connection.close()

    def next(self, *, timeout):
        """The next (event, data), data from JSON; None if none came in time."""
        try:
            event = self._events.get(timeout=max(timeout, 0.001))
        except queue.Empty:
            return None
        if event is None:
            raise ConnectionResetError('the stream of events has ended')
        self.seen.append(event)
        return event

    def wait(self, kind, wanted=lambda data: True, *, past=False, timeout=TIMEOUT):
        """The data of the first event of that kind for which wanted(data): from here on, or
        with past also among those seen, for events whose order is not promised.
        """
        deadline = time.monotonic() + timeout
        place = 0 if past else len(self.seen)
        while True:
            while place < len(self.seen):
                event, data = self.seen[place]
                place += 1
                if event == kind and wanted(data):
                    return data
            assert self.next(timeout=deadline - time.monotonic()), (
                f'no such {kind!r} event in time; there were {self.seen}')

    def ended(self, *, timeout=TIMEOUT):
        """Wait until the server ends the stream."""
        deadline = time.monotonic() + timeout
        try:
            while self.next(timeout=deadline - time.monotonic()):
                pass
        except ConnectionResetError:
            return
        raise AssertionError('the stream has not ended')

    def _read(self):
        block = []
        try:
            while line := self.response.readline():
                line = line.decode().rstrip('\r\n')
                if line:
                    block.append(line)
                    continue
                if event := parse_event(block):
                    self._events.put(event)
                block = []
        except (OSError, ValueError, http.client.HTTPException):
            pass  # Cut off, by one side or the other.
        self._events.put(None)


def parse_event(lines):
    """(event, data) of a block of lines; None for comments and what has no data."""
    kind, data = 'message', []
    for line in lines:
        field, _, value = line.partition(':')
        value = value.removeprefix(' ')
        if field == 'event':
            kind = value
        elif field == 'data':
            data.append(value)
    return (kind, json.loads('\n'.join(data))) if data else None
