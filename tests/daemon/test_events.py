# SPDX-License-Identifier: Apache-2.0
"""The audit events and the jobs: codes, severities, links, order, and that they last."""

import concurrent.futures
import contextlib
import re
import sqlite3

import pytest

from rest import (change, empty, event, events, fault, job, path, plug, put, search, steps, vm_id,
                  wait_job, wait_memory)
from test_memory import plug_movable_and_pinned
from test_vms import ISO_TIME

# Codes that oVirt has for what happens in these tests; ours for "is gone" is none of them.
OVIRT = {'32', '33', '35', '150', '153', '2039', '2046', '2047', '2049', '2050', '2051', '30', '31'}


def codes(found):
    return [element.findtext('code') for element in found]


def ids(found):
    return [int(element.get('id')) for element in found]


def test_growth_is_2039_with_the_sizes_before_and_after(mute, client):
    put(client, mute, 1152)
    found = event(client, 2039)
    assert found.findtext('severity') == 'normal'
    assert re.search(r'web1.*\b1024\b.*\b1152\b', found.findtext('description'))
    assert found.find('vm').get('id') == vm_id(mute)
    assert found.find('vm').get('href') == f'/ovirt-engine/api/vms/{vm_id(mute)}'
    assert found.find('vm').findtext('name') == 'web1'


def test_unplug_is_2046_for_each_device_and_then_that_it_is_gone(guest, client):
    devices = plug(guest, 128, 128)
    wait_memory(client, guest, 512)
    put(client, guest, 256)
    asked = events(client, 2046, wait=True)
    assert len(asked) == 2
    for device in devices:
        text, = [found.findtext('description') for found in asked
                 if device in found.findtext('description')]
        assert 'web1' in text and '128' in text
    for device in devices:
        gone = [found for found in events(client) if device in found.findtext('description') and
                found.findtext('code') not in OVIRT]
        assert len(gone) == 1 and gone[0].findtext('severity') == 'normal'
    assert event(client, 35).find('user').findtext('name').startswith('admin@internal')


def test_an_update_is_35_with_who_did_it_and_how_it_was_called(off, client):
    client.put(path(off), change(512), {'Correlation-Id': 'mine-1'})
    found = event(client, 35)
    assert found.findtext('correlation_id') == 'mine-1'
    assert found.findtext('severity') == 'normal'
    assert 'web1' in found.findtext('description') and 'admin@internal' in found.findtext(
        'description')
    assert found.find('user').get('id') and found.find('vm').get('id') == vm_id(off)


def updated(client, vm, asked):
    """(code, severity, description) of the one event that tells what came of a PUT."""
    put(client, vm, asked)
    found, = client.wait(search('events', 'type=35 or type=58'), lambda element: len(element) > 0)
    return tuple(found.findtext(name) for name in ('code', 'severity', 'description'))


def test_an_update_in_part_is_35_with_a_warning(guest, serve):
    plug_movable_and_pinned(guest)
    code, severity, text = updated(serve(answer_timeout=60).client(), guest, 256)
    assert (code, severity) == ('35', 'warning')
    assert 'in part' in text and 'has 384MB, and 256MB were asked for; its next run has that' in text


def test_an_update_that_was_refused_is_58(guest, serve):
    plug(guest, 128)
    guest.set_refusing(True)
    code, severity, text = updated(serve(answer_timeout=60).client(), guest, 256)
    assert (code, severity) == ('58', 'error')
    assert 'Failed to update VM web1 (User: admin@internal' in text and 'refused' in text
    assert 'has 384MB, and 256MB were asked for; its next run has that' in text


def test_an_update_without_an_answer_is_35_with_a_warning(mute, serve):
    plug(mute, 128)
    code, severity, text = updated(serve(guest_timeout=1).client(), mute, 1024)
    assert (code, severity) == ('35', 'warning')
    assert 'not answered yet: the running VM has 1152MB, and 1024MB were asked for' in text


