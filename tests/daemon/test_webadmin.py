# SPDX-License-Identifier: Apache-2.0
"""What the API has for WebAdmin's sake: how many VMs match, the plan of a plug, jobs with their steps."""

import pytest

from rest import MIB, path


def test_total_count(host, serve):
    for name in ('web1', 'web2', 'db1'):
        host.define(name, os=False)
    client = serve().client()
    for words, count in (('', 3), ('name%3Dweb*', 2), ('name%3Dweb*%20page%202', 2), ('name%3Dnone', 0)):
        assert client.get(f'vms?search={words}&max=1').headers['Total-Count'] == str(count), words


@pytest.mark.parametrize('policy, sizes', [('', [128, 896]), ('ovirt', [128, 896]), ('whole', [1024]),
                                           ('fine', [128, 256, 512, 128])])
def test_plan_of_a_plug(mute, client, policy, sizes):
    answer = client.get(path(mute, f'/memoryplan?plug={1024 * MIB}&policy={policy}' if policy else
                             f'/memoryplan?plug={1024 * MIB}'), json=True)
    assert answer.status == 200, answer
    steps = answer.json['steps']['step']
    assert [step['op'] for step in steps] == ['plug'] * len(sizes)
    assert sorted(int(step['size']) // MIB for step in steps) == sorted(sizes)
    assert int(answer.json['memory']) == 2048 * MIB
    assert len(client.get(path(mute, '/memorydevices')).xml) == 0


@pytest.mark.parametrize('query, words', [('plug=100MiB', 'steps of'), ('plug=1000', 'less than 1 MiB'),
                                          ('plug=128MiB&policy=best', "'best' is not known"),
                                          ('plug=nothing', 'plug: '), ('plug=8GiB', 'maximum')])
def test_plan_of_a_plug_that_cannot_be(mute, client, query, words):
    answer = client.get(path(mute, f'/memoryplan?{query}'))
    assert answer.status in (400, 409), answer
    assert words in answer.xml.findtext('detail'), answer


def test_jobs_with_steps(mute, client):
    body = f'<memory_device><size>{256 * MIB}</size><policy>whole</policy></memory_device>'
    assert client.post(path(mute, '/memorydevices'), body).status == 201
    job = client.get('jobs?follow=steps', json=True).json['job'][0]
    steps = [(step['op'], step['size'], step['state']) for step in job['steps']['step']]
    assert steps == [('plug', str(256 * MIB), 'added')]
    assert 'steps' not in client.get('jobs', json=True).json['job'][0]
