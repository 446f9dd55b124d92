# SPDX-License-Identifier: Apache-2.0
"""Who may: tokens, Basic, roles, logout, the users file."""

import concurrent.futures
import contextlib
import re
import select
import stat
import subprocess
import threading
import time
from urllib.parse import quote, urlencode

import pytest

from rest import change, empty, memory, path, plug, rule
from testbed.client import LOGOUT, TOKEN
from testbed.daemon import ADMIN, VIEWER, user_command

API_SCOPE = 'ovirt-app-api'
ADMIN_SCOPE = 'ovirt-app-admin'


def test_a_token(daemon):
    answer = daemon.anonymous().ask_token(*ADMIN)
    assert answer.status == 200
    found = answer.json
    assert set(found) == {'access_token', 'scope', 'exp', 'token_type'}
    assert (found['scope'], found['token_type']) == (API_SCOPE, 'bearer')
    assert isinstance(found['exp'], str) and found['exp'].isdecimal()
    assert re.fullmatch(r'[A-Za-z0-9_-]{86}(==)?', found['access_token'])
    assert daemon.anonymous().bearer(found['access_token']).get().status == 200
    assert daemon.anonymous().token(*ADMIN) != found['access_token']


def test_parameters_in_another_order(daemon):
    name, password = (word.replace(' ', '+').replace('@', '%40') for word in ADMIN)
    body = f'password={password}&scope={API_SCOPE}&username={name}&grant_type=password'
    headers = {'Content-Type': 'application/x-www-form-urlencoded', 'Accept': 'application/json'}
    assert daemon.anonymous().request('POST', TOKEN, body, headers).status == 200


@pytest.mark.parametrize('user, password', [
    (ADMIN[0], 'wrong'), (ADMIN[0], ''), (ADMIN[0], ADMIN[1] + ' '), ('nobody@internal', 'x'),
    ('admin', ADMIN[1]), ('admin@other', ADMIN[1]), ('', ADMIN[1]), (ADMIN[0], VIEWER[1])])
def test_no_token_for_wrong_credentials(daemon, user, password):
    answer = daemon.anonymous().ask_token(user, password)
    assert answer.status == 400
    assert set(answer.json) == {'error_code', 'error'}
    code = 'access_denied' if user and password else answer.json['error_code']
    assert answer.json['error_code'] == code and code in ('access_denied', 'invalid_request')
    assert answer.json['error']
    assert not password or password not in answer.text


@pytest.mark.parametrize('fields, code', [
    ({'username': None}, 'invalid_request'), ({'password': None}, 'invalid_request'),
    ({'grant_type': None}, 'invalid_request'), ({'grant_type': 'x'}, 'unsupported_grant_type')])
def test_requests_for_a_token_that_are_wrong(daemon, fields, code):
    answer = daemon.anonymous().ask_token(**{'username': ADMIN[0], 'password': ADMIN[1]} | fields)
    assert answer.status == 400
    assert answer.json['error_code'] == code
    assert [key for key, value in fields.items() if value or key in answer.json['error']]


def test_a_token_only_as_ovirt_gives_it(daemon):
    """SsoService.validateClientAcceptHeader() and validateScope()."""
    anonymous = daemon.anonymous()
    for accept in (None, 'text/html', '*/*'):
        answer = anonymous.ask_token(*ADMIN, accept=accept)
        assert (answer.status, answer.json['error_code']) == (400, 'invalid_request')
        assert 'Accept' in answer.json['error']
    for scope in ('bogus', f'{API_SCOPE} bogus', 'bogus=ovirt-app-api', 'ovirt-ext=bogus=x'):
        answer = anonymous.ask_token(*ADMIN, scope=scope)
        assert answer.status == 400 and 'invalid_scope' in answer.json.values()
        assert any('bogus' in text for text in answer.json.values())
    for scope in (None, '', f'{API_SCOPE} ovirt-ext=token-info:validate', ADMIN_SCOPE,
                  f'{ADMIN_SCOPE} ovirt-ext=auth:sequence-priority=~', 'ovirt-ext=auth:identity=a=b openid'):
        assert anonymous.ask_token(*ADMIN, scope=scope).json['access_token'], scope