def test_the_shape_of_an_event(off, client):
    put(client, off, 512)
    found = event(client, 35)
    assert found.get('id') == found.findtext('index') and found.get('id').isdecimal()
    assert found.get('href') == f'/ovirt-engine/api/events/{found.get("id")}'
    assert re.fullmatch(ISO_TIME, found.findtext('time'))
    assert (found.findtext('custom_id'), found.findtext('flood_rate')) == ('-1', '0')
    assert found.findtext('origin')
    one = client.get(found.get('href'))
    assert (one.status, one.xml.tag, one.xml.get('id')) == (200, 'event', found.get('id'))
    as_json, = client.get(search('events', 'type=35'), json=True).json['event']
    assert as_json['code'] == '35' and as_json['index'] == found.get('id')
    assert isinstance(as_json['time'], int) and as_json['vm']['name'] == 'web1'


@pytest.fixture
def several(off, client):
    """Five updates of web1; their events, newest first."""
    for size in (512, 600, 700, 800, 900):
        put(client, off, size)
    return events(client, 35)


def test_newest_first_and_ids_that_grow(several):
    assert len(several) == 5 and codes(several) == ['35'] * 5
    assert ids(several) == sorted(ids(several), reverse=True) and len(set(ids(several))) == 5


def test_from_and_max(several, client):
    after = ids(several)[2]
    for form in (f'events?from={after}', f'events;from={after}'):
        assert min(ids(client.get(form).xml)) > after
    assert ids(client.get(search('events', 'type=35', **{'from': after})).xml) == ids(several)[:2]
    assert ids(client.get(f'events;from={after}?search=type%3D35').xml) == ids(several)[:2]
    assert ids(client.get(search('events', 'type=35', max=2)).xml) == ids(several)[:2]
    assert ids(client.get(search('events', 'type=35 page 2', max=2)).xml) == ids(several)[2:4]
    newest = max(ids(client.get('events').xml))
    assert len(client.get(f'events?from={newest}').xml) == 0
    assert client.get(f'events?from={newest}', json=True).json == {}


@pytest.mark.parametrize('text, count', [
    ('type=35', 5), ('type=2039', 0), ('type=35 and severity=normal', 5), ('severity>normal', 0),
    ('severity=error', 0), ('type=35 and event_vm=web1', 5), ('event_vm=other', 0),
    ('type=35 and usrname=admin*', 5), ('type=35 and message=*web1*', 5),
    ('type=35 and _event_vm_id={id}', 5)])
def test_searches(several, off, client, text, count):
    found = client.get(search('events', text.replace('{id}', vm_id(off))))
    assert found.status == 200 and len(found.xml) == count


def test_the_order_can_be_turned(several, client):
    found = client.get(search('events', 'type=35 sortby time asc')).xml
    assert ids(found) == ids(several)[::-1]


def test_a_search_that_makes_no_sense(client):
    answer = client.get(search('events', 'colour=red'))
    assert 'colour' in fault(answer, 400, answer.xml.findtext('reason'))


@pytest.mark.parametrize('kill', [False, True])
def test_events_last_and_ids_grow_over_a_restart(several, off, daemon, kill):
    daemon.kill() if kill else daemon.stop()
    daemon.restart()
    client = daemon.client()
    assert ids(events(client, 35)) == ids(several)
    put(client, off, 1000)
    assert ids(events(client, 35))[0] > ids(several)[0]
    assert ids(events(client, 35))[1:] == ids(several)


def test_what_others_do_is_reported_too(mute, client):
    mute.destroy()
    client.wait(search('events', 'event_vm=web1'), lambda found: len(found) > 0)
    found = client.get(search('events', 'event_vm=web1 and type=61')).xml
    assert codes(found) == ['61'] and found[0].find('user') is None


def test_a_page_at_a_time(daemon):
    """No answer has all there are, which may be any number; what max asks for has a bound too."""
    assert daemon.stop() == 0
    with contextlib.closing(sqlite3.connect(daemon.folder / 'dimmerd.db')) as file:
        for number in range(6000):
            file.execute('INSERT INTO event (code, severity, time, text) VALUES (1, 0, 1, ?)', [f'event {number}'])
        file.commit()
    daemon.restart()
    client = daemon.client()
    first, second = (client.get(search('events', f'type=1 page {page}')).xml for page in (1, 2))
    assert len(first) == len(second) == 100
    assert ids(first) + ids(second) == list(range(ids(first)[0], ids(first)[0] - 200, -1))
    assert len(client.get('events').xml) == 100
    assert len(client.get('events?max=150').xml) == 150
    assert len(client.get('events?max=999999').xml) == 5000
    for page in 2**60 + 1, 2**61 + 1, 2**63 - 1:  # no product of 64 bits
        assert len(client.get(f'events?max=16&page={page}').xml) == 0


