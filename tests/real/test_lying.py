# SPDX-License-Identifier: Apache-2.0
"""Guests whose agent lies to dimmer, or talks without end: it decides nothing, and harms only itself."""

import json
import shlex

import pytest

from look import fail, plug, run, show, steps, values
from testbed import inside
from testbed.inside import KERNEL

STAYS = '"error":"stays","start":4294967296,"detail":"it is dear to me","restored":true'


@pytest.fixture
def vm(host):
    return host.start_guest('vm', memory_mib=256, max_mib=4096, agent=True, files=inside.liar())


def lie(vm, *args, block=128):
    """Let another program speak for the agent: see testbed/guest/liar."""
    inside.end_agent(vm)
    vm.guest(f'BLOCK={block << 20} setsid liar {shlex.join(args)} >/run/liar.log 2>&1 &')
    vm.wait_port('org.dimmer.guest.0', 'connected')


def plug_each(host, vm, *sizes):
    return [alias for size in sizes for alias in plug(host, vm, size, '--policy', 'whole')]


def test_it_claims_what_is_not_so(host, vm):
    """All movable, all offline by now: what QEMU's events tell is the outcome."""
    plug_each(host, vm, 128)
    vm.set_auto_online('online_kernel')
    kernel, = plug_each(host, vm, 256)
    vm.pin_memory(150)
    lie(vm, '"ok":true')
    report = json.loads(host.dimmer('doctor', 'vm', '-o', 'json').stdout)
    assert report['guest']['agent'] == 'liar 1', report
    result = run(host, 'unplug', 'vm', kernel, status=5)
    assert (result['steps'][0]['reason'], result['steps'][0]['reason_code']) == ('the guest refused', 'guest-refused')
    result = run(host, 'set', 'vm', '--memory', '256MiB', status=4)
    assert sorted(steps(result)) == [('unplug', 128, 'removed'), ('unplug', 256, 'refused')]
    assert list(vm.memory_devices()) == [kernel]
    assert set(inside.blocks(vm)) == {KERNEL}
    assert values(host, 'vm') == (512, 512, 256, 256)
    assert show(host, 'vm')['request'] is None


def addresses(vm):
    return [int(address.get('base'), 16) >> 20 for address in vm.live_xml().findall('.//memory/address')]


def test_a_device_begins_with_a_block_behind_one_that_ends_within(host, vm):
    """QEMU would put it right there, and a kernel with blocks of that size could not use it."""
    plug_each(host, vm, 128, 128)
    lie(vm, '"ok":true', block=1024)
    run(host, 'plug', 'vm', '2048MiB')
    assert addresses(vm) == [4096, 4096 + 128, 4096 + 1024, 4096 + 2048]
    report = json.loads(host.dimmer('doctor', 'vm', '-o', 'json').stdout)
    wrong = [finding['device'] for finding in report['findings'] if finding['check'] == 'block-size' and finding['device']]
    assert wrong == list(vm.memory_devices())[:2]
    fail(host, 'plug', 'vm', '512MiB', status=3, code='not-a-multiple')


def test_what_lies_wrong_is_mended_as_doctor_says(host, vm):
    plug_each(host, vm, 128, 256)
    lie(vm, '"ok":true', block=256)
    _, wrong = vm.memory_devices()
    report = json.loads(host.dimmer('doctor', 'vm', '-o', 'json').stdout)
    finding, = [finding for finding in report['findings'] if finding['device'] == wrong and
                finding['check'] == 'block-size']
    assert finding['verdict'] == 'bad' and '(256 MiB from 0x108000000)' in finding['evidence'], finding
    assert finding['remedy'] == ('plug a multiple of 256 MiB beside it, which will begin at a block, and then unplug '
                                 'it')
    plug_each(host, vm, 256)
    run(host, 'unplug', 'vm', wrong)
    assert addresses(vm) == [4096, 4096 + 512]


def test_another_device_makes_up_for_the_one_that_stays(host, vm):
    """Though what else was asked for went."""
    plug_each(host, vm, 128, 128, 128)
    lie(vm, STAYS, '"ok":true')
    result = run(host, 'set', 'vm', '--memory', '384MiB')
    assert sorted(steps(result)) == [('unplug', 128, 'refused')] + [('unplug', 128, 'removed')] * 2
    refused, = [step for step in result['steps'] if step['state'] == 'refused']
    assert refused['reason'] == 'the guest cannot free the memory block at 0x100000000: it is dear to me'
    assert list(vm.memory_devices()) == [refused['alias']]
    assert result['outcome'] == 'done' and values(host, 'vm') == (384, 384, 384, 384)


@pytest.mark.parametrize(('says', 'status', 'reason'), [
    ('"ok":"yes"', 0, None),
    ('"error":"busy","detail":"later"', 0, None),
    ('"error":7', 0, None),
    ('"error":"not-movable","start":-1,"detail":"\\u001b[2J"', 5, 'the guest cannot free it: it gave no reason'),
    ('"progress":true,"done":99999999999,"of":1}\n{', 5,
     'dimmer-guest violates the protocol: an answer has no id, so the device was not asked to go, and its memory comes online '
     'again once dimmer-guest runs; retry, or stop dimmer-guest in the guest to do without its help'),
])
def test_strange_answers(host, vm, says, status, reason):
    alias, = plug_each(host, vm, 128)
    lie(vm, says)
    result = run(host, 'unplug', 'vm', alias, '--timeout', '2s', status=status)
    assert result['steps'][0]['reason'] == reason
    assert len(vm.memory_devices()) == (status != 0)


@pytest.mark.parametrize('command', [
    ['cat', '/dev/zero'],
    ['yes', '{"id":1,"progress":true,"done":1,"of":2}'],
    ['yes', '{"id":1,"progress":true,"x":"' + 'x' * 60000 + '"}'],
], ids=['zeros', 'short', 'long'])
def test_it_floods(host, vm, command):
    alias, = plug_each(host, vm, 128)
    lie(vm, 'flood', *command)
    result = run(host, 'unplug', 'vm', alias)
    assert len(result['notes']) == 1 and 'dimmer-guest' in result['notes'][0], result
    assert vm.memory_devices() == {}