def test_a_token_tells_whose_it_is_and_is_revoked(daemon):
    anonymous, token = daemon.anonymous(), daemon.anonymous().token(*VIEWER)
    info = anonymous.form(f'{TOKEN}-info', {'token': token, 'scope': API_SCOPE}).json
    assert (info['active'], info['user_id'], info['user_authz']) == (True, VIEWER[0], 'internal')
    assert info['exp'].isdecimal() and info['ovirt']['principal_id']
    validate = {'token': token, 'scope': 'ovirt-ext=token-info:validate'}
    assert anonymous.form(f'{TOKEN}-info', validate).json == {}
    for fields in ({'token': 'never-given-out'}, {}, validate | {'token': ''}):
        assert anonymous.form(f'{TOKEN}-info', fields).status == 400, fields
    assert anonymous.form(f'{TOKEN}-info', validate, accept=None).status == 400
    assert anonymous.form(f'{TOKEN.rpartition("/")[0]}/revoke', {'token': token}).json == {}
    assert anonymous.form(f'{TOKEN}-info', validate).status == 400
    assert anonymous.bearer(token).get().status == 401


def test_a_token_by_the_query(daemon):
    """As oVirt takes it (HttpServletRequest.getParameter()), by any method; but no secret."""
    anonymous, json = daemon.anonymous(), {'Accept': 'application/json'}
    name, password = (quote(text) for text in ADMIN)
    answer = anonymous.form(f'{TOKEN}?grant_type=password&scope={API_SCOPE}&username={name}', {'password': ADMIN[1]})
    assert daemon.anonymous().bearer(answer.json['access_token']).get('vms').status == 200
    whole = f'grant_type=password&scope={API_SCOPE}&username={name}&password={password}'
    for answer in (anonymous.get(f'{TOKEN}?{whole}', headers=json), anonymous.form(f'{TOKEN}?{whole}', {}),
                   anonymous.form(f'{TOKEN}-info?token={answer.json["access_token"]}', {})):
        assert (answer.status, answer.json.get('error_code', answer.json.get('error'))) == (400, 'invalid_request')
        assert 'by POST, in the form' in answer.text
    token = anonymous.token(*ADMIN)
    basic = daemon.anonymous().basic(*VIEWER)
    assert basic.get(f'{TOKEN}-http-auth?scope={API_SCOPE}', headers=json).json['access_token']
    assert anonymous.form(f'{LOGOUT}?token={quote(token)}', {}).json == {}
    assert anonymous.bearer(token).get().status == 401


def test_a_token_for_http_basic(daemon, client):
    basic = daemon.anonymous().basic(*VIEWER)
    fields = {'grant_type': 'urn:ovirt:params:oauth:grant-type:http', 'scope': API_SCOPE}
    token = basic.form(f'{TOKEN}-http-auth', fields).json['access_token']
    assert daemon.anonymous().bearer(token).get('vms').status == 200
    answer = daemon.anonymous().form(f'{TOKEN}-http-auth', fields)
    assert answer.status == 401 and answer.headers['WWW-Authenticate'].startswith('Basic')
    assert client.form(f'{TOKEN}-http-auth', fields).status == 400  # its token makes no other


@pytest.mark.parametrize('scope', [f'{ADMIN_SCOPE} {API_SCOPE}', ADMIN_SCOPE])
def test_other_scopes_have_other_keys(daemon, scope):
    answer = daemon.anonymous().ask_token(ADMIN[0], 'wrong', scope=scope)
    assert answer.status == 400
    assert set(answer.json) == {'error', 'error_description'}
    assert answer.json['error'] in ('access_denied', 'invalid_scope')
    assert answer.json['error_description']


@pytest.mark.parametrize('token', ['', 'never-given-out'])
def test_logout_with_an_unknown_token(daemon, token):
    answer = daemon.anonymous().logout(token)
    assert (answer.status, answer.json) == (200, {})


def test_logout_as_the_go_client_does_it(daemon):
    answer = daemon.anonymous().form(LOGOUT, {'scope': '', 'token': ''})
    assert (answer.status, answer.json) == (200, {})


def test_logout_revokes_that_token_and_no_other(daemon):
    first, second = (daemon.anonymous().token(*ADMIN) for _ in range(2))
    answer = daemon.anonymous().logout(first)
    assert (answer.status, answer.json) == (200, {})
    assert daemon.anonymous().bearer(first).get().status == 401
    assert daemon.anonymous().bearer(second).get().status == 200
    daemon.stop()
    daemon.restart()
    assert daemon.anonymous().bearer(first).get().status == 401


