# SPDX-License-Identifier: Apache-2.0
"""usage: supervisor.py FOLDER [COMMAND [ARGUMENT...]]

Runs COMMAND and waits for the end of its standard input. Then it kills every process that
has FOLDER in its command line or environment, and removes FOLDER, with what its run leads to.

Each host has one and holds the other end of the pipe. QEMU processes outlive the one that
started them, and a test can be killed in a way that leaves it no time to clean up; the
pipe closes all the same. By hand, `supervisor.py FOLDER </dev/null` ends a host that was
kept.

It also is the parent that a daemon's QEMU processes get in the end, and buries them at once.
libvirt takes a QEMU for alive until somebody does, and not every process 1 hurries, or does
it at all in a container: there, destroying a VM would take seconds, or fail.
"""

import ctypes
import os
import select
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

KEEP = b'keep'
PR_SET_CHILD_SUBREAPER = 36


def names_folder(folder, process):
    """Whether a process, a folder in /proc, has folder in its command line or environment.

    The folder's name is random, so no other process can have it.
    """
    for file in (process / 'cmdline', process / 'environ'):
        try:
            if os.fsencode(folder) in file.read_bytes():
                return True
        except OSError:
            pass  # It has exited, or belongs to another.
    return False


def pidfds_of(folder):
    for process in Path('/proc').iterdir():
        if not process.name.isdecimal() or int(process.name) == os.getpid():
            continue
        try:
            pidfd = os.pidfd_open(int(process.name))
        except ProcessLookupError:
            continue
        if names_folder(folder, process):
            yield pidfd
        else:
            os.close(pidfd)


def kill_all(folder):
    """Kill until none is left: one may have been starting another meanwhile."""
    while pidfds := list(pidfds_of(folder)):
        for pidfd in pidfds:
            try:
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            except ProcessLookupError:
                pass
        for pidfd in pidfds:
            select.select([pidfd], [], [])
            os.close(pidfd)


def bury():
    """Wait for each process that ends below this one, orphans included."""
    try:
        while True:
            os.wait()
    except ChildProcessError:
        pass


def remove(folder):
    """Remove a host's folder, and what its run leads to."""
    runtime = Path(folder) / 'run'
    if runtime.is_symlink():
        shutil.rmtree(runtime.resolve())
    shutil.rmtree(folder)


def main():
    folder, *command = sys.argv[1:]
    if command:
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
        with open(Path(folder) / 'daemon.log', 'wb') as log:
            subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        threading.Thread(target=bury, daemon=True).start()
    if sys.stdin.buffer.read() == KEEP:
        return
    kill_all(folder)
    remove(folder)


if __name__ == '__main__':
    main()
