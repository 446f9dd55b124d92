# SPDX-License-Identifier: Apache-2.0
"""Hot unplug, and each answer a guest can give: released, refused, none, late."""

import signal

import pytest

from look import fail, mib, plug, read_until, run, show, steps, values
from testbed import dimm_xml


@pytest.fixture
def releasing(host):
    return host.start_guest('vm', memory_mib=256, max_mib=2048)


def plug_movable_and_pinned(host, vm):
    """A DIMM that the guest can give back, and above it one that it cannot, of 128 MiB each."""
    movable, = plug(host, vm, 128)
    vm.set_auto_online('online_kernel')
    pinned, = plug(host, vm, 128)
    vm.pin_memory(32)
    return movable, pinned


def test_one_chosen_device(host, releasing):
    first, second = plug(host, releasing, 384)
    result = run(host, 'unplug', 'vm', second)
    assert steps(result) == [('unplug', 256, 'removed')]
    assert list(releasing.memory_devices()) == [first]
    assert values(host, 'vm') == (384, 384, 384, 384)


def test_a_device_is_named_by_alias_id_or_the_beginning_of_its_id(host, releasing):
    aliases = plug(host, releasing, 384) + plug(host, releasing, 128)
    ids = [device['id'] for device in show(host, 'vm')['live']['devices']]
    assert aliases == [f'ua-{id_}' for id_ in ids]
    result = run(host, 'unplug', 'vm', aliases[0], ids[1], ids[2][:8], ids[2])
    assert len(result['steps']) == 3
    assert releasing.memory_devices() == {}


def test_devices_of_other_tools_have_an_id_that_stays(host, releasing):
    releasing.attach(dimm_xml(128))
    releasing.wait_plugged('dimm0')
    device, = show(host, 'vm')['live']['devices']
    again, = show(host, 'vm')['live']['devices']
    assert device == again and device['alias'] == 'dimm0' and len(device['id']) == 36
    run(host, 'unplug', 'vm', device['id'])
    assert releasing.memory_devices() == {}


def test_guaranteed_is_lowered_only_if_it_would_exceed_memory(host, releasing):
    small, large = plug(host, releasing, 384)
    run(host, 'set', 'vm', '--guaranteed', '400MiB')
    run(host, 'unplug', 'vm', small)
    assert values(host, 'vm') == (512, 400, 512, 400)
    run(host, 'unplug', 'vm', large)
    assert values(host, 'vm') == (256, 256, 256, 256)


def test_the_next_run_does_not_follow_where_it_was_different(host, releasing):
    small, _ = plug(host, releasing, 384)
    run(host, 'set', 'vm', '--next-run', '--memory', '600MiB', '--guaranteed', '300MiB')
    run(host, 'unplug', 'vm', small)
    assert values(host, 'vm') == (512, 512, 600, 300)


def test_a_refused_device_is_made_up_for_by_another(host, releasing):
    movable, pinned = plug_movable_and_pinned(host, releasing)
    result = run(host, 'set', 'vm', '--memory', '384MiB')
    assert result['outcome'] == 'done'
    assert [(step['alias'], step['state']) for step in result['steps']] == [
        (pinned, 'refused'), (movable, 'removed')]
    assert 'refused' in result['steps'][0]['reason']
    assert list(releasing.memory_devices()) == [pinned]
    assert values(host, 'vm') == (384, 384, 384, 384)
    assert show(host, 'vm')['request'] is None


def test_no_retry_tries_no_other(host, releasing):
    movable, pinned = plug_movable_and_pinned(host, releasing)
    result = run(host, 'set', 'vm', '--memory', '384MiB', '--no-retry', status=5)
    assert result['outcome'] == 'refused'
    assert list(releasing.memory_devices()) == [movable, pinned]
    assert values(host, 'vm') == (512, 512, 384, 384)


