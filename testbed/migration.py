# SPDX-License-Identifier: Apache-2.0
"""A live migration of a VM from one host to another, which is under way for as long as a test wants."""

import contextlib
import os
import socket
import subprocess
import threading
import time

from .setup import program

TIMEOUT = 30
SLOW, FAST = 1, 10000  # MiB/s


class Farewell:
    """Stands between a host's libvirtd and another's, and holds back the first one's farewell.

    A libvirtd that has sent a VM away takes leave of where it went, and then removes the VM. Until release(), that
    does not end.
    """

    # REMOTE_PROC_CONNECT_UNREGISTER_CLOSE_CALLBACK, the third number after a message's length
    LEAVE = (361).to_bytes(4, 'big')

    def __init__(self, folder, address):
        self.address = str(folder / 'farewell.sock')
        self.came, self._released = threading.Event(), threading.Event()
        self._to = str(address)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.address)
        os.chmod(self.address, 0o666)  # as libvirtd may run as an ordinary user
        self._listener.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def release(self):
        self._released.set()
        self._listener.close()

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                near, far = self._listener.accept()[0], socket.socket(socket.AF_UNIX)
                far.connect(self._to)
                threading.Thread(target=self._carry, args=(near, far, True), daemon=True).start()
                threading.Thread(target=self._carry, args=(far, near, False), daemon=True).start()

    def _carry(self, source, target, holds):
        with contextlib.suppress(OSError):
            while head := source.recv(4, socket.MSG_WAITALL):
                body = source.recv(int.from_bytes(head, 'big') - 4, socket.MSG_WAITALL)
                if holds and body[8:12] == self.LEAVE:
                    self.came.set()
                    self._released.wait(TIMEOUT)
                target.sendall(head + body)
            target.shutdown(socket.SHUT_WR)


class Migration:
    """Starts it, so slow that it does not end by itself; returns once memory is on its way.

    `there` is the Vm on the other host, to be used after finish(). Its sockets and files are that
    host's own. `through` is the socket to reach that host by, instead of its own.
    """

    def __init__(self, vm, host, through=None):
        self.vm = vm
        self.there, path = host.prepare(vm.name, vars(vm.spec))
        xml = vm.host.virsh('dumpxml', '--security-info', '--migratable', vm.name)
        path.write_text(xml.replace(str(vm.folder), str(self.there.folder)))
        self._process = vm.host.popen(
            [program('virsh'), '--connect', vm.host.uri, 'migrate', '--live', '--p2p', '--persistent',
             '--undefinesource', '--bandwidth', str(SLOW), '--xml', path,
             '--migrateuri', f'unix://{self.there.folder}/migration.sock', vm.name,
             f'qemu+unix:///session?socket={through}' if through else host.uri],
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

    def hurry(self):
        """Let it end."""
        self.vm.host.virsh('migrate-setspeed', self.vm.name, FAST)

    def finish(self):
        """Let it end, and wait for that; the VM where it is then."""
        self.hurry()
        return self.wait()

    def wait(self):
        """The VM where it is when it has ended."""
        said, _ = self._process.communicate(timeout=TIMEOUT)
        assert self._process.returncode == 0, said
        self.there.connect()
        return self.there
