# SPDX-License-Identifier: Apache-2.0
"""What dimmer knows of a guest, by whichever agent, and makes of it: doctor, guest prepare, plans.

dimmer-guest has a file of its own, test_guest_agent.py.
"""

from xml.etree import ElementTree

import pytest

from look import fail, plug, run, steps, validate, values

NO_PROGRAMS = 'guest-exec'
NOTHING = 'guest-exec,guest-file-open,guest-file-read,guest-file-write'
POLICY = '/sys/devices/system/memory/auto_online_blocks'


def doctor(host, vm, *args):
    """Its findings by check; of a check with several, those of devices, a list."""
    done = host.dimmer('doctor', vm.name, '-o', 'json', *args)
    assert done.returncode in (0, 3), done.stderr
    report = validate('checkup', done.stdout)
    assert (done.returncode == 3) == (report['verdict'] == 'bad')
    return report


def verdict(report, check, device=None):
    found = [finding['verdict'] for finding in report['findings']
             if finding['check'] == check and finding['device'] == device]
    assert len(found) == 1, f'{check}: {report}'
    return found[0]


def command(report, check, device=None):
    return next(finding['command'] for finding in report['findings']
                if finding['check'] == check and finding['device'] == device)


def start_with_agent(host, block, **spec):
    """A guest whose qemu-guest-agent has some commands disabled."""
    vm = host.start_guest('vm', max_mib=4096, qga=True, **spec)
    vm.kill_agent()
    vm.start_agent(block=block)
    return vm


def test_an_unprepared_debian_is_explained_prepared_and_then_releases(host):
    vm = host.start_debian('vm', memory_mib=1024, max_mib=4096)
    first, = plug(host, vm, 256, '--policy', 'whole')
    report = doctor(host, vm)
    assert report['guest']['os'].startswith('Debian GNU/Linux 12')
    assert verdict(report, 'onlining') in ('warning', 'bad')
    assert command(report, 'onlining') == host.printed('dimmer guest prepare vm')

    done = host.dimmer('guest', 'prepare', vm.name, '-o', 'json', check=0)
    prepared = validate('prepared', done.stdout)
    assert prepared['ready'], prepared
    again = validate('prepared', host.dimmer('guest', 'prepare', vm.name, '-o', 'json').stdout)
    assert again['ready'] and again['did'] == [], again  # there is nothing left to do
    assert 'online_movable' in vm.guest('cat /etc/udev/rules.d/39-dimmer-memory.rules')
    assert vm.guest(f'cat {POLICY}') == 'online_movable\n'
    assert POLICY in vm.guest('cat /etc/tmpfiles.d/dimmer-memory.conf')

    second, = plug(host, vm, 256, '--policy', 'whole')
    report = doctor(host, vm)
    assert verdict(report, 'onlining') == 'good'
    assert verdict(report, 'movable', first) == 'good'
    assert verdict(report, 'movable', second) == 'good'
    run(host, 'set', vm.name, '--memory', '1GiB')
    assert vm.memory_devices() == {}


def test_debians_udev_onlines_by_the_rule_where_the_kernel_leaves_it_to_it(host):
    vm = host.start_debian('vm', memory_mib=1024, max_mib=4096)
    host.dimmer('guest', 'prepare', vm.name, check=0)
    vm.set_auto_online('offline')
    report = doctor(host, vm)
    assert verdict(report, 'onlining') == 'good', report
    alias, = plug(host, vm, 256, '--policy', 'whole')
    vm.guest('udevadm settle')
    assert verdict(doctor(host, vm), 'movable', alias) == 'good'


def test_where_the_kernel_onlines_by_itself_the_next_start_needs_a_word(host):
    vm = host.start_guest('vm', max_mib=4096, qga=True, auto_online='online')
    for _ in range(2):  # which is so still when the running kernel does otherwise
        done = host.dimmer('guest', 'prepare', vm.name, '-o', 'json', check=0)
        prepared = validate('prepared', done.stdout)
        assert any('is reset by a reboot, to online:' in left and
                   'memhp_default_state=online_movable' in left for left in prepared['left']), prepared


def test_one_at_a_time(host):
    """A request may have memory offline at this moment."""
    vm = host.start_guest('vm', max_mib=4096, agent=True, qga=True)
    alias, = plug(host, vm, 256, '--policy', 'whole')
    vm.set_deaf(True)
    setting = host.dimmer_start('unplug', vm.name, alias)
    while 'asked to go' not in setting.stdout.readline():
        assert setting.poll() is None
    assert 'is changing' in host.dimmer('guest', 'prepare', vm.name, check=3).stderr
    report = doctor(host, vm)
    assert 'busy with another program' in next(
        finding['evidence'] for finding in report['findings'] if finding['check'] == 'ports')
    vm.set_deaf(False)
    setting.communicate()
    assert setting.returncode == 0


