# SPDX-License-Identifier: Apache-2.0
"""PUT of memory and guaranteed memory: the worked example, the rules, the states of a VM."""

import re

import pytest

from rest import (MIB, change, definitions, events, fault, job, jobs, memory, next_run_exists, path, plug, put,
                  rule, sizes_of, steps, values, vm_id, wait_job, wait_memory, wait_runs,
                  wait_status)

XML_EXAMPLE = '''<vm>
    <memory>1468006400</memory> <!-- 1400 * 1024^2 -->

    <!-- and optionally -->
    <memory_policy>
        <guaranteed>943718400</guaranteed> <!-- 900 * 1024^2 -->
    </memory_policy>
</vm>'''
JSON_EXAMPLE = {'memory': 1468006400, 'memory_policy': {'guaranteed': '943718400'}}


@pytest.mark.parametrize('body', [XML_EXAMPLE, JSON_EXAMPLE], ids=['xml', 'json'])
def test_the_worked_example(host, serve, body):
    """Everything is done through the daemon, the plugging too, on the specification's numbers."""
    vm = host.start_guest('web1', memory_mib=1024, max_mib=4096)
    client = serve(answer_timeout=60).client()
    for size in (1280, 1536, 1792):
        assert memory(put(client, vm, size)) == (size, size)
    assert sizes_of(vm) == [128, 128, 256, 256]
    for alias in vm.memory_devices():
        vm.wait_plugged(alias)
    answer = client.put(f'/api/vms/{vm_id(vm)}', body)
    assert answer.status == 200, answer
    reply = answer.json if isinstance(body, dict) else answer.xml
    assert memory(reply) == (1408, 900)
    assert values(client, vm) == (1408, 900, 1400, 900)
    assert sizes_of(vm) == [128, 256]
    assert vm.guest_memory_mib() == 1408
    live, later = (client.get(path(vm, form)).xml for form in ('', ';next_run=true'))
    assert (live.findtext('memory'), later.findtext('memory')) == ('1476395008', '1468006400')
    assert next_run_exists(live) == 'true'
    assert vm.inactive_xml().find('memory').text == str(1400 * 1024)


def test_growth(guest, client):
    """By policy 'ovirt' a device of the factor's size first, once; then one of the whole."""
    assert memory(put(client, guest, 256 + 384)) == (640, 640)
    assert sizes_of(guest) == [128, 256]
    assert memory(put(client, guest, 640 + 256)) == (896, 896)
    assert sizes_of(guest) == [128, 256, 256]
    assert values(client, guest) == (896, 896, 896, 896)
    for alias in guest.memory_devices():
        guest.wait_plugged(alias)
    assert guest.guest_memory_mib() == 896


def test_growth_with_a_guaranteed_of_its_own(mute, client):
    assert memory(put(client, mute, 1280, 700)) == (1280, 700)
    assert values(client, mute) == (1280, 700, 1280, 700)


@pytest.mark.parametrize('sizes, status, words', [
    # Requests for a running VM of 1024 MiB, at most 4096; words of the message.
    ((1124,), 400, ['100', '128']),
    ((1025,), 400, ['128']),
    ((1024, 1025), 400, ['1025', '1024']),
    ((None, 1025), 400, ['1025', '1024']),
    ((1280, 1281), 400, ['1281', '1280']),
    ((512, 513), 400, ['513', '512']),
    ((4224,), 409, ['4224', '4096']),
    ((8192, None, 8192), 409, ['8192', '4096']),
    ((2048, None, 1536), 409, ['2048', '1536']),
])
def test_rules(mute, client, sizes, status, words):
    before = definitions(mute)
    message = rule(client.put(path(mute), change(*sizes)), status)
    assert 'web1' in message and all(word in message for word in words), message
    assert values(client, mute) == (1024, 1024, 1024, 1024)
    assert definitions(mute) == before
    # oVirt reports what was done, not what was refused before.
    assert [found.findtext('code') for found in events(client)
            if found.findtext('code') in ('35', '58', '2039', '2040', '2046')] == []
    for refused in jobs(client, mute):
        assert refused.findtext('status') == 'failed' and steps(client, refused.get('id')) == []


@pytest.mark.parametrize('size', ['0', '1048575', '-1048576', '-9223372036854775808'])
def test_less_than_a_mib(mute, client, size):
    assert client.put(path(mute), change(size)).status == 400
    assert client.put(path(mute), change(None, size)).status == 400
    answer = client.put(path(mute, '?next_run=true'), change(size))
    assert answer.status == 400 and answer.xml.tag == 'fault' and answer.xml.findtext('detail')
    assert values(client, mute) == (1024, 1024, 1024, 1024)


