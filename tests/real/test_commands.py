# SPDX-License-Identifier: Apache-2.0
"""Commands that are printed as a remedy: each is run as it is, in a shell, whatever the VM's name is."""

import json
import os
import re
import socket
from pathlib import Path

import pytest

from testbed.setup import dimmer, program

UUID = 'c7a5fdbd-edaf-9455-926a-d65c16db1809'
NAMES = ['-db', '--', ' it\'s "ü" $HOME `id` %s\t\\', UUID]


def in_shell(host, command, uri='test:///default'):
    """A command as pasted into a shell, with what stands in capitals filled in; it must name the connection itself."""
    for word, value in (('--maximum SIZE', '--maximum 2GiB'), ('SIZE --balloon', '768MiB --balloon --timeout 1s'),
                        ('SIZE', '768MiB'), (' N', ' 8')):
        command = command.replace(word, value)
    folder = host.user.reachable_copy(dimmer(), host.folder / 'bin').parent
    path = os.pathsep.join([str(folder), str(Path(program('virsh')).parent), os.environ['PATH']])
    done = host.run(['/bin/sh', '-c', command], env={'PATH': path, 'LIBVIRT_DEFAULT_URI': uri})
    # Neither a usage that is wrong nor a VM that is not there.
    allowed = (0,) if command.startswith('virsh ') else (0, 3, 4, 5, 6)
    assert done.returncode in allowed, f'{command}: {done.returncode}\n{done.stdout}{done.stderr}'
    return done


def advised(host, *args):
    """The command at the end of what an error says."""
    done = host.dimmer(*args)
    assert done.returncode not in (0, 2), done
    return re.search(r'.*: ((?:dimmer|virsh) .*)$', done.stderr.strip(), re.DOTALL).group(1)


def found(host, name):
    """The commands of all findings of the doctor."""
    report = json.loads(host.dimmer('doctor', '-o', 'json', '--', name).stdout)
    return [finding['command'] for finding in report['findings'] if finding.get('command')]


@pytest.fixture
def other(host):
    """A VM with the UUID that another one has as its name, and with the first id."""
    vm, path = host.prepare('other', {'os': False, 'memory_mib': 256, 'max_mib': None})
    path.write_text(path.read_text().replace('<name>', f'<uuid>{UUID}</uuid><name>'))
    host.virsh('define', path)
    return vm.start()


def test_whatever_the_name(host, other):
    """Shut off, running and paused."""
    port = (f"<channel type='unix'><source mode='bind' path='{host.folder}/agent.sock'/>"
            "<target type='virtio' name='org.dimmer.guest.0'/></channel>")  # libvirt's own path is too long here
    vm = host.define('vm', os=False, memory_mib=512, max_mib=2048, qga=True, devices=port)
    vm.name = host.virsh('domuuid', 'vm').strip()  # which stays
    for name in [*NAMES, host.virsh('domid', 'other').strip()]:
        host.virsh('domrename', '--', vm.name, name)
        handle = vm.name if name == UUID else name
        in_shell(host, advised(host, 'unplug', '--', handle, 'dimm0'))  # shut off: set what it starts with
        start, = found(host, handle)
        in_shell(host, start)
        assert vm.state() == 'running', name
        commands = [*found(host, handle), advised(host, 'plug', '--', handle, '1TiB'),
                    advised(host, 'unplug', '--', handle, 'dimm7')]
        assert len(commands) > 1 and any(' plug ' in command for command in commands), commands
        for command in commands:
            in_shell(host, command)
        vm.suspend()
        in_shell(host, next(command for command in found(host, handle) if ' resume ' in command))
        assert vm.state() == 'running', name
        vm.destroy()
    assert other.state() == 'running'