def test_asked_for_in_spite_of_its_zone_it_is_asked_for_again(host):
    vm = host.start_guest('vm', max_mib=4096, qga=True, auto_online='online_kernel')
    alias, = plug(host, vm, 256, '--policy', 'whole')
    vm.set_deaf(True)
    run(host, 'unplug', vm.name, alias, '--try-unmovable', '--timeout', '0', status=6)
    vm.set_deaf(False)
    vm.set_refusing(True)
    result = run(host, 'settle', vm.name, status=5)
    assert steps(result) == [('unplug', 256, 'refused')]


def test_a_dry_run_asks_the_guest_as_well(host):
    vm = host.start_guest('vm', max_mib=4096, qga=True, auto_online='online_kernel')
    plug(host, vm, 256, '--policy', 'whole')
    result = run(host, 'set', vm.name, '--memory', '1GiB', '--dry-run')
    assert result['steps'] == [] and any('kernel zone' in note for note in result['notes'])


def test_printing_changes_nothing(host):
    vm = host.start_guest('vm', max_mib=4096, qga=True, auto_online='online_kernel')
    before = vm.live_xml()
    script = host.dimmer('guest', 'prepare', vm.name, '--print', check=0).stdout
    assert script.startswith('#!/bin/sh\n')
    assert vm.guest(f'cat {POLICY}') == 'online_kernel\n'
    assert ElementTree.tostring(vm.live_xml()) == ElementTree.tostring(before)
    said = vm.guest(f"cat >/tmp/prepare <<'END'\n{script}END\nsh /tmp/prepare")
    assert 'done policy-set: set auto_online_blocks to online_movable' in said.splitlines(), said
    assert vm.guest(f'cat {POLICY}') == 'online_movable\n'


def test_without_programs_files_do(host):
    vm = start_with_agent(host, NO_PROGRAMS, auto_online='online_kernel')
    alias, = plug(host, vm, 256, '--policy', 'whole')
    report = doctor(host, vm)
    assert verdict(report, 'onlining') == 'bad'
    assert verdict(report, 'movable', alias) == 'bad'
    host.dimmer('guest', 'prepare', vm.name, check=0)
    assert vm.guest(f'cat {POLICY}') == 'online_movable\n'
    later, = plug(host, vm, 256, '--policy', 'whole')
    assert verdict(doctor(host, vm), 'movable', later) == 'good'


def test_an_agent_that_may_do_nothing_tells_little_and_prepare_says_so(host):
    vm = start_with_agent(host, NOTHING)
    alias, = plug(host, vm, 256, '--policy', 'whole')
    report = doctor(host, vm)
    assert verdict(report, 'movable', alias) == 'unknown'
    assert report['guest']['block'] == 128 << 20
    assert any('neither run programs nor read files' in note for note in report['guest']['notes'])
    message = host.dimmer('guest', 'prepare', vm.name, check=1).stderr
    assert '--print' in message


def test_without_any_agent_little_is_known_and_prepare_gives_the_ports(host):
    vm = host.start_guest('vm', max_mib=4096)
    alias, = plug(host, vm, 256, '--policy', 'whole')
    report = doctor(host, vm)
    assert report['verdict'] in ('unknown', 'warning')
    assert verdict(report, 'movable', alias) == 'unknown'
    assert verdict(report, 'onlining') == 'unknown'
    host.dimmer('guest', 'prepare', vm.name, check=4)
    for xml in (vm.live_xml(), vm.inactive_xml()):
        ports = {target.get('name') for target in xml.findall('.//channel/target')}
        assert {'org.dimmer.guest.0', 'org.qemu.guest_agent.0'} <= ports
    run(host, 'unplug', vm.name, alias)


def test_the_balloons_statistics_tell_what_can_be_spared(host):
    vm = host.start_guest('vm', max_mib=4096)
    host.virsh('dommemstat', vm.name, '--period', '1', '--live')
    vm.guest('dd if=/dev/zero of=/tmp/big bs=1M count=400')
    plug(host, vm, 1024)
    deadline = 30
    report = None
    for _ in range(deadline):  # the guest counts once a second, without a signal
        report = doctor(host, vm)
        if report['guest']['memory_source'] == 'balloon statistics':
            break
        vm.guest('sleep 1')
    assert report['guest']['memory_source'] == 'balloon statistics'
    assert verdict(report, 'spare') == 'good'


def inflate(host, vm, mib):
    host.virsh('setmem', vm.name, f'{mib}MiB', '--live')
    vm.wait_event('BALLOON_CHANGE', actual=mib << 20)
    vm.wait_current_memory(mib)


