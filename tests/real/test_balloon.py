# SPDX-License-Identifier: Apache-2.0
"""The balloon as the third way to lower a running VM, on guests as virt-install makes them, and beside devices."""

import json
import re
import shlex
import signal
import time
from pathlib import Path

import pytest

from look import fail, mib, plug, run, show, steps, values
from testbed import inside

MORE_THAN_ANY_REQUEST_MAKES = 20


def rss_mib(vm):
    """What QEMU itself has resident on the host."""
    found = re.search(r'^VmRSS:\s+(\d+) kB', Path(f'/proc/{vm.qemu_pid()}/status').read_text(), re.MULTILINE)
    return int(found[1]) >> 10


def actual_mib(host):
    return int(re.search(r'^actual (\d+)$', host.virsh('dommemstat', 'vm'), re.MULTILINE)[1]) >> 10


def period(vm):
    statistics = vm.live_xml().find('devices/memballoon/stats')
    return None if statistics is None else statistics.get('period')


@pytest.fixture
def plain(host):
    """Boot memory alone, no maximum, no NUMA cell."""
    return host.start_guest('vm', memory_mib=1024, max_mib=None)


def test_an_ordinary_vm_gives_back_by_its_balloon(host, plain):
    plain.guest('dd if=/dev/zero of=/tmp/big bs=1M count=440 && rm /tmp/big')
    before = rss_mib(plain)
    result = run(host, 'set', 'vm', '--memory', '320MiB', '--balloon', '--live')
    step = result['balloon_step']
    assert (result['outcome'], step['state'], mib(step['from']), mib(step['to'])) == ('done', 'ballooned', 1024, 320)
    assert actual_mib(host) == 320 and before - rss_mib(plain) > 200, (before, rss_mib(plain))
    found = show(host, 'vm')
    assert [mib(found['live'][name]) for name in ('memory', 'ballooned', 'current_memory')] == [1024, 704, 320]
    assert values(host, 'vm')[2] == 1024, '--live leaves the next run alone'
    shown = re.sub(r' +', ' ', host.dimmer('show', 'vm').stdout)
    assert 'guest can use 320 MiB' in shown and 'ballooned 704 MiB ○' in shown
    assert ' BALLOONED ' in (listed := host.dimmer('list').stdout) and ' 704 MiB ' in listed
    assert period(plain) is None, 'its statistics are as they were'
    back = run(host, 'set', 'vm', '--memory', '1024MiB')
    assert back['balloon_step']['state'] == 'ballooned', 'what dimmer took is given back without being asked'
    assert actual_mib(host) == 1024 and show(host, 'vm')['request'] is None
    assert ' BALLOONED ' not in host.dimmer('list').stdout
    assert 'ballooned=' not in host.virsh('dumpxml', 'vm')


def oom_kills(vm):
    return vm.guest('grep oom_kill /proc/vmstat')


def wait_for_reports(host, count):
    """From now on: the first that comes may have been on its way, and be of what the guest had before."""
    deadline = time.monotonic() + 60
    seen = set()
    while len(seen) <= count:
        assert time.monotonic() < deadline, f'the balloon reports no more: {seen}'
        seen |= set(re.findall(r'^last_update (\d+)$', host.virsh('dommemstat', 'vm'), re.MULTILINE))