@pytest.mark.parametrize('name', ['-db', '--', '--print'])
def test_what_prepares_a_guest(host, name):
    """The verb has a word of its own before the VM, so that "--" is not its first argument."""
    vm = host.define('vm', os=False, memory_mib=512).start()
    vm.name = host.virsh('domuuid', 'vm').strip()
    vm.destroy()
    host.virsh('domrename', '--', vm.name, name)
    host.virsh('start', vm.name)
    prepare, = (command for command in found(host, name) if 'prepare' in command)
    assert prepare == host.printed(f'dimmer guest prepare -- {name}')
    script = in_shell(host, prepare.replace('prepare', 'prepare --print')).stdout
    assert script.startswith('#!')


def test_the_connection_is_the_one_that_was_asked_for(host):
    """By -c, whatever the environment says; by the environment; and none where libvirt's own default was meant."""
    vm = host.define('vm', os=False, memory_mib=256)
    binary = host.dimmer_argv()[0]
    folder = host.folder / 'config/libvirt'
    folder.mkdir(parents=True, exist_ok=True)
    settings = folder / 'libvirt.conf'
    settings.write_text(f'uri_default = "{host.uri}"\n')
    host.user.give(settings)
    try:
        for options, uri in ((['-c', host.uri], 'test:///default'), ([f'--connect={host.uri}'], ''), ([], host.uri), ([], '')):
            given = bool(options or uri)
            env = {'LIBVIRT_DEFAULT_URI': uri}
            said = host.run([binary, 'unplug', *options, 'vm', 'dimm0'], check=3, env=env).stderr
            refused = re.search(r'.*: ((?:dimmer|virsh) .*)$', said.strip()).group(1)
            report = json.loads(host.run([binary, *options, 'doctor', '-o', 'json', 'vm'], env=env).stdout)
            start, = [finding['command'] for finding in report['findings'] if finding.get('command')]
            assert refused == (host.printed if given else str)('dimmer set vm --memory SIZE')
            assert start == (host.printed if given else str)('virsh start vm')
            for command in (refused, start):
                in_shell(host, command, 'test:///default' if given else '')
            assert vm.state() == 'running'
            vm.destroy()
    finally:
        settings.unlink()


def test_a_machine_that_takes_no_port(host):
    """A virtio-serial controller cannot be hot plugged, and libvirt's words for that say nothing of what helps."""
    path = host.folder / 'bare.xml'
    path.write_text("""<domain type='qemu'><name>bare</name><memory unit='MiB'>256</memory>
        <os><type arch='x86_64' machine='q35'>hvm</type></os><features><acpi/></features>
        <devices><controller type='usb' model='none'/></devices></domain>""")
    host.user.give(path)
    host.virsh('create', path)
    try:
        said = host.dimmer('guest', 'prepare', 'bare', check=1).stderr
    finally:
        host.virsh('destroy', 'bare')
    assert "write <controller type='virtio-serial'/> into <devices> of its definition" in said


@pytest.mark.parametrize('socket_is, words', [
    ('missing', "start libvirt's service there"),
    ('dead', "start libvirt's service there"),
    ('closed', 'join the group libvirt'),
])
def test_no_way_to_libvirt(host, socket_is, words):
    """libvirt's own words, and what helps."""
    path = host.folder / f'{socket_is}.sock'
    if socket_is != 'missing':
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
            if socket_is == 'closed':
                listener.listen()
        host.user.give(path)
        path.chmod(0o000 if socket_is == 'closed' else 0o600)
    argv = host.dimmer_argv('list')
    argv[argv.index(host.uri)] = f'qemu+unix:///system?socket={path}'
    done = host.run(argv, check=7)
    assert 'Failed to connect socket' in done.stderr and words in done.stderr


