# SPDX-License-Identifier: Apache-2.0
"""By hand: VMs of other machines than this, before and after 'enable', which must leave each able to start.

None of 'make test', as each QEMU that libvirt finds costs its start half a second. Unpack the packages first, and name
the folder:

    apt-get download qemu-system-misc qemu-system-ppc qemu-system-arm qemu-system-data
    for package in *.deb; do dpkg-deb -x "$package" /tmp/machines; done
    DIMMER_MACHINES=/tmp/machines /usr/bin/python3 -m pytest tests/real/other_machines.py
"""

import os
from pathlib import Path

import pytest

MACHINES = Path(os.environ.get('DIMMER_MACHINES', '/nonexistent'))
# Machine type, the exit status of 'enable', and what the doctor says of room before and after it.
CASES = {
    's390x': ('s390-ccw-virtio', 3, 'an IBM Z machine has neither NUMA cells', 'an IBM Z machine has neither NUMA cells'),
    'ppc64': ('pseries', 0, 'without maxMemory', '1536 MiB more can be hot plugged'),
    'riscv64': ('virt', 3, 'libvirt may not start a RISC-V machine', 'libvirt may not start a RISC-V machine'),
    'aarch64': ('virt', 0, 'without maxMemory', 'it has no ACPI'),
}


@pytest.fixture(params=CASES)
def vm(request, host):
    arch, (machine, *_) = request.param, CASES[request.param]
    emulator = MACHINES / f'usr/bin/qemu-system-{arch}'
    if not emulator.exists():
        pytest.skip(f'there is no {emulator}')
    path = host.folder / f'{arch}.xml'
    path.write_text(f"""<domain type='qemu'><name>{arch}</name><memory unit='MiB'>512</memory><vcpu>1</vcpu>
<os><type arch='{arch}' machine='{machine}'>hvm</type></os>
<devices><emulator>{emulator}</emulator><memballoon model='none'/></devices></domain>""")
    path.chmod(0o644)
    host.virsh('define', path)
    yield arch
    host.virsh('destroy', arch, check=None)
    host.virsh('undefine', arch)


def room(host, name):
    return next(line for line in host.dimmer('doctor', name).stdout.splitlines() if ' room ' in line) + \
        host.dimmer('doctor', name).stdout.partition(' room ')[2].split('\n')[1]


def test_it_starts_before_and_after(host, vm):
    _, status, before, after = CASES[vm]
    host.virsh('start', vm, '--paused')
    assert before in room(host, vm)
    host.virsh('destroy', vm)
    host.dimmer('enable', vm, '--maximum', '2GiB', check=status)
    host.virsh('start', vm, '--paused')
    assert after in room(host, vm)


def test_a_device_comes(host, vm):
    host.dimmer('enable', vm, '--maximum', '2GiB')
    if CASES[vm][1] != 0:
        return
    host.virsh('start', vm)
    if vm == 'aarch64':
        done = host.dimmer('plug', vm, '256MiB', '--kind', 'virtio-mem', '-t', '2', check=5)
        assert 'give it more pcie-root-port controllers' in done.stdout
    else:
        host.dimmer('plug', vm, '256MiB', check=0)
        assert 'no virtio-mem for POWER' in host.dimmer('plug', vm, '256MiB', '--kind', 'virtio-mem', check=3).stderr


def test_a_large_power_machine_is_slow(host, vm):
    done = host.dimmer('enable', vm, '--maximum', '16TiB')
    assert ('takes minutes' in done.stdout) == (vm == 'ppc64')
