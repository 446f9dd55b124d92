# SPDX-License-Identifier: Apache-2.0
"""A reboot that takes up a next run: what cannot start is found before the VM stops, or undone."""

import signal

import pytest

from rest import RUNS, event, events, memory, next_run_exists, path, put, values, vm_id, wait_status

FELL_BACK = 20010
START, DEFINE = 'virDomainCreate', 'virDomainDefineXML'
MISSING = "<disk type='file' device='disk'><source file='/nowhere/at/all'/><target dev='vdz' bus='virtio'/></disk>"


def edit(vm, *changes):
    """The persistent definition with (old, new) texts, as an administrator would change it with virsh."""
    text = vm.host.virsh('dumpxml', '--inactive', vm.name)
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    file = vm.folder / 'edited.xml'
    file.write_text(text)
    vm.host.user.give(file)
    vm.host.virsh('define', file)


def reboot(client, vm):
    return client.post(path(vm, '/reboot'), '<action/>')


def go_down(vm):
    with pytest.raises(ConnectionError):
        vm.guest('poweroff -f')


def kept(daemon):
    """The definitions that the daemon keeps, by name."""
    return {file.name: file.read_text() for file in (daemon.folder / 'reboots').iterdir()}


def reset_does(vm):
    return vm.live_xml().findtext('on_reboot')


def without_start(host, client, daemon, guest, machine, *words):
    """The next run, changed so, does not start; the guest never hears of it."""
    up = guest.guest('cat /proc/sys/kernel/random/boot_id')
    edit(guest, *machine)
    client.wait(path(guest), lambda vm: next_run_exists(vm) == 'true')
    answer = reboot(client, guest)
    assert answer.status == 409 and answer.xml.tag in ('action', 'fault'), answer
    assert all(word in answer.body.decode() for word in ('web1', 'left running', *words)), answer
    assert guest.guest('cat /proc/sys/kernel/random/boot_id') == up and reset_does(guest) == 'restart'
    assert kept(daemon) == {} and 'dimmer-trial' not in host.virsh('list', '--all', '--name')


def test_a_next_run_is_tried_first(host, serve, guest):
    daemon = serve()
    client = daemon.client()
    maximum = ('>2097152</maxMemory>', '>2147483648</maxMemory>')
    without_start(host, client, daemon, guest, [maximum], 'phys-bits too low')
    assert 'phys-bits' in event(client, 158).findtext('description')
    # What is tried is no VM to anybody.
    names = [vm.findtext('name') for vm in client.get('vms').xml]
    assert names == ['web1'] and not any('trial' in item.findtext('description') for item in client.get('events').xml)
    # What does start is taken up.
    edit(guest, (maximum[1], maximum[0]))
    put(client, guest, 512, 300, query='?next_run=true')
    assert reboot(client, guest).status == 200
    guest.wait_event('POWERDOWN')
    assert list(kept(daemon)) == [f'{vm_id(guest)}.xml']
    go_down(guest)
    vm = client.wait(path(guest), lambda found: memory(found)[0] == 512 and found.findtext('status') in RUNS)
    assert next_run_exists(vm) == 'false' and kept(daemon) == {}


def stumble(client, guest):
    """A reboot under way to a next run that cannot start, for a reason that no trial finds."""
    put(client, guest, 512, 256)
    for alias in guest.memory_devices():
        guest.wait_plugged(alias)
    put(client, guest, 1024, 300, query='?next_run=true')
    edit(guest, ('</devices>', f'{MISSING}</devices>'))
    assert reboot(client, guest).status == 200
    guest.wait_event('POWERDOWN')


def check_fallen_back(client, daemon, guest):
    client.wait(path(guest), lambda vm: vm.findtext('status') in RUNS and next_run_exists(vm) == 'false')
    reported = event(client, FELL_BACK)
    assert reported.find('vm').get('id') == vm_id(guest) and reported.findtext('severity') == 'error'
    assert values(client, guest) == (512, 256, 512, 256)
    assert '/nowhere/at/all' not in guest.host.virsh('dumpxml', '--inactive', 'web1')
    (name, text), = kept(daemon).items()
    assert name in reported.findtext('description') and '/nowhere/at/all' in text
    assert reset_does(guest) == 'restart'
    return reported.findtext('description')


