# SPDX-License-Identifier: Apache-2.0
"""GET openapi.json: that it is OpenAPI 3.1, and that real answers are what it says. That it has each route is held by
tests/unit/openapi.c.
"""

import re

import jsonschema
import pytest

from rest import empty, facts, fault_codes, fill, path, plug
from testbed.client import BASE, JSON, LOGOUT, TOKEN, XML
from testbed.daemon import ADMIN
from testbed.sizes import MIB

# The structure of a document, as far as ours uses it: https://spec.openapis.org/oas/v3.1.0
REFERENCE = {'type': 'object', 'required': ['$ref'], 'additionalProperties': False,
             'properties': {'$ref': {'type': 'string', 'pattern': '^#/components/'}}}
CONTENT = {'type': 'object', 'propertyNames': {'pattern': r'^[a-z*-]+/[a-z0-9.*+-]+$'}, 'additionalProperties': {
    'type': 'object', 'additionalProperties': False, 'properties': {'schema': {'$ref': '#/$defs/schema'}}}}
RESPONSE = {'type': 'object', 'required': ['description'], 'additionalProperties': False, 'properties': {
    'description': {'type': 'string', 'minLength': 1}, 'content': CONTENT, 'headers': {'type': 'object'}}}
PARAMETER = {'type': 'object', 'required': ['name', 'in', 'schema'], 'additionalProperties': False, 'properties': {
    'name': {'type': 'string'}, 'in': {'enum': ['query', 'path']}, 'required': {'type': 'boolean'},
    'description': {'type': 'string'}, 'deprecated': {'const': True}, 'schema': {'$ref': '#/$defs/schema'}},
    'if': {'properties': {'in': {'const': 'path'}}}, 'then': {'required': ['required']}}
OPERATION = {'type': 'object', 'required': ['summary', 'parameters', 'responses'], 'additionalProperties': False, 'properties': {
    'summary': {'type': 'string', 'minLength': 1}, 'security': {'const': []},
    'parameters': {'type': 'array', 'uniqueItems': True, 'items': {'anyOf': [REFERENCE, PARAMETER]}},
    'requestBody': {'type': 'object', 'required': ['content'], 'additionalProperties': False,
                    'properties': {'required': {'type': 'boolean'}, 'content': CONTENT}},
    'responses': {'type': 'object', 'minProperties': 1, 'propertyNames': {'pattern': '^[1-5][0-9]{2}$'},
                  'additionalProperties': {'anyOf': [REFERENCE, RESPONSE]}}}}
DOCUMENT = {
    '$schema': 'https://json-schema.org/draft/2020-12/schema', 'type': 'object', 'additionalProperties': False,
    'required': ['openapi', 'info', 'servers', 'security', 'components', 'paths'],
    '$defs': {'schema': {'$ref': 'https://json-schema.org/draft/2020-12/schema'}},
    'properties': {
        'openapi': {'const': '3.1.0'},
        'info': {'type': 'object', 'required': ['title', 'version', 'license']},
        'servers': {'const': [{'url': '/'}]},
        'security': {'type': 'array', 'items': {'type': 'object', 'additionalProperties': {'const': []}}},
        'paths': {'type': 'object', 'propertyNames': {'pattern': '^/'}, 'additionalProperties': {
            'type': 'object', 'propertyNames': {'enum': ['get', 'put', 'post', 'delete']}, 'additionalProperties': OPERATION}},
        'components': {'type': 'object', 'additionalProperties': False, 'properties': {
            'securitySchemes': {'type': 'object'}, 'parameters': {'additionalProperties': PARAMETER},
            'responses': {'additionalProperties': RESPONSE},
            'schemas': {'additionalProperties': {'$ref': '#/$defs/schema'}}}}}}


@pytest.fixture
def document(client):
    return client.get('openapi.json').json


def strict(schema):
    """The same, with no member that it does not name; but a link may be followed."""
    if isinstance(schema, list):
        return [strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: strict(value) for key, value in schema.items()}
    if isinstance(schema.get('properties'), dict) and schema.get('type') == 'object':
        found.setdefault('additionalProperties', False)
    return found


class Answers:
    """Holds answers against the document."""

    def __init__(self, document):
        self.document = document
        self.schemas = strict(document['components']['schemas'])
        self.seen = set()

    def operation(self, method, target):
        target = target.partition('?')[0]
        for pattern, item in self.document['paths'].items():
            if re.fullmatch(re.sub(r'\{\w+\}', '[^/]+', pattern), target) and method.lower() in item:
                return pattern, item[method.lower()]
        raise AssertionError(f'{method} {target} is not described')

    def xml_name(self, schema, otherwise):
        """The name of an answer's root; that of an empty collection is not known."""
        if '$ref' in schema:
            schema = self.schemas[schema['$ref'].rpartition('/')[2]]
        return schema.get('xml', {}).get('name', otherwise)

    def check(self, client, method, target, answer):
        pattern, operation = self.operation(method, client.target(target))
        where = f'{method} {pattern}: {answer}'
        assert str(answer.status) in operation['responses'], where
        response = operation['responses'][str(answer.status)]
        if '$ref' in response:
            response = self.document['components']['responses'][response['$ref'].rpartition('/')[2]]
        content = response.get('content', {})
        if not content:
            assert answer.body == b'', where
            return answer
        assert answer.type in content or '*/*' in content, where
        if answer.type == JSON and 'schema' in content[JSON]:
            schema = strict(content[JSON]['schema']) | {'components': {'schemas': self.schemas}}
            jsonschema.validate(answer.json, schema, cls=jsonschema.Draft202012Validator)
        elif answer.type == XML:
            assert answer.xml.tag == self.xml_name(content[XML]['schema'], answer.xml.tag), where
        self.seen.add((method, pattern, answer.status))
        return answer


