# SPDX-License-Identifier: Apache-2.0
"""What holds for every resource: the root, formats, faults, headers, and odd requests."""

import re
import socket
import uuid

import pytest

from rest import BAD_SYNTAX, MIB, change, empty, fault, memory, path, rule, vm_id

NOBODY = '/vms/00000000-0000-4000-8000-0000000000a1'


def links(element):
    return {link.get('rel'): link.get('href') for link in element.findall('link')}


def test_the_root(client, host):
    answer = client.get()
    assert answer.status == 200
    root = answer.xml
    assert root.tag == 'api'
    found = links(root)
    for rel in ('vms', 'hosts', 'clusters', 'datacenters', 'templates', 'events'):
        assert found[rel] == f'/ovirt-engine/api/{rel}'
        assert '{query}' in found[f'{rel}/search']
    assert found['vms/search'] == '/ovirt-engine/api/vms?search={query}'
    assert found['events/search'] == '/ovirt-engine/api/events;from={event_id}?search={query}'
    assert found['operatingsystems'] == '/ovirt-engine/api/operatingsystems'
    assert root.findtext('product_info/version/major') == '4'
    assert root.findtext('summary/vms/total') == '0'
    assert root.findtext('summary/hosts/total') == '1'
    assert re.fullmatch(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)',
                        root.findtext('time'))
    for href in found.values():
        if '{' not in href:
            assert client.get(href).status == 200, href


def test_the_root_in_json(client):
    root = client.get(json=True).json
    assert {'href': '/ovirt-engine/api/vms', 'rel': 'vms'} in root['link']
    assert root['product_info']['version']['major'] == '4'
    assert isinstance(root['time'], int) and root['time'] > 1_700_000_000_000
    assert root['summary']['vms'] == {'active': '0', 'total': '0'}


@pytest.mark.parametrize('where', ['/ovirt-engine/api', '/ovirt-engine/api/', '/api', '/api/',
                                   '/ovirt-engine/api/v4', '//ovirt-engine//api'])
def test_the_root_has_these_paths(client, where):
    answer = client.get(where)
    assert answer.status == 200 and answer.xml.tag == 'api'


@pytest.mark.parametrize('form', ['/api/vms/{}', '/api//vms/{}', '/ovirt-engine/api//vms//{}',
                                  '/ovirt-engine/api/vms/{}/', '/ovirt-engine/api/v4/vms/{}',
                                  '/ovirt-engine/api/vms/{};next_run=false',
                                  '/ovirt-engine/api/vms/{};all_content=true;filter=true'])
def test_forms_of_a_path(off, client, form):
    answer = client.get(form.format(vm_id(off)))
    assert answer.status == 200 and answer.xml.get('id') == vm_id(off)


@pytest.mark.parametrize('accept, kind', [
    (None, 'application/xml'), ('*/*', 'application/xml'), ('application/*', 'application/xml'),
    ('application/xml', 'application/xml'), ('application/json', 'application/json'),
    ('application/json;q=0.9', 'application/json'),
    ('application/json, application/xml;q=0.5', 'application/json'),
    ('application/json;q=0.5, application/xml;q=0.9', 'application/xml'),
    ('application/xml;q=0, application/json', 'application/json'), ('', 'application/xml'),
])
def test_the_format_is_the_accepted_one(client, accept, kind):
    answer = client.get('vms', headers={'Accept': accept} if accept else {})
    assert (answer.status, answer.type) == (200, kind)


def test_the_format_by_parameter_goes_before_the_header(client):
    answer = client.get('vms?accept=application/json', headers={'Accept': 'application/xml'})
    assert (answer.status, answer.json) == (200, {})
    answer = client.get('vms?accept=application%2Fxml', headers={'Accept': 'application/json'})
    assert (answer.status, answer.xml.tag, len(answer.xml)) == (200, 'vms', 0)


def test_a_format_that_there_is_not(client):
    for accept in ('text/html', 'application/xml;q=0'):
        assert client.get('vms', headers={'Accept': accept}).status == 406


def test_xml_says_what_it_is(client):
    answer = client.get('vms')
    assert answer.headers['Content-Type'].startswith('application/xml')
    assert answer.body.startswith(b'<?xml version="1.0" encoding="UTF-8"')


@pytest.mark.parametrize('where', ['', 'vms', 'hosts', 'events', 'jobs'])
def test_head_is_get_without_its_body(client, where):
    got, head = client.get(where), client.head(where)
    assert head.status == 200 and head.body == b''
    assert head.headers['Content-Type'] == got.headers['Content-Type']