def test_partly_done(host, releasing):
    movable, pinned = plug_movable_and_pinned(host, releasing)
    result = run(host, 'unplug', 'vm', movable, pinned, status=4)
    assert result['outcome'] == 'partly'
    assert {step['alias']: step['state'] for step in result['steps']} == {
        movable: 'removed', pinned: 'refused'}
    assert values(host, 'vm') == (384, 384, 384, 384)


def test_refused_altogether(host, releasing):
    plug(host, releasing, 256)
    releasing.set_refusing(True)
    result = run(host, 'set', 'vm', '--memory', '256MiB', '--guaranteed', '200MiB', status=5)
    assert {state for _, _, state in steps(result)} == {'refused'}
    assert values(host, 'vm') == (512, 200, 256, 200)
    text = host.dimmer('set', 'vm', '--memory', '256MiB', check=5).stdout
    assert 'refused by the guest after' in text and 'vm: refused' in text
    releasing.set_refusing(False)
    run(host, 'set', 'vm', '--memory', '256MiB')
    assert values(host, 'vm') == (256, 200, 256, 200)


def test_a_guest_that_never_answers(host):
    vm = host.start_guest('vm', os=False)
    plug(host, vm, 256)
    result = run(host, 'set', 'vm', '--memory', '1152MiB', '--timeout', '500ms', status=6)
    assert steps(result) == [('unplug', 128, 'overdue')]
    found = show(host, 'vm')
    assert [step['state'] for step in found['request']['steps']] == ['overdue']
    assert found['request']['process'] is None
    assert [device['state'] for device in found['live']['devices']] == ['present', 'overdue']
    text = host.dimmer('show', 'vm', check=0).stdout
    assert 'overdue to go' in text and host.printed('dimmer settle vm') in text
    assert values(host, 'vm') == (1280, 1280, 1152, 1152)


def test_what_is_overdue_is_never_forgotten_and_counts_as_going(host):
    vm = host.start_guest('vm', os=False)
    first, second = plug(host, vm, 256)
    run(host, 'unplug', 'vm', second, '-t', '0', status=6)
    # 128 MiB may still go: no more than that is released, and it is not requested twice.
    result = run(host, 'set', 'vm', '--memory', '1152MiB', '-t', '0', status=6)
    assert [(step['alias'], step['state']) for step in result['steps']] == [(second, 'overdue')]
    result = run(host, 'set', 'vm', '--memory', '1216MiB', '-t', '0', status=9)
    assert [step['earlier'] for step in result['steps']] == [True]
    assert any('1152 MiB' in note for note in result['notes'])
    result = run(host, 'unplug', 'vm', first, '-t', '0', status=6)
    assert {step['alias'] for step in show(host, 'vm')['request']['steps']} == {first, second}


def test_a_late_answer_is_accounted_for(host, releasing):
    alias, _ = plug(host, releasing, 256)
    releasing.set_deaf(True)
    result = run(host, 'unplug', 'vm', alias, '--timeout', '200ms', status=6)
    assert steps(result) == [('unplug', 128, 'overdue')]
    assert values(host, 'vm') == (512, 512, 512, 512)
    releasing.set_deaf(False)
    releasing.wait_gone(alias)
    # Memory is what it is at once; the next run follows with the account.
    assert values(host, 'vm') == (384, 384, 512, 512)
    result = run(host, 'settle', 'vm')
    assert any('has been removed' in note for note in result['notes'])
    assert values(host, 'vm') == (384, 384, 384, 384)
    assert show(host, 'vm')['request'] is None


def test_an_answer_in_time_ends_the_waiting(host, releasing):
    alias, _ = plug(host, releasing, 256)
    releasing.set_deaf(True)
    process = host.dimmer_start('unplug', 'vm', alias, '--timeout', '60')
    assert 'asked to go' in read_until(process, 'asked to go')
    releasing.set_deaf(False)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 0 and 'removed after' in output


