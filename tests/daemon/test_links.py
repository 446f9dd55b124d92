# SPDX-License-Identifier: Apache-2.0
"""Every link that is served leads somewhere: all of them are gone along, from the base on, in both formats."""

from collections import deque

import pytest

from rest import path, plug, put, wait_memory
from testbed.daemon import VIEWER

BASE = '/ovirt-engine/api'


def found_in(answer, json):
    """(href, what has it, name of the link) in an answer, actions aside: those are to be posted."""
    if not json:
        root = answer.xml
        parents = {child: parent for parent in root.iter() for child in parent}
        return [(each.get('href'), root.tag, each.get('rel') or each.tag) for each in root.iter()
                if each.get('href') and getattr(parents.get(each), 'tag', None) != 'actions']
    found, left = [], [('', answer.json)]
    while left:
        name, value = left.pop()
        if isinstance(value, list):
            left += [(name, each) for each in value]
        elif isinstance(value, dict):
            if 'href' in value:
                found.append((value['href'], name, value.get('rel', name)))
            left += [(key, each) for key, each in value.items() if key != 'actions']
    return found


def crawl(client, json):
    """All that can be reached; each must answer. What a search takes is put in."""
    seen, todo, wrong = {BASE}, deque([(BASE, '', '')]), []
    while todo:
        href, owner, name = todo.popleft()
        answer = client.get(href, json=json)
        if answer.status != 200:
            wrong.append((href, owner, name, answer.status))
            continue
        for following, *whence in found_in(answer, json):
            following = following.replace('{query}', '').replace('{event_id}', '0')
            if following not in seen:
                seen.add(following)
                todo.append((following, *whence))
    assert wrong == []
    return seen


def follow_each(client, seen):
    """Each link of each kind of object can be followed, from the object and from the list it is in."""
    for collection in sorted(each for each in seen if each.count('/') == 3 and '?' not in each):
        listed = client.get(f'{collection}?max=1')
        if len(listed.xml) == 0 or not listed.xml[0].get('href'):
            continue
        item = client.get(listed.xml[0].get('href')).xml
        names = {child.get('rel') if child.tag == 'link' else child.tag for child in item if child.get('href')}
        for name in sorted(names):
            for where in (collection, item.get('href')):
                answer = client.get(f'{where}?follow={name}')
                assert answer.status == 200, (where, name, answer)


@pytest.mark.parametrize('role', ['admin', 'viewer'])
@pytest.mark.parametrize('json', [False, True], ids=['xml', 'json'])
def test_every_link_answers(guest, daemon, role, json):
    admin = daemon.client()
    who = admin if role == 'admin' else daemon.client(VIEWER)
    first, = plug(guest, 256)
    wait_memory(admin, guest, 512)
    put(admin, guest, 256)
    put(admin, guest, 384)
    seen = crawl(who, json)
    for kind in ('vms', 'hosts', 'clusters', 'templates', 'users', 'tags', 'jobs', 'events', 'operatingsystems'):
        assert any(each.startswith(f'{BASE}/{kind}/') for each in seen), kind
    assert f'{BASE}/{path(guest)}/memorydevices' in seen and not any(first in each for each in seen)
    if not json:
        follow_each(who, seen)
