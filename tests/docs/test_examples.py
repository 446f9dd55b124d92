# SPDX-License-Identifier: Apache-2.0
"""The examples of dimmer(1), played on real guests: their output is what the page shows.

Ids and times differ each time, and devices answer in any order. The page names no connection. A line of the page that ends in "..." is cut there.
"""

import re
import shlex
import time

import manual
from schema import validate

ID = r'\b[0-9a-f]{8}(?:-[0-9a-f]+)*'


def normal(line):
    return re.sub(r'after [0-9.]+ s', 'after T s', re.sub(ID, 'ID', line))


def expect(shown, real):
    """Fails with both outputs side by side if the page does not show what is real."""
    assert len(shown) == len(real), '\n'.join(['shown:', *shown, 'real:', *real])
    pairs = []
    for page, line in zip(shown, real):
        if page.endswith('...'):
            page, line = page.removesuffix('...'), line[:len(page) - len('...')]
        pairs.append((normal(page), normal(line)))
    assert sorted(page for page, _ in pairs) == sorted(line for _, line in pairs)


class Player:
    """Plays the examples one after the other, each once."""

    def __init__(self, host):
        self.host = host
        self.left = manual.examples()

    def play(self, *words, status=0):
        """The next example, which must begin with these words."""
        command, shown = self.left.pop(0)
        assert command[:len(words)] == list(words)
        done = self.host.dimmer(*command, env={'LC_ALL': 'C'}, check=status)
        said = (done.stdout + done.stderr).replace(f' -c {shlex.quote(self.host.uri)}', '')
        expect(shown, said.splitlines())


def wait_until_gone(vm, alias, timeout=30):
    """libvirt takes a moment after QEMU's event to forget a device."""
    vm.wait_removed(alias)
    deadline = time.monotonic() + timeout
    while alias in vm.memory_devices():
        assert time.monotonic() < deadline, f'libvirt still has {alias}'


def test_examples(host):
    player = Player(host)
    web1 = host.start_guest('web1', memory_mib=1024, max_mib=4096)
    for _ in range(3):
        host.dimmer('plug', 'web1', '256MiB', check=0)
    player.play('show', 'web1')
    player.play('set', 'web1')

    db1 = host.start_guest('db1', memory_mib=512, max_mib=4096, auto_online='online_kernel')
    host.dimmer('plug', 'db1', '256MiB', '--policy', 'whole', check=0)
    db1.pin_memory(150)
    for _ in range(2):
        host.dimmer('plug', 'db1', '128MiB', check=0)
    player.play('set', 'db1')

    web1.set_deaf(True)
    player.play('set', 'web1', status=6)
    vm = validate('show', host.dimmer('show', 'web1', '-o', 'json', check=0).stdout)
    web1.set_deaf(False)
    wait_until_gone(web1, vm['request']['steps'][0]['alias'])
    player.play('settle', 'web1')
    assert player.left == []
