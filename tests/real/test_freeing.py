# SPDX-License-Identifier: Apache-2.0
"""What goes wrong while dimmer-guest takes memory offline for dimmer: Ctrl-C, deadlines, kills, refusals.

Whatever it is, a device is either gone or whole: there, online, and movable.
"""

import json
import re
import signal
import time
from pathlib import Path

import pytest

from look import fail, plug, read_until, run, show, steps, values
from testbed import inside
from testbed.inside import MOVABLE, OFFLINE

# A dimmer-guest that says nothing for so long is missed.
MISSED_SECONDS = 8


@pytest.fixture
def vm(host):
    """256 MiB, and 256 MiB in one device."""
    vm = host.start_guest('vm', memory_mib=256, max_mib=4096, agent=True)
    vm.alias, = plug(host, vm, 256, '--policy', 'whole')
    inside.wait_whole(vm, 256)
    return vm


@pytest.fixture
def stuck(host):
    """The same, with memory pinned for long in it, as kernels before 5.13 let it: an offline has no end."""
    vm = host.start_guest('vm', memory_mib=256, max_mib=4096, agent=True, kernel='5.10',
                          files=inside.holder())
    vm.alias, = plug(host, vm, 256, '--policy', 'whole')
    inside.wait_whole(vm, 256)
    inside.hold(vm, 30, 'pin')
    return vm


def start_stuck(host, vm, *args):
    """A dimmer in the middle of an offline."""
    process = host.dimmer_start(*args)
    inside.wait_going_offline(vm)
    return process


def nothing_came_of_it(host, vm, before, mib=256):
    """Nothing was asked of QEMU, nothing is recorded, and the device is whole."""
    inside.wait_whole(vm, mib)
    assert (values(host, 'vm'), inside.times_asked(vm)) == before
    found = show(host, 'vm')
    assert found['request'] is None
    assert vm.live_xml().find('.//{urn:dimmer:memory:1}refusal') is None


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_interrupted(host, stuck, number):
    before = values(host, 'vm'), inside.times_asked(stuck)
    process = start_stuck(host, stuck, 'unplug', 'vm', stuck.alias)
    process.send_signal(number)
    output, errors = process.communicate(timeout=20)
    assert process.returncode == 130, output + errors
    assert output.splitlines()[-3].endswith('vm: called off')
    assert 'interrupted: no longer waiting for the guest' in output
    assert 'called off before the device was asked to go' in output
    assert 'a guest refuses where' not in output
    nothing_came_of_it(host, stuck, before)


def test_who_is_at_it_shows_before_a_device_is_asked(host, stuck):
    assert show(host, 'vm')['process'] is None
    process = start_stuck(host, stuck, 'unplug', 'vm', stuck.alias)
    message = fail(host, 'plug', 'vm', '128MiB', status=3, code='busy')
    assert f'process {process.pid} is changing vm' in message and host.printed('dimmer show vm') in message
    found = show(host, 'vm')
    assert (found['process'], found['request']) == (process.pid, None)
    assert f'  process {process.pid} is changing it now; no device has been requested yet' in \
        host.dimmer('show', 'vm', check=0).stdout.splitlines()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert show(host, 'vm')['process'] is None
    assert 'is changing it' not in host.dimmer('show', 'vm', check=0).stdout


def test_set_interrupted(host, stuck):
    """What was freed already comes back, too. The next run keeps its values, as after any refusal."""
    plug(host, stuck, 128)
    inside.wait_whole(stuck, 384)
    asked = inside.times_asked(stuck)
    process = start_stuck(host, stuck, 'set', 'vm', '--memory', '256MiB', '-o', 'json')
    assert inside.blocks(stuck)[2:] == [OFFLINE]
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=20)
    result = json.loads(output)
    assert process.returncode == 130 and result['interrupted'] and result['outcome'] == 'called-off'
    assert steps(result) == [('unplug', 128, 'refused'), ('unplug', 256, 'refused')]
    nothing_came_of_it(host, stuck, ((640, 640, 256, 256), asked), 384)


