# SPDX-License-Identifier: Apache-2.0
"""VMs that are set up to shrink: a floor of boot memory, and memory devices above it, start after start."""

import time
from pathlib import Path

import pytest

from look import fail, mib, run, show, steps, values

MIB = 1 << 20


def config(host, which='next_run'):
    """(boot memory by node, [(kind, size, memory, node)] of the devices, floor) of the VM's configuration, in MiB."""
    found = show(host, 'vm')[which]
    return ([mib(size) for size in found['boot_by_node']],
            [(device['kind'], mib(device['size']), mib(device['memory']), device['node'])
             for device in found['devices']], mib(found['floor']))


def dimms(host):
    """The boot memory by node, and the sizes of the DIMMs, of the next run."""
    boot, devices, _ = config(host)
    assert {device[0] for device in devices} == {'dimm'}
    return boot, sorted(device[1] for device in devices)


def power_cycle(host, vm):
    host.virsh('destroy', vm.name)
    return vm.start().wait_ready()


def grown(host, vm, memory):
    """Its guest has taken into use what its devices have at the start, which comes while it starts."""
    deadline = time.monotonic() + 60
    while vm.guest_memory_mib() < memory or show(host, 'vm')['live']['memory'] != memory * MIB:
        assert time.monotonic() < deadline, (vm.guest_memory_mib(), show(host, 'vm')['live'])
    assert values(host, 'vm') == (memory, memory, memory, memory)


def test_an_ordinary_vm_shrinks_after_every_start(host):
    """As virt-install makes it: no maximum, no NUMA cell. Raised and lowered over restarts."""
    vm = host.start_guest('vm', max_mib=None, memory_mib=1024)
    result = run(host, 'enable', 'vm', '--maximum', '4GiB', '--floor', '512MiB')
    assert any('512 MiB of boot memory' in note for note in result['notes'])
    assert config(host) == ([512], [('virtio-mem', 3584, 512, 0)], 512)
    assert values(host, 'vm') == (1024, 1024, 1024, 1024) and show(host, 'vm')['next_run_differs']
    for memory in (1024, 901, 1536):
        power_cycle(host, vm)
        grown(host, vm, memory)
        assert not show(host, 'vm')['next_run_differs']
        if memory == 901:
            assert config(host)[0] == [513]
        result = run(host, 'set', 'vm', '--memory', '513MiB' if memory == 901 else '512MiB')
        assert {state for _, _, state in steps(result)} == {'resized'}
        following = {1024: 901, 901: 1536, 1536: 640}[memory]
        run(host, 'set', 'vm', '--memory', f'{following}MiB', '--next-run')


def test_devices_of_each_node(host):
    vm = host.define('vm', cells=[1024, 1024], vcpus=2, max_mib=8192)
    run(host, 'enable', 'vm', '--maximum', '8GiB', '--node', '0=768MiB', '--node', '1=512MiB')
    boot, devices, floor = config(host)
    assert (boot, floor) == ([768, 512], 1280)
    assert [device[3] for device in devices] == [0, 1] and sum(device[2] for device in devices) == 768
    vm.start().wait_ready()
    grown(host, vm, 2048)
    run(host, 'set', 'vm', '--memory', '1280MiB')
    assert values(host, 'vm') == (1280, 1280, 1280, 1280)


def test_plug_and_unplug_go_into_the_devices(host):
    vm = host.define('vm', memory_mib=1024, max_mib=None)
    run(host, 'enable', 'vm', '--maximum', '4GiB', '--floor', '512MiB', '--kind', 'dimm')
    assert dimms(host) == ([512], [128, 128, 256])
    vm.start().wait_ready()
    grown(host, vm, 1024)
    result = run(host, 'plug', 'vm', '256MiB', '--policy', 'whole')
    alias, = [step['alias'] for step in result['steps']]
    vm.wait_plugged(alias)
    assert dimms(host) == ([512], [128, 128, 256, 256])
    run(host, 'unplug', 'vm', alias)
    assert dimms(host) == ([512], [128, 128, 256])


def test_devices_by_other_tools_grow_first(host):
    vm = host.define('vm', memory_mib=512, max_mib=4096, devices="""<memory model='virtio-mem'><target>
      <size unit='MiB'>1024</size><node>0</node><block unit='MiB'>2</block><requested unit='MiB'>128</requested>
      </target></memory>""")
    run(host, 'set', 'vm', '--memory', '1001MiB')
    assert config(host)[:2] == ([513], [('virtio-mem', 1024, 488, 0)])
    assert vm.inactive_xml().find('.//requested') is not None