def test_a_maximum_that_no_machine_has(off, client):
    message = rule(client.put(path(off), change(maximum=64 * MIB + 1)), 400)
    assert '64 TiB' in message and values(client, off) == (1024, 1024, 1024, 1024)
    # Nor one that its processors cannot address: TCG's have 40 bits.
    message = rule(client.put(path(off), change(maximum=64 * MIB)), 400)
    assert '40 address bits' in message and values(client, off) == (1024, 1024, 1024, 1024)
    most = int(re.search(r'room for (\d+) MiB', message)[1])
    put(client, off, maximum=most)
    assert off.inactive_xml().findtext('maxMemory') == str(most << 10)


def test_what_helps_against_less_than_a_mib_does(off, client):
    detail = rule(client.put(path(off), change('1023', '1023')), 400)
    least = re.search(r'ask for (\d+) or more', detail)[1]
    assert values(client, off) == (1024, 1024, 1024, 1024)
    assert memory(put(client, off, least, least)) == (1, 1)


def test_the_growth_rule_is_of_hot_changes_only(mute, client):
    assert memory(put(client, mute, 1124, query='?next_run=true')) == (1124, 1124)
    assert values(client, mute) == (1024, 1024, 1124, 1124)


def test_bytes_are_floored_to_mib(mute, client):
    put(client, mute, str(1280 * MIB + MIB - 1), str(700 * MIB + 1))
    assert values(client, mute) == (1280, 700, 1280, 700)


def test_below_boot_memory(guest, client):
    """All devices go; the rest is for the next run."""
    plug(guest, 128, 128)
    wait_memory(client, guest, 512)
    assert memory(put(client, guest, 200)) == (256, 256)
    assert values(client, guest) == (256, 256, 200, 200)
    assert sizes_of(guest) == []


def test_nothing_to_unplug(mute, client):
    assert memory(put(client, mute, 512))[0] == 1024
    live, _, later, _ = values(client, mute)
    assert (live, later) == (1024, 512)
    found, = events(client, 2050, wait=True)
    assert found.findtext('severity') == 'normal' and 'web1' in found.findtext('description')


def test_nothing_fits(mute, client):
    plug(mute, 256)
    wait_memory(client, mute, 1280)
    assert memory(put(client, mute, 1180, 800))[0] == 1280
    # As in oVirt: if nothing is released, guaranteed memory stays as well.
    assert values(client, mute) == (1280, 1280, 1180, 800)
    found, = events(client, 2051, wait=True)
    for word in ('1280', '1180', 'web1', '256', '1024'):
        assert word in found.findtext('description')


def test_the_best_sum_and_not_the_largest_first(guest, client):
    """Greedy would take 384 of 640 and leave 256 unused."""
    plug(guest, 384, 256, 256)
    wait_memory(client, guest, 1152)
    assert memory(put(client, guest, 1152 - 512)) == (640, 640)
    assert sizes_of(guest) == [384]
    assert next_run_exists(client.get(path(guest)).xml) == 'false'


def test_guaranteed_only(mute, client):
    assert memory(put(client, mute, None, 700)) == (1024, 700)
    assert values(client, mute) == (1024, 700, 1024, 700)
    assert next_run_exists(client.get(path(mute)).xml) == 'false'


def test_next_run_only(mute, client):
    plug(mute, 256)
    wait_memory(client, mute, 1280)
    assert memory(put(client, mute, 3072, 1100, query='?next_run=true')) == (3072, 1100)
    assert values(client, mute) == (1280, 1280, 3072, 1100)
    assert sizes_of(mute) == [256]
    assert mute.inactive_xml().find('memory').text == str(3072 * 1024)
    mute.destroy()
    mute.start()
    vm = wait_runs(client, mute)
    assert memory(vm) == (3072, 1100) and next_run_exists(vm) == 'false'


def test_maximum_for_the_next_run(mute, client):
    reply = put(client, mute, 6144, None, 8192, query='?next_run=true')
    assert reply.findtext('memory_policy/max') == str(8192 * MIB)
    live = client.get(path(mute)).xml
    assert live.findtext('memory_policy/max') == str(4096 * MIB)
    assert next_run_exists(live) == 'true'


def test_the_newest_request_wins(mute, client):
    put(client, mute, 2048, 1100, query='?next_run=true')
    put(client, mute, 1408)
    assert values(client, mute) == (1408, 1408, 1408, 1100)


def test_a_field_that_is_not_named_is_left_alone(mute, client):
    put(client, mute, 2048, 1100, query='?next_run=true')
    put(client, mute, rest='<description>front end</description>')
    assert values(client, mute)[2:] == (2048, 1100)
    reply = client.get(path(mute)).xml
    assert reply.findtext('description') in (None, 'front end')


def test_the_next_run_goes_when_it_is_as_the_vm_is(mute, client):
    put(client, mute, 2048, query='?next_run=true')
    assert next_run_exists(client.get(path(mute)).xml) == 'true'
    reply = put(client, mute, 1024, 1024, query='?next_run=true')
    assert next_run_exists(reply) == 'false'