def test_out_of_time(host, stuck):
    before = values(host, 'vm'), inside.times_asked(stuck)
    done = host.dimmer('unplug', 'vm', stuck.alias, '--timeout', '2s', check=5)
    assert 'stays: the guest did not free it within 2 s; its memory is online as before' in done.stdout
    assert inside.blocks(stuck) == [MOVABLE, MOVABLE]
    assert (values(host, 'vm'), inside.times_asked(stuck)) == before
    assert show(host, 'vm')['request'] is None
    # That is about the moment, not the device: it may go another time.
    report = json.loads(host.dimmer('doctor', 'vm', '-o', 'json').stdout)
    assert [finding['device'] for finding in report['findings'] if finding['check'] == 'refused'] == []


def test_many_out_of_time(host):
    """Each that is stuck leaves the others less time, so that all of them take little more than one would."""
    vm = host.start_guest('vm', memory_mib=256, max_mib=4096, agent=True, kernel='5.10', files=inside.holder())
    aliases = [alias for _ in range(3) for alias in plug(host, vm, 128)]
    inside.wait_whole(vm, 384)
    inside.hold(vm, 300, 'pin')
    before = values(host, 'vm'), inside.times_asked(vm)
    for wish in (['unplug', 'vm', *aliases], ['set', 'vm', '--memory', '512MiB']):
        result = run(host, *wish, '--timeout', '6s', '--force', status=5)
        reasons = [step['reason'] for step in result['steps']]
        assert [re.search('within (.) s', reason)[1] for reason in reasons] == ['6', '3', '2'], result
    assert values(host, 'vm')[:2] == before[0][:2] and inside.times_asked(vm) == before[1]


def test_interrupted_while_the_guest_is_asked_what_it_can_tell(host, vm):
    inside.signal_agent(vm, 'STOP')
    process = host.dimmer_start('unplug', 'vm', vm.alias, '-o', 'json')
    status = Path(f'/proc/{process.pid}/status')
    deadline = time.monotonic() + 10
    while not int(re.search(r'SigCgt:\s(\w+)', status.read_text())[1], 16) & 1 << (signal.SIGINT - 1):
        assert time.monotonic() < deadline, 'it does not listen to signals'
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=20)
    error = json.loads(output)['error']
    assert process.returncode == error['exit_status'] == 130 and error['code'] == 'interrupted', output
    inside.signal_agent(vm, 'CONT')
    assert list(vm.memory_devices()) == [vm.alias]


@pytest.mark.parametrize('verb', ['unplug', 'set'])
def test_dimmer_killed(host, stuck, verb):
    wish = [stuck.alias] if verb == 'unplug' else ['--memory', '256MiB']
    asked = inside.times_asked(stuck)
    process = start_stuck(host, stuck, verb, 'vm', *wish)
    process.kill()
    process.communicate()
    inside.wait_whole(stuck, 256)
    result = run(host, 'settle', 'vm')
    assert result['outcome'] == 'done', result
    nothing_came_of_it(host, stuck, ((512, 512, *([512, 512] if verb == 'unplug' else [256, 256])), asked))


