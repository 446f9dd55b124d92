# SPDX-License-Identifier: Apache-2.0
"""dimmer-guest(8) against the program, and the files that it installs against those for packagers."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import facts
import manual

PAGE = facts.REPO / 'docs/dimmer-guest.8'
PACKAGING = facts.REPO / 'packaging/guest'
# If dimmer is installed, it is not beside it.
BUILT = facts.BINARY.parents[2] / 'guest/dimmer-guest'
GUEST = Path(os.environ.get('DIMMER_GUEST') or (BUILT if BUILT.exists() else facts.BINARY.parents[1] / 'sbin/dimmer-guest'))


def guest(*args):
    return subprocess.run([GUEST, *args], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60,
                          check=False)


def test_lint(require):
    require([] if shutil.which('mandoc') else ['program mandoc (Debian package mandoc)'])
    done = subprocess.run(['mandoc', '-T', 'lint', '-W', 'warning', PAGE], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, '')


def test_options():
    text = guest('--help').stdout
    options = facts.options_of(facts.paragraph(text, 'Options'))
    assert manual.options('DESCRIPTION', PAGE) == options
    shown = set(re.findall(r'Fl -([\w-]+)', manual.section('SYNOPSIS', PAGE)))
    assert shown == {option.name for option in options} - {'help', 'version'}


def test_exit_statuses(tmp_path):
    assert [int(tag) for tag in manual.tags('EXIT STATUS', PAGE)] == [0, 1, 2]
    assert guest('--version').stdout.startswith('dimmer-guest ')
    assert guest('--root', tmp_path / 'missing').returncode == 1
    for wrong in ('--nonsense', '--print', 'word', '--install --once'):
        assert guest(*wrong.split()).returncode == 2, wrong


def installed(tmp_path, *folders, options=()):
    for folder in ('etc', 'sys/devices/system/memory', *folders):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    (tmp_path / 'sys/devices/system/memory/auto_online_blocks').write_text('online\n')
    before = sorted(tmp_path.rglob('*'))
    printed = guest('--root', tmp_path, '--install', *options, '--print')
    assert printed.returncode == 0 and sorted(tmp_path.rglob('*')) == before
    done = guest('--root', tmp_path, '--install', *options)
    assert (done.returncode, done.stdout) == (0, '')
    return printed.stdout


def filled(name, options=''):
    return (PACKAGING / name).read_text().replace('@SBINDIR@', '/usr/local/sbin').replace('@OPTIONS@', options)


def test_install_with_systemd(tmp_path):
    printed = installed(tmp_path, 'run/systemd/system', 'etc/systemd/system', 'etc/udev/rules.d')
    rule, unit = filled('39-dimmer-memory.rules'), filled('dimmer-guest.service')
    assert (tmp_path / 'etc/udev/rules.d/39-dimmer-memory.rules').read_text() == rule
    assert (tmp_path / 'etc/systemd/system/dimmer-guest.service').read_text() == unit
    program = tmp_path / 'usr/local/sbin/dimmer-guest'
    assert program.read_bytes() == GUEST.read_bytes() and program.stat().st_mode & 0o777 == 0o755
    assert (tmp_path / 'sys/devices/system/memory/auto_online_blocks').read_text() == 'online_movable'
    assert rule in printed and unit in printed
    for line in ('udevadm control --reload || true', 'systemctl daemon-reload', 'systemctl restart dimmer-guest.service'):
        assert line in printed.splitlines()
    again = guest('--root', tmp_path, '--install', '--print').stdout
    assert 'cat >' not in again and 'echo' not in again


def test_install_with_openrc(tmp_path):
    (tmp_path / 'sbin').mkdir()
    (tmp_path / 'sbin/openrc-run').touch()
    installed(tmp_path, 'etc/init.d')
    script = tmp_path / 'etc/init.d/dimmer-guest'
    assert script.read_text() == filled('dimmer-guest.openrc') and script.stat().st_mode & 0o777 == 0o755


OURS = '/usr/local/sbin/dimmer-guest'
BUSYBOX, SYSVINIT = f'::respawn:{OURS}\n', f'dg:2345:respawn:{OURS}\n'


@pytest.fixture
def inittab(tmp_path):
    file = tmp_path / 'etc/inittab'
    file.parent.mkdir()
    return file


@pytest.mark.parametrize('there, added', [
    ('', BUSYBOX),
    ('::sysinit:/etc/init.d/rcS\n', BUSYBOX),
    ('::sysinit:/etc/init.d/rcS\n::respawn:/sbin/getty 38400 tty1', '\n' + BUSYBOX),
    (f'#{BUSYBOX}', BUSYBOX),
    (f' # {BUSYBOX}', BUSYBOX),
    ('# the agent: dimmer-guest\n::once:/bin/dimmer-guest-not\n', BUSYBOX),
    ('#id:2:initdefault:\n', BUSYBOX),
    ('id:2:initdefault:\n', SYSVINIT),
    ('id:2:initdefault:', '\n' + SYSVINIT),
])
def test_install_with_inittab(tmp_path, inittab, there, added):
    inittab.write_text(there)
    printed = installed(tmp_path)
    assert inittab.read_text() == there + added
    inittab.write_text(there)
    lines = [line for line in printed.splitlines() if line.startswith('echo') and 'inittab' in line]
    subprocess.run(['sh', '-c', '\n'.join(lines).replace('/etc', f'{tmp_path}/etc')], check=True)
    assert inittab.read_text() == there + added
    for _ in range(2):
        installed(tmp_path)
        assert inittab.read_text() == there + added


@pytest.mark.parametrize('there', [
    '::respawn:/usr/sbin/dimmer-guest',
    '::respawn:dimmer-guest --no-online\n',
    "dg:2345:respawn:/bin/sh -c '/usr/sbin/dimmer-guest'\n",
    '::respawn:/usr/sbin/dimmer-guest --port=org.x --port org.dimmer.guest.0\n',
    '::once:/usr/sbin/dimmer-guest --once\n::respawn:/usr/sbin/dimmer-guest\n',
])
def test_an_inittab_that_starts_it_is_left(tmp_path, inittab, there):
    inittab.write_text(there)
    assert 'inittab' not in installed(tmp_path)
    assert inittab.read_text() == there


@pytest.mark.parametrize('there', [
    f'::respawn:{OURS} --port=org.x\n',
    f'::respawn:{OURS} --port org.x\n',
    f'::once:{OURS}\n',
    f'dg:2345:off:{OURS}\n',
])
def test_an_inittab_that_has_it_otherwise_is_reported(tmp_path, inittab, there):
    inittab.write_text(there)
    for option in ([], ['--print']):
        done = guest('--root', tmp_path, '--install', *option)
        assert done.returncode == 1 and f"has dimmer-guest, but not as '{BUSYBOX.strip()}': change" in done.stderr
        assert inittab.read_text() == there and 'inittab' not in done.stdout


def test_an_inittab_that_is_too_long(tmp_path, inittab):
    inittab.write_text('#\n' * 8192)
    done = guest('--root', tmp_path, '--install')
    assert done.returncode == 1 and 'cannot read /etc/inittab: File too large' in done.stderr
    assert inittab.read_text() == '#\n' * 8192


def leave_no_room(path):
    path.mkdir(parents=True)


def be_a_file(path):
    path.parent.parent.mkdir(parents=True)
    path.parent.write_text('')


@pytest.mark.parametrize('hinder, error', [(leave_no_room, 'Is a directory'), (be_a_file, 'Not a directory')])
@pytest.mark.parametrize('service', ['run/systemd/system', 'sbin/openrc-run', 'etc/inittab'])
def test_no_service_without_its_program(tmp_path, service, hinder, error):
    for folder in ('etc/udev/rules.d', 'etc/systemd/system', 'etc/init.d', 'sys/devices/system/memory', 'sbin'):
        (tmp_path / folder).mkdir(parents=True)
    if service == 'etc/inittab':
        (tmp_path / service).write_text('')
    else:
        (tmp_path / service).mkdir(parents=True)
    hinder(tmp_path / 'usr/local/sbin/dimmer-guest.new')
    before = sorted(tmp_path.rglob('*'))
    failed = guest('--root', tmp_path, '--install')
    assert (failed.returncode, failed.stderr) == (
        1, f'dimmer-guest: cannot write /usr/local/sbin/dimmer-guest: {error}\n')
    assert sorted(tmp_path.rglob('*')) == before
    assert service != 'etc/inittab' or (tmp_path / service).read_text() == ''


def test_a_program_that_is_there_is_compared(tmp_path):
    program = tmp_path / 'usr/local/sbin/dimmer-guest'
    for folder in (program.parent, tmp_path / 'run/systemd/system', tmp_path / 'etc/systemd/system'):
        folder.mkdir(parents=True)
    contents = GUEST.read_bytes()
    for there, mode in ((b'an older one', 0o755), (contents[:-1], 0o755), (contents + b'x', 0o755),
                        (contents[:5000] + b'?' + contents[5001:], 0o755), (contents, 0o644)):
        program.write_bytes(there)
        program.chmod(mode)
        printed = guest('--root', tmp_path, '--install', '--print').stdout
        assert f'# in place of another dimmer-guest\ninstall -D -m 755 \'{GUEST.resolve()}\' {OURS}\n' in printed
        done = guest('--root', tmp_path, '--install')
        assert (done.returncode, done.stderr) == (0, f'dimmer-guest: replaced another {OURS}\n')
        assert program.read_bytes() == contents and program.stat().st_mode & 0o777 == 0o755
    before = program.stat()
    for options in (['--print'], []):
        done = guest('--root', tmp_path, '--install', *options)
        assert (done.returncode, done.stderr) == (0, f'dimmer-guest: left {OURS}: it is this program already\n')
        assert 'install -D' not in done.stdout and 'systemctl restart' not in done.stdout
    assert program.stat() == before


def copied_to(folder):
    """dimmer-guest in a folder outside the usual ones."""
    folder.mkdir(parents=True)
    program = folder / 'dimmer-guest'
    shutil.copy(GUEST, program)
    return program


def run_printed(root, program, *stubs):
    """Run what --print prints, below @root, with stubs as the machine's commands; its end, and their calls."""
    for folder in ('etc/udev/rules.d', 'etc/systemd/system', 'sys/devices/system/memory', 'run/systemd/system',
                   'stubs'):
        (root / folder).mkdir(parents=True)
    (root / 'sys/devices/system/memory/auto_online_blocks').write_text('online\n')
    calls = root / 'stubs/calls'
    calls.write_text('')
    for name, status in {'systemctl': 0, 'udevadm': 1, **dict(stubs)}.items():
        (root / 'stubs' / name).write_text(f'#!/bin/sh\necho {name} "$@" >>{calls}\nexit {status}\n')
        (root / 'stubs' / name).chmod(0o755)
    script = subprocess.run([program, '--root', root, '--install', '--print'], capture_output=True, text=True,
                            check=True).stdout
    script = re.sub(r'(?<=[ >])(/etc/|/sys/|/usr/local/)', lambda match: f'{root}{match[0]}', script)
    done = subprocess.run(['sh'], input=script, capture_output=True, text=True, check=False,
                          env={**os.environ, 'PATH': f"{root}/stubs:{os.environ['PATH']}"})
    return done, calls.read_text().splitlines()


