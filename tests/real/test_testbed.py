# SPDX-License-Identifier: Apache-2.0
"""The testbed itself: that its guests do what the other tests take them to do."""

import os
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

import testbed
import testbed.supervisor
from testbed import dimm_xml, nvdimm_xml, virtio_mem_xml


def devices_once_gone(vm, *aliases):
    for alias in aliases:
        vm.wait_removed(alias)
        vm.wait_gone(alias)
    return list(vm.memory_devices())


@pytest.mark.parametrize('kind', ['host', 'embed'])
def test_guest_takes_and_releases_memory(kind, request):
    vm = request.getfixturevalue(kind).start_guest('vm', memory_mib=256)
    vm.plug('ua-a')
    vm.plug('ua-b')
    assert vm.guest_memory_mib() == 512
    vm.detach('ua-a')
    assert devices_once_gone(vm, 'ua-a') == ['ua-b']
    assert vm.guest_memory_mib() == 384


@pytest.mark.parametrize('kernel', ['5.10', '6.1', '6.12'])
def test_each_kernel_takes_and_releases_memory(kernel, host):
    started = time.monotonic()
    vm = host.start_guest('vm', memory_mib=256, kernel=kernel,
                          devices=virtio_mem_xml(256, 0, alias='ua-v'))
    print(f'{kernel}: up in {time.monotonic() - started:.1f} s')
    assert vm.guest('uname -r').startswith(f'{kernel}.')
    vm.plug('ua-a', 256)
    assert vm.guest_memory_mib() == 512
    vm.request('ua-v', 128)
    vm.wait_size('ua-v', 128)
    vm.request('ua-v', 0)
    vm.wait_size('ua-v', 0)
    vm.detach('ua-a')
    assert devices_once_gone(vm, 'ua-a') == ['ua-v']
    assert vm.guest_memory_mib() == 256


@pytest.mark.parametrize('line', ['<1>BUG: made up', '<4>WARNING: made up',
                                  '<3>rcu: INFO: rcu_sched self-detected stall on CPU'])
def test_a_guest_in_trouble_fails_its_test(line, host):
    for expects in (False, True):
        vm = host.start_guest('vm', memory_mib=256)
        if expects:
            vm.expect_trouble('made up|self-detected')
        vm.guest(f"echo '{line}' >/dev/kmsg")
        vm.destroy()
        if expects:
            host.remove_all()
        else:
            with pytest.raises(testbed.GuestTrouble, match=f'^vm: .*{line[3:]}$'):
                host.remove_all()


def test_guest_agent_answers_as_far_as_it_may(host):
    vm = host.start_guest('vm', memory_mib=256, qga=True)
    assert vm.agent('guest-ping') == {}
    assert len(vm.agent('guest-get-memory-blocks')) == 2
    assert vm.agent('guest-exec', path='/bin/true')['pid'] > 0
    vm.kill_agent()
    with pytest.raises(AssertionError, match='agent is not connected'):
        vm.agent('guest-ping')
    vm.start_agent(block='guest-exec,guest-file-open')
    assert vm.agent('guest-ping') == {}
    with pytest.raises(AssertionError, match='guest-exec has been disabled'):
        vm.agent('guest-exec', path='/bin/true')


MOVABLE_RULE = ('SUBSYSTEM=="memory", ACTION=="add", ATTR{state}=="offline", '
                'ATTR{state}="online_movable"')


def test_debian_guest_runs_systemd_and_udev(host):
    started = time.monotonic()
    vm = host.start_debian('vm')
    print(f'up in {time.monotonic() - started:.1f} s')
    assert vm.guest('systemctl is-system-running --wait') == 'running\n'
    assert vm.guest('systemctl is-active multi-user.target systemd-udevd') == 'active\n' * 2
    assert vm.agent('guest-get-osinfo')['id'] == 'debian'

    # Debian 12 has no rule of its own for memory, and its kernel leaves it to one.
    vm.plug('ua-a', 256)
    vm.guest('udevadm settle')
    assert vm.guest_memory_mib() == 1024
    vm.guest(f"echo '{MOVABLE_RULE}' >/etc/udev/rules.d/10-test.rules; udevadm control --reload")
    vm.plug('ua-b', 256)
    vm.guest('udevadm settle')
    assert vm.guest_memory_mib() == 1280
    vm.detach('ua-b')
    assert devices_once_gone(vm, 'ua-b') == ['ua-a']


def test_debian_guests_share_no_writes(host):
    one, other = (host.start_debian(name, kernel=kernel)
                  for name, kernel in [('one', '5.10'), ('other', '6.12')])
    for vm in one, other:
        vm.guest(f'[ ! -e /mark ] && echo {vm.name} >/mark && sync')
    assert one.guest('cat /mark; uname -r').startswith('one\n5.10.')