def take_at_once(host):
    """(what the guest can spare, in MiB; the arguments of dimmer that doctor names for the balloon)."""
    host.virsh('dommemstat', 'vm', '--period', '1', '--live')
    wait_for_reports(host, 2)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        found = json.loads(host.dimmer('doctor', 'vm', '-o', 'json').stdout)
        balloon, = (finding for finding in found['findings'] if finding['check'] == 'balloon')
        if balloon['code'] == 'balloon-can-take-size':
            total, available = (mib(found['guest'][name]) for name in ('total', 'available'))
            return available - max(total // 20, 64), shlex.split(balloon['command'])[3:]
    raise AssertionError(balloon)


def test_one_command_frees_what_the_guest_can_spare(host):
    """At once, and the host has it back: at least 95% of what an unplug might take, were there devices to go."""
    vm = host.start_guest('vm', memory_mib=1024, max_mib=None, files=inside.holder())
    inside.use_once(vm)
    inside.hold(vm, 200, 'touch')
    spare, (verb, *arguments) = take_at_once(host)
    ended = oom_kills(vm)
    before = rss_mib(vm)
    result = run(host, verb, *arguments)
    got = before - rss_mib(vm)
    print(f'{got} MiB of {spare}, {result["balloon_step"]["seconds"]} s')
    assert (result['outcome'], result['balloon_step']['state']) == ('done', 'ballooned')
    assert got >= 0.95 * spare, (got, spare)
    assert inside.holds(vm) and oom_kills(vm) == ended


def test_never_more_than_the_guest_can_spare(host, plain):
    result = run(host, 'set', 'vm', '--memory', '64MiB', '--balloon', status=4)
    step = result['balloon_step']
    assert (result['outcome'], step['state'], step['reason_code']) == ('partly', 'refused', 'balloon-spare-ends')
    assert step['reached'] >> 20 == actual_mib(host) > 128
    assert plain.guest('echo alive') == 'alive\n'
    available = int(re.search(r'MemAvailable: +(\d+)', plain.guest('cat /proc/meminfo'))[1]) >> 10
    assert 55 < available < 110, 'its reserve of 72 MiB is left, and little more'
    assert values(host, 'vm')[2] == 64


def test_raised_while_the_guest_starts_anew(host, plain):
    """QEMU reports what the driver had reached before: as a new target it would take the memory anew."""
    run(host, 'set', 'vm', '--memory', '500MiB', '--balloon', '--live')
    host.virsh('reset', 'vm')
    done = host.dimmer('set', 'vm', '--memory', '1024MiB')
    assert done.returncode in (0, 6), done.stdout + done.stderr  # 6: its driver has not come in time
    plain.wait_ready()
    if done.returncode == 6:
        assert 'as soon as its balloon driver takes it back' in done.stdout
        run(host, 'settle', 'vm')
    assert actual_mib(host) == 1024 and show(host, 'vm')['request'] is None
    assert int(re.search(r'MemTotal: +(\d+)', plain.guest('cat /proc/meminfo'))[1]) >> 10 > 900


def test_lowered_while_the_guest_starts_anew(host, plain):
    run(host, 'set', 'vm', '--memory', '500MiB', '--balloon', '--live')
    host.virsh('reset', 'vm')
    done = host.dimmer('set', 'vm', '--memory', '400MiB', '--balloon', '--live', '-o', 'json')
    plain.wait_ready()
    result = json.loads(done.stdout)
    if result['outcome'] != 'done':
        result = run(host, 'settle', 'vm')
    step = result['balloon_step']
    assert (step['state'], mib(step['reached']), actual_mib(host)) == ('ballooned', 400, 400)


def test_a_vms_own_setting(host, plain):
    run(host, 'enable', 'vm', '--balloon-use', 'never')
    assert show(host, 'vm')['live']['balloon_use'] == show(host, 'vm')['next_run']['balloon_use'] == 'never'
    fail(host, 'set', 'vm', '--memory', '512MiB', '--balloon', status=3, code='no-balloon')
    run(host, 'enable', 'vm', '--balloon-use', 'allow')
    assert run(host, 'set', 'vm', '--memory', '600MiB', '--live')['balloon_step']['state'] == 'ballooned'
    run(host, 'enable', 'vm', '--balloon-use', 'ask')
    assert run(host, 'set', 'vm', '--memory', '512MiB', '--live', status=9)['balloon_step'] is None
    assert actual_mib(host) == 600


def test_what_cannot_be(host):
    host.start_guest('none', memory_mib=512, max_mib=None, devices="<memballoon model='none'/>")
    message = fail(host, 'set', 'none', '--memory', '256MiB', '--balloon', status=3, code='no-balloon')
    assert "<memballoon model='virtio'/>" in message
    host.start_guest('vm', memory_mib=512, max_mib=None, cmdline='module_blacklist=virtio_balloon')
    result = run(host, 'set', 'vm', '--memory', '256MiB', '--balloon', '--live', status=5)
    assert result['balloon_step']['reason_code'] == 'balloon-no-driver'
    assert actual_mib(host) == 512
    fail(host, 'set', 'vm', '--memory', '256MiB', '--live', '--next-run', status=2, code='usage')


def test_setmem_by_somebody_else_stands(host, plain):
    run(host, 'set', 'vm', '--memory', '600MiB', '--balloon', '--live')
    host.virsh('setmem', 'vm', '700MiB', '--live')
    plain.wait_event('BALLOON_CHANGE', actual=700 << 20)
    result = run(host, 'set', 'vm', '--memory', '1024MiB')
    assert result['balloon_step'] is None and 'balloon-by-others' in result['note_codes']
    assert actual_mib(host) == 700
    assert mib(run(host, 'set', 'vm', '--memory', '1024MiB', '--balloon')['after']['ballooned']) == 0


def test_what_somebody_else_had_it_take_before_stays_theirs(host, plain):
    host.virsh('setmem', 'vm', '900MiB', '--live')
    plain.wait_event('BALLOON_CHANGE', actual=900 << 20)
    plain.wait_current_memory(900)
    assert run(host, 'set', 'vm', '--memory', '600MiB', '--balloon', '--live')['outcome'] == 'done'
    assert actual_mib(host) == 600
    back = run(host, 'set', 'vm', '--memory', '1024MiB')
    assert back['balloon_step']['state'] == 'ballooned' and 'balloon-others-stay' in back['note_codes']
    assert actual_mib(host) == 900
    assert 'by-others=' not in host.virsh('dumpxml', 'vm'), 'nothing of it is dimmer\'s any more'


def test_of_others_also_after_an_interruption(host, plain):
    host.virsh('setmem', 'vm', '900MiB', '--live')
    plain.wait_event('BALLOON_CHANGE', actual=900 << 20)
    plain.wait_current_memory(900)
    run(host, 'set', 'vm', '--memory', '600MiB', '--balloon', '--live', '-t', '0', status=6)
    assert run(host, 'settle', 'vm')['balloon_step']['state'] == 'ballooned' and actual_mib(host) == 600
    run(host, 'set', 'vm', '--memory', '1024MiB', '--live')
    assert actual_mib(host) == 900


def test_setmem_by_somebody_else_meanwhile(host, plain, interpose):
    """After the first target that dimmer sets."""
    process = None
    for at in range(1, MORE_THAN_ANY_REQUEST_MAKES):
        process = interpose.stopped(at, 'set', 'vm', '--memory', '300MiB', '--balloon', '--live', '-o', 'json')
        if interpose.calls()[-1] == 'virDomainSetMemoryFlags':
            break
        process.kill()
        process.communicate()
        run(host, 'settle', 'vm')
        run(host, 'set', 'vm', '--memory', '1024MiB', '--balloon', '--live')
    first = actual_mib(host)
    host.virsh('setmem', 'vm', '1024MiB', '--live')
    plain.wait_event('BALLOON_CHANGE', actual=1024 << 20)
    process.send_signal(signal.SIGCONT)
    printed, _ = process.communicate(timeout=60)
    assert actual_mib(host) == 1024 >= first, printed
    assert process.returncode in (4, 5), printed


def test_setmem_by_somebody_else_before_its_first_target_stands(host, plain, interpose):
    process = interpose.stopped(1, 'set', 'vm', '--memory', '900MiB', '--balloon', '-o', 'json')
    assert interpose.calls() == ['virDomainSetMetadata']
    host.virsh('setmem', 'vm', '700MiB', '--live')
    plain.wait_event('BALLOON_CHANGE', actual=700 << 20)
    process.send_signal(signal.SIGCONT)
    printed, message = process.communicate(timeout=120)
    result = json.loads(printed)
    assert 'balloon-meanwhile' in result['note_codes'], (printed, message)
    assert actual_mib(host) == 700 and 'ballooned=' not in host.virsh('dumpxml', 'vm')


def test_setmem_by_somebody_else_while_a_dimm_is_to_go_stands(host, interpose):
    """It left the guest 700 MiB, and the DIMM takes its part of what that holds along: the guest has that back."""
    vm = host.start_guest('vm', memory_mib=1024, max_mib=4096)
    plug(host, vm, 256, '--policy', 'whole')
    wish = ('set', 'vm', '--memory', '900MiB', '--balloon', '--live', '-o', 'json')
    process = interpose.stopped(1, *wish)
    assert interpose.calls() == ['virDomainSetMetadata']
    host.virsh('setmem', 'vm', '700MiB', '--live')
    vm.wait_event('BALLOON_CHANGE', actual=700 << 20)
    process.send_signal(signal.SIGCONT)
    printed, message = process.communicate(timeout=120)
    result = json.loads(printed)
    assert steps(result) == [('unplug', 256, 'removed')], (printed, message)
    assert actual_mib(host) == 700, (printed, message)


def test_a_dimm_goes_though_the_balloon_is_inflated(host):
    """QEMU keeps the inflated pages: the guest would lose both."""
    vm = host.start_guest('vm', memory_mib=1024, max_mib=4096)
    alias, = plug(host, vm, 256, '--policy', 'whole')
    host.virsh('setmem', 'vm', '800MiB', '--live')
    vm.wait_event('BALLOON_CHANGE', actual=800 << 20)
    vm.wait_current_memory(800)
    result = run(host, 'unplug', 'vm', alias)
    assert steps(result) == [('unplug', 256, 'removed')] and 'balloon-aside' in result['note_codes']
    assert actual_mib(host) == 800, 'what the guest can use is as before'
    found = show(host, 'vm')['live']
    assert (mib(found['memory']), mib(found['ballooned'])) == (1024, 224)


def test_devices_first_and_the_balloon_takes_the_rest(host):
    vm = host.start_guest('vm', memory_mib=1024, max_mib=4096)
    plug(host, vm, 256, '--policy', 'whole')
    result = run(host, 'set', 'vm', '--memory', '600MiB', '--balloon', '--live')
    assert steps(result) == [('unplug', 256, 'removed')] and result['outcome'] == 'done'
    assert mib(result['after']['memory']) == 1024 and actual_mib(host) == 600
    raised = run(host, 'set', 'vm', '--memory', '1152MiB', '--live')
    assert steps(raised) == [('plug', 128, 'added')] and actual_mib(host) == 1152
    assert mib(raised['after']['ballooned']) == 0


def test_virtio_mem_goes_beside_an_inflated_balloon(host):
    """The balloon gives back what would be too much, though it was not asked for."""
    vm = host.start_guest('vm', memory_mib=1024, max_mib=4096, pci_ports=2)
    run(host, 'set', 'vm', '--memory', '900MiB', '--balloon', '--live')
    alias, = plug(host, vm, 256, '--kind', 'virtio-mem')
    vm.wait_size(alias, 256)
    result = run(host, 'set', 'vm', '--memory', '1100MiB', '--live')
    assert steps(result) == [('resize', 256, 'resized')] and result['balloon_step']['state'] == 'ballooned'
    assert [mib(result['after'][name]) for name in ('memory', 'ballooned')] == [1100, 0] and actual_mib(host) == 1024
    again = run(host, 'set', 'vm', '--memory', '1100MiB', '--live', '--dry-run')
    assert (again['steps'], again['balloon_step']) == ([], None)


def test_killed_after_each_step_it_is_settled(host, plain, interpose):
    wish = ('set', 'vm', '--memory', '512MiB', '--balloon', '--live')
    moved = set()
    for at in range(1, MORE_THAN_ANY_REQUEST_MAKES):
        done = interpose.run(at, 'kill', *wish)
        calls = interpose.calls()
        if done.returncode == 0:
            assert calls.count('virDomainSetMemoryFlags') >= 2 and {'first', 'later'} <= moved
            break
        assert done.returncode == -signal.SIGKILL, done
        moved |= {'later' if calls.count('virDomainSetMemoryFlags') > 1 else 'first'}
        closed = actual_mib(host) == 512 and show(host, 'vm')['request'] is None
        if not closed:
            assert show(host, 'vm')['request']['balloon_step']['to'] >> 20 == 512
        run(host, 'settle', 'vm')
        assert show(host, 'vm')['request'] is None and actual_mib(host) in (512, 1024)
        assert period(plain) is None, 'its statistics are as they were'
        if 'virDomainSetMemoryFlags' in calls:
            assert actual_mib(host) == 512
        run(host, 'set', 'vm', '--memory', '1024MiB', '--balloon', '--live')
        assert actual_mib(host) == 1024
    else:
        raise AssertionError('it never came through')


def test_killed_with_a_dimm_to_go_it_is_settled(host, interpose):
    """The balloon is inflated before: it gives back, the DIMM goes, and it takes the rest."""
    vm = host.start_guest('vm', memory_mib=1024, max_mib=4096)
    seen = set()
    for at in range(1, MORE_THAN_ANY_REQUEST_MAKES):
        plug(host, vm, 256, '--policy', 'whole')
        host.virsh('setmem', 'vm', '1200MiB', '--live')
        vm.wait_event('BALLOON_CHANGE', actual=1200 << 20)
        vm.wait_current_memory(1200)
        done = interpose.run(at, 'kill', 'set', 'vm', '--memory', '700MiB', '--balloon', '--live')
        seen.add(interpose.calls()[-1])
        run(host, 'settle', 'vm')
        found = show(host, 'vm')
        assert found['request'] is None and mib(found['live']['memory']) == 1024, interpose.calls()
        assert actual_mib(host) == 700, interpose.calls()
        run(host, 'set', 'vm', '--memory', '1024MiB', '--balloon', '--live')
        if done.returncode == 0:
            assert seen >= {'virDomainSetMetadata', 'virDomainSetMemoryFlags', 'virDomainDetachDeviceAlias'}
            return
        assert done.returncode == -signal.SIGKILL, done
    raise AssertionError('it never came through')


def killed_at(interpose, call, *wish):
    """It has a SIGKILL right after its first such call."""
    for at in range(1, MORE_THAN_ANY_REQUEST_MAKES):
        done = interpose.run(at, 'kill', *wish)
        assert done.returncode == -signal.SIGKILL, done
        if interpose.calls()[-1] == call:
            return
    raise AssertionError(f'it never calls {call}')


def test_killed_while_a_device_is_waited_for_the_balloons_part_is_not_lost(host, interpose):
    vm = host.start_guest('vm', memory_mib=1024, max_mib=4096)
    alias, = plug(host, vm, 256, '--policy', 'whole')
    killed_at(interpose, 'virDomainDetachDeviceAlias', 'set', 'vm', '--memory', '600MiB', '--balloon', '--live')
    vm.wait_gone(alias)
    result = run(host, 'settle', 'vm')
    assert result['balloon_step']['state'] == 'ballooned' and 'earlier-balloon' in result['note_codes']
    assert actual_mib(host) == 600 and show(host, 'vm')['request'] is None


def test_a_refused_unplug_leaves_the_balloon_as_it_was(host):
    vm = host.start_guest('vm', memory_mib=1024, max_mib=4096)
    vm.set_auto_online('online_kernel')
    alias, = plug(host, vm, 256, '--policy', 'whole')
    vm.pin_memory(32)
    host.virsh('setmem', 'vm', '1180MiB', '--live')
    vm.wait_event('BALLOON_CHANGE', actual=1180 << 20)
    vm.wait_current_memory(1180)
    result = run(host, 'unplug', 'vm', alias, status=4)
    assert steps(result) == [('unplug', 256, 'refused')] and 'balloon-aside' in result['note_codes']
    assert result['balloon_step']['state'] == 'ballooned'
    assert actual_mib(host) == 1180, 'not less than before'
    assert 'ballooned=' not in host.virsh('dumpxml', 'vm'), 'another program inflated it'


def test_an_older_unplug_still_out_is_waited_for(host):
    vm = host.start_guest('vm', memory_mib=1024, max_mib=4096)
    alias, = plug(host, vm, 256, '--policy', 'whole')
    vm.set_deaf(True)
    run(host, 'unplug', 'vm', alias, '-t', '1', status=6)
    result = run(host, 'set', 'vm', '--memory', '1200MiB', '--balloon', '--live', status=6)
    assert (result['balloon_step']['state'], result['balloon_step']['reason_code']) == ('overdue', 'balloon-waits')
    assert actual_mib(host) == 1280
    assert show(host, 'vm')['request']['balloon_step']['state'] == 'overdue'


def test_the_vm_stops_while_its_agents_are_asked(host):
    vm = host.start_guest('vm', memory_mib=1024, max_mib=None, agent=True)
    inside.signal_agent(vm, 'STOP')
    process = host.dimmer_start('set', 'vm', '--memory', '512MiB', '--balloon', '--live', '--debug')
    for line in process.stderr:
        if 'LOOK' in line:
            break
    host.virsh('destroy', 'vm')
    printed, message = process.communicate(timeout=60)
    assert process.returncode == 1 and 'vm stopped during the request' in message, (printed, message)


def test_a_busy_host_leaves_no_target_behind(host, plain, interpose):
    """Each of its calls fails once: the target is taken back, or the record says so."""
    for at in range(1, MORE_THAN_ANY_REQUEST_MAKES):
        done = interpose.run(at, 'fail', 'set', 'vm', '--memory', '512MiB', '--balloon', '--live', '-o', 'json')
        if done.returncode == 0:
            break
        calls = interpose.calls()
        first = calls.index('virDomainSetMemoryFlags') + 1 if 'virDomainSetMemoryFlags' in calls else at
        if at > first and calls[at - 1] == 'virDomainSetMemoryFlags':
            assert len(calls) > at and calls[at] == 'virDomainSetMemoryFlags', 'it was not tried again'
        run(host, 'set', 'vm', '--memory', '1024MiB', '--balloon', '--live')
    else:
        raise AssertionError('it never came through')


def test_no_time_to_wait(host, plain):
    result = run(host, 'set', 'vm', '--memory', '512MiB', '--balloon', '--live', '-t', '0', status=6)
    assert (result['balloon_step']['state'], result['balloon_step']['reason_code']) == ('overdue', 'balloon-time')
    assert 'its balloon is not where it was to go' in host.dimmer('show', 'vm').stdout
    assert run(host, 'set', 'vm', '--guaranteed', '300MiB', '--live')['balloon_step'] is None
    assert show(host, 'vm')['request']['balloon_step']['to'] >> 20 == 512, 'another request carries it'
    assert run(host, 'settle', 'vm')['balloon_step']['state'] == 'ballooned' and actual_mib(host) == 512
    assert run(host, 'set', 'vm', '--memory', '1024MiB')['balloon_step']['state'] == 'ballooned', 'it is its own'


def test_saved_and_restored_with_the_balloon_inflated(host, plain):
    """It comes back as it was, takes more, and gives back what it took before as well."""
    run(host, 'set', 'vm', '--memory', '640MiB', '--balloon', '--live')
    host.virsh('managedsave', 'vm')
    assert show(host, 'vm')['saved'] and show(host, 'vm')['next_run']['ballooned'] == 0
    plain.close()
    plain.start().guest('true')
    assert mib(show(host, 'vm')['live']['ballooned']) == 384
    run(host, 'set', 'vm', '--memory', '512MiB', '--balloon', '--live')
    assert actual_mib(host) == 512 and mib(show(host, 'vm')['live']['ballooned']) == 512
    run(host, 'set', 'vm', '--memory', '1024MiB', '--live')
    assert actual_mib(host) == 1024 and show(host, 'vm')['live']['ballooned'] == 0


def test_what_others_hold_does_not_become_dimmers(host):
    vm = host.start_guest('vm', memory_mib=1024, max_mib=4096)
    alias, = plug(host, vm, 256, '--policy', 'whole')
    run(host, 'set', 'vm', '--memory', '1200MiB', '--balloon', '--live')
    assert 'ballooned=' in host.virsh('dumpxml', 'vm')
    host.virsh('setmem', 'vm', '800MiB', '--live')
    vm.wait_event('BALLOON_CHANGE', actual=800 << 20)
    vm.wait_current_memory(800)
    run(host, 'unplug', 'vm', alias)
    assert 'ballooned=' not in host.virsh('dumpxml', 'vm'), 'nor is any of it any more'
    assert run(host, 'set', 'vm', '--memory', '1024MiB', '--live')['balloon_step'] is None
    assert actual_mib(host) == 800


def test_interrupted_while_it_gives_back_no_dimm_is_asked(host, interpose):
    vm = host.start_guest('vm', memory_mib=1024, max_mib=4096)
    alias, = plug(host, vm, 256, '--policy', 'whole')
    host.virsh('setmem', 'vm', '800MiB', '--live')
    vm.wait_event('BALLOON_CHANGE', actual=800 << 20)
    vm.wait_current_memory(800)
    process = interpose.stopped(2, 'unplug', 'vm', alias, '-o', 'json')
    assert interpose.calls()[-1] == 'virDomainSetMemoryFlags'
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGCONT)
    printed, message = process.communicate(timeout=60)
    result = json.loads(printed)
    assert 'virDomainDetachDeviceAlias' not in interpose.calls(), message
    assert (result['steps'][0]['state'], result['steps'][0]['reason_code']) == ('refused', 'not-asked')
    assert result['balloon_step']['state'] == 'overdue' and alias in vm.memory_devices()
    run(host, 'settle', 'vm')
    assert actual_mib(host) == 800