def test_a_start_that_fails_goes_back(serve, guest):
    daemon = serve()
    client = daemon.client()
    stumble(client, guest)
    go_down(guest)
    assert '/nowhere/at/all' in check_fallen_back(client, daemon, guest)
    guest.connect()
    assert guest.wait_ready().guest_memory_mib() == 512


def test_killed_before_the_guest_goes_down(serve, guest):
    daemon = serve()
    stumble(daemon.client(), guest)
    daemon.kill()
    go_down(guest)
    check_fallen_back(daemon.restart().client(), daemon, guest)


@pytest.mark.parametrize('calls', [[START], [START, DEFINE], [START, DEFINE, START]], ids=['failed', 'defined', 'started'])
def test_killed_while_it_goes_back(serve, guest, interpose, calls):
    """Right after the start that failed, after it defined, and after it started what ran before."""
    daemon = serve()
    stumble(daemon.client(), guest)
    daemon.kill()
    daemon.environment = interpose.environment(len(calls), 'kill')
    daemon.restart()
    go_down(guest)
    assert daemon.wait_exit() == -signal.SIGKILL
    assert interpose.calls() == calls
    daemon.environment = {}
    check_fallen_back(daemon.restart().client(), daemon, guest)


def test_a_reboot_waits_beyond_a_restart_of_dimmerd(serve, guest):
    daemon = serve()
    client = daemon.client()
    put(client, guest, 512, 300, query='?next_run=true')
    assert reboot(client, guest).status == 200
    guest.wait_event('POWERDOWN')
    assert daemon.stop() == 0
    client = daemon.restart().client()
    go_down(guest)
    vm = client.wait(path(guest), lambda found: memory(found)[0] == 512 and found.findtext('status') in RUNS)
    assert next_run_exists(vm) == 'false' and kept(daemon) == {}


def test_what_was_ignored_is_a_reset_again(serve, guest):
    daemon = serve(shutdown_timeout=1)
    client = daemon.client()
    put(client, guest, 512, 300, query='?next_run=true')
    assert reboot(client, guest).status == 200
    assert event(client, 158)
    client.wait(path(guest), lambda _: reset_does(guest) == 'restart')
    assert kept(daemon) == {}


def test_one_reset_is_one_event(serve, guest):
    """Its BIOS resets the machine once more, which QEMU and libvirt tell like the first."""
    client = serve().client()
    for count in (1, 2):
        up = guest.guest('cat /proc/sys/kernel/random/boot_id')
        guest.reset()
        assert guest.guest('cat /proc/sys/kernel/random/boot_id') != up
        client.wait(path(guest), lambda found: found.findtext('status') in ('up', 'powering_up'))
        found = events(client, 157, wait=True)
        assert len(found) == count, [one.findtext('description') for one in found]


def test_neither_starts(serve, guest):
    """Nor what ran before: the VM stays down with the definition that it has, and an event says so."""
    daemon = serve()
    client = daemon.client()
    lent = guest.folder / 'lent.img'
    lent.write_bytes(bytes(1 << 20))
    guest.host.user.give(lent)
    guest.host.virsh('attach-disk', 'web1', lent, 'vdy', '--live')
    put(client, guest, 512, 300, query='?next_run=true')
    edit(guest, ('</devices>', f'{MISSING}</devices>'))
    assert reboot(client, guest).status == 200
    guest.wait_event('POWERDOWN')
    lent.unlink()
    go_down(guest)
    reported = event(client, 54).findtext('description')
    assert '/nowhere/at/all' in reported and str(lent) in reported
    wait_status(client, guest, 'down')
    assert '/nowhere/at/all' in guest.host.virsh('dumpxml', '--inactive', 'web1')
    assert values(client, guest) == (512, 300, 512, 300) and events(client, FELL_BACK) == []
