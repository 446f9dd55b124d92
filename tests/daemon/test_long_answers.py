# SPDX-License-Identifier: Apache-2.0
"""Answers that are long, with 10,000 VMs of libvirt's test driver: each takes a bounded part of the daemon's memory."""

import gzip
import re
import uuid
from pathlib import Path

import pytest

from rest import MIB, fault, search

COUNT = 10_000


@pytest.fixture
def many(host, serve):
    vms = ''.join(
        f"<domain type='test'><name>vm{i:05}</name><uuid>{uuid.uuid5(uuid.NAMESPACE_OID, str(i))}</uuid>"
        "<memory unit='MiB'>1024</memory><vcpu>2</vcpu><os><type arch='x86_64'>hvm</type></os></domain>"
        for i in range(COUNT))
    path = host.folder / 'many.xml'
    path.write_text(f'<node>{vms}</node>')
    host.user.give(path)
    return serve(connections=f'test://{path}')


def most_resident(daemon):
    """MiB that the daemon has had at most."""
    return int(re.search(r'VmHWM:\s+(\d+)', Path(f'/proc/{daemon.process.pid}/status').read_text())[1]) / 1024


def test_long_answers(many):
    client = many.client()
    client.wait('vms?search=name%3Dvm09999', lambda found: len(found) == 1)  # a busy machine reads on when it is ready
    assert len(client.get('vms').body) > 20 * MIB
    before = most_resident(many)
    once = client.get('vms?follow=statistics')
    assert once.status == 200 and once.headers['Total-Count'] == str(COUNT)
    assert len(once.body) > 80 * MIB
    assert once.body.count(b'<statistics>') == once.body.count(b'</vm>') == COUNT
    repeated = client.get('vms?follow=' + ',_'.join(['Statistics'] * 30))
    assert len(repeated.body) == len(once.body)
    as_json = client.get('vms?follow=statistics&search=name!%3Dvm00000', json=True).json['vm']
    assert len(as_json) == COUNT - 1 and 'statistic' in as_json[-1]['statistics']
    # It was made while it was read: no more than a part of it was in memory.
    assert many.is_sanitized() or most_resident(many) - before < 40

    # To a client that takes gzip it goes so, generated or not.
    for path in 'vms?follow=statistics', 'vms':
        plain, packed = (client.get(path, headers=headers) for headers in ({}, {'Accept-Encoding': 'gzip'}))
        assert (plain.headers['Content-Encoding'], packed.headers['Content-Encoding']) == (None, 'gzip')
        assert len(packed.body) < len(plain.body) / 8
        assert b'<vms>' in plain.body and gzip.decompress(packed.body).count(b'</vm>') == COUNT

    # Searches of 4 KB.
    for text in (' or '.join(f'name=vm{i:05}x' for i in range(220)), 'name=' + 'm*' * 2000 + 'b', 'ab ' * 1300,
                 ' or '.join(f'hosts.name=x{i}' for i in range(220)), ' or '.join(f'events.type={i}' for i in range(180))):
        answer = client.get(search('vms', text))
        assert answer.status == 200 and len(answer.xml) == 0, answer
    some = ' or '.join(f'vms.name=vm{i:05}' for i in range(0, 2200, 11))
    assert len(client.get(search('clusters', some)).xml) == 1

    # What would be too large is refused, with what helps; and so is what multiplies.
    answer = client.get('vms?follow=statistics.vm')
    assert 'max and page' in fault(answer, 400, 'Invalid value')
    assert client.get('vms?follow=statistics.vm&max=50').status == 200
    answer = client.get('vms?max=1&follow=statistics.vm.statistics.vm.statistics.vm')
    assert 'more than 1000' in fault(answer, 400, 'Invalid value')
    # A reader that leaves, and one that wants no body and asks on.
    leaving = client.connect()
    leaving.request('GET', client.target('vms?follow=statistics'), None, client.headers(None))
    assert len(leaving.getresponse().read(MIB)) == MIB
    leaving.close()
    staying = client.connect()
    for method, path, size in (('HEAD', 'vms?follow=statistics', 0), ('GET', 'vms?max=1', None)):
        staying.request(method, client.target(path), None, client.headers(None))
        answer = staying.getresponse()
        assert answer.status == 200 and len(answer.read()) in (size, *range(1000, 10_000))
    staying.close()