def test_versions(client):
    assert client.get('vms', headers={'Version': '4'}).status == 200
    assert client.get('vms', headers={'Version': '5'}).status == 400


# What is not there, or not that way.

@pytest.mark.parametrize('where', [
    NOBODY, '/vms/no-id', NOBODY + '/statistics', NOBODY + '/memorydevices', '/hosts/no-id',
    '/events/99999', '/events/x', '/jobs/no-id', '/clusters/no-id', '/templates/no-id',
    '/nothing', '/vms/no-id/nothing'])
@pytest.mark.parametrize('json', [False, True])
def test_unknown_is_404_and_empty(client, where, json):
    empty(client.get('/ovirt-engine/api' + where, json=json), 404)


def test_unknown_is_404_for_changes_too(client):
    empty(client.put(NOBODY[1:], change(1024)), 404)
    empty(client.delete(NOBODY[1:] + '/memorydevices/x'), 404)
    assert client.post(NOBODY[1:] + '/start', '<action/>').status == 404
    empty(client.get('/elsewhere'), 404)


@pytest.mark.parametrize('method, where, allowed', [
    ('DELETE', '', {'GET', 'HEAD'}),
    ('POST', 'vms', {'GET', 'HEAD'}),
    ('POST', 'vms/{}', {'GET', 'HEAD', 'PUT'}),
    ('DELETE', 'vms/{}', {'GET', 'HEAD', 'PUT'}),
    ('PATCH', 'vms/{}', {'GET', 'HEAD', 'PUT'}),
    ('GET', 'vms/{}/start', {'POST'}),
    ('PUT', 'vms/{}/memorydevices', {'GET', 'HEAD', 'POST'}),
    ('PUT', 'vms/{}/memorydevices/x', {'GET', 'HEAD', 'DELETE'}),
    ('POST', 'jobs', {'GET', 'HEAD'}),
    ('PUT', '/ovirt-engine/sso/oauth/token', {'POST'}),
])
def test_a_wrong_method_gets_the_right_ones(off, client, method, where, allowed):
    answer = client.request(method, where.format(vm_id(off)), b'<vm/>' if method != 'GET' else None,
                            {'Content-Type': 'application/xml'})
    assert answer.status == 405, answer
    assert {name.strip() for name in answer.headers['Allow'].split(',')} - {'OPTIONS'} == allowed


@pytest.mark.parametrize('kind', ['text/plain', 'application/x-www-form-urlencoded',
                                  'application/yaml'])
def test_a_body_of_another_type(off, client, kind):
    before = client.get(path(off)).body
    answer = client.put(path(off), change(512), {'Content-Type': kind})
    assert answer.status == 415
    assert answer.body == b'' or answer.xml.tag == 'fault'
    assert client.get(path(off)).body == before


def test_types_with_parameters(off, client):
    for kind in ('application/xml; charset=UTF-8', 'text/xml', 'application/xml;charset=utf-8'):
        assert client.put(path(off), '<vm/>', {'Content-Type': kind}).status == 200, kind


def test_types_in_any_case(off, client):
    for kind, body in (('Application/XML', '<vm/>'), ('APPLICATION/JSON; Charset=UTF-8', '{}')):
        answer = client.request('PUT', path(off), body, {'Content-Type': kind, 'Accept': kind})
        assert answer.status == 200, (kind, answer)
        assert answer.type == ('application/json' if body == '{}' else 'application/xml')


@pytest.mark.parametrize('body, status', [
    ({'vm': {'memory': 1 << 29}}, 400), ({'memory_policy': {'ballooning': 'perhaps'}}, 400),
    ('<vm><memory_policy><ballooning>perhaps</ballooning></memory_policy></vm>', 400),
    ('<vm ' + ' '.join(f'a{n}="1"' for n in range(8000)) + '/>', 400)])
def test_bodies_that_would_change_nothing_or_take_long(off, client, body, status):
    answer = client.put(path(off), body)
    assert answer.status == status and b'reason' in answer.body
    assert memory(client.get(path(off)).xml) == (1024, 1024)


def test_too_large_a_body(off, serve):
    client = serve(max_body=4096).client()
    fits = '<vm/>' + ' ' * (4096 - len('<vm/>'))
    assert client.put(path(off), fits).status == 200
    answer = client.put(path(off), fits + ' ')
    assert answer.status == 413
    assert answer.body == b'' or answer.xml.tag == 'fault'
    assert client.put(path(off), '<vm/>').status == 200