def test_settle_asks_again(host, releasing):
    alias, _ = plug(host, releasing, 256)
    releasing.set_deaf(True)
    run(host, 'unplug', 'vm', alias, '-t', '0', status=6)
    run(host, 'settle', 'vm', '-t', '200ms', status=6)
    releasing.set_deaf(False)
    releasing.wait_gone(alias)
    run(host, 'settle', 'vm')
    assert values(host, 'vm') == (384, 384, 384, 384)


def test_who_wants_the_memory_kept_is_not_unplugged_by_settle(host, releasing):
    """The newest request wins: what it wants kept is watched, and not asked for again."""
    plug(host, releasing, 256)
    releasing.set_deaf(True)
    run(host, 'set', 'vm', '--memory', '384MiB', '-t', '0', status=6)
    result = run(host, 'set', 'vm', '--memory', '512MiB')
    assert any('if the guest still releases it, vm will have 384 MiB' in note for note in result['notes'])
    assert mib(show(host, 'vm')['request']['memory']) == 512
    releasing.set_refusing(True)
    releasing.set_deaf(False)
    releasing.wait_event('ACPI_DEVICE_OST')
    releasing.set_refusing(False)
    result = run(host, 'settle', 'vm')
    assert [step['earlier'] for step in result['steps']] == [True]
    assert values(host, 'vm') == (512, 512, 512, 512)
    assert len(releasing.memory_devices()) == 2


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_interrupt_stops_waiting_and_says_what_is_pending(host, number):
    vm = host.start_guest('vm', os=False)
    alias, _ = plug(host, vm, 256)
    process = host.dimmer_start('unplug', 'vm', alias)
    read_until(process, 'asked to go')
    process.send_signal(number)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 6
    assert 'still pending' in output and alias[3:11] in output
    assert [step['state'] for step in show(host, 'vm')['request']['steps']] == ['overdue']


def test_the_owner_is_named_however_often_it_is_asked_for(host):
    vm = host.start_guest('vm', os=False)
    alias, _ = plug(host, vm, 256)
    process = host.dimmer_start('unplug', 'vm', alias)
    read_until(process, 'asked to go')
    for _ in range(5):
        assert show(host, 'vm')['request']['process'] == process.pid
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)


def test_one_request_at_a_time(host):
    vm = host.start_guest('vm', os=False)
    first, second = plug(host, vm, 256)
    process = host.dimmer_start('unplug', 'vm', first)
    read_until(process, 'asked to go')
    assert show(host, 'vm')['request']['process'] == process.pid
    message = fail(host, 'unplug', 'vm', second, status=3, code='busy')
    assert f'process {process.pid} is changing vm' in message
    run(host, 'set', 'vm', '--memory', '1GiB', '--dry-run')
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)


def test_nothing_fits(host):
    vm = host.start_guest('vm', os=False)
    plug(host, vm, 256)
    result = run(host, 'set', 'vm', '--memory', '1200MiB', '--guaranteed', '800MiB', status=9)
    assert result['steps'] == []
    note, = [note for note in result['notes'] if 'small enough' in note]
    assert note.count('would leave 1152 MiB') == 2
    assert dict(zip(result['note_codes'], result['notes']))['nothing-fits'] == note
    assert values(host, 'vm') == (1280, 1280, 1200, 800)


def test_less_than_boot_memory_gives_back_all_devices(host, releasing):
    plug(host, releasing, 256)
    result = run(host, 'set', 'vm', '--memory', '200MiB')
    assert any('boot memory (256 MiB) cannot be hot unplugged' in note for note in result['notes'])
    assert values(host, 'vm') == (256, 256, 200, 200)