def test_what_is_printed_does_the_same(tmp_path):
    program = copied_to(tmp_path / "at home/what's here")
    done, calls = run_printed(tmp_path / 'root', program)
    assert done.returncode == 0, done
    assert (tmp_path / 'root/usr/local/sbin/dimmer-guest').read_bytes() == GUEST.read_bytes()
    assert (tmp_path / 'root/etc/systemd/system/dimmer-guest.service').read_text() == filled('dimmer-guest.service')
    assert (tmp_path / 'root/sys/devices/system/memory/auto_online_blocks').read_text() == 'online_movable\n'
    assert calls == ['udevadm control --reload', 'systemctl daemon-reload', 'systemctl enable dimmer-guest.service',
                     'systemctl restart dimmer-guest.service']


@pytest.mark.parametrize('command, before', [('install', []), ('systemctl', ['udevadm', 'systemctl'])])
def test_what_is_printed_ends_where_it_fails(tmp_path, command, before):
    done, calls = run_printed(tmp_path, copied_to(tmp_path / 'home'), (command, 7))
    assert done.returncode == 7
    assert [call.split()[0] for call in calls] == (before or [command])
    assert (tmp_path / 'etc/systemd/system/dimmer-guest.service').exists() == (command == 'systemctl')


PORT = '--port=org.example.memory_1-2'