@pytest.mark.parametrize('query', ['?async=true', ';async=true', '?async'])
def test_async_returns_at_once(mute, client, query):
    """The guest never answers and the daemon would wait for it longer than this client does."""
    plug(mute, 128)
    wait_memory(client, mute, 1152)
    client.timeout = 8
    assert memory(put(client, mute, 1024, query=query))[0] == 1152
    assert job(client, mute).findtext('status') == 'started'


def test_async_growth_is_done_in_the_end(mute, client):
    put(client, mute, 1280, query='?async=true')
    assert memory(wait_memory(client, mute, 1280)) == (1280, 1280)
    wait_job(client, job(client, mute).get('id'), 'finished')


# States of a VM.

def test_shut_off(off, client):
    assert memory(put(client, off, 1500, 1100)) == (1500, 1100)
    assert values(client, off) == (1500, 1100, 1500, 1100)
    assert next_run_exists(client.get(path(off)).xml) == 'false'
    assert memory(put(client, off, 100, 50)) == (100, 50)
    assert off.inactive_xml().find('memory').text == str(100 * 1024)
    rule(client.put(path(off), change(100, 101)), 400)
    rule(client.put(path(off), change(40)), 400)
    rule(client.put(path(off), change(4097)), 409)
    assert values(client, off) == (100, 50, 100, 50)
    assert memory(put(client, off, 5000, None, 8192)) == (5000, 50)


def test_paused(mute, client):
    plug(mute, 256)
    mute.suspend()
    wait_status(client, mute, 'paused')
    for size in (1024, 1536):
        assert 'paused' in rule(client.put(path(mute), change(size)), 409)
    assert values(client, mute) == (1280, 1280, 1024, 1024)
    assert memory(put(client, mute, None, 700)) == (1280, 700)
    put(client, mute, 2048, query='?next_run=true')
    assert values(client, mute)[:3] == (1280, 700, 2048)


def test_a_transient_vm_has_no_next_run(host, client):
    vm = host.create('web1', os=False)
    wait_runs(client, vm)
    assert 'transient' in rule(client.put(path(vm, '?next_run=true'), change(2048)), 409)
    assert memory(put(client, vm, 1280)) == (1280, 1280)


def test_a_vm_that_cannot_hot_plug(host, client):
    vm = host.start_guest('web1', os=False, max_mib=None)
    wait_runs(client, vm)
    rule(client.put(path(vm), change(1280)), 409)
    assert sizes_of(vm) == []


def test_no_free_slot(host, client):
    vm = host.start_guest('web1', os=False, slots=1)
    plug(vm, 128)
    wait_memory(client, vm, 1152)
    message = rule(client.put(path(vm), change(1280)), 409)
    assert 'slot' in message and sizes_of(vm) == [128]


# The guest's answers.

def plug_movable_and_pinned(vm):
    """A device that the guest can give back, and above it one that it cannot."""
    movable, = plug(vm, 128)
    vm.set_auto_online('online_kernel')
    pinned, = plug(vm, 128)
    vm.pin_memory(32)
    return movable, pinned


def test_a_refused_device_is_reported_and_made_up_for_by_another(guest, serve):
    movable, pinned = plug_movable_and_pinned(guest)
    client = serve(answer_timeout=60).client()
    assert memory(put(client, guest, 384)) == (384, 384)
    assert list(guest.memory_devices()) == [f'ua-{pinned}']
    failed, = events(client, 2047, wait=True)
    assert failed.findtext('severity') == 'error'
    assert pinned in failed.findtext('description') and 'refused' in failed.findtext('description')
    asked = [found.findtext('description') for found in events(client, 2046)]
    assert len(asked) == 2 and movable in asked[0] and pinned in asked[1]
    done = wait_job(client, job(client, guest).get('id'), 'finished')
    states = steps(client, done.get('id'))
    assert [state for state, _ in states] == ['failed', 'finished']
    assert pinned in states[0][1] and movable in states[1][1]


def test_refused_altogether(guest, serve):
    plug(guest, 128, 128)
    guest.set_refusing(True)
    client = serve(answer_timeout=60).client()
    assert memory(put(client, guest, 256, 200)) == (512, 200)
    assert values(client, guest) == (512, 200, 256, 200)
    assert len(events(client, 2047, wait=True)) == 2
    done = wait_job(client, job(client, guest).get('id'), 'failed')
    assert [state for state, _ in steps(client, done.get('id'))] == ['failed', 'failed']
    assert done.findtext('end_time')
    guest.set_refusing(False)
    assert memory(put(client, guest, 256)) == (256, 200)


def test_reply_to_a_broken_body_is_a_fault_before_anything_is_asked(mute, client):
    fault(client.put(path(mute), '<vm><memory>512</vm>'), 400, 'Request syntactically incorrect.')
    assert list(client.get('jobs').xml) == []