@pytest.mark.parametrize(('how', 'words'), [
    ('KILL', f'dimmer-guest did not answer within {MISSED_SECONDS} s'),
    ('STOP', f'dimmer-guest did not answer within {MISSED_SECONDS} s'),
    ('restart', 'dimmer-guest restarted during its work'),
])
def test_agent_ends_in_the_middle(host, stuck, how, words):
    """It is missed long before the device's time is over, and without it the device is not asked for."""
    before = values(host, 'vm'), inside.times_asked(stuck)
    process = start_stuck(host, stuck, 'unplug', 'vm', stuck.alias, '--timeout', '60s')
    if how == 'STOP':
        inside.signal_agent(stuck, 'STOP')
    elif how == 'KILL':
        inside.end_agent(stuck)
    else:
        started = time.monotonic()
        inside.restart_agent(stuck)
        if time.monotonic() - started > MISSED_SECONDS:  # the kernel took its time to end it: a slow machine
            words = f'dimmer-guest (restarted during its work|did not answer within {MISSED_SECONDS} s)'
    output, errors = process.communicate(timeout=30)
    assert process.returncode == 5, output + errors
    assert re.search(f'{words}, so the device was not asked to go, and its memory comes online again', output), output
    if how == 'STOP':
        inside.signal_agent(stuck, 'CONT')
    elif how == 'KILL':
        inside.start_agent(stuck)
    nothing_came_of_it(host, stuck, before)
    stuck.guest('kill $(pidof hold)')
    assert run(host, 'unplug', 'vm', stuck.alias)['notes'] == []


def test_vm_paused_in_the_middle(host, stuck):
    """Its kernel never hears that the host has gone, so dimmer-guest has to notice by itself."""
    before = values(host, 'vm'), inside.times_asked(stuck)
    process = start_stuck(host, stuck, 'unplug', 'vm', stuck.alias, '--timeout', '60s')
    host.virsh('suspend', 'vm')
    output, errors = process.communicate(timeout=30)
    assert process.returncode == 5, output + errors
    assert ('the VM was paused, so the device was not asked to go, '
            'and its memory comes online again once the VM runs; resume it') in output
    host.virsh('resume', 'vm')
    inside.wait_whole(stuck, 256, timeout=150)
    nothing_came_of_it(host, stuck, before)


@pytest.mark.parametrize('again', ['unplug', 'settle', 'set'])
@pytest.mark.parametrize('ended', ['in time', 'by Ctrl-C'])
def test_what_was_asked_before_is_not_forgotten(host, again, ended):
    """QEMU still has the request, whatever comes of a repetition."""
    vm = host.start_guest('vm', memory_mib=256, max_mib=4096, agent=True, kernel='5.10', files=inside.holder())
    vm.alias, = plug(host, vm, 256, '--policy', 'whole')
    inside.wait_whole(vm, 256)
    vm.set_deaf(True)
    run(host, 'unplug', 'vm', vm.alias, '--timeout', '1s', status=6)
    inside.wait_whole(vm, 256)
    inside.hold(vm, 30, 'pin')
    wish = {'unplug': [vm.alias], 'settle': [], 'set': ['--memory', '256MiB']}[again]
    process = start_stuck(host, vm, again, 'vm', *wish, '--timeout', '3s' if ended == 'in time' else '60s', '-o', 'json')
    if ended == 'by Ctrl-C':
        process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=30)
    result = json.loads(output)
    assert (process.returncode, result['outcome']) == (6, 'overdue'), result
    step, = result['steps']
    assert step['state'] == 'overdue' and 'an earlier request asked for it, so it can still go' in step['reason']
    inside.wait_whole(vm, 256)
    assert [step['state'] for step in show(host, 'vm')['request']['steps']] == ['overdue']
    vm.guest('kill $(pidof hold)')
    vm.set_deaf(False)
    vm.wait_removed(vm.alias)
    vm.wait_gone(vm.alias)
    assert run(host, 'settle', 'vm')['outcome'] == 'done'
    assert values(host, 'vm') == (256, 256, 256, 256)


def test_interrupted_and_not_all_comes_online_again(host, stuck):
    process = start_stuck(host, stuck, 'unplug', 'vm', stuck.alias, '-o', 'json')
    inside.refuse_onlining(stuck, True)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=20)
    reason = json.loads(output)['steps'][0]['reason']
    whole = OFFLINE not in inside.blocks(stuck)
    inside.refuse_onlining(stuck, False)
    assert whole == ('its memory is online as before' in reason), reason
    assert whole != ('not all of its memory came online again' in reason), reason
    inside.wait_whole(stuck, 256)