@pytest.fixture(params=['no maxMemory', 'transient', 'enabled for the next start', 'no ACPI', 'an old machine', 'full'])
def unable(host, request):
    """A VM that cannot hot plug any more memory, and whether 'dimmer enable' would help."""
    if request.param in ('no maxMemory', 'transient', 'enabled for the next start'):
        vm, path = host.prepare('vm', {'os': False, 'memory_mib': 512, 'max_mib': None})
        host.virsh('create' if request.param == 'transient' else 'define', path)
        if request.param != 'transient':
            vm.start()
        if request.param == 'enabled for the next start':
            host.dimmer('enable', 'vm', '--maximum', '2GiB', check=0)
    elif request.param == 'full':
        vm = host.define('vm', os=False, memory_mib=512, max_mib=544).start()
    else:
        vm, path = host.prepare('vm', {'os': False, 'memory_mib': 512, 'max_mib': None})
        text = path.read_text()
        path.write_text(text.replace('<acpi/>', '') if request.param == 'no ACPI'
                        else text.replace("machine='q35'", "machine='pc-i440fx-1.7'"))
        host.virsh('define', path)
        vm.start()
    yield vm, request.param == 'no maxMemory'
    host.virsh('destroy', 'vm')


def test_a_vm_that_cannot_hot_plug(host, unable):
    """What the doctor advises does not fail, and the same command comes with what a plug is refused for."""
    _, helps = unable
    commands = found(host, 'vm')
    assert not [command for command in commands if ' plug ' in command], commands
    assert len([command for command in commands if ' enable ' in command]) == helps, commands
    refused = host.dimmer('plug', 'vm', '128MiB', check=3).stderr
    assert ('enable' in refused) == helps, refused
    for command in commands:
        if ' guest prepare ' not in command:  # it has no system, and so no driver of the balloon either
            lower = command.replace('SIZE --balloon', '384MiB --balloon')
            assert in_shell(host, lower).returncode == (5 if '--balloon' in command else 0), command


def test_sizes_that_are_no_whole_blocks(host):
    """The command beside the refusal is the same wish with a size that goes."""
    vm = host.define('vm', os=False, memory_mib=512, max_mib=2048, cells=[256, 256], vcpus=2).start()
    for words, typed in (
            (['plug', 'vm', '6MiB', '--kind', 'virtio-mem', '--node', '1'],
             'dimmer plug vm 6MiB --node 1 --kind virtio-mem --max-size 128MiB'),
            (['plug', 'vm', '5MiB', '--kind', 'virtio-mem', '--max-size', '128MiB'],
             'dimmer plug vm 4MiB --kind virtio-mem --max-size 128MiB'),
            (['plug', 'vm', '200MiB', '--node', '1'], 'dimmer plug vm 128MiB --node 1'),
            (['plug', 'vm', '256MiB', '--kind', 'virtio-mem', '--max-size', '128MiB'],
             'dimmer plug vm 128MiB --kind virtio-mem --max-size 128MiB'),
            (['set', 'vm', '--memory', '600MiB'], 'dimmer set vm --memory 640MiB')):
        command = advised(host, *words)
        assert command == host.printed(typed)
        done = in_shell(host, f'{command} --dry-run')
        assert done.returncode == 0, done.stdout + done.stderr
    vm.destroy()
    assert advised(host, 'enable', 'vm', '--maximum', '512MiB').endswith(' enable vm --maximum 640MiB')


def test_fewer_slots_than_devices(host):
    vm, path = host.prepare('vm', {'os': False, 'memory_mib': 512, 'max_mib': 2048})
    dimms = "<memory model='dimm'><target><size unit='MiB'>128</size><node>0</node></target></memory>" * 2
    path.write_text(path.read_text().replace('</devices>', f'{dimms}</devices>'))
    host.virsh('define', path)
    command = advised(host, 'enable', 'vm', '--maximum', '4GiB', '--slots', '1')
    said = host.dimmer('enable', 'vm', '--maximum', '4GiB', '--slots', '1', check=3).stderr
    assert '1 memory slots are too few for the 2 memory devices in the definition of vm; set 2 or more' in said
    assert command == host.printed('dimmer enable vm --maximum 4096MiB --slots 2')
    assert in_shell(host, command).returncode == 0
    assert vm.state() == 'shut off'