def test_what_an_inflated_balloon_leaves_is_the_most_to_spare(host):
    """Of a guest without a report, where the balloon may not be touched: it would hang with the 44 MiB left."""
    vm = host.start_guest('vm', memory_mib=512, max_mib=4096)
    run(host, 'enable', vm.name, '--balloon-use', 'never')
    plug(host, vm, 256)
    inflate(host, vm, 300)
    message = fail(host, 'set', vm.name, '--memory', '512MiB', status=3, code='guest-needs-memory')
    assert '(libvirt: 172 MiB available' in message
    report = doctor(host, vm)
    assert report['guest']['memory_source'] in ('libvirt', 'balloon statistics')
    assert verdict(report, 'spare') == 'bad'
    assert len(vm.memory_devices()) == 2 and vm.guest('echo alive') == 'alive\n'


def test_an_inflated_balloon_gives_back_first_what_goes(host):
    """So the guest keeps the 300 MiB that it had."""
    vm = host.start_guest('vm', memory_mib=512, max_mib=4096)
    plug(host, vm, 256)
    inflate(host, vm, 300)
    result = run(host, 'set', vm.name, '--memory', '512MiB')
    assert [state for *_, state in steps(result)] == ['removed', 'removed']
    assert result['balloon_step']['reached'] == 300 << 20 and result['after']['memory'] == 512 << 20
    assert not vm.memory_devices() and vm.guest('echo alive') == 'alive\n'


def test_a_device_in_a_kernel_zone_is_left_out_unless_wanted(host):
    vm = host.start_guest('vm', max_mib=4096, qga=True)
    movable, = plug(host, vm, 256, '--policy', 'whole')
    vm.set_auto_online('online_kernel')
    kernel, = plug(host, vm, 256, '--policy', 'whole')
    vm.events()
    result = run(host, 'set', vm.name, '--memory', '1GiB')
    assert steps(result) == [('unplug', 256, 'removed')]
    assert list(vm.memory_devices()) == [kernel]
    assert any('kernel zone' in note for note in result['notes'])

    message = fail(host, 'unplug', vm.name, kernel, status=3, code='not-movable')
    assert '256 MiB of it in a kernel zone' in message
    vm.set_refusing(True)  # whatever the kernel has in there meanwhile
    result = run(host, 'unplug', vm.name, kernel, '--try-unmovable', status=5)
    assert steps(result) == [('unplug', 256, 'refused')]


def test_no_more_than_the_guest_can_spare_unless_forced(host):
    vm = host.start_guest('vm', memory_mib=512, max_mib=4096, qga=True)
    aliases = plug(host, vm, 512, '--policy', 'fine')
    vm.guest('mount -t tmpfs -o size=100% tmp /tmp; dd if=/dev/zero of=/tmp/big bs=1M count=520')
    before = values(host, vm.name)
    message = fail(host, 'set', vm.name, '--memory', '512MiB', status=3, code='guest-needs-memory')
    assert 'can spare' in message and 'qemu-guest-agent' in message
    assert values(host, vm.name) == before and set(vm.memory_devices()) == set(aliases)
    run(host, 'set', vm.name, '--guaranteed', '600MiB')
    report = doctor(host, vm, '--memory', '512MiB')
    found, = [finding for finding in report['findings'] if finding['check'] == 'spare']
    assert found['verdict'] == 'bad' and 'above its memory of 512 MiB' in found['evidence'], found
    run(host, 'set', vm.name, '--guaranteed', '512MiB')
    vm.guest('rm /tmp/big')
    run(host, 'set', vm.name, '--memory', '512MiB')
    assert vm.memory_devices() == {}


def test_a_refusal_is_remembered_until_the_guest_changes(host):
    vm = host.start_guest('vm', max_mib=4096)
    first, = plug(host, vm, 256, '--policy', 'whole')
    vm.set_refusing(True)
    run(host, 'unplug', vm.name, first, status=5)
    refusal = vm.live_xml().find('.//{urn:dimmer:memory:1}refusal')
    assert refusal is not None and refusal.get('alias') == first
    assert verdict(doctor(host, vm), 'refused', first) == 'warning'
    assert host.dimmer('doctor', 'vm', check=0).stdout.endswith(
        'vm: no obstacle is known but the restrictions above\n')
    vm.set_refusing(False)
    second, = plug(host, vm, 256, '--policy', 'whole')
    result = run(host, 'set', vm.name, '--memory', '1280MiB')
    assert [step['alias'] for step in result['steps']] == [second]
    run(host, 'unplug', vm.name, first)
    assert vm.live_xml().find('.//{urn:dimmer:memory:1}refusal') is None


@pytest.mark.parametrize('args', [['doctor', 'none'], ['guest', 'prepare', 'none']])
def test_no_such_vm(host, args):
    assert "no VM 'none'" in host.dimmer(*args, check=8).stderr


def test_a_vm_that_is_off(host):
    host.define('vm', max_mib=4096)
    assert 'shut off' in host.dimmer('guest', 'prepare', 'vm', check=3).stderr
    done = host.dimmer('doctor', 'vm')
    assert 'shut off' in done.stdout and f" -> start it: {host.printed('virsh start vm')}\n" in done.stdout