def test_agent_is_silent(host, vm):
    """Its port is open, but the agent does not read."""
    inside.signal_agent(vm, 'STOP')
    result = run(host, 'unplug', 'vm', vm.alias)
    assert result['notes'] == ['dimmer-guest did not answer within 3 s'], result
    report = json.loads(host.dimmer('doctor', 'vm', '-o', 'json').stdout)
    assert report['guest']['agent'] is None
    assert 'dimmer-guest did not answer within 3 s' in report['guest']['notes']
    inside.signal_agent(vm, 'CONT')
    alias, = plug(host, vm, 128)
    inside.wait_whole(vm, 128)
    assert run(host, 'unplug', 'vm', alias)['notes'] == []


def test_offline_and_then_refused_by_the_guest(host, vm):
    vm.set_refusing(True)
    result = run(host, 'unplug', 'vm', vm.alias, status=5)
    assert result['steps'][0]['reason'] == 'the guest refused'
    inside.wait_whole(vm, 256)
    assert show(host, 'vm')['request'] is None
    vm.set_refusing(False)
    run(host, 'unplug', 'vm', vm.alias)


def test_offline_and_then_no_answer(host, vm):
    """It comes back online, and can still go later."""
    vm.set_deaf(True)
    run(host, 'unplug', 'vm', vm.alias, '--timeout', '1s', status=6)
    inside.wait_whole(vm, 256)
    assert [step['state'] for step in show(host, 'vm')['request']['steps']] == ['overdue']
    vm.set_deaf(False)
    vm.wait_removed(vm.alias)
    vm.wait_gone(vm.alias)
    assert run(host, 'settle', 'vm')['outcome'] == 'done'
    assert values(host, 'vm') == (256, 256, 256, 256)
    assert show(host, 'vm')['request'] is None


def test_interrupted_once_asked(host, vm):
    """Then it is QEMU's: still pending, but online until the guest hears of it."""
    vm.set_deaf(True)
    process = host.dimmer_start('unplug', 'vm', vm.alias)
    read_until(process, 'asked to go')
    assert inside.blocks(vm) == [OFFLINE, OFFLINE]
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=20)
    assert process.returncode == 6 and 'still pending' in output
    inside.wait_whole(vm, 256)
    vm.set_deaf(False)
    vm.wait_gone(vm.alias)
    run(host, 'settle', 'vm')


def test_another_program_speaks_to_the_agent(host):
    """Then nothing is asked without its help: the device is stuck, and the guest would be."""
    vm = host.start_guest('vm', memory_mib=256, max_mib=4096, agent=True, qga=True, kernel='5.10', files=inside.holder())
    vm.alias, = plug(host, vm, 256, '--policy', 'whole')
    inside.wait_whole(vm, 256)
    inside.hold(vm, 30, 'pin')
    before = values(host, 'vm'), inside.times_asked(vm)
    vm.guest('kill -STOP $(pidof qemu-ga)')  # which the other program waits for, with the port open
    with host.dimmer_start('guest', 'prepare', 'vm', '--print') as other:
        deadline = time.monotonic() + 20
        while any(each['filename'].startswith('disconnected') and 'agent.sock' in each['filename']
                  for each in vm.qmp('query-chardev')):
            assert time.monotonic() < deadline and other.poll() is None, vm.qmp('query-chardev')
        other.send_signal(signal.SIGSTOP)
        vm.guest('kill -CONT $(pidof qemu-ga)')
        assert 'dimmer-guest in vm is busy with another program' in fail(
            host, 'unplug', 'vm', vm.alias, status=3, code='busy')
        assert 'dimmer-guest in vm is busy with another program' in host.dimmer('guest', 'prepare', 'vm', check=3).stderr
        other.kill()
    nothing_came_of_it(host, vm, before)
