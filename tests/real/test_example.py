# SPDX-License-Identifier: Apache-2.0
"""The specification's worked example, number for number, and what its text says beside it."""

import pytest

from look import MIB, mib, plug, run, show, steps, values


@pytest.fixture(params=['host', 'embed'])
def example(request):
    """A running VM of 1024 MiB that was given three hot plugs of 256 MiB, and its host."""
    host = request.getfixturevalue(request.param)
    vm = host.start_guest('web1', memory_mib=1024, max_mib=4096)
    for _ in range(3):
        plug(host, vm, 256)
    return host, vm


def test_worked_example(example):
    host, vm = example
    assert sorted(vm.memory_devices().values()) == [128, 128, 256, 256]
    assert values(host, 'web1') == (1792, 1792, 1792, 1792)
    result = run(host, 'set', 'web1', '--memory', str(1400 * MIB), '--guaranteed', str(900 * MIB))
    assert result['outcome'] == 'done'
    assert sorted(steps(result)) == [('unplug', 128, 'removed'), ('unplug', 256, 'removed')]
    assert values(host, 'web1') == (1408, 900, 1400, 900)
    assert sorted(vm.memory_devices().values()) == [128, 256]
    assert vm.guest_memory_mib() == 1408
    assert show(host, 'web1')['request'] is None


def test_dry_run_says_the_same_and_touches_nothing(example):
    host, vm = example
    before = vm.live_xml(), vm.inactive_xml()
    result = run(host, 'set', 'web1', '--memory', '1400MiB', '--guaranteed', '900MiB', '--dry-run')
    assert result['outcome'] == 'planned' and result['after'] is None
    assert mib(result['planned']['memory']) == 1408
    assert mib(result['next_run']['memory']) == 1400
    assert sorted(steps(result)) == [('unplug', 128, 'planned'), ('unplug', 256, 'planned')]
    after = vm.live_xml(), vm.inactive_xml()
    assert [list(xml.itertext()) for xml in before] == [list(xml.itertext()) for xml in after]
    assert vm.inactive_xml().find('metadata').findall('*') == []