def test_a_token_survives_a_restart(daemon):
    token = daemon.anonymous().token(*VIEWER)
    assert daemon.stop() == 0
    daemon.restart()
    assert daemon.anonymous().bearer(token).get('vms').status == 200
    daemon.kill()
    daemon.restart()
    assert daemon.anonymous().bearer(token).get('vms').status == 200


def test_tokens_are_not_stored_readably(daemon):
    token = daemon.anonymous().token(*ADMIN)
    assert daemon.stop() == 0
    for file in daemon.folder.iterdir():
        if file.is_file():
            data = file.read_bytes()
            assert token.encode() not in data and ADMIN[1].encode() not in data, file
    assert token not in daemon.text() and ADMIN[1] not in daemon.text()
    database = daemon.folder / 'dimmerd.db'
    assert stat.S_IMODE(database.stat().st_mode) == 0o600


def unauthorized(answer):
    empty(answer, 401)
    assert answer.headers['WWW-Authenticate'] == 'Basic realm="RESTAPI"'


@pytest.mark.parametrize('where', ['', 'vms', 'vms/no-id', 'live', 'jobs'])
def test_nothing_without_credentials(daemon, where):
    for accept in ({}, {'Accept': 'application/json'}):
        unauthorized(daemon.anonymous().get(where, headers=accept))


def test_changes_without_credentials(off, daemon):
    unauthorized(daemon.anonymous().put(path(off), change(512)))
    unauthorized(daemon.anonymous().post(path(off, '/start'), '<action/>'))
    assert memory(daemon.client().get(path(off)).xml) == (1024, 1024)


@pytest.mark.parametrize('header', [
    'Bearer', 'Bearer ', 'Bearer x', 'Basic', 'Basic !', 'Basic YWRtaW4=', 'Digest x', 'x', ' ',
    'Basic ' + 'A' * 8000])
def test_credentials_that_are_none(daemon, header):
    unauthorized(daemon.anonymous().get(headers={'Authorization': header}))


def test_basic(daemon):
    assert daemon.basic().get('vms').status == 200
    assert daemon.basic(VIEWER).get('vms').status == 200
    unauthorized(daemon.anonymous().basic(ADMIN[0], 'wrong').get('vms'))
    unauthorized(daemon.anonymous().basic('nobody@internal', 'x').get('vms'))
    assert daemon.basic().get('vms').status == 200


def test_the_scheme_is_read_in_any_case(daemon):
    token = daemon.anonymous().token(*ADMIN)
    assert daemon.anonymous().get(headers={'Authorization': f'bearer {token}'}).status == 200


def test_what_needs_no_credentials(daemon, client):
    assert daemon.anonymous().get('/health').status == 200
    metrics = daemon.anonymous().get('/metrics')
    assert metrics.status == 200 and metrics.type == 'text/plain'
    assert re.search(r'^# TYPE \w+ histogram$', metrics.text, re.M)


def test_a_viewer_reads(off, viewer):
    for where in ('', 'vms', 'hosts', 'clusters', 'events', 'jobs', path(off),
                  path(off, '/memorydevices'), path(off, f'/memoryplan?memory={1 << 30}')):
        assert viewer.get(where).status == 200, where


def test_a_viewer_changes_nothing(mute, daemon, viewer, client):
    device, = plug(mute, 128)
    client.wait(path(mute, f'/memorydevices/{device}'), lambda _: True)
    before = client.get(path(mute)).body
    size = '<memory_device><size>134217728</size></memory_device>'
    for answer in (viewer.put(path(mute), change(1024)),
                   viewer.put(path(mute, '?next_run=true'), change(2048)),
                   viewer.post(path(mute, '/stop'), '<action/>'),
                   viewer.post(path(mute, '/reboot'), '<action/>'),
                   viewer.post(path(mute, '/memorydevices'), size),
                   viewer.delete(path(mute, f'/memorydevices/{device}'))):
        assert answer.status == 403, answer
        found = answer.xml if answer.xml.tag == 'fault' else answer.xml.find('fault')
        assert 'viewer@internal' in found.findtext('detail') and found.findtext('reason')
    assert client.get(path(mute)).body == before
    assert mute.state() == 'running' and list(mute.memory_devices()) == [f'ua-{device}']