@pytest.mark.parametrize('body', [
    '<vm><memory>1</vm>', '<vm', 'memory', '<vm/><vm/>', '<cluster/>', '<vms><vm/></vms>',
    '<vm><memory>1GiB</memory></vm>', '<vm><memory>1.5</memory></vm>',
    '<vm><memory>-1x</memory></vm>', '<vm>\x01</vm>', '<vm>&nothing;</vm>',
    '<!DOCTYPE vm [<!ENTITY m SYSTEM "file:///etc/hostname">]><vm><comment>&m;</comment></vm>',
    '<vm>' * 20000, '<x:vm/>'])
def test_bad_xml(off, client, body):
    fault(client.put(path(off), body), 400, BAD_SYNTAX)
    assert memory(client.get(path(off)).xml) == (1024, 1024)


@pytest.mark.parametrize('body', [
    '{"memory":', '[]', '"vm"', '12', '{"memory": "1GiB"}', '{"memory": 1.5}',
    '{"memory": {}}', '{"memory_policy": 7}', "{'memory': 1}", '[' * 20000,
    '{"memory": 1} x', '{"memory": tru}'])
def test_bad_json(off, client, body):
    answer = client.request('PUT', path(off), body.encode(), {
        'Content-Type': 'application/json', 'Accept': 'application/json'})
    assert answer.type == 'application/json'
    fault(answer, 400, BAD_SYNTAX)
    assert memory(client.get(path(off)).xml) == (1024, 1024)


# Of another type than the field: each names the field, and what was sent.
SIZES = ['[1]', '[1073741824]', '[]', '[null]', '[[1]]', '{}', '{"a": 1}', 'true', '1.0', '1e9', '1.5e300', '-0.0', '"1 0"',
         '"0x10"', '"1e9"', '"１"', '"1,5"', '[{"memory": 1}]', '"true"']
TEXTS = ['["web1"]', '[]', '{}', 'true', 'false', '1.5', '1e3', '[["a"]]']
SHAPES = ['[{"guaranteed": "1"}]', '7', '"x"', 'true', '[]']


@pytest.mark.parametrize('field, values', [
    ('memory', SIZES), ('memory_policy.guaranteed', SIZES), ('memory_policy.max', SIZES),
    ('memory_policy.ballooning', ['[true]', '{}', '2', '1.0', '"maybe"', '[]']), ('name', TEXTS), ('id', TEXTS),
    ('comment', TEXTS), ('description', TEXTS), ('memory_policy', SHAPES), ('cluster', SHAPES), ('template', SHAPES),
    ('cluster.id', TEXTS), ('template.name', TEXTS)])
def test_json_of_another_type(off, client, field, values):
    before = client.get(path(off)).body
    outer, _, inner = field.partition('.')
    for value in values:
        body = f'{{"{outer}": {{"{inner}": {value}}}}}' if inner else f'{{"{outer}": {value}}}'
        answer = client.request('PUT', path(off), body.encode(), {
            'Content-Type': 'application/json', 'Accept': 'application/json'})
        assert answer.status == 400 and (inner or outer) in answer.json['detail'], (body, answer)
        scalar = re.fullmatch(r'\[?"?([\w.]+)"?\]?', value)
        if scalar and not re.search(r'\de|-0|null', value):
            assert scalar[1] in answer.json['detail'], (body, answer)
    assert client.get(path(off)).body == before


@pytest.mark.parametrize('body, name', [
    ('<vm><memory unit="MiB">1024</memory></vm>', 'memory'), ('<vm><memory>1<b/>2</memory></vm>', 'memory'),
    ('<vm><memory_policy>5</memory_policy></vm>', 'memory_policy'),
    ('<vm><memory_policy/><memory_policy><guaranteed>1</guaranteed></memory_policy></vm>', 'memory_policy'),
    ('<vm><memory_policy><max>1</max><max>2</max></memory_policy></vm>', 'max'),
    ('<vm><cluster id="00000002-0002-0002-0002-000000000311"/><cluster><name>Other</name></cluster></vm>', 'cluster'),
    ('<vm><cluster><name>Default</name><name>Other</name></cluster></vm>', 'name'),
    ('<vm><cpu/><cpu/></vm>', 'cpu'), ('<vm><status>up</status><status>down</status></vm>', 'status'),
    ('<vm><comment lang="de">x</comment></vm>', 'comment'), ('<vm><name><b>x</b></name></vm>', 'name')])
def test_xml_that_could_mean_either(off, client, body, name):
    before = client.get(path(off)).body
    assert f"'{name}'" in fault(client.put(path(off), body), 400, BAD_SYNTAX)
    assert client.get(path(off)).body == before