@pytest.mark.parametrize('folder, file, source', [
    ('run/systemd/system', 'etc/systemd/system/dimmer-guest.service', 'dimmer-guest.service'),
    ('sbin/openrc-run', 'etc/init.d/dimmer-guest', 'dimmer-guest.openrc'),
])
def test_the_service_serves_on_the_port_that_was_named(tmp_path, folder, file, source):
    # A package's unit would serve on the usual one.
    installed(tmp_path, folder, 'lib/systemd/system/dimmer-guest.service', str(Path(file).parent), options=[PORT])
    assert (tmp_path / file).read_text() == filled(source, f' {PORT}')
    assert PORT in (tmp_path / file).read_text()


def test_the_inittab_names_the_port(tmp_path, inittab):
    inittab.write_text('')
    for _ in range(2):
        installed(tmp_path, options=[PORT])
        assert inittab.read_text() == f'::respawn:{OURS} {PORT}\n'
    other = guest('--root', tmp_path, '--install', '--port=other')
    assert other.returncode == 1 and f"not as '::respawn:{OURS} --port=other': change that line" in other.stderr


@pytest.mark.parametrize('name', ['', 'a b', "a'", 'a%b', '$a', 'a\nb', 'x' * 65])
def test_a_port_that_no_service_file_can_name(tmp_path, name):
    refused = guest('--root', tmp_path, '--install', f'--port={name}')
    assert refused.returncode == 2 and 'letters, digits' in refused.stderr and list(tmp_path.iterdir()) == []


def test_unit(require, tmp_path):
    require([] if shutil.which('systemd-analyze') else ['program systemd-analyze (Debian package systemd)'])
    unit = tmp_path / 'dimmer-guest.service'
    unit.write_text(filled('dimmer-guest.service').replace('/usr/local/sbin/dimmer-guest', str(GUEST)))
    done = subprocess.run(['systemd-analyze', 'verify', '--man=no', unit], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, '')
