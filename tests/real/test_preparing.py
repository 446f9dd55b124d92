# SPDX-License-Identifier: Apache-2.0
"""guest prepare where it is hard: little memory, memory that stays, rules of others, an agent with its hands tied."""

import time

import pytest

from look import plug, validate

from testbed import inside, virtio_mem_xml
from testbed.setup import REPO

RULE = '/etc/udev/rules.d/39-dimmer-memory.rules'
POLICY = f'{inside.MEMORY}/auto_online_blocks'


def prepare(host, vm, status=0):
    """What guest prepare says that it did and left, once it ended with this status."""
    prepared = validate('prepared', host.dimmer('guest', 'prepare', vm.name, '-o', 'json', check=status, timeout=200).stdout)
    assert len(prepared['did']) == len(prepared['did_codes']) and len(prepared['left']) == len(prepared['left_codes']), prepared
    return prepared


@pytest.fixture(params=['qga', 'agent'])
def full(host, request):
    """Begins a guest of 512 MiB whose kernel takes so much for itself, and a program in it so much of all."""
    def begin(plugged, held):
        vm = host.start_guest('vm', memory_mib=512, max_mib=8192, files=inside.holder(), **{request.param: True})
        vm.set_auto_online('online_kernel')
        plug(host, vm, plugged, '--policy', 'whole')
        inside.wait_for_blocks(vm, *[inside.KERNEL] * (plugged // inside.BLOCK))
        inside.hold(vm, held, 'touch')
        return vm
    return begin


def is_short(words):
    """By the script, or by dimmer-guest."""
    return 'no memory to spare' in words or 'would have too little memory left' in words


def test_a_guest_short_of_memory_keeps_what_runs_in_it(host, full):
    """Block by block: all at once would take more away than it has."""
    vm = full(1024, 1100)
    prepared = prepare(host, vm)
    found = inside.blocks(vm)
    assert inside.holds(vm), prepared
    assert inside.MOVABLE in found and inside.KERNEL in found and inside.OFFLINE not in found, prepared
    assert any(is_short(words) for words in prepared['left']), prepared


def test_a_guest_with_nothing_to_spare_is_left_alone(host, full):
    vm = full(512, 760)
    left = prepare(host, vm)['left']
    assert inside.holds(vm) and inside.blocks(vm) == [inside.KERNEL] * 4, left
    assert 'Killed process' not in vm.console() and any(is_short(words) for words in left), left


@pytest.mark.parametrize('by', ['qga', 'agent'])
def test_room_on_the_node_of_a_block_is_none(host, by):
    """The kernel moves what is in it to other nodes only, and would try for ever where these are full."""
    vm = host.start_guest('vm', cells=[512, 512], max_mib=8192, files=inside.holder(), **{by: True})
    vm.set_auto_online('online_kernel')
    plug(host, vm, 512, '--policy', 'whole', '--node', '1')
    inside.wait_for_blocks(vm, *[inside.KERNEL] * 4)
    inside.hold(vm, 900, 'touch')  # of the node 0 first, where its CPU is
    left = prepare(host, vm)['left']
    assert inside.blocks(vm) == [inside.KERNEL] * 4 and any(is_short(words) for words in left), left
    assert 'migrating pfn' not in vm.guest('dmesg')


def start_with_kernel_blocks(host, qga=True):
    """With 256 MiB plugged that its kernel took for itself; of the lower half it may use some at once."""
    vm = host.start_guest('vm', max_mib=4096, qga=qga, auto_online='online_kernel')
    plug(host, vm, 256, '--policy', 'whole')
    inside.wait_for_blocks(vm, *[inside.KERNEL] * 2)
    return vm


def run_printed(host, vm, how='sh /tmp/prepare'):
    """What the printed script says when it is run in the guest by hand, and its exit status."""
    script = host.dimmer('guest', 'prepare', vm.name, '--print', check=0).stdout
    vm.guest(f"cat >/tmp/prepare <<'END'\n{script}END\n")
    return vm.guest(f'{how} 2>&1; echo status $?', timeout=120).splitlines()


def test_the_printed_script_finds_the_devices_without_an_agent(host):
    """It gets their addresses; which blocks these are, and in which zone, it sees itself."""
    vm = start_with_kernel_blocks(host, qga=False)
    said = run_printed(host, vm)
    assert 'done blocks-onlined: brought a memory block online as movable' in said, said
    assert inside.blocks(vm)[1] == inside.MOVABLE
    inside.refuse_onlining(vm, True)  # what it took offline now would stay so
    again = run_printed(host, vm)
    assert not any('memory33' in words or 'done' in words for words in again), again
    assert inside.blocks(vm)[1] == inside.MOVABLE


REFUSING = """cat >/tmp/refusing <<'END'
timeout() {
  [ "$8" != online_movable ] || { echo 'env: write error: Invalid argument' >&2; return 1; }
  command timeout "$@"
}
. /tmp/prepare
END"""


def test_a_block_that_cannot_become_movable_comes_back_as_it_was(host):
    vm = start_with_kernel_blocks(host, qga=False)
    vm.guest(REFUSING)  # for the kernel, which has no such place for a block since 4.13
    said = run_printed(host, vm, 'sh /tmp/refusing')
    assert inside.blocks(vm)[1] == inside.KERNEL, said
    assert any('memory33' in words and 'did not come back as movable: Invalid argument' in words for words in said), said


def test_a_block_that_does_not_come_back_is_named(host):
    vm = start_with_kernel_blocks(host)
    inside.refuse_onlining(vm, True)
    left = prepare(host, vm)['left']
    assert inside.blocks(vm)[1] == inside.OFFLINE
    assert any('memory33' in words and 'is offline, and does not come online: Cannot allocate memory' in words for words in left), left


def test_what_the_kernel_cannot_move_is_named_with_what_helps(host):
    vm = start_with_kernel_blocks(host)
    vm.pin_memory(200)
    left = prepare(host, vm)['left']
    assert any('memory33' in words and 'cannot move' in words and 'memhp_default_state=online_movable' in words
               for words in left), left


def test_while_a_block_goes_offline_nothing_is_tried(host):
    """It would wait in the kernel for as long as that lasts."""
    vm = host.start_guest('vm', memory_mib=256, max_mib=4096, qga=True, kernel='5.10', auto_online='online_movable',
                          files=inside.holder())
    plug(host, vm, 256, '--policy', 'whole')
    vm.set_auto_online('offline')
    plug(host, vm, 128)
    inside.hold(vm, 30, 'pin')
    vm.guest(f"""for block in 33 32; do
            echo offline >{inside.MEMORY}/memory$block/state
        done 2>/dev/null & echo $! >/run/taking""")
    inside.wait_going_offline(vm)
    left = prepare(host, vm)['left']
    assert any('memory34' in words and 'the kernel is taking another block offline' in words for words in left), left
    assert any('it is being taken offline, which ends' in words for words in left), left
    vm.guest('kill -9 $(cat /run/taking)')
    wait = vm.guest(f'while grep -q going-offline {inside.MEMORY}/memory*/state; do sleep 0.1; done')
    assert wait == '' and inside.blocks(vm)[2] == inside.OFFLINE


OLD = """cat >/tmp/old <<'END'
uname() { echo 4.11.0; }
echo() {
  [ "$*" != online_movable ] || { command echo 'write error: Invalid argument' >&2; return 1; }
  command echo "$@"
}
. /tmp/prepare
END"""


def test_what_helps_an_old_kernel_is_named(host):
    """Before 4.13, without udev. What it brings online by itself is lost before anybody can come after a plug."""
    vm = host.start_guest('vm', max_mib=4096, auto_online='online')
    vm.guest(OLD)
    for policy, helps in (('online', 'or start this machine with memhp_default_state=offline on its kernel'),
                          ('offline', 'or run this again after each plug')):
        vm.set_auto_online(policy)
        said = run_printed(host, vm, 'sh /tmp/old')
        assert any('from its highest block down only' in words and f'run dimmer-guest here, {helps}' in words
                   for words in said), said
        assert vm.guest(f'cat {POLICY}').strip() == policy, said


def test_only_root_may(host):
    vm = host.start_guest('vm', max_mib=4096)
    vm.guest("mkdir -p /etc && echo 'nobody:x:65534:65534::/:/bin/sh' >/etc/passwd")
    said = run_printed(host, vm, "su nobody -c 'sh /tmp/prepare'")
    assert said == ['this must be run as root', 'status 1'], said


def test_what_cannot_be_written_is_named_and_left_whole(host):
    """A full disk, then one that is mounted for reading only."""
    vm = host.start_guest('vm', max_mib=4096, qga=True)
    vm.guest("""mkdir -p /etc && mount -t tmpfs -o size=64k etc /etc && mkdir -p /etc/udev/rules.d /etc/tmpfiles.d
        dd if=/dev/zero of=/etc/filler bs=4k; true""")
    for remount in ('true', 'mount -o remount,ro /etc'):
        vm.guest(remount)
        left = prepare(host, vm)['left']
        for path in (RULE, '/etc/tmpfiles.d/dimmer-memory.conf'):
            assert any(f'{path} could not be written' in words for words in left), left
        assert vm.guest('ls /etc/udev/rules.d /etc/tmpfiles.d').split() == [
            '/etc/tmpfiles.d:', '/etc/udev/rules.d:']


RULE_HERE = REPO / 'packaging/guest/39-dimmer-memory.rules'


def test_the_rule_is_the_packagers_and_what_tells_of_the_start_is_read(host):
    """Where the kernel starts with offline and the rule has its turn, nothing is left. With systemd what is there
    already at the start goes to a kernel that onlines by itself, whatever was set later.
    """
    vm = host.start_guest('vm', max_mib=4096, qga=True, auto_online=None)
    vm.guest('mkdir -p /etc/udev /boot')
    first = prepare(host, vm)
    assert any('if it is not offline then' in words for words in first['left'])
    assert first['did_codes'] == ['port-added', 'file-written', 'policy-set'] and first['left_codes'] == ['policy-may-be-reset'], first
    assert vm.guest(f'cat {RULE}') == RULE_HERE.read_text()
    config = '/boot/config-$(uname -r)'
    vm.guest(f"echo '# CONFIG_MEMORY_HOTPLUG_DEFAULT_ONLINE is not set' >{config}")
    assert prepare(host, vm)['left'] == []
    vm.guest(f"echo CONFIG_MEMORY_HOTPLUG_DEFAULT_ONLINE=y >{config}; mkdir /etc/tmpfiles.d")
    for _ in range(2):
        left = prepare(host, vm)['left']
        assert any('what is plugged already' in words and '(online)' in words for words in left), left
    vm.guest(f"echo CONFIG_MHP_DEFAULT_ONLINE_TYPE_ONLINE_MOVABLE=y >{config}")
    again = prepare(host, vm)
    assert again['did'] == again['left'] == [], again


def test_virtio_mem_of_a_kernel_zone_is_named_with_what_helps(host):
    vm = host.start_guest('vm', memory_mib=512, auto_online='online_kernel', agent=True,
                          devices=virtio_mem_xml(512, 512, alias='ua-v'))
    vm.wait_size('ua-v', 512)
    left = prepare(host, vm)['left']
    assert any('512 MiB of virtio-mem stays in a kernel zone' in words and 'memhp_default_state' in words
               for words in left), left
    vm.request('ua-v', 256)
    vm.wait_size('ua-v', 256)
    vm.request('ua-v', 512)
    vm.wait_size('ua-v', 512)
    assert inside.blocks(vm).count(inside.MOVABLE) >= 1, inside.blocks(vm)


REDHAT = r"""cat >/etc/udev/rules.d/40-redhat.rules <<'END'
SUBSYSTEM!="memory", GOTO="memory_hotplug_end"
ACTION!="add", GOTO="memory_hotplug_end"
PROGRAM="/bin/uname -p", RESULT=="s390*", GOTO="memory_hotplug_end"
ENV{.state}="online"
PROGRAM="/bin/systemd-detect-virt", RESULT=="none", ENV{.state}="online_movable"
ATTR{state}=="offline", ATTR{state}="$env{.state}"
LABEL="memory_hotplug_end"
END
udevadm control --reload"""


def check_onlining(host, vm, verdict):
    """What doctor says of how new memory comes online; a slow guest may not have answered in time at first."""
    deadline = time.monotonic() + 120
    while True:
        report = validate('checkup', host.dimmer('doctor', vm.name, '-o', 'json').stdout)
        said = next(finding['verdict'] for finding in report['findings'] if finding['check'] == 'onlining')
        if said == verdict:
            return
        assert time.monotonic() < deadline, (said, report)


def test_a_rule_counts_only_where_it_holds_for_this_machine(host):
    """Red Hat's own speaks of movable memory, for real machines. A rule of a package's folder counts, too."""
    vm = host.start_debian('vm', memory_mib=1024, max_mib=4096)
    vm.set_auto_online('offline')
    vm.guest(REDHAT)
    check_onlining(host, vm, 'warning')
    plug(host, vm, 256, '--policy', 'whole')
    inside.wait_for_blocks(vm, *[inside.KERNEL] * 2)
    vm.guest(f"""cat >/usr/lib/udev/rules.d/39-theirs.rules <<'END'
{RULE_HERE.read_text()}END
        udevadm control --reload""")
    check_onlining(host, vm, 'good')
    plug(host, vm, 256, '--policy', 'whole')
    inside.wait_for_blocks(vm, *[inside.KERNEL] * 2, *[inside.MOVABLE] * 2)
    vm.guest('ln -s /dev/null /etc/udev/rules.d/39-theirs.rules')  # that is how an admin turns it off
    check_onlining(host, vm, 'warning')


# By files, if the agent may not run programs.


def start_tied(host, block, auto_online='offline'):
    vm = host.start_guest('vm', max_mib=4096, qga=True, auto_online=auto_online)
    vm.guest('mkdir -p /etc/udev/rules.d')
    vm.kill_agent()
    vm.start_agent(block=block)
    return vm


def test_an_agent_that_may_not_write_is_not_made_to_open_for_writing(host):
    vm = start_tied(host, 'guest-exec,guest-file-write')
    vm.guest(f'echo "# of the admin" >{RULE}')
    message = host.dimmer('guest', 'prepare', vm.name, check=1).stderr
    assert 'neither run programs nor write files' in message and '--print' in message
    assert vm.guest(f'cat {RULE}') == '# of the admin\n'


def test_a_rule_that_cannot_be_written_by_files_stays_what_it_was(host):
    vm = start_tied(host, 'guest-exec')
    vm.guest("""mount -t tmpfs -o size=64k etc /etc/udev && mkdir /etc/udev/rules.d
        echo '# of the admin' >/etc/udev/rules.d/39-dimmer-memory.rules
        mount -o remount,ro /etc/udev""")
    left = prepare(host, vm)['left']
    assert any(f'{RULE} could not be written' in words for words in left), left
    assert vm.guest(f'cat {RULE}') == '# of the admin\n'
    check_onlining(host, vm, 'good')  # by the policy
    vm.set_auto_online('offline')
    check_onlining(host, vm, 'warning')  # a file of that name is no rule yet


def test_by_files_it_writes_and_tells_once(host):
    """Where the kernel leaves plugged memory to the rule, the next start needs nothing."""
    vm = start_tied(host, 'guest-exec')
    first = prepare(host, vm)
    assert f'wrote {RULE}' in first['did'] and first['left'] == [], first
    assert first['did_codes'] == ['port-added', 'file-written', 'policy-set'], first
    assert vm.guest(f'cat {RULE}') == RULE_HERE.read_text()
    again = prepare(host, vm)
    assert again['did'] == again['left'] == [], again


def test_by_files_what_the_kernel_does_at_the_start_is_said(host):
    vm = start_tied(host, 'guest-exec', auto_online='online')
    for _ in range(2):
        prepared = prepare(host, vm)
        assert any('is reset by a reboot, to online:' in words for words in prepared['left']), prepared
        assert prepared['left_codes'] == ['policy-reset-to'], prepared


def test_programs_that_do_not_run_leave_it_to_files(host):
    """Be it that their end cannot be asked for, or that they cannot be started."""
    vm = start_tied(host, 'guest-exec-status')
    assert f'wrote {RULE}' in prepare(host, vm)['did']
    vm.kill_agent()
    vm.start_agent()
    vm.guest(f'rm {RULE}; mv /bin/sh /bin/sh.away')
    assert f'wrote {RULE}' in prepare(host, vm)['did']