def test_wrong_passwords_in_a_row_keep_no_other_user_out(daemon):
    """How long each takes is not measured here; only that all are answered, and the others."""
    anonymous = daemon.anonymous()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        wrong = [pool.submit(anonymous.ask_token, ADMIN[0], 'wrong') for _ in range(4)]
        right = pool.submit(anonymous.ask_token, *VIEWER)
        assert right.result().status == 200
        for answer in wrong:
            assert answer.result().status == 400
            assert answer.result().json['error_code'] == 'access_denied'
    assert anonymous.ask_token(*ADMIN).status == 200


def test_tries_side_by_side_take_turns(daemon):
    """Three are free; the fourth waits a second, the fifth two more behind it."""
    started = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(5) as pool:
        answers = list(pool.map(
            lambda n: daemon.anonymous().ask_token(ADMIN[0], f'wrong {n}'), range(5)))
    assert [answer.status for answer in answers] == [400] * 5
    assert time.monotonic() - started >= 3


def test_right_passwords_never_wait(daemon):
    """More than there are free tries, side by side before any is known, then one by one."""
    def ask(_):
        return daemon.anonymous().ask_token(*ADMIN).status
    with concurrent.futures.ThreadPoolExecutor(40) as pool:
        assert set(pool.map(ask, range(40))) == {200}
    assert {ask(number) for number in range(60)} == {200}
    assert daemon.anonymous().ask_token(*VIEWER).status == 200


def test_a_try_that_is_not_looked_at_gets_the_reason(daemon):
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        asked = [pool.submit(daemon.anonymous().ask_token, ADMIN[0], f'wrong {number}')
                 for number in range(12)]
        answered = concurrent.futures.as_completed(asked)
        answers = [next(answered).result() for _ in range(6)]
        daemon.kill()  # the others wait longer than a test should
    assert {answer.status for answer in answers} == {400}
    texts = [answer.json['error'] for answer in answers]
    assert any('too many attempts' in text for text in texts), texts


# The users file.

def users_file(daemon):
    return daemon.folder / 'users'


def run_user(daemon, *args, check=0, stdin=None):
    host = daemon.host
    return host.run(user_command(host, *args, '--users', users_file(daemon)), check=check,
                    stdin=stdin)


def test_users_are_listed(daemon):
    lines = run_user(daemon, 'list').stdout.splitlines()
    rows = {frozenset(line.split()) for line in lines}
    for name, role in (('admin@internal', 'admin'), ('viewer@internal', 'viewer')):
        assert frozenset([name, role]) in rows
    assert '$y$' not in ''.join(lines)


def test_the_file_is_private_and_yescrypt(daemon):
    run_user(daemon, 'passwd', VIEWER[0], stdin='another one\n')
    assert stat.S_IMODE(users_file(daemon).stat().st_mode) == 0o600
    for line in users_file(daemon).read_text().splitlines():
        if line and not line.startswith('#'):
            assert re.fullmatch(r'[^:]+@internal:(admin|viewer):\$y\$\S+', line)


def test_a_user_comes_changes_and_goes(daemon):
    run_user(daemon, 'add', 'new@internal', '--role', 'viewer', stdin='first\n')
    run_user(daemon, 'passwd', 'new@internal', stdin='second\n')
    daemon.stop()
    daemon.restart()
    assert daemon.anonymous().ask_token('new@internal', 'first').status == 400
    token = daemon.anonymous().token('new@internal', 'second')
    run_user(daemon, 'del', 'new@internal')
    daemon.stop()
    daemon.restart()
    assert daemon.anonymous().ask_token('new@internal', 'second').status == 400
    assert daemon.anonymous().bearer(token).get().status == 401


def test_a_viewer_learns_how_to_become_an_admin(off, daemon, viewer):
    detail = rule(viewer.put(path(off), change(512)), 403)
    command = re.search(r"'dimmerd user (role \S+ admin)'", detail)
    run_user(daemon, *command[1].split())
    reload_users(daemon)
    unauthorized(viewer.put(path(off), change(512)))  # the token was a viewer's
    again = daemon.anonymous().bearer(daemon.anonymous().token(*VIEWER))
    assert again.put(path(off), change(512)).status == 200


