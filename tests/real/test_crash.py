# SPDX-License-Identifier: Apache-2.0
"""SIGKILL after each step of a request, each call that fails, and what follows."""

import json
import signal

import pytest

from look import fail, plug, run, show, steps, values
from testbed import virtio_mem_xml

MORE_THAN_ANY_REQUEST_MAKES = 12


def kill_after_each_call(interpose, *args):
    """Runs it killed after its 1st, 2nd, ... call, until it comes through; yields after each.

    An argument that is a function gives the argument for each run.
    """
    for at in range(1, MORE_THAN_ANY_REQUEST_MAKES):
        now = [arg() if callable(arg) else arg for arg in args]
        done = interpose.run(at, 'kill', *now)
        if done.returncode != -signal.SIGKILL:
            assert done.returncode == 0, done.stderr
            assert at > 3, 'it was hardly ever killed'
            return
        yield interpose.calls()
    raise AssertionError('it never came through')


@pytest.fixture
def vm(host):
    return host.start_guest('vm', memory_mib=256, max_mib=4096)


def test_set_killed_anywhere_is_seen_and_settled(host, vm, interpose):
    wish = ('--memory', '300MiB', '--guaranteed', '280MiB')
    run(host, 'set', 'vm', '--guaranteed', '256MiB')
    _, chosen = plug(host, vm, 256)
    for calls in kill_after_each_call(interpose, 'set', 'vm', *wish):
        asked = 'virDomainDetachDeviceAlias' in calls
        if asked:
            vm.wait_gone(chosen)
        left = 384 if asked else 512
        closed = asked and calls[-1] == 'virDomainSetMetadata'
        found = show(host, 'vm')
        assert found['live']['memory'] >> 20 == left
        assert (found['request'] is None) == closed
        words = 'answered since' if asked else 'it was interrupted'
        assert closed or words in host.dimmer('show', 'vm').stdout
        run(host, 'settle', 'vm', '-t', '30')
        # Recorded as asked, it is requested again; before that, nothing is.
        asks = calls.count('virDomainSetMetadata') >= 2
        assert values(host, 'vm') == (384 if asks else 512, 280, 300, 280)
        assert show(host, 'vm')['request'] is None
        # As it was, for the next round.
        run(host, 'set', 'vm', '--memory', '512MiB', '--guaranteed', '256MiB')
        _, chosen = vm.memory_devices()


@pytest.mark.parametrize('options', [(), ('-o', 'json')])
def test_the_outcome_of_an_interrupted_request_is_told_though_the_next_one_cannot_be(host, vm, interpose, options):
    alias, = plug(host, vm, 128)
    for at in range(1, MORE_THAN_ANY_REQUEST_MAKES):
        interpose.run(at, 'kill', 'unplug', 'vm', alias)
        if interpose.calls()[-1] == 'virDomainDetachDeviceAlias':
            break
    vm.wait_gone(alias)
    done = host.dimmer('set', 'vm', '--memory', '64GiB', *options)
    assert done.returncode == 3 and 'maximum' in done.stderr, done
    if options:
        assert json.loads(done.stdout)['error']['note_codes'] == ['earlier-done'], done.stdout
    else:
        assert 'of an earlier request has been removed' in done.stdout, done.stdout
    assert show(host, 'vm')['request'] is None


def test_unplug_killed_anywhere_is_settled_by_the_next_change(host, vm, interpose):
    chosen, _ = plug(host, vm, 256)
    for calls in kill_after_each_call(interpose, 'unplug', 'vm', lambda: chosen):
        if 'virDomainDetachDeviceAlias' in calls:
            vm.wait_gone(chosen)
        run(host, 'set', 'vm', '--guaranteed', '200MiB')  # touches no device, but settles
        live, _, next_run, _ = values(host, 'vm')
        assert live == next_run == (384 if 'virDomainDetachDeviceAlias' in calls else 512)
        run(host, 'settle', 'vm')
        assert show(host, 'vm')['request'] is None
        live, _, next_run, _ = values(host, 'vm')
        assert live == next_run
        if live == 384:
            plug(host, vm, 128)
        chosen, _ = vm.memory_devices()


def test_plug_killed_anywhere_is_settled(host, vm, interpose):
    before = 256
    for calls in kill_after_each_call(interpose, 'plug', 'vm', '256MiB'):
        attached = calls.count('virDomainAttachDeviceFlags')
        found = show(host, 'vm')
        expected = before + (128 * attached if before == 256 else 256 * attached)
        assert found['live']['memory'] >> 20 == expected
        run(host, 'settle', 'vm')
        assert values(host, 'vm') == (expected, expected, expected, expected)
        assert show(host, 'vm')['request'] is None
        before = expected


def test_resize_killed_anywhere_is_settled(host, interpose):
    vm = host.start_guest('vm', memory_mib=256, devices=virtio_mem_xml(512, 256, alias='ua-v'))
    vm.wait_size('ua-v', 256)
    for calls in kill_after_each_call(interpose, 'set', 'vm', '--memory', '300MiB'):
        result = run(host, 'settle', 'vm')
        asks = calls.count('virDomainSetMetadata') >= 2
        assert values(host, 'vm') == (300 if asks else 512, 300 if asks else 512, 300, 300), result
        run(host, 'set', 'vm', '--memory', '512MiB')
        assert values(host, 'vm') == (512, 512, 512, 512)