def test_what_means_the_same(off, client):
    """null is as if it were not there, a whole number is a text too, and the case of an enumeration makes no difference."""
    before = client.get(path(off)).body
    bios = client.get(path(off)).xml.findtext('bios/type')
    for body in ({'memory': None, 'memory_policy': None, 'comment': None, 'cluster': None},
                 {'memory': ' 1073741824 '}, '<vm><status>UP</status><type>SERVER</type></vm>',
                 {'status': 'DOWN', 'type': 'Server', 'display': {'type': 'VNC'}, 'bios': {'type': bios.upper()}}):
        assert client.put(path(off), body).status == 200, body
    assert client.get(path(off)).body == before
    assert client.put(path(off), {'comment': 5}).json['comment'] == '5'


@pytest.mark.parametrize('verb, body, name', [
    ('start', '{"async": [true]}', 'async'), ('start', '{"vm": 5}', 'vm'), ('start', '{"vm": [{}]}', 'vm'),
    ('start', '{"pause": [true]}', 'pause'), ('shutdown', '{"grace_period": "5"}', 'grace_period'),
    ('stop', '{"async": 1.0}', 'async'), ('start', '<action><vm/><vm><memory>1</memory></vm></action>', 'vm')])
def test_an_action_of_another_type(off, client, verb, body, name):
    kind = 'json' if body.startswith('{') else 'xml'
    answer = client.request('POST', path(off, f'/{verb}'), body.encode(), {
        'Content-Type': f'application/{kind}', 'Accept': 'application/json'})
    assert answer.status == 400 and name in answer.json['fault']['detail'], answer
    assert off.state() == 'shut off'


@pytest.mark.parametrize('body, name', [
    ({'size': [128 * MIB]}, 'size'), ({'size': 128 * MIB, 'kind': ['dimm']}, 'kind'),
    ({'size': 128 * MIB, 'kind': True}, 'kind'), ({'size': 128 * MIB, 'node': '0.0'}, 'node'),
    ({'size': 128 * MIB, 'policy': {}}, 'policy'), ({'size': True}, 'size')])
def test_a_device_of_another_type(off, client, body, name):
    assert name in fault(client.post(path(off, '/memorydevices'), body), 400, BAD_SYNTAX)


@pytest.mark.parametrize('body', [
    b'<?xml version="1.0" encoding="UTF-8"?><vm><name>\xff\xfe</name></vm>', b'\x00', b'<vm>\x00'])
def test_bytes_that_are_no_text(off, client, body):
    answer = client.request('PUT', path(off), body, {'Content-Type': 'application/xml'})
    fault(answer, 400, BAD_SYNTAX)


@pytest.mark.parametrize('size', ['99999999999999999999', '9223372036854775808'])
def test_a_number_that_does_not_fit(off, client, size):
    fault(client.put(path(off), change(size)), 400, 'Invalid value')


def test_a_changed_id(off, client):
    other = str(uuid.uuid4())
    answer = client.put(path(off), f'<vm id="{other}"><memory>{512 * MIB}</memory></vm>')
    assert 'id' in fault(answer, 409, 'Broken immutability constraint')
    answer = client.put(path(off), {'id': other, 'memory': 512 * MIB})
    fault(answer, 409, 'Broken immutability constraint')
    assert memory(client.get(path(off)).xml) == (1024, 1024)
    assert client.put(path(off), f'<vm id="{vm_id(off)}"/>').status == 200


def test_a_changed_name(off, client):
    words = fault(client.put(path(off), {'name': 'web2'}), 409, 'Broken immutability constraint')
    assert "name of web1 cannot be changed to 'web2' by dimmer; rename it on its host" in words
    assert client.put(path(off), {'name': 'web1'}).status == 200


def test_a_broken_rule_in_both_formats(off, client):
    message = rule(client.put(path(off), change(1024, 1025)), 400)
    assert 'web1' in message and '1025' in message and '1024' in message
    answer = client.put(path(off), {'memory_policy': {'guaranteed': 1025 * MIB}})
    assert rule(answer, 400) == message


def test_unknown_elements_are_ignored(off, client):
    body = change(512, rest='<new_thing a="1"><memory>1</memory></new_thing><name>web1</name>')
    answer = client.put(path(off), body)
    assert answer.status == 200 and memory(answer.xml)[0] == 512


def test_bad_escapes_and_dots(client):
    for where in ('/ovirt-engine/api/vms%2', '/ovirt-engine/api/vms/%zz',
                  '/ovirt-engine/api/vms/%00', '/ovirt-engine/api/vms?search=%f'):
        assert client.get(where).status in (400, 404), where
    assert client.get('/ovirt-engine/api/../../etc/passwd').status in (400, 404)