def test_the_balloon_gives_back_by_itself(host):
    vm = host.define('vm', memory_mib=1024, max_mib=None)
    run(host, 'enable', 'vm', '--maximum', '4GiB', '--free-page-reporting')
    balloon = vm.inactive_xml().find('devices/memballoon')
    assert (balloon.get('freePageReporting'), balloon.get('autodeflate')) == ('on', None)
    run(host, 'enable', 'vm', '--maximum', '4GiB', '--floor', '512MiB')
    balloon = vm.inactive_xml().find('devices/memballoon')
    assert (balloon.get('freePageReporting'), balloon.get('autodeflate')) == ('on', 'on')


def resident(vm):
    """What its QEMU holds of the host's memory, in MiB."""
    status = Path(f'/proc/{vm.qemu_pid()}/status').read_text()
    return int(next(line for line in status.splitlines() if line.startswith('VmRSS')).split()[1]) >> 10


def checked(host, *checks):
    """The findings of these checks of the doctor."""
    done = host.dimmer('doctor', 'vm', '-o', 'json')
    findings = run(host, 'doctor', 'vm', status=done.returncode)['findings']
    return [finding['code'] for check in checks for finding in findings if finding['check'] == check]


@pytest.mark.parametrize('options, reports, deflates', [
    ([], False, False), (['--free-page-reporting'], True, False), (['--floor', '512MiB'], True, True)])
def test_the_host_gets_back_what_the_guest_frees(host, options, reports, deflates):
    vm = host.start_guest('vm', memory_mib=1024, max_mib=None)
    assert checked(host, 'free-page-reporting', 'autodeflate') == ['reports-no-pages', 'does-not-deflate']
    run(host, 'enable', 'vm', '--maximum', '4GiB', *options)
    assert checked(host, 'free-page-reporting', 'autodeflate') == [
        'reports-pages-next' if reports else 'reports-no-pages', 'deflates-next' if deflates else 'does-not-deflate']
    power_cycle(host, vm)
    grown(host, vm, 1024)
    live = show(host, 'vm')['live']
    assert (live['free_page_reporting'], live['autodeflate']) == (reports, deflates)
    assert checked(host, 'free-page-reporting', 'autodeflate') == [
        'reports-pages' if reports else 'reports-no-pages', 'deflates' if deflates else 'does-not-deflate']
    shown = [line.split(maxsplit=1)[1] for line in host.dimmer('show', 'vm').stdout.splitlines()
             if line.startswith('  balloon ')]
    assert len(shown) == 1 and ('reports free pages' in shown[0]) == reports
    vm.guest('mkdir /full && mount -t tmpfs -o size=400m none /full && dd if=/dev/zero of=/full/file bs=1M count=300')
    full = resident(vm)
    vm.guest('rm /full/file')
    deadline = time.monotonic() + (60 if reports else 10)
    while resident(vm) > full - 250 and time.monotonic() < deadline:
        vm.guest('true')
    assert (resident(vm) <= full - 250) == reports, (full, resident(vm))
    print(f'resident: {full} MiB, then {resident(vm)} MiB')


def test_a_floor_is_taken_back(host):
    host.define('vm', memory_mib=1024, max_mib=None)
    run(host, 'enable', 'vm', '--maximum', '4GiB', '--floor', '512MiB')
    run(host, 'enable', 'vm', '--maximum', '2GiB')
    assert config(host) == ([512], [('virtio-mem', 1536, 512, 0)], 512)
    run(host, 'enable', 'vm', '--maximum', '4GiB', '--floor', '0')
    assert config(host) == ([1024], [], None)


def test_floors_that_cannot_be(host):
    host.define('vm', memory_mib=1024, max_mib=None)
    for args, code, words in (
            (['--floor', '256MiB'], 'bad-floor', '512 MiB'), (['--floor', '2GiB'], 'bad-floor', '1024 MiB'),
            (['--floor', '600MiB', '--maximum', '64GiB'], 'bad-floor', '2048 MiB'),
            (['--node', '1=512MiB'], 'no-such-node', 'node 1'),
            (['--floor', '512MiB', '--node', '0=600MiB'], 'bad-floor', 'NUMA node'),
            (['--node', '0=512MiB', '--node', '0=512MiB'], 'bad-floor', 'twice')):
        arguments = args if '--maximum' in args else ['--maximum', '4GiB', *args]
        assert words in fail(host, 'enable', 'vm', *arguments, status=3, code=code)
    run(host, 'enable', 'vm', '--maximum', '4GiB', '--floor', '256MiB', '--force')
    assert config(host)[0] == [256]
