# SPDX-License-Identifier: Apache-2.0
"""A VM whose QEMU hangs: libvirt's calls for it do not come back. Calls for other VMs may not wait behind them."""

import time

import pytest

import testbed
from rest import change, memory, path, put

COUNT = 8


class ImpatientHost(testbed.SessionHost):
    """Its libvirtd ends a client that does not answer for 2 s; so does one that it does not listen to itself."""

    libvirtd_conf = 'keepalive_interval = 1\nkeepalive_count = 1\n'


@pytest.fixture(scope='module')
def impatient(require):
    require(testbed.missing())
    with ImpatientHost() as host:
        yield host


@pytest.fixture
def own(impatient):
    yield impatient
    impatient.remove_all()


def serve_others(daemon, others, waiting, seconds):
    """Change the others again and again, while all that waits for the VMs that hang still waits."""
    client = daemon.client()
    until, count = time.monotonic() + seconds, 0
    while count < COUNT or time.monotonic() < until:
        for vm in others:
            guaranteed = 128 + count % 2
            assert memory(put(client, vm, guaranteed=guaranteed))[1] == guaranteed
            assert client.get(path(vm, '/memorycheck')).status == 200
        count += 1
    assert not any(request.done() for request in waiting)
    assert 'was lost' not in daemon.text()


@pytest.mark.tsan
def test_vms_that_hang_hold_up_no_other(own, serve, pool):
    """More calls than libvirtd works on for one client, for longer than it takes it to miss that client."""
    stuck = [own.start_guest(f'stuck{number}', os=False) for number in range(3)]
    others = [own.start_guest('mute', os=False), own.start_guest('web', memory_mib=256, agent=True)]
    daemon = serve(own, answer_timeout=60)
    paths = [path(vm) for vm in stuck]
    with testbed.stopped(*stuck):
        checks = [pool.submit(daemon.client().get, f'{where}/memorycheck') for where in paths]
        waiting = [pool.submit(daemon.client().put, where, change(1280)) for where in paths]
        serve_others(daemon, others, waiting, 4)
    assert {request.result(timeout=60).status for request in checks + waiting} == {200}


def statistic(client, vm, name):
    found, = [one for one in client.get(path(vm, '/statistics')).xml if one.findtext('name') == name]
    return int(found.findtext('values/value/datum') or 0)


def test_vms_that_hang_leave_the_others_their_statistics(own, serve):
    """Also those that came later, whose balloon is yet to count."""
    stuck = [own.start_guest(f'stuck{number}', os=False) for number in range(2)]
    client = serve(own).client()
    with testbed.stopped(*stuck):
        web = own.start_guest('web', memory_mib=256)
        deadline = time.monotonic() + 75
        with client.live() as live:
            while not (statistic(client, web, 'memory.resident') and statistic(client, web, 'memory.usable')):
                assert time.monotonic() < deadline, client.get(path(web, '/statistics'))
                live.next(timeout=1)


def test_a_vm_that_hangs_takes_some_ways_to_its_host_only(own, serve, pool):
    """However much is asked of it."""
    stuck = own.start_guest('stuck', os=False)
    web = own.start_guest('mute', os=False)
    daemon = serve(own, answer_timeout=60)
    where = path(stuck, '/shutdown')
    with testbed.stopped(stuck):
        waiting = [pool.submit(daemon.client().post, where, '<action/>') for _ in range(20)]
        serve_others(daemon, [web], waiting, 0)
    for request in waiting:
        request.result(timeout=60)