@pytest.mark.parametrize('args, named', [
    (('add', ADMIN[0], '--role', 'admin'), 'admin@internal'),
    (('add', 'x@internal', '--role', 'king'), 'king'),
    (('add', 'no-profile', '--role', 'admin'), 'no-profile'),
    (('add', 'a:b@internal', '--role', 'admin'), 'a:b@internal'),
    (('passwd', 'nobody@internal'), 'nobody@internal'),
    (('del', 'nobody@internal'), 'nobody@internal'),
    (('frobnicate',), 'frobnicate'),
])
def test_user_commands_that_fail(daemon, args, named):
    before = users_file(daemon).read_bytes()
    done = run_user(daemon, *args, check=None, stdin='secret\n')
    assert done.returncode > 0 and named in done.stderr and done.stdout == ''
    assert users_file(daemon).read_bytes() == before


def test_no_empty_password(daemon):
    before = users_file(daemon).read_bytes()
    for stdin in ('', '\n'):
        done = run_user(daemon, 'add', 'x@internal', '--role', 'viewer', check=None, stdin=stdin)
        assert done.returncode > 0 and 'password' in done.stderr.lower()
    assert users_file(daemon).read_bytes() == before


def test_a_password_of_two_lines(daemon):
    """As other programs can write it; its second line is no password of a user who is named by the rest."""
    password = 'two\nlines'
    hashed = subprocess.run(['openssl', 'passwd', '-6', password], check=True, capture_output=True, text=True).stdout
    with users_file(daemon).open('a') as file:
        file.write(f'lines@internal:viewer:{hashed}')
    reload_users(daemon)
    assert daemon.anonymous().token('lines@internal', password)
    answer = daemon.anonymous().ask_token('lines@internal\ntwo', 'lines')
    assert (answer.status, answer.json['error_code']) == (400, 'access_denied')


def test_a_reload_revokes_the_tokens_of_changed_and_removed_users(daemon):
    """Also of one who is removed and comes again: the token was another one's."""
    for name in ('changed@internal', 'gone@internal', 'kept@internal'):
        run_user(daemon, 'add', name, '--role', 'viewer', stdin='first\n')
    reload_users(daemon)
    tokens = [daemon.anonymous().token(name, 'first')
              for name in ('changed@internal', 'gone@internal', 'kept@internal')]
    run_user(daemon, 'passwd', 'changed@internal', stdin='second\n')
    run_user(daemon, 'del', 'gone@internal')
    reload_users(daemon)
    run_user(daemon, 'add', 'gone@internal', '--role', 'admin', stdin='first\n')
    reload_users(daemon)
    statuses = [daemon.anonymous().bearer(token).get().status for token in tokens]
    assert statuses == [401, 401, 200]
    assert daemon.anonymous().token('changed@internal', 'second')


@pytest.mark.parametrize('change_user', [
    lambda daemon: run_user(daemon, 'passwd', VIEWER[0], stdin='another one\n'),
    lambda daemon: run_user(daemon, 'role', VIEWER[0], 'admin'),
    lambda daemon: run_user(daemon, 'del', VIEWER[0]),
    lambda daemon: (run_user(daemon, 'del', VIEWER[0]),
                    run_user(daemon, 'add', VIEWER[0], '--role', 'viewer', stdin=VIEWER[1] + '\n')),
], ids=['passwd', 'role', 'del', 'del-add'])
@pytest.mark.parametrize('stopped', [True, False], ids=['stopped', 'running'])
def test_a_token_does_not_outlive_what_it_was_given_for(daemon, change_user, stopped):
    """Whether dimmerd hears of the change by a reload, or starts after it."""
    tokens = [daemon.anonymous().token(*user) for user in (ADMIN, VIEWER)]
    if stopped:
        daemon.stop()
    change_user(daemon)
    if not stopped:
        daemon.kill()
    daemon.restart()
    assert [daemon.anonymous().bearer(token).get().status for token in tokens] == [200, 401]


def test_a_token_ends_however_it_is_used(serve):
    daemon = serve(token_life=2)
    client = daemon.anonymous().bearer(daemon.anonymous().token(*ADMIN))
    assert client.get().status == 200
    deadline = time.monotonic() + 30
    while client.get().status == 200:
        assert time.monotonic() < deadline
    unauthorized(client.get())


