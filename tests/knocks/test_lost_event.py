# SPDX-License-Identifier: Apache-2.0
"""libvirt drops an event of QEMU where another call has the VM for too long: it goes on listing a device that is gone."""

import sys
from pathlib import Path

import pytest

from world import KnockHost, preload

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'real'))

from look import run, values  # noqa: E402  (it is in tests/real)


@pytest.fixture
def host(require):
    require([] if preload() else ['build/dev/tests/knocks/world.so (ninja -C build/dev)'])
    with KnockHost() as made:
        yield made


def test_a_device_whose_end_libvirt_missed_is_settled(host):
    vm = host.start_guest('vm', max_mib=2048)
    before = values(host, 'vm')
    run(host, 'plug', 'vm', '256MiB', '--policy', 'whole')
    host.set_world(deaf=True)
    run(host, 'set', 'vm', '--memory', f'{vm.spec.memory_mib}MiB', '--timeout', '5', status=6)
    assert '"return":[]' in host.virsh('qemu-monitor-command', 'vm', '{"execute":"query-memory-devices"}')
    assert list(vm.memory_devices().values()) == [256]
    host.set_world()
    run(host, 'settle', 'vm')
    assert vm.memory_devices() == {} and values(host, 'vm') == before
    run(host, 'plug', 'vm', '256MiB', '--policy', 'whole')  # its slot is free, too
