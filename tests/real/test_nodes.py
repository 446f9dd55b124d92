# SPDX-License-Identifier: Apache-2.0
"""Several NUMA nodes: one alone gives or takes memory, and the guest tells what each has."""

import pytest

from look import fail, mib, plug, run, show, steps, values
from testbed import inside


def nodes(host):
    """{node: (total, free, available)} as the guest tells, in MiB."""
    done = host.dimmer('doctor', 'vm', '-o', 'json')
    reported = run(host, 'doctor', 'vm', status=done.returncode)['guest']['nodes']
    return {node['node']: tuple(mib(node[what]) for what in ('total', 'free', 'available')) for node in reported}


def boot(host):
    return [mib(size) for size in show(host, 'vm')['next_run']['boot_by_node']]


@pytest.mark.parametrize('agent', ['agent', 'qga'])
def test_a_node_gives_and_takes(host, agent):
    vm = host.start_guest('vm', cells=[512, 512], vcpus=2, max_mib=4096, **{agent: True})
    run(host, 'set', 'vm', '--memory', '1280MiB', '--node', '1')
    assert boot(host) == [512, 768]
    first, = plug(host, vm, 128)
    devices = show(host, 'vm')['live']['devices']
    assert sorted((device['node'], mib(device['size'])) for device in devices) == [(0, 128), (1, 128), (1, 128)]
    inside.wait_whole(vm, 384)
    reported = nodes(host)
    assert reported.keys() == {0, 1} and all(total >= free and total >= there for total, free, there in reported.values())
    assert 440 < reported[0][0] <= 640 and 600 < reported[1][0] <= 768, reported
    result = run(host, 'set', 'vm', '--memory', '1152MiB', '--node', '1')
    assert steps(result) == [('unplug', 128, 'removed'), ('unplug', 128, 'removed')]
    assert values(host, 'vm') == (1152, 1152, 1152, 1152) and boot(host) == [640, 512]
    assert vm.memory_devices() == {first: 128}
    run(host, 'set', 'vm', '--memory', '1000MiB', '--node', '1', status=9)  # of which none is a device
    assert values(host, 'vm')[0] == 1152 and boot(host) == [640, 360]
    assert 'nodes 0 to 1' in fail(host, 'set', 'vm', '--memory', '1GiB', '--node', '2', status=3, code='no-such-node')


def test_a_node_whose_content_may_have_no_place_elsewhere(host):
    """What is in use moves to other nodes only, and node 0 is small."""
    vm = host.start_guest('vm', cells=[256, 256], vcpus=2, max_mib=4096, agent=True)
    plug(host, vm, 1024, '--node', '1', '--policy', 'fine')
    inside.wait_whole(vm, 1024)
    inside.fill(vm, 450)
    reported = nodes(host)
    assert reported[1][0] - reported[1][1] > reported[0][2], reported  # used there, available here
    result = run(host, 'set', 'vm', '--memory', '1024MiB', '--dry-run')
    assert result['note_codes'].count('node-may-keep') == 1
    inside.empty(vm)
    assert 'node-may-keep' not in run(host, 'set', 'vm', '--memory', '1024MiB', '--dry-run')['note_codes']