def test_it_is_openapi(client, daemon, document):
    jsonschema.validate(document, DOCUMENT, cls=jsonschema.Draft202012Validator)
    answer = client.get('openapi.json', headers={'Accept': 'text/html'})
    assert answer.status == 200 and answer.type == JSON
    empty(daemon.anonymous().get('openapi.json'), 401)


def test_its_codes_are_those_that_are_documented(document):
    assert set(document['components']['schemas']['Code']['enum']) == fault_codes()


def test_its_parameters_are_those_that_are_read(document):
    sources = ''.join(file.read_text() for file in (facts.REPO / 'src/api').glob('*.c'))
    read = set(re.findall(r'(?:target_(?:parameter|boolean|number)|read_size_parameter)\(\s*(?:finding->)?call(?:->target)?, "(\w+)"',
                          sources))
    read |= set(re.findall(r'former \? "\w+" : "(\w+)"', sources))
    named = {parameter['name'] for parameter in document['components']['parameters'].values()}
    assert named == read - {'password', 'token'}  # which are refused


def test_each_get_answers_as_it_says(guest, client, document):
    plug(guest, 128)
    answers = Answers(document)
    client.put(path(guest), {'memory': 1024 * MIB})
    for method, route in sorted(facts.routes()):
        if method != 'GET' or route == 'live' or route.startswith('/ovirt-engine/webadmin'):
            continue
        filled = route if route.startswith('/') else fill(client, route)
        if filled is None:
            continue
        if not filled.startswith('/'):
            xml = answers.check(client, method, filled, client.get(filled))
            assert xml.status == 200 or filled.endswith('memoryplan'), (route, xml)
        answers.check(client, method, filled, client.get(filled, json=True))
    for query in ('memory=268435456', 'plug=134217728', 'memory=1207959552&next_run=true', 'memory=x'):
        where = path(guest, f'/memoryplan?{query}')
        answers.check(client, 'GET', where, client.get(where, json=True))
    for where in ('vms/none', 'vms?search=status%3D', 'vms?follow=host.bogus'):
        answers.check(client, 'GET', where, client.get(where, json=True))
    assert {('GET', f'{BASE}/vms/{{vm_id}}', 200), ('GET', f'{BASE}/jobs/{{job_id}}/steps/{{step_id}}', 200),
            ('GET', f'{BASE}/vms/{{vm_id}}/memorycheck', 200)} <= answers.seen


def test_each_change_answers_as_it_says(guest, client, viewer, document):
    answers = Answers(document)

    def ask(method, where, body=None, by=client, status=200):
        answer = {'PUT': by.put, 'POST': by.post}[method](where, body) if body is not None else \
            by.request(method, where, None, {'Accept': JSON})
        assert answer.status == status, answer
        return answers.check(client, method, where, answer)

    devices = path(guest, '/memorydevices')
    ask('PUT', path(guest), {'memory': 384 * MIB})
    ask('PUT', path(guest), {'memory': 384 * MIB}, by=viewer, status=403)
    ask('PUT', path(guest), {'memory': 'x'}, status=400)
    ask('PUT', path(guest), {'memory': 1 << 40}, status=409)
    ask('PUT', 'vms/none', {'memory': 1}, status=404)
    made = ask('POST', devices, {'size': 128 * MIB}, status=201).json['memory_device'][0]
    guest.wait_plugged(made['alias'])
    ask('POST', devices, {'size': 1}, status=400)
    ask('DELETE', f'{devices}/{made["id"]}')
    ask('DELETE', f'{devices}/none', status=404)
    ask('POST', 'vms', {}, status=405)
    ask('POST', path(guest, '/clone'), {}, status=400)
    ask('POST', path(guest, '/start'), {}, status=409)
    ask('POST', path(guest, '/enablehotplug'), {'maximum': 4096 * MIB})
    ask('POST', path(guest, '/enablehotplug'), {}, status=400)
    ask('POST', path(guest, '/prepareguest'), {})
    ask('POST', path(guest, '/stop'), {})
    token = client.ask_token(*ADMIN)
    answers.check(client, 'POST', TOKEN, token)
    answers.check(client, 'POST', TOKEN, client.ask_token('admin@internal', 'wrong'))
    info = TOKEN + '-info'
    answers.check(client, 'POST', info, client.form(info, {'token': token.json['access_token']}))
    answers.check(client, 'POST', LOGOUT, client.logout(token.json['access_token']))