def guess(daemon, address, name, stop):
    """Guesses one behind the other, as fast as it is answered; how often."""
    number = 0
    while not stop.is_set():
        headers = {'X-Forwarded-For': address} if address else {}
        answer = daemon.anonymous().form(TOKEN, {
            'grant_type': 'password', 'scope': API_SCOPE, 'username': name, 'password': f'wrong {address} {number}',
        }, headers=headers)
        assert answer.status == 400
        number += 1
    return number


@contextlib.contextmanager
def guessers(daemon, count, name=ADMIN[0]):
    """So many, in a row and without end, behind a proxy; the daemon goes with them, as their last tries wait for long."""
    stop = threading.Event()
    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        try:
            for number in range(count):
                pool.submit(guess, daemon, f'192.0.2.{number}', name, stop)
            yield
        finally:
            stop.set()
            daemon.kill()


def test_guessers_behind_a_proxy_are_distinguished(serve):
    """They do not get in the way of others from elsewhere."""
    daemon = serve(trusted_proxies='127.0.0.1')
    with guessers(daemon, 6):
        daemon.wait_logs(r'from 192\.0\.2\.\d failed', 18)
        answer = daemon.anonymous().form(TOKEN, {
            'grant_type': 'password', 'scope': API_SCOPE, 'username': ADMIN[0], 'password': ADMIN[1],
        }, headers={'X-Forwarded-For': '10.9.9.9, 198.51.100.1'})
        assert answer.status == 200
        daemon.wait_log('connecting from 198.51.100.1 logged in')


def test_guessers_who_wait_keep_no_one_out(serve):
    """However many wait: some verifications are kept for those that need not."""
    daemon = serve(trusted_proxies='127.0.0.1')

    def fields(name, password):
        return {'grant_type': 'password', 'scope': API_SCOPE, 'username': name, 'password': password}

    def waits(number):
        connection = daemon.anonymous().connect()
        connection.request('POST', TOKEN, urlencode(fields(f'later{number}', 'x')), {
            'Accept': 'application/json', 'X-Forwarded-For': f'192.0.2.{number % 10}'})
        return connection

    def free(number):  # of those that a network has; too long to be a password, and so looked at in no time
        daemon.anonymous().form(TOKEN, fields(f'name{number}', 'x' * 600), headers={'X-Forwarded-For': f'192.0.2.{number % 10}'})

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        list(pool.map(free, range(300)))
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(contextlib.closing(waits(number))) for number in range(300)]
        deadline = time.monotonic() + 60
        while True:
            ready = select.select([connection.sock for connection in connections], [], [], 60)[0]
            answer = b''.join(sock.recv(10_000) for sock in ready)
            if b'was not looked at' in answer:
                break
            assert ready and time.monotonic() < deadline
        answer = daemon.anonymous().form(TOKEN, fields(*VIEWER), headers={'X-Forwarded-For': '203.0.113.1'})
        assert answer.status == 200, answer


def test_a_proxy_that_is_not_configured_is_logged(daemon):
    """All its clients are one, so that is what slows them down."""
    with guessers(daemon, 12):
        daemon.wait_log('many logins through the proxy 127.0.0.1 failed.*trusted-proxies')


def test_a_users_file_that_is_gone_logs_no_user_out(daemon, client):
    users = users_file(daemon)
    aside = users.rename(users.with_suffix('.aside'))
    daemon.reload()
    daemon.wait_log('the users stay as they were: there is no users file .*users;')
    assert client.get().status == 200 and daemon.anonymous().token(*ADMIN)
    aside.rename(users)
    reload_users(daemon)
    assert client.get().status == 200


def test_the_first_user_may_come_later(serve):
    daemon = serve(start=False)
    users_file(daemon).unlink()
    daemon.start()
    reload_users(daemon)
    run_user(daemon, 'add', *ADMIN[:1], '--role', 'admin', stdin=f'{ADMIN[1]}\n')
    reload_users(daemon)
    assert daemon.client().get().status == 200


def reload_users(daemon):
    """Each reload is reported once."""
    line = 'the users were reloaded'
    count = daemon.text().count(line)
    daemon.reload()
    daemon.wait_logs(line, count + 1)
