# SPDX-License-Identifier: Apache-2.0
"""The balloon by the API: balloon=true and live=true, ballooned, its event, statistics and metrics."""

import pytest

from rest import MIB, change, path, put

MOVED, NO_DEVICE = 20013, 2050


@pytest.fixture
def plain(host):
    """As virt-install makes it: boot memory alone."""
    return host.start_guest('web1', memory_mib=1024, max_mib=None)


def ballooned(element):
    return int(element.findtext('ballooned')) >> 20


def statistic(statistics, name):
    found, = (one.findtext('values/value/datum') for one in statistics if one.findtext('name') == name)
    return found


def test_a_job_has_the_balloons_step(host, serve, plain):
    client = serve(answer_timeout=60).client()
    with client.live() as stream:
        assert ballooned(put(client, plain, 512, query='?balloon=true&live=true')) == 512
        seen = stream.wait('job', lambda found: any(
            step['op'] == 'balloon' and step['state'] == 'ballooned' for step in found['steps'].get('step', [])))
    step, = client.get(f"jobs/{seen['id']}/steps").xml
    assert (step.findtext('op'), step.findtext('state'), step.findtext('status')) == ('balloon', 'ballooned', 'finished')
    assert int(step.findtext('reached')) >> 20 == 512
    assert client.get(f"jobs/{seen['id']}/steps/{step.get('id')}").xml.findtext('op') == 'balloon'


def test_a_balloon_that_stops_short_fails_its_job(host, serve, plain):
    client = serve(answer_timeout=60).client()
    put(client, plain, 64, query='?balloon=true&live=true')
    job, = client.wait('jobs', lambda found: found.findtext('job/status') != 'started')  # perhaps behind the answer
    assert (job.findtext('status'), job.findtext('outcome')) == ('failed', 'partly')
    step, = client.get(f"jobs/{job.get('id')}/steps").xml
    assert (step.findtext('state'), step.findtext('refused_by')) == ('refused', 'guest')


def test_what_the_balloon_may_do_is_set(host, serve, plain):
    client = serve(answer_timeout=60).client()

    def use(what):
        return client.post(path(plain, '/enablehotplug'), f'<action><balloon_use>{what}</balloon_use></action>')
    assert use('maybe').status == 400
    assert use('never').status == 200 and 'balloon="never"' in host.virsh('dumpxml', 'web1').replace("'", '"')
    assert client.put(path(plain, '?balloon=true&live=true'), change(512)).status == 409
    assert use('allow').status == 200
    assert ballooned(put(client, plain, 512, query='?live=true')) == 512


def test_the_balloon_takes_and_gives_back(host, serve, plain):
    client = serve(answer_timeout=60).client()
    plan = client.get(path(plain, f'/memoryplan?memory={512 * MIB}&balloon=true&live=true')).xml
    assert (ballooned(plan), int(plan.findtext('balloon_step/to')) >> 20) == (512, 512)
    assert client.put(path(plain, '?balloon=true&next_run=true'), change(512)).status == 400
    client.put(path(plain, '?balloon=true&live=true&async=true'), change(512))
    taken = client.wait(path(plain), lambda vm: ballooned(vm) == 512)
    assert int(taken.findtext('memory')) >> 20 == 1024
    assert (taken.findtext('balloon_use'), int(taken.findtext('boot')) >> 20) == ('ask', 1024)
    assert client.get(path(plain, '?next_run=true')).xml.findtext('memory') == str(1024 * MIB)
    # libvirt tells of a balloon once a second, so a number between may come first.
    client.wait(path(plain, '/statistics'), lambda all: statistic(all, 'memory.ballooned') == str(512 * MIB))
    client.wait('events', lambda all: any(one.findtext('code') == str(MOVED) for one in all))
    assert not any(one.findtext('code') == str(NO_DEVICE) for one in client.get('events').xml)
    put(client, plain, 1024, query='?live=true')
    assert ballooned(client.wait(path(plain), lambda vm: ballooned(vm) == 0)) == 0
