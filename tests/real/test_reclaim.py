# SPDX-License-Identifier: Apache-2.0
"""A total taken back from several VMs. How it is shared out is tried in tests/unit/reclaim.c."""

import signal
import time

import pytest

from look import mib, plug, run, show, validate, values
from testbed import inside, stopped


@pytest.fixture
def pair(host):
    """Two VMs of 256 MiB with two DIMMs of 128 MiB each, and one that has nothing in it to tell what it can spare."""
    vms = [host.start_guest(name, memory_mib=256, max_mib=2048, agent=True) for name in ('a', 'b')]
    for vm in vms:
        plug(host, vm, 128)
        plug(host, vm, 128)
        inside.wait_whole(vm, 256)
    return [*vms, host.start_guest('bare', os=False)]


def each(result, member):
    """{VM: its member}, sizes in MiB."""
    found = {vm['name']: vm[member] for vm in result['vms']}
    return {name: mib(value) if isinstance(value, int) else value for name, value in found.items()}


def reclaim(host, size, *args, status=0):
    return run(host, 'reclaim', '-m', f'{size}MiB', *args, status=status)


def use(vm, size):
    """Have its guest hold on to that much."""
    vm.guest(f'dd if=/dev/zero of=/tmp/used bs=1M count={size}')


def test_hosts_tell_what_vms_have_and_could_give(host, pair):
    found, = run(host, 'hosts')['hosts']
    assert found['connection'] == host.uri and found['installed'] > found['free'] > 0
    assert sum(node['installed'] for node in found['nodes']) > 0 and found['nodes'][0]['free'] > 0
    vms = found['vms']
    assert (vms['running'], vms['unknown']) == (3, 1)
    assert mib(vms['memory']) == mib(vms['guaranteed']) == 512 + 512 + 1024
    assert mib(vms['by_devices']) == 256 + 256 and 0 < vms['resident'] < vms['memory']
    text = host.dimmer('hosts').stdout
    assert '3 running VMs' in text and '512 MiB by devices' in text and 'not known of 1 VM\n' in text


def test_a_total_is_reached_whoever_refuses(host, pair):
    a, b, bare = pair
    before = values(host, 'a'), values(host, 'b')
    planned = reclaim(host, 256, '--dry-run')
    assert (planned['outcome'], mib(planned['share']), planned['given']) == ('planned', 256, 0)
    assert each(planned, 'share') == {'a': 128, 'b': 128, 'bare': 0}
    assert each(planned, 'reason_code') == {'a': None, 'b': None, 'bare': 'spare-not-known'}
    assert (values(host, 'a'), values(host, 'b')) == before

    kept = reclaim(host, 256, '--vm', 'bar?', status=9)
    assert (kept['outcome'], each(kept, 'outcome')) == ('kept', {'bare': None})

    with stopped(bare):
        done = reclaim(host, 256)
    assert (done['outcome'], each(done, 'given')) == ('done', {'a': 128, 'b': 128, 'bare': 0})
    assert each(done, 'outcome') == {'a': 'done', 'b': 'done', 'bare': None}
    assert each(done, 'reason_code')['bare'] == 'silent', 'a QEMU that hangs holds nobody up'
    for name, (memory, _, next_run, next_guaranteed) in zip('ab', before):
        assert values(host, name) == (memory - 128, memory - 128, next_run, next_guaranteed)
        assert show(host, name)['request'] is None

    use(b, 32)  # so that a is asked first,
    a.set_refusing(True)
    done = reclaim(host, 100)
    assert (done['outcome'], each(done, 'given')) == ('done', {'a': 0, 'b': 128, 'bare': 0})
    assert each(done, 'outcome') == {'a': 'refused', 'b': 'done', 'bare': None}
    refused = reclaim(host, 100, status=5)
    assert (refused['outcome'], each(refused, 'share')) == ('refused', {'a': 128, 'b': 0, 'bare': 0})
    partly = reclaim(host, 100, '--balloon', '--vm', 'b', '--vm', 'a')
    assert (partly['outcome'], mib(partly['by_balloon']) >= 100) == ('done', True)
    assert values(host, 'a')[0] == 384, 'its device stays, and its balloon gave'
    again = reclaim(host, 40, '--balloon', '--vm', 'a')  # at once, when libvirt's own number is late
    assert (again['outcome'], mib(again['given'])) == ('done', 40)


def wait_asked(host):
    """The VM whose device was asked to go, as its request says."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for name in ('a', 'b'):
            request = show(host, name)['request']
            if request and any(step['state'] == 'asked' for step in request['steps']):
                return name
    raise AssertionError('no VM was asked')


def test_what_is_not_answered_may_still_come_and_nobody_else_gives_it(host, pair):
    a, b, _ = pair
    use(b, 32)  # so that a is asked first
    a.set_deaf(True)
    overdue = reclaim(host, 128, '-t', '2', status=6)
    assert (overdue['outcome'], overdue['interrupted'], mib(overdue['pending'])) == ('overdue', False, 128)
    assert each(overdue, 'outcome') == {'a': 'overdue', 'b': None, 'bare': None}
    left = reclaim(host, 128, '--vm', 'a', '--dry-run')
    assert each(left, 'reason_code') == {'a': 'request-open'}
    a.set_deaf(False)
    run(host, 'settle', 'a')
    assert (values(host, 'a')[0], values(host, 'b')[0]) == (384, 512)

    a.set_deaf(True)
    b.set_deaf(True)
    process = host.dimmer_start('reclaim', '-m', '128MiB', '-o', 'json')
    asked = wait_asked(host)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 6, output + errors
    result = validate('reclaim', output)
    assert (result['outcome'], result['interrupted'], mib(result['pending'])) == ('overdue', True, 128)
    assert each(result, 'outcome') == {'a': None, 'b': None, 'bare': None} | {asked: 'overdue'}
    a.set_deaf(False)
    b.set_deaf(False)
    run(host, 'settle', asked)
    assert sorted(values(host, name)[0] for name in ('a', 'b')) == ([256, 512] if asked == 'a' else [384, 384])