def test_guest_refuses_while_asked_to(host):
    vm = host.start_guest('vm', memory_mib=256)
    vm.plug('ua-a')
    vm.set_refusing(True)
    for _ in range(2):
        vm.detach('ua-a')
        vm.wait_refused('ua-a')
    vm.set_refusing(False)
    vm.detach('ua-a')
    assert devices_once_gone(vm, 'ua-a') == []


def test_guest_keeps_the_one_device_that_its_kernel_uses(host):
    vm = host.start_guest('vm', memory_mib=256)
    vm.plug('ua-movable')
    vm.set_auto_online('online_kernel')
    vm.plug('ua-kernel')
    vm.pin_memory(32)
    vm.detach('ua-movable')
    vm.detach('ua-kernel')
    vm.wait_refused('ua-kernel')
    assert devices_once_gone(vm, 'ua-movable') == ['ua-kernel']


def test_guest_answers_late_when_it_hears_again(host):
    vm = host.start_guest('vm', memory_mib=256)
    vm.plug('ua-a')
    vm.plug('ua-b')
    vm.set_deaf(True)
    vm.detach('ua-a')
    vm.detach('ua-b')
    with pytest.raises(TimeoutError):
        vm.wait_removed('ua-a', timeout=1)
    vm.set_deaf(False)
    assert devices_once_gone(vm, 'ua-a', 'ua-b') == []


def test_guest_ejects_unasked(host):
    vm = host.start_guest('vm', memory_mib=256)
    vm.plug('ua-a')
    vm.plug('ua-b')
    vm.eject(slot=1)
    assert devices_once_gone(vm, 'ua-b') == ['ua-a']


def test_qemu_without_os_never_answers(host):
    vm = host.start_guest('vm', os=False)
    vm.attach(dimm_xml(128, alias='ua-a'))
    vm.detach('ua-a')
    with pytest.raises(TimeoutError):
        vm.wait_removed('ua-a', timeout=1)
    assert vm.events() == []


def test_virtio_mem_grows_and_shrinks(host):
    vm = host.start_guest('vm', memory_mib=256, devices=virtio_mem_xml(512, 0, alias='ua-v'))
    for size in (256, 100, 0):
        vm.request('ua-v', size)
        vm.wait_size('ua-v', size)


def test_virtio_mem_shrinks_partly(host):
    vm = host.start_guest('vm', memory_mib=256, auto_online='online_kernel',
                          devices=virtio_mem_xml(512, 256, alias='ua-v'))
    vm.wait_size('ua-v', 256)
    vm.pin_memory(64)
    vm.request('ua-v', 0)
    left = vm.wait_event('MEMORY_DEVICE_SIZE_CHANGE', id='ua-v')['data']['size'] >> 20
    assert 64 <= left < 256


def test_odd_vms_run(host):
    path = host.folder / 'vm' / 'pmem'
    path.write_bytes(b'')
    os.truncate(path, 256 << 20)
    host.user.give(path)
    vm = host.start_guest(
        'odd', cells=[256, 128], vcpus=2, pci_ports=2,
        metadata="<app:note xmlns:app='urn:example:app'>keep me</app:note>",
        devices=nvdimm_xml(path, 256) + virtio_mem_xml(256, 0, node=1) +
        "<graphics type='vnc' port='-1' passwd='secret'><listen type='none'/></graphics>")
    assert sorted(vm.memory_devices().values()) == [256, 256]
    assert 'secret' in host.virsh('dumpxml', '--security-info', 'odd')
    plain = host.create('transient', max_mib=None, memory_mib=256, paused=True)
    assert plain.state() == 'paused'
    plain.resume()
    plain.wait_ready()


@pytest.mark.parametrize('kind', ['SessionHost', 'EmbedHost'])
def test_nothing_is_left_of_a_host_whose_process_was_killed(kind, tmp_path, require):
    require(testbed.missing())
    script = f"""
import testbed
host = testbed.{kind}()
host.start_guest('vm', os=False)
print(host.folder, flush=True)
input()
"""
    process = subprocess.Popen([sys.executable, '-B', '-c', script], text=True,
                               cwd=Path(testbed.__file__).parent.parent,
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    folder = Path(process.stdout.readline().strip())
    pidfds = list(testbed.supervisor.pidfds_of(folder))
    assert len(pidfds) >= 2
    process.kill()
    process.communicate()
    deadline = time.monotonic() + 30
    for pidfd in pidfds:
        ended, _, _ = select.select([pidfd], [], [], deadline - time.monotonic())
        os.close(pidfd)
        assert ended
    assert not folder.exists()
