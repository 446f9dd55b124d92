# SPDX-License-Identifier: Apache-2.0
"""A VM that started before dimmer wrote its definition starts after."""

import json
import re
import subprocess

import pytest

from look import fail, run
from testbed.setup import program

GIB = 1 << 10  # in MiB


def define(host, name, **spec):
    """A VM without an OS and, by default, without hot plug."""
    return host.define(name, os=False, **{'max_mib': None} | spec)


def machines():
    """What machine types the QEMU here has."""

    listed = subprocess.run([program('qemu-system-x86_64'), '-machine', 'help'], check=True,
                          capture_output=True, text=True).stdout
    return {line.split()[0] for line in listed.splitlines()[1:]}


def definition(host, name):
    return host.virsh('dumpxml', '--inactive', name)


def starts(host, name):
    """Whether libvirt and QEMU start what is defined now; it is shut off again."""
    done = host.run([program('virsh'), '--connect', host.uri, 'start', '--paused', name])
    if done.returncode == 0:
        host.virsh('destroy', name)
    return done.returncode == 0


def most_named(message):
    return int(re.search(r'leave room for (\d+) MiB', message)[1])


@pytest.mark.parametrize('spec, slots', [
    ({'machine': 'q35'}, 16), ({'machine': 'pc'}, 16), ({'machine': 'q35', 'memory_mib': 3 * GIB}, 200),
    ({'machine': 'q35', 'devices': "<controller type='pci' model='pcie-root'><pcihole64 unit='GiB'>100</pcihole64></controller>"}, 16)],
    ids=['q35', 'pc', 'slots', 'hole'])
def test_a_maximum_is_in_reach(host, spec, slots):
    """QEMU starts with the maximum that dimmer names as the most, and not with 1 GiB more."""
    define(host, 'big', **spec)
    before = definition(host, 'big')
    message = fail(host, 'enable', 'big', '--maximum', '2TiB', '--slots', slots, status=3, code='above-platform')
    assert '40 address bits' in message and definition(host, 'big') == before and starts(host, 'big')
    most = most_named(message)
    run(host, 'enable', 'big', '--maximum', f'{most}MiB', '--slots', slots)
    assert starts(host, 'big')
    more = f'{most + GIB}MiB'
    assert most_named(fail(host, 'set', 'big', '--maximum', more, status=3, code='above-platform')) == most
    host.virsh('define', changed(host, 'big', rf'{most << 10}</maxMemory>', f'{most + GIB << 10}</maxMemory>'))
    assert not starts(host, 'big')


def changed(host, name, old, new):
    text = definition(host, name)
    assert old in text
    path = host.folder / 'vm' / name / 'changed.xml'
    path.write_text(text.replace(old, new))
    host.user.give(path)
    return path


@pytest.mark.parametrize('bits, least, most', [(36, 8, 64), (46, 2048, 65536)])
def test_a_written_width_is_the_width(host, bits, least, most):
    """An emulated processor has the address bits that its definition names, fewer or more than the usual."""
    define(host, 'vm')
    host.virsh('define', changed(host, 'vm', '</features>', f"""</features><cpu mode='custom'>
        <model>qemu64</model><maxphysaddr mode='emulate' bits='{bits}'/></cpu>"""))
    assert f'{bits} address bits' in fail(host, 'enable', 'vm', '--maximum', f'{most}GiB', status=3, code='above-platform')
    run(host, 'enable', 'vm', '--maximum', f'{least}GiB')
    assert starts(host, 'vm')


@pytest.mark.parametrize('cpu', ['<model>kvm32</model>', '<model>athlon</model>', '<model>n270</model>',
                                 "<model>qemu64</model><feature policy='disable' name='lm'/>"],
                         ids=['kvm32', 'athlon', 'n270', 'no-lm'])
def test_a_32_bit_processor(host, cpu):
    """It has 36 address bits at most, and of some models the PCI window is in them."""
    define(host, 'vm')
    host.virsh('define', changed(host, 'vm', '</features>', f"</features><cpu mode='custom'>{cpu}</cpu>"))
    assert starts(host, 'vm')
    message = fail(host, 'enable', 'vm', '--maximum', '64GiB', status=3, code='above-platform')
    run(host, 'enable', 'vm', '--maximum', f'{most_named(message)}MiB')
    assert '36 address bits' in message and starts(host, 'vm')


def test_memory_is_in_reach(host):
    """Boot memory takes addresses too, hot plug or not."""
    define(host, 'vm')
    message = fail(host, 'set', 'vm', '--memory', '2TiB', status=3, code='above-platform')
    assert '40 address bits' in message and starts(host, 'vm')
    result = run(host, 'set', 'vm', '--memory', f'{most_named(message)}MiB')
    assert any('its host has' in note for note in result['notes'])


@pytest.mark.parametrize('machine', ['pc-i440fx-2.0', 'pc-i440fx-1.7', 'isapc'])
def test_a_machine_without_hot_plug(host, require, machine):
    require([] if machine in machines() else [f'QEMU with {machine}'])
    if machine == 'isapc':
        define_bare(host, 'old', machine)
    else:
        define(host, 'old', machine=machine)
    before = definition(host, 'old')
    message = fail(host, 'enable', 'old', '--maximum', '2GiB', status=3, code='not-enabled')
    assert 'machine type' in message and definition(host, 'old') == before and starts(host, 'old')


def define_bare(host, name, machine):
    """A machine without PCI takes none of what the testbed's have."""
    _, path = host.prepare(name, {'os': False, 'max_mib': None})
    path.write_text(f"""<domain type='qemu'><name>{name}</name><memory unit='MiB'>512</memory>
        <os><type arch='x86_64' machine='{machine}'>hvm</type></os><features><acpi/></features>
        <devices><controller type='usb' model='none'/><memballoon model='none'/></devices></domain>""")
    host.virsh('define', path)


def test_a_machine_without_acpi(host):
    define(host, 'vm')
    host.virsh('define', changed(host, 'vm', '<acpi/>', ''))
    message = fail(host, 'enable', 'vm', '--maximum', '4GiB', status=3, code='not-enabled')
    assert 'ACPI' in message and starts(host, 'vm')


def test_a_maximum_without_acpi(host):
    """Another program wrote it there: QEMU starts with it, and takes no DIMM."""
    vm = define(host, 'vm', max_mib=4096)
    host.virsh('define', changed(host, 'vm', '<acpi/>', ''))
    vm.start()
    for wish in (['plug', 'vm', '256MiB'], ['set', 'vm', '--memory', '2GiB']):
        assert 'it has no ACPI' in fail(host, *wish, status=3, code='not-enabled')
    report = json.loads(host.dimmer('doctor', 'vm', '-o', 'json').stdout)
    room = next(finding for finding in report['findings'] if finding['check'] == 'room')
    assert room['verdict'] == 'bad' and 'ACPI' in room['evidence']
