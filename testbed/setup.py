# SPDX-License-Identifier: Apache-2.0
"""What the testbed needs on this machine: programs, the guest's image, an ordinary user."""

import functools
import hashlib
import os
import pwd
import shutil
import stat
import subprocess
from pathlib import Path

REPO = Path(__file__).resolve().parent.parent
BUILD = Path(os.environ.get('DIMMER_TESTBED_BUILD', REPO / 'build'))

# The programs and Debian's packages with them. libvirtd stands in sbin, which an
# ordinary user's PATH lacks.
PROGRAMS = {
    'qemu-system-x86_64': 'qemu-system-x86',
    'virsh': 'libvirt-clients',
    'libvirtd': 'libvirt-daemon',
}
QEMU_DRIVER = 'libvirt-daemon-driver-qemu'
SEARCH = os.environ.get('PATH', '') + ':/usr/sbin:/sbin:/usr/bin:/bin'


def program(name):
    """The path of a program, or None."""
    return shutil.which(name, path=SEARCH)


def dimmer():
    """The dimmer under test: $DIMMER, or the one in the build folder."""
    return Path(os.environ.get('DIMMER', BUILD / 'dev/src/cli/dimmer')).absolute()


def dimmerd():
    """The daemon under test: $DIMMERD, or the one built beside dimmer."""
    beside = dimmer().parents[1] / 'daemon/dimmerd'
    return Path(os.environ.get('DIMMERD', beside)).absolute()


def dimmer_guest():
    """The guest's agent: $DIMMER_GUEST, or the one of the ordinary build, as only a static one runs there."""
    return Path(os.environ.get('DIMMER_GUEST', BUILD / 'dev/guest/dimmer-guest')).absolute()


def web_page():
    """The folder of the WebAdmin page: $DIMMER_WEB, or the one built beside dimmerd."""
    return Path(os.environ.get('DIMMER_WEB', dimmerd().parents[2] / 'web/web')).absolute()


def missing(*, guest=True, dimmer_too=True):
    """What is missing here, as sentences for people; empty if the testbed can run."""
    lacks = [f'program {name} (Debian package {package})'
             for name, package in PROGRAMS.items() if not program(name)]
    if not list(Path('/usr/lib').glob('*/libvirt/connection-driver/libvirt_driver_qemu.so')):
        lacks.append(f"libvirt's QEMU driver (Debian package {QEMU_DRIVER})")
    if dimmer_too and not os.access(dimmer(), os.X_OK):
        lacks.append(f'program {dimmer()} (build it, or set DIMMER)')
    if guest:
        try:
            guest_image()
        except GuestImageMissing as error:
            lacks.append(str(error))
    return lacks


class GuestImageMissing(Exception):
    """The guest's image is not there and could not be built."""


@functools.cache
def guest_image(kernel='6.1', agent=False):
    """(kernel, initrd) of the test guest, built if need be; with qemu-guest-agent or without."""
    folder = BUILD / ('guest' if kernel == '6.1' else f'guest-{kernel}')
    initrd = 'initrd-agent.img' if agent else 'initrd.img'
    build('build', folder, kernel, *(['agent'] if agent else []), result=initrd)
    return folder / 'vmlinuz', folder / initrd


@functools.cache
def debian_image(packages=()):
    """The root filesystem of the Debian guest with these packages besides, built if need be."""
    variant = hashlib.sha256(' '.join(packages).encode()).hexdigest()[:8]
    folder = BUILD / (f'guest-debian-{variant}' if packages else 'guest-debian')
    build('build-debian', folder, *packages, result='root.img')
    return folder / 'root.img'


def build(script, folder, *args, result):
    """Let a script of testbed/guest make what is out of date in a folder of the build."""
    writable = os.access(folder if folder.exists() else folder.parent, os.W_OK)
    if not writable and (folder / result).exists():
        return
    done = subprocess.run([REPO / 'testbed/guest' / script, folder, *args],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise GuestImageMissing(f'guest image {folder} (testbed/guest/{script} failed: '
                                f'{done.stderr.strip()})')


class User:
    """The ordinary user whom everything runs as.

    libvirt run by root is always its system mode, which wants the machine's own folders.
    So root runs libvirtd, virsh and dimmer as nobody; other users run them as themselves.
    """

    def __init__(self):
        self.demoted = os.geteuid() == 0
        entry = pwd.getpwnam('nobody') if self.demoted else pwd.getpwuid(os.geteuid())
        self.uid, self.gid = entry.pw_uid, entry.pw_gid

    def popen_args(self):
        """What subprocess needs to start a process as this user."""
        if not self.demoted:
            return {}
        return {'user': self.uid, 'group': self.gid, 'extra_groups': []}

    def command_prefix(self):
        """The prefix of a command that another user starts as this one."""
        if not self.demoted:
            return []
        return ['setpriv', f'--reuid={self.uid}', f'--regid={self.gid}', '--clear-groups']

    def give(self, path):
        """Make the user the owner of a file or folder."""
        if self.demoted:
            os.chown(path, self.uid, self.gid)

    def may(self, path, access):
        """Whether the user may read, write or execute ('r', 'w', 'x') a file."""
        return subprocess.run(['test', f'-{access}', path], cwd='/', check=False,
                              **self.popen_args()).returncode == 0

    def reachable_copy(self, path, folder):
        """A path of the file that the user can read: its own, or else a copy in folder.

        A checkout often lies below a home that no other user may enter.
        """
        path = Path(path)
        executable = bool(path.stat().st_mode & stat.S_IXUSR)
        if self.may(path, 'x' if executable else 'r'):
            return path
        copy = Path(folder) / path.name
        if copy.exists() and copy.stat().st_mtime_ns == path.stat().st_mtime_ns:
            return copy
        # Under another name first: a program that runs cannot be written to. cp knows of holes.
        partial = copy.with_name(f'.{copy.name}')
        subprocess.run(['cp', '--sparse=always', '--preserve=timestamps', path, partial],
                       check=True)
        partial.chmod(0o755 if executable else 0o644)
        partial.rename(copy)
        return copy