@pytest.mark.parametrize('verb', ['unplug', 'set'])
def test_a_dimm_that_is_stuck_is_rescued(host, interpose, verb):
    """Another program inflates the balloon while the DIMM is to go: full of such pages, it finds no room for them.

    The guest keeps what that program left it, whatever dimmer may take.
    """
    vm = host.start_guest('vm', memory_mib=512, max_mib=4096)
    alias, = plug(host, vm, 512, '--policy', 'whole')
    what = [alias] if verb == 'unplug' else ['--memory', '512MiB', '--balloon']
    wish = (verb, 'vm', *what, '-t', '200', '-o', 'json')
    for at in range(1, MORE_THAN_ANY_REQUEST_MAKES):
        process = interpose.stopped(at, *wish)
        if interpose.calls()[-1] == 'virDomainSetMetadata':
            break
        process.kill()
        process.communicate()
    host.virsh('setmem', 'vm', '300MiB', '--live')
    vm.wait_event('BALLOON_CHANGE', actual=300 << 20)
    process.send_signal(signal.SIGCONT)
    printed, message = process.communicate(timeout=300)
    result = json.loads(printed)
    assert steps(result) == [('unplug', 512, 'removed')], (printed, message)
    assert result['steps'][0]['seconds'] < 150, 'it is not waited for until the time is over'
    assert 'balloon-rescues' in result['note_codes']
    assert 300 <= actual_mib(host) <= 512 and show(host, 'vm')['live']['devices'] == []


def test_more_guaranteed_is_given_back(host, plain):
    run(host, 'set', 'vm', '--memory', '512MiB', '--balloon', '--live')
    result = run(host, 'set', 'vm', '--guaranteed', '900MiB', '--live')
    assert result['balloon_step']['state'] == 'ballooned' and actual_mib(host) == 900
