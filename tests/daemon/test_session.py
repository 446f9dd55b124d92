# SPDX-License-Identifier: Apache-2.0
"""WebAdmin's session: a cookie, and a header that only its page can send. See src/api/session.c."""

import re

import pytest

from test_auth import reload_users, run_user
from testbed.client import TOKEN
from testbed.daemon import ADMIN, VIEWER

SESSION = '/ovirt-engine/webadmin/session'


def begin(client, user=ADMIN[0], password=ADMIN[1], **headers):
    return client.anonymous().form(SESSION, {'username': user, 'password': password}, headers=headers)


def login(client, *who):
    """The headers of a page that is logged in."""
    answer = begin(client, *who)
    assert answer.status == 200, answer
    return {'Cookie': answer.headers['Set-Cookie'].partition(';')[0], 'X-CSRF-Token': answer.json['csrf_token']}


def read(client, headers):
    return client.anonymous().get('vms', headers=headers).status


def test_a_session(daemon):
    client = daemon.client()
    answer = begin(client)
    assert (answer.status, set(answer.json)) == (200, {'user_name', 'role', 'csrf_token'}), answer
    assert (answer.json['user_name'], answer.json['role']) == (ADMIN[0], 'admin')
    name, *attributes = answer.headers['Set-Cookie'].split('; ')
    assert attributes == ['Path=/ovirt-engine/', 'HttpOnly', 'SameSite=Strict']
    assert re.fullmatch(rf'dimmer_session_{daemon.port}=[A-Za-z0-9_-]+=*', name)
    assert answer.headers['Cache-Control'] == 'no-store'
    headers = {'Cookie': f'other=1; {name};x', 'X-CSRF-Token': answer.json['csrf_token']}
    assert read(client, headers) == 200
    again = client.anonymous().get(SESSION, headers={'Cookie': name})
    assert (again.status, again.json) == (200, answer.json)
    ended = client.anonymous().delete(SESSION, headers)
    assert (ended.status, ended.body) == (204, b'') and 'Max-Age=0' in ended.headers['Set-Cookie']
    assert read(client, headers) == 401
    gone = client.anonymous().get(SESSION, headers={'Cookie': name})
    assert gone.status == 204 and 'Max-Age=0' in gone.headers['Set-Cookie']
    assert client.anonymous().get(SESSION).status == 204
    assert client.anonymous().delete(SESSION).status == 204


def test_neither_alone(daemon):
    client = daemon.client()
    page, other = login(client), login(client)
    assert page['Cookie'] != other['Cookie'] and read(client, page) == 200
    assert read(client, {'Cookie': page['Cookie']}) == 401
    for token in ('', 'x', other['X-CSRF-Token'], page['X-CSRF-Token'] + '0', page['X-CSRF-Token'][:-1]):
        answer = client.anonymous().get('vms', headers=page | {'X-CSRF-Token': token})
        assert (answer.status, answer.headers['WWW-Authenticate']) == (401, 'Bearer realm="RESTAPI"'), token
        assert client.anonymous().delete(SESSION, page | {'X-CSRF-Token': token}).status == 403
    assert client.anonymous().delete(SESSION, {'Cookie': page['Cookie']}).status == 403
    assert read(client, page) == 200


def test_no_other_credentials_count_beside_it(daemon):
    """A browser sends the password that it has for Basic with the page's requests too."""
    client = daemon.client()
    basic = {'Authorization': client.basic(*ADMIN).authorization}
    viewer = login(client, *VIEWER)
    assert read(client, basic) == 200
    assert read(client, basic | {'X-CSRF-Token': 'x'}) == 401
    path = 'vms/01234567-89ab-cdef-0123-456789abcdef'
    assert client.anonymous().put(path, '<vm/>', viewer | basic).status == 403
    assert client.anonymous().put(path, '<vm/>', basic).status == 404


def test_a_session_makes_no_token(daemon):
    """Else whoever has stolen one would renew it for ever, beyond token-life."""
    page = login(daemon.client(), *VIEWER)
    for authorization in {}, {'Authorization': 'Basic x'}:
        answer = daemon.anonymous().get(f'{TOKEN}-http-auth?scope=ovirt-app-api',
                                        headers=page | authorization | {'Accept': 'application/json'})
        assert (answer.status, answer.json.get('error_code')) == (400, 'access_denied'), answer


def test_under_tls(serve, authority):
    assert '; Secure' in begin(serve(tls=authority).client()).headers['Set-Cookie']


@pytest.mark.parametrize('user, password, status, code', [
    (ADMIN[0], 'wrong', 403, 'login-failed'), ('nobody@internal', 'x', 403, 'login-failed'), (ADMIN[0], '', 403, 'login-failed')])
def test_wrong(daemon, user, password, status, code):
    answer = begin(daemon.client(), user, password)
    assert (answer.status, answer.json['code']) == (status, code)
    assert f'Cannot authenticate user {user}' in answer.json['detail'] and 'Set-Cookie' not in answer.headers


def test_without_a_name(daemon):
    answer = daemon.anonymous().form(SESSION, {'password': 'x'})
    assert (answer.status, answer.json['code']) == (400, 'bad-value')


def test_of_another_site(daemon):
    """It can neither begin a session of its own choice nor end one."""
    client = daemon.client()
    page = login(client)
    for site in 'cross-site', 'same-site':
        assert begin(client, **{'Sec-Fetch-Site': site}).status == 403
        assert client.anonymous().delete(SESSION, page | {'Sec-Fetch-Site': site}).status == 403
    assert read(client, page) == 200


def test_it_ends_with_the_password(daemon):
    client = daemon.client()
    page = login(client, *VIEWER)
    assert read(client, page) == 200
    run_user(daemon, 'passwd', VIEWER[0], stdin='another one\n')
    reload_users(daemon)
    assert read(client, page) == 401


def test_live(daemon):
    """The stream of a session ends with it."""
    client = daemon.client()
    page = login(client)
    with client.anonymous().live(headers=page) as live:
        assert client.anonymous().delete(SESSION, page).status == 204
        live.ended()