# Headers.

@pytest.mark.parametrize('sent, expected', [
    ('3f1c8a52', '3f1c8a52'), ('a b/c<d>-_Z9', 'abcd-_Z9'), ('x' * 50, 'x' * 36)])
def test_the_correlation_id_comes_back_cleaned(client, sent, expected):
    answer = client.get('vms', headers={'Correlation-Id': sent})
    assert answer.headers['Correlation-Id'] == expected


def test_the_correlation_id_as_parameter_and_of_its_own(client):
    assert client.get('vms?correlation_id=mine').headers['Correlation-Id'] == 'mine'
    first, second = (client.get('vms').headers['Correlation-Id'] for _ in range(2))
    assert uuid.UUID(first) != uuid.UUID(second)
    assert client.get('vms/no-id').headers['Correlation-Id']


# What is sent and what is not, on one connection.

def raw(daemon, *pieces, until=b'</api>', timeout=10):
    """Everything received after these pieces, up to an answer's end or the connection's."""
    with socket.create_connection(('127.0.0.1', daemon.port), timeout=timeout) as connection:
        for piece in pieces:
            connection.sendall(piece)
        received = b''
        while until not in received:
            data = connection.recv(65536)
            if not data:
                break
            received += data
        return received


def head(client, method, where, *headers):
    lines = [f'{method} {where} HTTP/1.1', 'Host: x', f'Authorization: {client.authorization}',
             *headers, '', '']
    return '\r\n'.join(lines).encode()


def test_get_whose_body_is_announced_but_never_sent(daemon, client):
    """libgovirt over libsoup 3, after a challenge: a client that waits for the body hangs."""
    request = head(client, 'GET', '/ovirt-engine/api', 'Content-Type: application/xml',
                   'Content-Length: 17')
    answer = raw(daemon, request, until=b'never')
    assert answer.startswith(b'HTTP/1.1 200 ') and answer.endswith(b'</api>')
    assert re.search(rb'(?i)\r\nconnection: close\r\n', answer)


def test_the_same_on_a_connection_that_has_served_before(daemon, client):
    first = head(client, 'GET', '/ovirt-engine/api/vms')
    second = head(client, 'GET', '/ovirt-engine/api', 'Content-Length: 17')
    answer = raw(daemon, first, second)
    assert answer.count(b'HTTP/1.1 200 ') == 2


def test_get_whose_body_is_sent(daemon, client):
    request = head(client, 'GET', '/ovirt-engine/api', 'Content-Type: application/xml',
                   'Content-Length: 17') + b'<action></action>'
    answer = raw(daemon, request)
    assert answer.startswith(b'HTTP/1.1 200 ') and b'400' not in answer.split(b'\r\n')[0]


def test_expect_continue(off, daemon, client):
    body = change(512).encode()
    request = head(client, 'PUT', f'/ovirt-engine/api/{path(off)}', 'Expect: 100-continue',
                   'Content-Type: application/xml', f'Content-Length: {len(body)}')
    with socket.create_connection(('127.0.0.1', daemon.port), timeout=10) as connection:
        connection.sendall(request)
        assert connection.recv(65536).startswith(b'HTTP/1.1 100 ')
        connection.sendall(body)
        assert connection.recv(65536).startswith(b'HTTP/1.1 200 ')


def test_no_http_at_all(daemon, client):
    assert b' 200 ' not in raw(daemon, b'\x16\x03\x01\x02\x00\x01\x00\r\n\r\n', until=b'\r\n\r\n')
    assert client.get().status == 200


@pytest.mark.parametrize('origin', ['http://x', 'HTTPS://other.example:8443', 'http://[::1]:80'])
def test_the_absolute_form_of_a_target(off, daemon, client, origin):
    """As a proxy may send it."""
    where = f'{origin}/ovirt-engine/api/{path(off)}?next_run=true'
    answer = raw(daemon, head(client, 'GET', where), until=b'</vm>')
    assert answer.startswith(b'HTTP/1.1 200 ') and vm_id(off).encode() in answer


def test_bodies_of_two_lengths_are_refused(daemon, client):
    request = head(client, 'PUT', '/ovirt-engine/api/vms/x', 'Content-Type: application/xml',
                   'Content-Length: 5', 'Transfer-Encoding: chunked') + b'0\r\n\r\nGET / HTTP/1.1\r\n'
    answer = raw(daemon, request, until=b'never')
    assert answer.startswith(b'HTTP/1.1 400 ') and answer.count(b'HTTP/1.1') == 1