MORE = re.compile(r' \((\d+) more times(.*) within \d+ minutes?\)$')


def failures(daemon, tries):
    """What the events tell of so many failed logins, after a restart: (descriptions, how many they tell of)."""
    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        futures = [pool.submit(daemon.anonymous().ask_token, name, 'wrong') for name in tries]
        concurrent.futures.wait(futures, timeout=3)  # those that have to wait longer are reported at the end
        assert daemon.stop() == 0
        answered = sum(future.exception() is None and future.result().status == 400 for future in futures)
    daemon.restart()
    texts = [found.findtext('description') for found in events(daemon.client(), 114)]
    counted = sum(int(MORE.search(text)[1]) if MORE.search(text) else 1 for text in texts)
    assert counted >= answered > 0
    return texts, counted


def test_failed_logins_of_one_name_are_counted(daemon):
    texts, counted = failures(daemon, ['nobody@internal'] * 60)
    assert texts[0].startswith('User nobody@internal from 127.0.0.1 failed to log in (')
    assert len(texts) == 6 and counted <= 60


def test_failed_logins_of_many_names_are_counted(daemon):
    texts, counted = failures(daemon, [f'nobody{number}@internal' for number in range(90)])
    assert len(texts) in (31, 32) and counted <= 90
    assert MORE.search(texts[0])[2] == ', with any names from there'


def test_a_name_of_any_length_is_reported_in_short(daemon):
    texts, _ = failures(daemon, ['x' * 60000, 'a\nb\x1b[31m@internal'])
    assert sorted(texts) == ['User a?b?[31m@internal from 127.0.0.1 failed to log in',
                             f'User {"x" * 64}… from 127.0.0.1 failed to log in']


def test_unknown_events(client):
    for where in ('events/999999', 'events/0', 'events/-1', 'events/x'):
        empty(client.get(where), 404)


# Jobs.

def test_a_finished_job(guest, client):
    first, second = plug(guest, 128, 128)
    wait_memory(client, guest, 512)
    put(client, guest, 256)
    found = wait_job(client, job(client, guest).get('id'), 'finished')
    assert found.tag == 'job'
    assert found.get('href') == f'/ovirt-engine/api/jobs/{found.get("id")}'
    assert found.findtext('external') == 'false'
    start, end = found.findtext('start_time'), found.findtext('end_time')
    assert re.fullmatch(ISO_TIME, start) and re.fullmatch(ISO_TIME, end) and start <= end
    assert found.find('owner').get('id')
    states = steps(client, found.get('id'))
    assert [state for state, _ in states] == ['finished', 'finished']
    text = ' '.join(description for _, description in states)
    assert first in text and second in text


def test_steps_one_by_one(mute, client):
    put(client, mute, 1408)
    found = job(client, mute)
    listed = client.get(f'jobs/{found.get("id")}/steps').xml
    assert [step.findtext('number') for step in listed] in (['0', '1'], ['1', '2'])
    for step in listed:
        assert step.tag == 'step' and step.findtext('type') and step.findtext('start_time')
        one = client.get(step.get('href'))
        assert (one.status, one.xml.get('id')) == (200, step.get('id'))
        assert one.xml.find('job').get('id') == found.get('id')
        assert step.findtext('from') and step.findtext('to') == step.findtext('size')
    assert 'steps' in [link.get('rel') for link in found.findall('link')]
    empty(client.get(f'jobs/{found.get("id")}/steps/no-id'), 404)


def test_jobs_in_json(mute, client):
    assert client.get('jobs', json=True).json == {}
    put(client, mute, 1152)
    found, = client.get('jobs', json=True).json['job']
    assert found['status'] == 'finished' and found['external'] == 'false'
    assert isinstance(found['start_time'], int)
    step, = client.get(f'jobs/{found["id"]}/steps', json=True).json['step']
    assert step['status'] == 'finished' and step['number'].isdecimal()
