# SPDX-License-Identifier: Apache-2.0
"""A libvirt of one's own, and programs run against it."""

import os
import select
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

from . import overlay, supervisor
from .console import GuestTrouble
from .domain import Spec, domain_xml
from .setup import BUILD, SEARCH, User, debian_image, dimmer, dimmer_guest, guest_image, program
from .vm import Vm

DAEMON_TIMEOUT = 30
COMMAND_TIMEOUT = 60

# A file system in memory, if there is one.
MEMORY = Path('/dev/shm')

# Separates the output of the waiting command from that of the requested one.
WAITED = '=dimmer-testbed='

# Without virtlogd, which would have to run too.
QEMU_CONF = 'stdio_handler = "file"\n'


class Host:
    """What both kinds of host share. Use it as a context manager.

    `uri` is its libvirt connection URI, `folder` the folder where all of it lives.

    A guest whose kernel was in unexpected trouble (Vm.expect_trouble()) fails the test that
    removes all VMs or leaves the context: see check_guests().
    """

    def __init__(self):
        self.user = User()
        self.vms = []
        self._trouble = []
        # A short path: libvirt's sockets below it must keep to 108 bytes.
        self.folder = Path(tempfile.mkdtemp(prefix='dimmer-', dir='/tmp'))
        try:
            self._make_folders()
            self._supervisor = subprocess.Popen(
                [sys.executable, supervisor.__file__, self.folder, *self._daemon_command()],
                cwd=self.folder, env=self.environment(**self._daemon_environment()),
                stdin=subprocess.PIPE, start_new_session=True)
        except BaseException:
            supervisor.remove(self.folder)
            raise
        try:
            self._wait_for_daemon()
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self._trouble += [found for vm in self.vms for found in troubled(vm)]
        self.close()
        if kind is None:
            self.check_guests()

    def close(self):
        """Kill whatever this host started and remove its folder, unless kept."""
        self._save_capabilities()
        self._supervisor.stdin.close()
        self._supervisor.wait()

    def keep(self):
        """Leave everything running; return the command that ends it later."""
        self._supervisor.stdin.write(supervisor.KEEP)
        return f'{sys.executable} {supervisor.__file__} {self.folder} </dev/null'

    # Programs.

    def environment(self, **changes):
        """The environment of everything that runs on this host."""
        kept = {key: value for key, value in os.environ.items()
                if not key.startswith(('LIBVIRT_', 'VIRSH_', 'XDG_', 'DIMMER_PLUG_'))}
        return kept | {
            'PATH': SEARCH,
            'LC_ALL': 'C.UTF-8',
            'HOME': str(self.folder / 'home'),
            'TMPDIR': str(self.folder / 'tmp'),
            'XDG_RUNTIME_DIR': str(self.folder / 'run'),
            'XDG_CONFIG_HOME': str(self.folder / 'config'),
            'XDG_CACHE_HOME': str(self.folder / 'cache'),
            'LIBVIRT_DEFAULT_URI': self.uri,
        } | changes

    def popen(self, argv, *, env=None, **options):
        """Start a program as this host's user; the arguments are subprocess.Popen's."""
        return subprocess.Popen(argv, env=self.environment(**(env or {})), cwd=self.folder,
                                text=True, **self.user.popen_args(), **options)

    def run(self, argv, *, check=None, timeout=COMMAND_TIMEOUT, env=None, stdin=None):
        """Run a program as this host's user, with stdin as its input.

        check is the exit status that it must have; None takes any.
        """
        done = subprocess.run(argv, env=self.environment(**(env or {})), cwd=self.folder,
                              text=True, input=stdin or '', capture_output=True,
                              timeout=timeout, check=False, **self.user.popen_args())
        if check is not None and done.returncode != check:
            raise AssertionError(f'{" ".join(map(str, argv))}: exit status {done.returncode}, '
                                 f'not {check}\n{done.stdout}{done.stderr}')
        return done

    def dimmer_argv(self, *args):
        """dimmer's command line, with the connection to this host."""
        binary = self.user.reachable_copy(dimmer(), self.folder / 'bin')
        return [str(binary), '--connect', self.uri, *map(str, args)]

    def dimmer(self, *args, check=None, timeout=COMMAND_TIMEOUT, env=None, stdin=None):
        """Run dimmer to its end; see run()."""
        return self.run(self.dimmer_argv(*args), check=check, timeout=timeout, env=env,
                        stdin=stdin)

    def dimmer_start(self, *args, env=None):
        """Start dimmer and return its Popen, for tests that act in the middle."""
        return self.popen(self.dimmer_argv(*args), env=env, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def virsh(self, *args, check=0, timeout=COMMAND_TIMEOUT):
        """The output of a virsh command."""
        return self.run([program('virsh'), '--quiet', '--connect', self.uri, *map(str, args)],
                        check=check, timeout=timeout).stdout

    def printed(self, command):
        """A command of dimmer's or virsh's as dimmer prints it, with the connection to this host."""
        name, words = command.split(' ', 1)
        return f'{name} -c {shlex.quote(self.uri)} {words}'

    # Virtual machines.

    def define(self, name, **spec):
        """A persistent VM, shut off. The arguments are domain.Spec's fields."""
        vm, path = self.prepare(name, spec)
        self.virsh('define', path)
        return vm

    def create(self, name, *, paused=False, **spec):
        """A transient VM, started."""
        vm, path = self.prepare(name, spec)
        self.virsh('create', path, *(['--paused'] if paused else []))
        vm.connect()
        return vm

    def start_guest(self, name, **spec):
        """A persistent VM, started; if it has an OS, up.

        Emulated, on a busy machine, a kernel with several CPUs hangs in its first seconds once in some thousand
        starts, or takes its clock's rate wrong: it is started again then, and a warning says so. Nothing of dimmer has
        touched it by then.
        """
        vm = self.define(name, **spec)
        try:
            return self._start_ready(vm)
        except (TimeoutError, vm.WrongClock) as error:
            warnings.warn(f'started again: {error}')
            self.virsh('destroy', name)
            return self._start_ready(vm)

    @staticmethod
    def _start_ready(vm):
        started = time.monotonic()
        vm.start()
        return vm.wait_ready().check_clock(started) if vm.spec.os else vm

    def start_debian(self, name, packages=(), **spec):
        """The same with Debian, some packages of it, and its qemu-guest-agent running.

        Its services are not enabled, and its kernel does with new memory what it was built for.
        """
        spec = {'qga': True, 'auto_online': None, 'root': debian_image(packages)} | spec
        return self.start_guest(name, **spec)

    def remove(self, vm):
        """End a VM in whatever state it is, definition and all."""
        vm.close()
        self._trouble += troubled(vm)
        self.virsh('destroy', vm.name, check=None)
        self.virsh('undefine', vm.name, check=None)
        shutil.rmtree(vm.folder)
        self.vms.remove(vm)

    def remove_all(self):
        for vm in list(self.vms):
            self.remove(vm)
        self.check_guests()

    def libvirt_log(self):
        """What its libvirtd warned of, if it has one."""
        return ''.join(path.read_text() for path in self.folder.glob('libvirtd.log'))

    def check_guests(self):
        """GuestTrouble if the kernel of a VM that is removed reported any on its console."""
        found, self._trouble = self._trouble, []
        if found:
            raise GuestTrouble('\n'.join(found))

    def prepare(self, name, spec):
        """A Vm of this host, and the file with its XML, which is not yet defined in libvirt."""
        spec = Spec(**spec)
        folder = self.folder / 'vm' / name
        folder.mkdir()
        self.user.give(folder)
        vm = Vm(self, name, spec, folder)
        self.vms.append(vm)
        image = ('', '')
        if spec.os:
            copies = self.folder / 'bin' / spec.kernel
            copies.mkdir(exist_ok=True)
            image = [self.user.reachable_copy(file, copies)
                     for file in guest_image(spec.kernel, spec.qga and not spec.root)]
        if files := ({'bin/dimmer-guest': dimmer_guest()} if spec.agent else {}) | spec.files:
            image[1] = overlay.put(image[1], files, folder / 'initrd.img')
            self.user.give(image[1])
        if spec.root:
            # libvirt puts what a VM writes beside the name that it has for the disk.
            copies = self.folder / 'bin' / spec.root.parent.name
            copies.mkdir(exist_ok=True)
            (folder / 'root.img').symlink_to(self.user.reachable_copy(spec.root, copies))
        path = folder / 'domain.xml'
        path.write_text(domain_xml(name, spec, folder, image))
        self.user.give(path)
        return vm, path

    # Its making.

    def _make_folders(self):
        # In memory, as on real systems: libvirt writes a VM's state there at each change, and syncs it.
        if os.access(MEMORY, os.W_OK):
            runtime = MEMORY / self.folder.name
            runtime.mkdir()
            (self.folder / 'run').symlink_to(runtime)
        for name in ('', 'bin', 'home', 'tmp', 'run', 'config', 'cache', 'vm'):
            folder = self.folder / name
            folder.mkdir(exist_ok=True)
            folder.chmod(0o700)
            self.user.give(folder)
        self._write(self.qemu_conf, QEMU_CONF)
        self._make_parents(self.capabilities)
        copy_xml_files(self._saved_capabilities, self.capabilities)
        for file in self.capabilities.iterdir():
            self.user.give(file)

    def _write(self, path, text):
        self._make_parents(path.parent)
        path.write_text(text)
        self.user.give(path)

    def _make_parents(self, folder):
        if not folder.exists():
            self._make_parents(folder.parent)
            folder.mkdir()
            self.user.give(folder)

    # libvirt asks a QEMU for its capabilities before the first VM, which takes seconds, and
    # keeps the answer; it checks by itself that a kept answer still holds. So hosts pass it on.

    @property
    def _saved_capabilities(self):
        return BUILD / 'testbed' / f'capabilities-{self.user.uid}'

    def _save_capabilities(self):
        if os.access(BUILD, os.W_OK):
            self._saved_capabilities.mkdir(parents=True, exist_ok=True)
            copy_xml_files(self.capabilities, self._saved_capabilities)

    # What the kinds differ in, besides uri, qemu_conf and capabilities.

    def _daemon_command(self):
        return []

    def _daemon_environment(self):
        return {}

    def _wait_for_daemon(self):
        pass


def troubled(vm):
    """Its trouble, a line each, with its name."""
    return [f'{vm.name}: {line}' for line in vm.trouble()]


def copy_xml_files(source, destination):
    """Copy the XML files of a folder, each appearing under its name when complete."""
    for file in source.glob('*.xml'):
        partial = destination / f'.{file.name}.{os.getpid()}'
        shutil.copyfile(file, partial)
        partial.rename(destination / file.name)


class EmbedHost(Host):
    """libvirt's embedded driver: it needs no daemon, and lets in one process at a time.

    No virsh() goes while a dimmer_start() runs, then; a Vm's guest() and qmp() do.
    """

    def environment(self, **changes):
        """Without a search for leaks: the driver's threads end with the process, and GCC 12's LeakSanitizer crashes
        over one that is just ending ("Tracer caught signal 11"). The other hosts' programs are searched.
        """
        kept = super().environment(**changes)
        return kept | {'ASAN_OPTIONS': kept.get('ASAN_OPTIONS', '') + ':detect_leaks=0'}

    @property
    def root(self):
        return self.folder / 'embed'

    @property
    def uri(self):
        return f'qemu:///embed?root={self.root}'

    @property
    def qemu_conf(self):
        return self.root / 'etc/qemu.conf'

    @property
    def capabilities(self):
        return self.root / 'cache/qemu/capabilities'

    def virsh(self, *args, check=0, timeout=COMMAND_TIMEOUT):
        """The output of a virsh command, given once libvirt has found its VMs again.

        The driver reconnects to running VMs after it was opened. Until then it reports
        devices that are gone and calls a VM that it destroys not running; and to close it
        meanwhile can lose the VM. domstats waits for every VM.
        """
        script = f'domstats --balloon; echo {WAITED}; {shlex.join(map(str, args))}'
        output = self.run([program('virsh'), '--quiet', '--connect', self.uri, script],
                          check=check, timeout=timeout).stdout
        return output.partition(WAITED)[2]


class SessionHost(Host):
    """A private libvirtd in session mode: any number of processes at once, and events."""

    # More lines for its configuration.
    libvirtd_conf = ''

    @property
    def socket(self):
        return self.folder / 'run/libvirt/libvirt-sock'

    @property
    def uri(self):
        return f'qemu+unix:///session?socket={self.socket}'

    @property
    def qemu_conf(self):
        return self.folder / 'config/libvirt/qemu.conf'

    @property
    def capabilities(self):
        return self.folder / 'cache/libvirt/qemu/cache/capabilities'

    def libvirtd_pid(self):
        return int(self._pid_file.read_text())

    def stop_libvirtd(self):
        """End libvirtd as its service manager would, by force after a while; the VMs run on."""
        self._end_libvirtd(signal.SIGTERM)

    def kill_libvirtd(self):
        """As if it had crashed; the VMs run on."""
        self._end_libvirtd(signal.SIGKILL)

    def _end_libvirtd(self, how):
        pidfd = os.pidfd_open(self.libvirtd_pid())
        try:
            signal.pidfd_send_signal(pidfd, how)
            ended, _, _ = select.select([pidfd], [], [], DAEMON_TIMEOUT)
            if not ended:  # it can deadlock at its end
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)
                ended, _, _ = select.select([pidfd], [], [], DAEMON_TIMEOUT)
        finally:
            os.close(pidfd)
        if not ended:
            raise RuntimeError('libvirtd did not end')
        if self._restarted:
            self._restarted.wait()

    def start_libvirtd(self):
        """Start it again, and wait until it is ready. It finds its VMs a little later."""
        (self.folder / 'ready').unlink()
        self._bind_ready()
        self._restarted = self.popen(self._libvirtd, env=self._daemon_environment(),
                                     stdin=subprocess.DEVNULL, start_new_session=True)
        self._wait_for_daemon()

    # The one that start_libvirtd() has started. The supervisor kills it, we bury it.
    _restarted = None

    def close(self):
        super().close()
        if self._restarted:
            self._restarted.wait()

    # libvirtd says when it is ready as it would to systemd: it sends READY=1 to a socket.

    def _daemon_command(self):
        self._write(self._conf, f'log_outputs = "3:file:{self.folder}/libvirtd.log"\n{self.libvirtd_conf}')
        self._bind_ready()
        return [*self.user.command_prefix(), *self._libvirtd]

    @property
    def _conf(self):
        return self.folder / 'config/libvirt/libvirtd.conf'

    @property
    def _pid_file(self):
        return self.folder / 'libvirtd.pid'

    @property
    def _libvirtd(self):
        return [program('libvirtd'), '--config', self._conf, '--pid-file', self._pid_file]

    def _bind_ready(self):
        self._ready = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._ready.bind(self._daemon_environment()['NOTIFY_SOCKET'])
        self.user.give(self.folder / 'ready')

    def _daemon_environment(self):
        return {'NOTIFY_SOCKET': str(self.folder / 'ready')}

    def _wait_for_daemon(self):
        with self._ready:
            self._ready.settimeout(DAEMON_TIMEOUT)
            try:
                said = self._ready.recv(4096)
            except TimeoutError:
                said = b''
        if b'READY=1' not in said:
            logs = [path.read_text() for path in self.folder.glob('*.log')]
            raise RuntimeError('libvirtd did not come up: ' + '\n'.join(logs))
