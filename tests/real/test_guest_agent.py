# SPDX-License-Identifier: Apache-2.0
"""dimmer-guest in real guests, spoken to as docs/guest-protocol.md says."""

import itertools
import json
import time

import pytest

from testbed import GuestError, inside, setup, virtio_mem_xml

MIB = 1 << 20
BLOCK = 128 * MIB
PLUGGED = 4 << 30  # where QEMU puts the first device of a small guest
TIMEOUT = 30


@pytest.fixture(autouse=True)
def agent_is_static(require):
    binary = setup.dimmer_guest()
    static = binary.exists() and b'/ld-linux' not in binary.read_bytes()
    require([] if static else [f'{binary}, static (build/dev, or set DIMMER_GUEST)'])


@pytest.fixture
def vm(host):
    return host.start_guest('vm', memory_mib=256, agent=True)


@pytest.fixture
def agent(vm):
    with vm.dimmer_guest() as agent:
        assert agent.hello()['ok']
        yield agent


def blocks(agent):
    """[(state, zone or may)] of each plugged block, in order."""
    found = []
    answer = agent.ask('blocks', **{'from': PLUGGED})
    for run in answer['runs']:
        found += [(run['state'], run.get('zone') or run.get('may'))] * (run['size'] // BLOCK)
    return found


MOVABLE, KERNEL, OFFLINE = ('online', 'movable'), ('online', 'normal'), ('offline', 'movable')


def wait_for_blocks(agent, *wanted):
    deadline = time.monotonic() + TIMEOUT
    while (found := blocks(agent)) != list(wanted):
        assert time.monotonic() < deadline, found


def log(vm):
    return vm.guest('cat /run/dimmer-guest.log')


def start(vm, options=''):
    vm.guest(f'setsid dimmer-guest {options} >>/run/dimmer-guest.log 2>&1 &')


@pytest.fixture
def pinned(host):
    """A device whose memory is pinned for long, as kernels before 5.13 let it: an offline has no end."""
    vm = host.start_guest('vm', memory_mib=256, agent=True, kernel='5.10', files=inside.holder())
    vm.plug('ua-a', 256)
    inside.wait_whole(vm, 256)
    inside.hold(vm, 30, 'pin')
    return vm


def start_stuck_offline(agent):
    """An offline that cannot end. Its id."""
    ident = agent.send('offline', start=PLUGGED, size=2 * BLOCK, hold=60)
    assert agent.ask('online', start=PLUGGED, size=2 * BLOCK)['error'] == 'busy'
    return ident


def test_facts(vm):
    with vm.dimmer_guest() as agent:
        assert agent.ask('memory') == {'id': 1, 'error': 'bad-request', 'detail': 'a conversation begins with hello'}
        hello = agent.hello()
        assert (hello['version'], hello['block'], hello['policy']) == (1, BLOCK, 'online_movable')
        assert hello['kernel'] == vm.guest('uname -r').strip() and hello['arch'] == 'x86_64'
        assert hello['boot'] == vm.guest('cat /proc/sys/kernel/random/boot_id').strip()
        assert hello['hot_remove'] and hello['onlines'] and not hello['movable_node']
        memory = agent.ask('memory')
        assert 0 < memory['free'] <= memory['available'] < memory['total'] < 256 * MIB
        assert memory['swap_free'] == memory['mlocked'] == 0
        runs = agent.ask('blocks', **{'from': 0})['runs']
        assert sum(run['size'] for run in runs) == 256 * MIB
        assert {run['zone'] for run in runs} <= {'normal', 'mixed'} and {run['node'] for run in runs} == {0}
        assert agent.ask('hello', version=7)['version'] == 1
        assert agent.ask('dance')['error'] == 'unknown'


def test_virtio_mem_is_reported(host):
    vm = host.start_guest('vm', memory_mib=256, agent=True, devices=virtio_mem_xml(512, 256, alias='ua-v'))
    vm.wait_size('ua-v', 256)
    with vm.dimmer_guest() as agent:
        agent.hello()
        runs = agent.ask('blocks', **{'from': 256 * MIB})['runs']
        assert runs and all(run['virtio'] for run in runs)


def test_onlines_new_memory_itself(vm, agent):
    vm.set_auto_online('offline')
    vm.plug('ua-a', 256)
    wait_for_blocks(agent, MOVABLE, MOVABLE)
    # What an administrator took offline stays so; what is new does not.
    vm.guest('echo offline >/sys/devices/system/memory/memory32/state')
    vm.plug('ua-b')
    wait_for_blocks(agent, OFFLINE, MOVABLE, MOVABLE)
    assert 'does not come online' not in log(vm)


@pytest.mark.parametrize('kernel', ['5.10', '6.1'])
def test_what_was_offline_stays_so_for_the_next_agent(host, kernel):
    vm = host.start_guest('vm', memory_mib=256, agent=True, kernel=kernel)
    vm.set_auto_online('offline')
    vm.plug('ua-a', 384)
    first, second = (f'/sys/devices/system/memory/memory{32 + n}/state' for n in range(2))
    with vm.dimmer_guest() as agent:
        agent.hello()
        wait_for_blocks(agent, MOVABLE, MOVABLE, MOVABLE)
        vm.guest(f'for n in 1 2 3; do echo offline >{first}; echo offline >{second}; echo online_movable >{second}; done')
        # What is held offline for the host was not wanted so by anybody.
        assert agent.ask('offline', start=PLUGGED + BLOCK, size=2 * BLOCK, hold=3600)['ok']
        inside.end_agent(vm)
    vm.plug('ua-b')
    start(vm)
    with vm.dimmer_guest() as agent:
        agent.hello()
        wait_for_blocks(agent, OFFLINE, MOVABLE, MOVABLE, MOVABLE)
        vm.guest(f'echo online_movable >{first}')
        wait_for_blocks(agent, MOVABLE, MOVABLE, MOVABLE, MOVABLE)
        assert agent.ask('offline', start=PLUGGED, size=BLOCK, hold=3600)['ok']
        inside.end_agent(vm)
    start(vm)
    with vm.dimmer_guest() as agent:
        agent.hello()
        wait_for_blocks(agent, MOVABLE, MOVABLE, MOVABLE, MOVABLE)


def test_what_the_kernel_refused_for_a_while_is_tried_again(vm, agent):
    inside.refuse_onlining(vm, True)
    vm.plug('ua-a', 256)
    deadline = time.monotonic() + TIMEOUT
    while log(vm).count('does not come online as movable: Cannot allocate memory') < 2:
        assert time.monotonic() < deadline, log(vm)
    assert blocks(agent) == [OFFLINE, OFFLINE]
    with pytest.raises(GuestError, match='ended with status 1'):
        vm.guest('dimmer-guest --once')
    inside.refuse_onlining(vm, False)
    wait_for_blocks(agent, MOVABLE, MOVABLE)
    assert log(vm).count('does not come online') == 2  # once of each block, however often it was tried


def test_before_it_started_and_once(host):
    vm = host.start_guest('vm', memory_mib=256, auto_online='offline', agent=True)
    vm.guest('kill $(pidof dimmer-guest)')
    vm.set_auto_online('offline')
    vm.plug('ua-a', 256)
    assert vm.guest_memory_mib() == 256
    start(vm, '--no-online')
    with vm.dimmer_guest() as agent:
        assert not agent.hello()['onlines']
        assert blocks(agent) == [OFFLINE, OFFLINE]
        vm.guest('dimmer-guest --once')
        assert blocks(agent) == [MOVABLE, MOVABLE]
        assert agent.hello()['policy'] == 'online_movable'


def test_kernel_memory_is_made_movable(vm, agent):
    vm.set_auto_online('online_kernel')
    vm.plug('ua-a', 512)
    wait_for_blocks(agent, *[KERNEL] * 4)
    refused = agent.ask('offline', start=PLUGGED, size=BLOCK, hold=5)
    assert (refused['error'], refused['start']) == ('not-movable', PLUGGED)
    vm.guest('echo offline >/sys/devices/system/memory/memory35/state')
    done, progress = agent.answer(agent.send('movable', start=PLUGGED, size=4 * BLOCK))
    assert (done['ok'], done['of'], len(progress)) == (True, 4, 4)
    # The kernel may have put something for good into the first that it got.
    assert done['done'] >= 3 and blocks(agent) == [MOVABLE if done['done'] == 4 else KERNEL] + [MOVABLE] * 3


def test_held_offline_until_its_time_is_over(vm, agent):
    vm.plug('ua-a', 256)
    wait_for_blocks(agent, MOVABLE, MOVABLE)
    begun = time.monotonic()
    done, progress = agent.answer(agent.send('offline', start=PLUGGED, size=2 * BLOCK, hold=3))
    assert done['ok']
    assert [(step['done'], step['of'], step['start']) for step in progress] == \
        [(1, 2, PLUGGED + BLOCK), (2, 2, PLUGGED)]
    assert blocks(agent) == [OFFLINE, OFFLINE]
    assert agent.ask('offline', start=PLUGGED, size=BLOCK, hold=3)['error'] == 'busy'
    wait_for_blocks(agent, MOVABLE, MOVABLE)
    assert time.monotonic() - begun >= 3


def test_online_and_late_cancel_end_a_hold(vm, agent):
    vm.plug('ua-a', 256)
    wait_for_blocks(agent, MOVABLE, MOVABLE)
    for end in (lambda ident: agent.ask('online', start=PLUGGED, size=4 * BLOCK),
                lambda ident: agent.ask('cancel', of=ident)):
        ident = agent.send('offline', start=PLUGGED, size=2 * BLOCK, hold=3600)
        assert agent.answer(ident)[0]['ok']
        assert end(ident)['restored']
        assert blocks(agent) == [MOVABLE, MOVABLE]


def test_unplug_after_offline_and_the_next_device(vm, agent):
    """What comes to the place of a device that went is new memory, though its range was held."""
    vm.set_auto_online('offline')
    vm.plug('ua-a', 256)
    wait_for_blocks(agent, MOVABLE, MOVABLE)
    assert agent.ask('offline', start=PLUGGED, size=2 * BLOCK, hold=3600)['ok']
    vm.detach('ua-a')
    vm.wait_removed('ua-a')
    assert agent.ask('offline', start=PLUGGED, size=BLOCK, hold=1)['error'] == 'no-such-range'
    vm.wait_gone('ua-a')
    vm.plug('ua-b', 256)
    wait_for_blocks(agent, MOVABLE, MOVABLE)


def test_cancelled_in_the_middle(pinned):
    with pinned.dimmer_guest() as agent:
        agent.hello()
        ident = start_stuck_offline(agent)
        assert agent.ask('memory')['ok']
        begun = time.monotonic()
        cancel = agent.send('cancel', of=ident)
        assert agent.answer(ident)[0]['error'] == 'cancelled'
        assert agent.answer(cancel)[0]['restored']
        assert time.monotonic() - begun < 2
        assert blocks(agent) == [MOVABLE, MOVABLE]


def test_what_somebody_else_takes_offline_is_not_offline_yet(pinned):
    pinned.guest(f"""for block in 33 32; do
            echo offline >{inside.MEMORY}/memory$block/state
        done 2>/dev/null & echo $! >/run/taking""")
    inside.wait_going_offline(pinned)
    with pinned.dimmer_guest() as agent:
        agent.hello()
        going = PLUGGED + BLOCK * blocks(agent).index(('going-offline', 'movable'))
        ident = agent.send('offline', start=going, size=BLOCK, hold=60)
        assert agent.ask('online', start=going, size=BLOCK)['error'] == 'busy'  # not done, as it is not offline
        cancel = agent.send('cancel', of=ident)
        assert agent.answer(ident)[0]['error'] == 'cancelled'
        assert agent.answer(cancel)[0]['ok']
        back = agent.ask('online', start=going, size=BLOCK)
        assert (back['restored'], back['detail']) == (False, f'memory{going // BLOCK} does not come online as movable')
    report = json.loads(pinned.host.dimmer('doctor', pinned.name, '-o', 'json').stdout)
    movable, = [finding for finding in report['findings'] if finding['check'] == 'movable']
    assert movable['verdict'] == 'warning' and '128 MiB of its 256 MiB are going offline' in movable['evidence'], movable
    pinned.guest(f'kill -9 $(cat /run/taking); while grep -q going-offline {inside.MEMORY}/memory*/state; do sleep 0.1; done')
    with pinned.dimmer_guest() as agent:
        agent.hello()
        assert agent.ask('online', start=PLUGGED, size=2 * BLOCK)['ok']
        wait_for_blocks(agent, MOVABLE, MOVABLE)


@pytest.mark.parametrize('how', ['closed', 'another', 'SIGTERM', 'SIGHUP', 'SIGKILL'])
def test_ended_in_the_middle(pinned, how):
    with pinned.dimmer_guest() as agent:
        agent.hello()
        start_stuck_offline(agent)
        if how.startswith('SIG'):
            inside.signal_agent(pinned, how[3:])
            # Its child that is at work has to end with it.
            pinned.guest('while pidof dimmer-guest >/dev/null; do sleep 0.1; done')
            if how != 'SIGKILL':
                assert pinned.guest_memory_mib() == 512, log(pinned)
            start(pinned)
        if how == 'another':
            assert agent.hello()['ok']
    with pinned.dimmer_guest() as other:
        other.hello()
        wait_for_blocks(other, MOVABLE, MOVABLE)


def test_where_memory_runs_out_the_taking_ends_and_nothing_else(vm, agent):
    """The kernel ends the child that takes a block offline first."""
    vm.plug('ua-a', 256)
    wait_for_blocks(agent, MOVABLE, MOVABLE)
    inside.fill(vm, 350)
    ident = agent.send('offline', start=PLUGGED, size=2 * BLOCK, hold=60)
    inside.wait_going_offline(vm)
    vm.guest('dd if=/dev/zero of=/dev/null bs=16M count=1')
    answer, _ = agent.answer(ident)
    assert (answer['error'], answer['restored']) == ('stays', True)
    assert 'the guest has no memory left to move its pages to' in answer['detail']
    killed = [line for line in vm.console().splitlines() if 'Killed process' in line]
    assert killed and all('(dimmer-guest)' in line and 'oom_score_adj:1000' in line for line in killed), killed
    assert blocks(agent) == [MOVABLE, MOVABLE]


def test_a_host_that_goes_leaves_nothing_held(vm, agent):
    vm.plug('ua-a', 256)
    wait_for_blocks(agent, MOVABLE, MOVABLE)
    assert agent.ask('offline', start=PLUGGED, size=2 * BLOCK, hold=3600)['ok']
    agent.close()
    deadline = time.monotonic() + TIMEOUT
    while vm.guest_memory_mib() != 512:
        assert time.monotonic() < deadline
    # One that writes and goes without reading, too.
    with vm.dimmer_guest() as hasty:
        hasty.send_line('')
        hasty.send('hello', version=1)
        hasty.send('offline', start=PLUGGED, size=2 * BLOCK, hold=3600)
    deadline = time.monotonic() + TIMEOUT
    vm.guest('sleep 3')  # nothing signals that the hasty one's output was read to its end
    while vm.guest_memory_mib() != 512:
        assert time.monotonic() < deadline


def test_what_will_not_go_is_named_and_the_rest_comes_back(vm, agent):
    vm.plug('ua-a', 256)
    vm.set_auto_online('online_kernel')
    vm.plug('ua-b', 256)
    wait_for_blocks(agent, MOVABLE, MOVABLE, KERNEL, KERNEL)
    vm.pin_memory(150)
    answer = agent.ask('offline', start=PLUGGED, size=4 * BLOCK, hold=60, kernel_too=True)
    assert answer['error'] == 'stays' and answer['restored'] is True
    assert answer['start'] in (PLUGGED + 2 * BLOCK, PLUGGED + 3 * BLOCK)
    assert f"memory{answer['start'] // BLOCK} stays online: the kernel keeps something in it" in answer['detail']
    assert [state for state, _ in blocks(agent)] == ['online'] * 4
    assert blocks(agent)[:2] == [MOVABLE, MOVABLE]


def test_why_kernel_memory_is_not_made_movable(vm, agent):
    vm.set_auto_online('online_kernel')
    vm.plug('ua-a', 256)
    wait_for_blocks(agent, KERNEL, KERNEL)
    inside.fill(vm, 350)
    answer = agent.ask('movable', start=PLUGGED, size=2 * BLOCK)  # which does not begin what cannot end well
    assert answer['ok'] and (answer['done'], answer['of'], answer['why']) == (0, 2, 'memory'), answer
    assert answer['detail'] == (f"memory{answer['start'] // BLOCK}: "
                                'the guest would have too little memory left beside what it keeps free')
    assert 'Killed process' not in vm.console() and blocks(agent) == [KERNEL, KERNEL]
    inside.empty(vm)
    vm.pin_memory(150)
    answer = agent.ask('movable', start=PLUGGED, size=2 * BLOCK)
    assert answer['ok'] and answer['done'] < answer['of'] == 2 and answer['why'] == 'kernel', answer
    assert answer['detail'] == (f"memory{answer['start'] // BLOCK}: "
                                'the kernel keeps something in it that it cannot move')


WRONG = [
    ('offline', {'start': PLUGGED, 'size': 2 * BLOCK}, 'bad-request'),
    ('offline', {'start': PLUGGED, 'size': 2 * BLOCK, 'hold': 0}, 'bad-request'),
    ('offline', {'start': PLUGGED, 'size': 2 * BLOCK, 'hold': 3601}, 'bad-request'),
    ('offline', {'start': PLUGGED, 'size': 2 * BLOCK, 'hold': 1, 'kernel_too': 1}, 'bad-request'),
    ('offline', {'start': PLUGGED, 'size': 0, 'hold': 1}, 'bad-request'),
    ('offline', {'start': str(PLUGGED), 'size': BLOCK, 'hold': 1}, 'bad-request'),
    ('offline', {'start': PLUGGED + MIB, 'size': BLOCK, 'hold': 1}, 'no-such-range'),
    ('offline', {'start': PLUGGED, 'size': BLOCK + 1, 'hold': 1}, 'no-such-range'),
    ('offline', {'start': PLUGGED, 'size': 9 * BLOCK, 'hold': 1}, 'no-such-range'),
    ('offline', {'start': 2**62, 'size': BLOCK, 'hold': 1}, 'no-such-range'),
    ('offline', {'start': 2**63 - BLOCK, 'size': BLOCK, 'hold': 1}, 'bad-request'),
    ('movable', {'start': PLUGGED, 'size': 9 * BLOCK}, 'no-such-range'),
    ('online', {'start': PLUGGED + 1, 'size': BLOCK}, 'no-such-range'),
    ('blocks', {}, 'bad-request'),
    ('cancel', {'of': 'x'}, 'bad-request'),
    ('hello', {'version': 0}, 'bad-request'),
]


def test_wrong_requests(vm, agent):
    vm.plug('ua-a', 256)
    wait_for_blocks(agent, MOVABLE, MOVABLE)
    for do, members, error in WRONG:
        assert agent.ask(do, **members)['error'] == error, (do, members)
    assert blocks(agent) == [MOVABLE, MOVABLE]


def test_garbage_and_floods_do_no_harm(vm):
    lines = ['{', '[]', 'null', '{}', '{"id":1}', '{"id":-1,"do":"hello"}', '{"id":1.5,"do":"hello"}',
             '{"id":9,"do":"hello","x":[1]}', '{"id":9,"do":"hello","x":null}', '{"id":9,"id":9,"do":"hello"}',
             '{"id":9,"do":"hello","version":1}x', '\\', '\0' * 100, 'x' * 65535, 'x' * 300000,
             '{"id":9223372036854775808,"do":"hello"}', '[' * 30000, '{"id":9,"do":"a\\u0007"}', '{"id":9,"do":"\\ud83d"}']
    with vm.dimmer_guest() as agent:
        for line in lines:
            agent.send_line(line)
            answer = agent.receive()
            assert (answer['id'], answer['error']) in ((0, 'bad-request'), (1, 'bad-request')), line
        assert agent.hello()['ok']
        # Requests with unread answers: the agent stops accepting them, and continues with the rest.
        agent._lines._socket.settimeout(3)
        with pytest.raises(TimeoutError):
            for ident in itertools.count(100):
                agent._lines._socket.sendall(json.dumps({'id': ident, 'do': 'memory'}).encode() + b'\n')
        vm.set_auto_online('offline')
        vm.plug('ua-a', 256)
        deadline = time.monotonic() + TIMEOUT
        while vm.guest_memory_mib() != 512:
            assert time.monotonic() < deadline
    with vm.dimmer_guest() as agent:
        assert agent.hello()['ok']
    assert resident_kib(vm) <= 1024


def resident_kib(vm):
    return int(vm.guest("sed -n 's/^Rss: *\\([0-9]*\\) kB/\\1/p' /proc/$(pidof dimmer-guest)/smaps_rollup"))


def cpu_ticks(vm):
    fields = vm.guest('cat /proc/$(pidof dimmer-guest)/stat').split()
    return int(fields[13]) + int(fields[14])


def test_it_is_small_and_sleeps(vm):
    """While no host is connected, and while one is that says nothing."""
    with vm.dimmer_guest() as agent:
        agent.hello()
        vm.plug('ua-a', 256)
        wait_for_blocks(agent, MOVABLE, MOVABLE)
        assert agent.ask('offline', start=PLUGGED, size=2 * BLOCK, hold=3600)['ok']
        for _ in range(2):
            before = cpu_ticks(vm)
            vm.guest('sleep 2')  # the point: it takes no time while nothing happens
            assert cpu_ticks(vm) - before <= 1
            agent.close()
    assert resident_kib(vm) <= 1024


def test_port_goes_and_comes(vm, agent):
    channel = f"""<channel type='unix'><source mode='bind' path='{vm.folder}/agent.sock'/>
        <target type='virtio' name='org.dimmer.guest.0'/></channel>"""
    agent.close()
    path = vm.folder / 'channel.xml'
    path.write_text(channel)
    vm.host.user.give(path)
    vm.host.virsh('detach-device', vm.name, path, '--live')
    deadline = time.monotonic() + TIMEOUT
    while 'the port is gone' not in log(vm):
        assert time.monotonic() < deadline
    vm.attach(channel)
    with vm.dimmer_guest() as other:
        assert other.hello()['ok']
