# SPDX-License-Identifier: Apache-2.0
"""A live migration of a VM from one host to another, which is under way for as long as a test wants."""

import subprocess
import time

from .setup import program

TIMEOUT = 30
SLOW, FAST = 1, 10000  # MiB/s


class Migration:
    """Starts it, so slow that it does not end by itself; returns once memory is on its way.

    `there` is the Vm on the other host, to be used after finish(). Its sockets and files are that
    host's own.
    """

    def __init__(self, vm, host):
        self.vm = vm
        self.there, path = host.prepare(vm.name, vars(vm.spec))
        xml = vm.host.virsh('dumpxml', '--security-info', '--migratable', vm.name)
        path.write_text(xml.replace(str(vm.folder), str(self.there.folder)))
        self._process = vm.host.popen(
            [program('virsh'), '--connect', vm.host.uri, 'migrate', '--live', '--p2p', '--persistent',
             '--undefinesource', '--bandwidth', str(SLOW), '--xml', path,
             '--migrateuri', f'unix://{self.there.folder}/migration.sock', vm.name, host.uri],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        deadline = time.monotonic() + TIMEOUT
        while 'Memory processed' not in vm.host.virsh('domjobinfo', vm.name):
            assert self._process.poll() is None, self._process.stdout.read()
            assert time.monotonic() < deadline, 'the migration does not begin'

    def abort(self):
        """The VM stays where it is."""
        self.vm.host.virsh('domjobabort', self.vm.name)
        said, _ = self._process.communicate(timeout=TIMEOUT)
        assert self._process.returncode != 0, said

    def finish(self):
        """Let it end; the VM where it is then."""
        self.vm.host.virsh('migrate-setspeed', self.vm.name, FAST)
        said, _ = self._process.communicate(timeout=TIMEOUT)
        assert self._process.returncode == 0, said
        self.there.connect()
        return self.there