def test_an_interrupted_request_leaves_a_next_run_alone_that_was_changed_since(host, vm, interpose):
    plug(host, vm, 256)
    done = interpose.run(1, 'kill', 'set', 'vm', '--memory', '384MiB')
    assert done.returncode == -signal.SIGKILL and interpose.calls() == ['virDomainSetMetadata']
    # The definition is edited by hand meanwhile.
    path = vm.folder / 'edited.xml'
    text = host.virsh('dumpxml', '--inactive', '--security-info', 'vm')
    path.write_text(text.replace(str(512 << 10), str(600 << 10)))
    host.user.give(path)
    host.virsh('define', path)
    run(host, 'settle', 'vm')
    assert values(host, 'vm')[2] == 600


def test_a_vm_that_cannot_be_recorded_is_not_touched(host, vm, interpose):
    plug(host, vm, 256)
    before = values(host, 'vm')
    done = interpose.run(1, 'fail', 'set', 'vm', '--memory', '384MiB')
    assert done.returncode == 1 and 'cannot write to the metadata of vm' in done.stderr
    assert interpose.calls() == ['virDomainSetMetadata'] * 2  # the record, and its undoing
    assert values(host, 'vm') == before and show(host, 'vm')['request'] is None


def test_what_was_asked_before_is_not_forgotten_where_asking_again_fails(host, vm, interpose):
    """Whichever write fails: its guest can still release it."""
    alias, _ = plug(host, vm, 256)
    vm.set_deaf(True)
    run(host, 'unplug', 'vm', alias, '-t', '1', status=6)
    for at in range(1, MORE_THAN_ANY_REQUEST_MAKES):
        done = interpose.run(at, 'fail', 'unplug', 'vm', alias, '-t', '1')
        step, = show(host, 'vm')['request']['steps']
        assert step['alias'] == alias and step['state'] in ('asked', 'overdue'), interpose.calls()
        if done.returncode == 6 and at > len(interpose.calls()):
            break
    assert at > 3
    vm.set_deaf(False)
    vm.wait_gone(alias)
    run(host, 'settle', 'vm')
    assert values(host, 'vm') == (384, 384, 384, 384)


def test_a_vm_that_ran_meanwhile_holds_up_no_change_of_its_definition(host, interpose):
    host.define('vm', os=False, memory_mib=256, max_mib=4096)
    process = interpose.stopped(1, 'set', 'vm', '--memory', '384MiB')
    host.virsh('start', 'vm')
    host.virsh('destroy', 'vm')
    process.send_signal(signal.SIGCONT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, out + err
    assert values(host, 'vm')[2] == 384


def test_a_next_run_that_cannot_be_written_undoes_the_rest(host, vm, interpose):
    plug(host, vm, 256)
    before = values(host, 'vm')
    done = interpose.run(2, 'fail', 'set', 'vm', '--memory', '384MiB', '--guaranteed', '300MiB')
    assert done.returncode == 1
    assert 'cannot write the next-run configuration of vm' in done.stderr
    assert interpose.calls() == ['virDomainSetMetadata', 'virDomainDefineXML',
                                 'virDomainSetMetadata']
    assert values(host, 'vm') == before and show(host, 'vm')['request'] is None


def test_a_host_that_cannot_ask_has_failed(host, vm, interpose):
    plug(host, vm, 256)
    done = interpose.run(4, 'fail', 'set', 'vm', '--memory', '384MiB')
    assert interpose.calls()[3:5] == ['virDomainDetachDeviceAlias', 'virDomainSetMetadata']
    assert 'failed' in done.stdout and 'cannot hot unplug' in done.stdout
    assert done.returncode == 0  # the other device went instead
    assert values(host, 'vm') == (384, 384, 384, 384)


def test_a_plug_that_fails_stops_there(host, vm, interpose):
    done = interpose.run(3, 'fail', 'plug', 'vm', '256MiB')
    assert interpose.calls().count('virDomainAttachDeviceFlags') == 2
    assert done.returncode == 4 and 'cannot hot plug' in done.stdout
    assert values(host, 'vm') == (384, 384, 384, 384)
    done = interpose.run(2, 'fail', 'plug', 'vm', '128MiB')
    assert done.returncode == 5 and values(host, 'vm') == (384, 384, 384, 384)


def test_a_request_of_another_host_is_respected_until_its_deadline(host, interpose):
    vm = host.start_guest('vm', os=False)
    alias, _ = plug(host, vm, 256)
    interpose.run(1, 'kill', 'unplug', 'vm', alias)
    text = vm.live_xml().find('metadata')[0]
    request = text[0]
    request.set('host', 'elsewhere')

    def store(deadline):
        request.set('deadline', str(deadline))
        steps_ = ''.join(f"<step {' '.join(f'{k}={chr(39)}{v}{chr(39)}' for k, v in step.items())}/>"
                         for step in request)
        attributes = ' '.join(f"{key}='{value}'" for key, value in request.items())
        host.virsh('metadata', 'vm', '--live', '--uri', 'urn:dimmer:memory:1', '--key', 'dimmer',
                   '--set', f'<memory><request {attributes}>{steps_}</request></memory>')

    store(1 << 40)
    message = fail(host, 'settle', 'vm', status=3, code='busy')
    assert 'on host elsewhere is changing vm' in message
    assert 'on host elsewhere' in host.dimmer('show', 'vm', check=0).stdout
    store(1)
    assert steps(run(host, 'settle', 'vm', '-t', '0', status=6)) == [('unplug', 128, 'overdue')]
