# SPDX-License-Identifier: Apache-2.0
"""dimmer-guest on other machines: built for them, run by QEMU's user mode emulation.

Their kernels are not there, so /sys and /proc are folders of plain files, and the port is a pseudoterminal. s390x has its
numbers the other way round.
"""

import json
import os
import select
import shutil
import signal
import subprocess
import time
import tty

import pytest

from testbed import setup

GUEST = setup.REPO / 'guest'
# Has what meson made for it, config.h and install_files.h; an installed dimmer has not.
BUILT = next((folder for folder in (setup.dimmer().parents[2], setup.BUILD / 'dev') if (folder / 'config.h').exists()), None)
BLOCK = 16 << 20  # as POWER has
FIRST = 256
TIMEOUT = 10

# Debian's words: of a compiler, of its libc, and of QEMU.
MACHINES = {'aarch64': ('aarch64-linux-gnu', 'arm64'), 's390x': ('s390x-linux-gnu', 's390x')}


@pytest.fixture(params=['here', *MACHINES])
def program(request, tmp_path, require):
    """(machine, command line)"""
    require([] if BUILT else [f'{setup.BUILD}/dev (build it)'])
    if request.param == 'here':
        return os.uname().machine, [BUILT / 'guest/dimmer-guest']
    triple, libc = MACHINES[request.param]
    emulator = shutil.which(f'qemu-{request.param}')
    compiler = shutil.which(f'{triple}-gcc')
    require([f'program {name} (Debian packages {packages})' for found, name, packages in (
        (emulator, f'qemu-{request.param}', 'qemu-user'),
        (compiler, f'{triple}-gcc', f'gcc-{triple} libc6-dev-{libc}-cross')) if not found])
    binary = tmp_path / 'dimmer-guest'
    done = subprocess.run([compiler, '-std=gnu17', '-D_GNU_SOURCE', '-D_FILE_OFFSET_BITS=64', '-O2', '-static', '-Wall',
                           '-Wextra', '-Wconversion', '-Wno-unused-parameter', '-Wno-missing-field-initializers', '-Werror',
                           f'-I{BUILT}', f'-I{BUILT}/guest', '-o', binary, *sorted(GUEST.glob('*.c'))],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return request.param, [emulator, binary]


class Machine:
    """The program, and the host's end of its port."""

    def __init__(self, command, root):
        self._root = root
        self._write('proc/meminfo', 'MemTotal:  1048576 kB\nMemAvailable:  524288 kB\n')
        self._write('proc/cmdline', 'quiet movable_node')
        self._write('sys/devices/system/memory/block_size_bytes', f'{BLOCK:x}\n')
        self._write('sys/class/virtio-ports/vport2p1/name', 'org.dimmer.guest.0\n')
        for number, state in ((0, 'online'), *((FIRST + n, 'offline') for n in range(4))):
            self._write(f'sys/devices/system/memory/memory{number}/state', state)
            self._write(f'sys/devices/system/memory/memory{number}/valid_zones', 'Movable' if number else 'none')
        self._port, self._other_end = os.openpty()
        tty.setraw(self._other_end)
        (root / 'dev').mkdir()
        (root / 'dev/vport2p1').symlink_to(os.ttyname(self._other_end))
        self.process = subprocess.Popen([*command, '--root', root], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self._id = 0

    def _write(self, name, text):
        path = self._root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def states(self):
        return [(self._root / f'sys/devices/system/memory/memory{FIRST + n}/state').read_text() for n in range(4)]

    def ask(self, do, **members):
        """The last answer."""
        self._id += 1
        os.write(self._port, json.dumps({'id': self._id, 'do': do, **members}).encode() + b'\n')
        while (answer := json.loads(self._line()))['id'] != self._id or 'progress' in answer:
            pass
        return answer

    def _line(self):
        line = b''
        deadline = time.monotonic() + TIMEOUT
        while not line.endswith(b'\n'):
            readable, _, _ = select.select([self._port], [], [], max(deadline - time.monotonic(), 0))
            assert readable, line
            line += os.read(self._port, 1)
        return line

    def close(self):
        self.process.kill()
        self.process.communicate()
        os.close(self._port)
        os.close(self._other_end)


def test_it_serves(program, tmp_path):
    name, command = program
    root = tmp_path / 'root'
    root.mkdir()
    machine = Machine(command, root)
    try:
        hello = machine.ask('hello', version=1)
        assert (hello['ok'], hello['arch'], hello['block']) == (True, name, BLOCK)
        assert hello['movable_node'] and hello['hot_remove']
        assert machine.ask('memory')['available'] == 512 << 20
        assert machine.states() == ['online_movable'] * 4
        runs = machine.ask('blocks', **{'from': 0})['runs']
        assert [(run['start'], run['size'], run['zone']) for run in runs] == [
            (0, BLOCK, 'mixed'), (FIRST * BLOCK, 4 * BLOCK, 'movable')]
        held = {'start': (FIRST + 1) * BLOCK, 'size': 2 * BLOCK}
        assert machine.ask('offline', **held, hold=3600)['ok']
        assert machine.states() == ['online_movable', 'offline', 'offline', 'online_movable']
        assert machine.ask('online', **held)['restored']
        assert machine.ask('offline', **held, hold=3600)['ok']
        machine.process.send_signal(signal.SIGTERM)
        _, log = machine.process.communicate(timeout=TIMEOUT)
        assert machine.process.returncode == 0, log
        assert machine.states() == ['online_movable'] * 4
    finally:
        machine.close()
