# SPDX-License-Identifier: Apache-2.0
"""Whether KVM really runs guests here.

/dev/kvm may be there, let itself be opened, and still never get a guest to its first
line: nested in some hypervisors it does. So the test guest itself is booted once, and the
answer kept until this machine boots again.
"""

import functools
import os
import selectors
import subprocess
import tempfile
import time
from pathlib import Path

from .setup import BUILD, User, guest_image, program

KVM = '/dev/kvm'
READY = b'DIMMER-GUEST-READY'
TIMEOUT = 10


@functools.cache
def accel():
    """'kvm' if the testbed's user can run the guest with it, else 'tcg'.

    The environment variable DIMMER_ACCEL decides where it is set.
    """
    if 'DIMMER_ACCEL' in os.environ:
        return os.environ['DIMMER_ACCEL']
    user = User()
    if not (os.path.exists(KVM) and user.may(KVM, 'r') and user.may(KVM, 'w')):
        return 'tcg'
    boot_id = Path('/proc/sys/kernel/random/boot_id').read_text().strip()
    kept = BUILD / 'testbed' / f'accel-{user.uid}-{boot_id}'
    if kept.exists():
        return kept.read_text()
    answer = 'kvm' if boots_with_kvm(user) else 'tcg'
    if os.access(BUILD, os.W_OK):
        kept.parent.mkdir(exist_ok=True)
        kept.write_text(answer)
    return answer


def boots_with_kvm(user, timeout=TIMEOUT):
    """Boot the test guest with KVM; whether it said in time that it is ready."""
    with tempfile.TemporaryDirectory() as folder:
        user.give(folder)
        kernel, initrd = (user.reachable_copy(file, folder) for file in guest_image())
        qemu = subprocess.Popen(
            [program('qemu-system-x86_64'), '-nodefaults', '-no-user-config', '-display', 'none',
             '-machine', 'q35,accel=kvm', '-m', '256', '-no-reboot', '-serial', 'stdio',
             '-kernel', kernel, '-initrd', initrd, '-append', 'console=ttyS0 panic=-1 quiet'],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            **user.popen_args())
        try:
            return _says(READY, qemu.stdout, time.monotonic() + timeout)
        finally:
            qemu.kill()
            qemu.communicate()


def _says(text, pipe, deadline):
    said = b''
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while text not in said:
            if not selector.select(max(deadline - time.monotonic(), 0)):
                return False
            data = os.read(pipe.fileno(), 4096)
            if not data:
                return False
            said += data
    return True