def test_an_inflated_balloon_is_named(host, releasing):
    plug(host, releasing, 256)
    host.virsh('setmem', 'vm', '460MiB', '--live')
    releasing.wait_event('BALLOON_CHANGE', actual=460 << 20)
    result = run(host, 'set', 'vm', '--memory', '384MiB', '--dry-run')
    assert any('balloon of vm holds 52 MiB: it gives 52 MiB back before DIMMs go' in note for note in result['notes'])
    assert f"-> deflate it first: {host.printed('virsh setmem vm ')}" in host.dimmer('doctor', 'vm').stdout
    plugged = run(host, 'plug', 'vm', '128MiB', '--dry-run')
    note, = (note for note in plugged['notes'] if 'balloon of vm is inflated by 52 MiB and stays so' in note)
    plugged = run(host, 'plug', 'vm', '128MiB')
    held = mib(show(host, 'vm')['live']['memory'] - show(host, 'vm')['live']['balloon'])
    assert 'balloon of vm is inflated by 52 MiB' in ' '.join(plugged['notes']) and held == 52
    host.virsh('setmem', 'vm', '640MiB', '--live')


def test_progress_is_plain_lines_without_a_terminal(host, releasing):
    aliases = plug(host, releasing, 384)
    lines = host.dimmer('unplug', 'vm', *aliases, check=0).stdout.splitlines()
    assert '\x1b' not in ''.join(lines) and '\r' not in ''.join(lines)
    assert sum('asked to go' in line for line in lines) == 2
    assert sum('removed after' in line for line in lines) == 2
    assert 'vm: done' in lines


def test_a_bar_on_a_terminal(host):
    vm = host.start_guest('vm', os=False)
    alias, _ = plug(host, vm, 256)
    command = ' '.join(map(str, host.dimmer_argv('unplug', 'vm', alias, '-t', '1s')))
    done = host.run(['script', '--quiet', '--return', '--command', command, '/dev/null'])
    assert done.returncode == 6
    assert '\x1b[K' in done.stdout and '0 MiB of 128 MiB' in done.stdout
    assert mib(show(host, 'vm')['live']['memory']) == 1280


def test_closed_or_full_standard_streams(host):
    vm = host.start_guest('vm', os=False)
    argv = ' '.join(map(str, host.dimmer_argv()))
    done = host.run(['sh', '-c', f'{argv} plug vm 128MiB >&- 2>&- <&-'])
    assert done.returncode == 0 and list(vm.memory_devices().values()) == [128]
    done = host.run(['sh', '-c', f'{argv} show vm >/dev/full'])
    assert done.returncode == 1 and 'cannot write to standard output' in done.stderr
    done = host.run(['sh', '-c', f'{argv} plug vm 128MiB >/dev/full'])
    assert done.returncode == 0 and 'cannot write to standard output' in done.stderr


def test_a_paused_vm_is_not_asked_again(host):
    vm = host.start_guest('vm', os=False)
    alias, _ = plug(host, vm, 256)
    run(host, 'unplug', 'vm', alias, '-t', '0', status=6)
    vm.suspend()
    result = run(host, 'settle', 'vm', status=6)
    assert [step['earlier'] for step in result['steps']] == [True]
    assert any('was not asked again' in note for note in result['notes'])


def test_many_devices_are_drawn_to_scale(host):
    vm = host.start_guest('vm', os=False, memory_mib=1024, max_mib=16384, slots=64)
    plug(host, vm, 7168, '--policy', 'fine')
    bar, = [line for line in host.dimmer('show', 'vm', check=0).stdout.splitlines() if '·' in line]
    assert bar.strip().count('·') == 36  # half of the bar: 8 GiB of 16


def test_how_far_it_got_is_reported(host, releasing):
    plug(host, releasing, 256)
    done = host.dimmer('set', 'vm', '--memory', '300MiB')
    assert (done.returncode, done.stdout.splitlines()[-3]) == (0, 'vm: done: 384 of 300 MiB')
    done = host.dimmer('set', 'vm', '--memory', '300MiB')
    assert (done.returncode, done.stdout.splitlines()[-3]) == (9, 'vm: kept: the running VM has nothing that could go')
