# SPDX-License-Identifier: Apache-2.0
"""dimmerd and dimmer as the account 'dimmer', on a system libvirtd with fine-grained access control, with a real guest.

By hand, as root; it goes into a mount namespace, where it mounts a /run, an /etc and folders of libvirt's and polkit's:

    /usr/bin/python3 -m pytest tests/real/access_control.py

It takes dbus-daemon, polkitd, and from libvirt-daemon-system the files /usr/share/polkit-1/actions/org.libvirt.*;
nothing of the machine's own bus, polkit and libvirt is used or changed. None of 'make test', as an ordinary user and
most containers cannot mount: tests/daemon/test_systemd.py has some of it there, in a Debian guest.
"""

import ctypes
import os
import pwd
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest

import testbed
from look import plug, run, values
from testbed import inside
from testbed.daemon import Daemon, make_users
from testbed.setup import REPO, User, program

CLONE_NEWNS = 0x20000
OVERLAID = '/etc', '/usr/share/polkit-1', '/var/lib', '/var/cache', '/var/log'
RULE = Path('/usr/share/polkit-1/rules.d/60-dimmer.rules')
CONF = {
    'libvirtd.conf': 'access_drivers = [ "polkit" ]\n',
    'qemu.conf': 'stdio_handler = "file"\nuser = "root"\ngroup = "root"\nsecurity_driver = "none"\n'
                 'cgroup_controllers = []\nnamespaces = []\n',
}
BUS = '/run/dbus/system_bus_socket'

# What libvirt refuses the account, and dimmer does without: see SECURITY.md.
ASKED_IN_VAIN = {'virConnectDomainXMLToNative'}

# What SECURITY.md says that the account may not. FILE: one with the XML below.
FORBIDDEN = {
    'undefine vm': None, 'dump vm /var/tmp/core': None, 'migrate --live --p2p vm qemu+tcp://192.0.2.1/system': None,
    'save vm /var/tmp/saved': None, 'managedsave vm': None, 'snapshot-create vm': None,
    'screenshot vm /var/tmp/screen': None, 'send-key vm KEY_A': None, 'pool-create-as pool dir --target /var/tmp': None,
    'pool-define-as pool dir --target /var/tmp': None, 'nodesuspend mem 60': None,
    'node-memory-tune --shm-pages-to-scan 100': None, 'allocpages 2M 1': None,
    'net-define FILE': "<network><name>net</name><ip address='192.0.2.1'/></network>",
    'nwfilter-define FILE': "<filter name='filter'/>",
    'secret-define FILE': '<secret><description>a password</description></secret>',
}


def shell(*argv):
    subprocess.run([str(arg) for arg in argv], check=True)


def wait_for(path):
    deadline = time.monotonic() + 30
    while not Path(path).exists():
        assert time.monotonic() < deadline, path
        time.sleep(0.1)  # neither tells when it listens


@pytest.fixture(scope='module', autouse=True)
def machine(tmp_path_factory):
    """Folders of its own, a system bus, polkitd; the account and the rule as a package would install them."""
    assert ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNS) == 0, os.strerror(ctypes.get_errno())
    shell('mount', '--make-rprivate', '/')
    tmp = tmp_path_factory.mktemp('machine')
    shell('mount', '-t', 'tmpfs', 'tmpfs', tmp)
    for folder in OVERLAID:
        upper, work = (tmp / f'{kind}{folder}' for kind in ('upper', 'work'))
        upper.mkdir(parents=True)
        work.mkdir(parents=True)
        shell('mount', '-t', 'overlay', '-o', f'lowerdir={folder},upperdir={upper},workdir={work}', 'overlay', folder)
    shell('mount', '-t', 'tmpfs', 'run', '/run')
    for folder in ('/run/dbus', '/run/lock'):
        os.mkdir(folder)
    shell('systemd-sysusers', REPO / 'packaging/dimmer.sysusers')
    # libvirt looks them up, though it is told to use root.
    shell('systemd-sysusers', '--inline', 'u libvirt-qemu -', 'g kvm -')
    install_rule()
    daemons = [subprocess.Popen([program('dbus-daemon'), '--system', '--nofork', '--nopidfile'])]
    wait_for(BUS)
    daemons.append(start_polkitd())
    yield
    for daemon in daemons:
        daemon.kill()
        daemon.wait()


def install_rule():
    shutil.copy(REPO / 'packaging' / RULE.name, RULE)
    RULE.chmod(0o644)


def start_polkitd():
    return subprocess.Popen(['/usr/lib/polkit-1/polkitd', '--no-debug'])


class Account(User):
    """Whom dimmer and dimmerd run as."""

    def __init__(self, name='dimmer'):
        entry = pwd.getpwnam(name)
        self.demoted, self.uid, self.gid = True, entry.pw_uid, entry.pw_gid


class SystemHost(testbed.SessionHost):
    """libvirtd run by root, in system mode. virsh() is root's, as who made the VMs."""

    uri = 'qemu:///system'
    qemu_conf = Path('/etc/libvirt/qemu.conf')
    capabilities = Path('/var/cache/libvirt/qemu/capabilities')

    def __init__(self):
        self._account = Account()
        super().__init__()

    @property
    def user(self):
        return self._account

    @user.setter
    def user(self, _):
        """It is always that one."""

    def _daemon_command(self):
        for name, text in CONF.items():
            path = Path('/etc/libvirt') / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        with open(self._conf, 'a', encoding='utf-8') as file:
            file.write(f'log_outputs = "3:file:{self.folder}/libvirtd.log"\n')
        self._bind_ready()
        return self._libvirtd

    @property
    def _conf(self):
        return Path('/etc/libvirt/libvirtd.conf')

    def virsh(self, *args, check=0, timeout=60):
        done = subprocess.run([program('virsh'), '--quiet', '--connect', self.uri, *map(str, args)], text=True,
                              env=self.environment(), capture_output=True, timeout=timeout, check=False)
        assert check is None or done.returncode == check, done
        return done.stdout

    def denied(self):
        """The functions of libvirt that somebody was refused so far."""
        return set(re.findall(r'error : (vir\w+)EnsureACL:\d+ : access denied', self.libvirt_log()))


@pytest.fixture(scope='module')
def host(machine):
    with SystemHost() as host:
        yield host


@pytest.fixture
def vm(host):
    yield host.start_guest('vm', memory_mib=512, max_mib=2048, pci_ports=3, qga=True, agent=True)
    host.remove_all()


@pytest.fixture
def daemon(host, vm):
    users = make_users(host, host.folder / 'users')
    with Daemon(host, users=users) as daemon:
        yield daemon
        assert daemon.stop() == 0, daemon.text()
    users.unlink()


def test_all_that_dimmer_does(host, vm):
    for with_dimmer_guest in (True, False):
        if not with_dimmer_guest:
            inside.end_agent(vm)  # then qemu-guest-agent is asked
        alias, = plug(host, vm, 128)
        run(host, 'unplug', 'vm', alias)
        run(host, 'plug', 'vm', '128MiB', '--kind', 'virtio-mem', '--max-size', '128MiB')
        run(host, 'set', 'vm', '--memory', '512MiB', '--guaranteed', '256MiB')
        assert values(host, 'vm') == (512, 256, 512, 256)
        for size in ('480MiB', '512MiB'):
            run(host, 'set', 'vm', '--memory', size, '--balloon', '--live')
        run(host, 'enable', 'vm', '--maximum', '4GiB', '--floor', '512MiB')
        for verb in ('show', 'doctor', 'settle'):
            run(host, verb, 'vm')
        assert run(host, 'list')['vms']
        assert 'can be hot unplugged' in host.dimmer('guest', 'prepare', 'vm', check=0).stdout
    assert host.denied() <= ASKED_IN_VAIN


def test_all_that_the_daemon_does(host, vm, daemon):
    client = daemon.client()
    path = f"vms/{host.virsh('domuuid', 'vm').strip()}"

    def put(body, query=''):
        answer = client.put(path + query, f'<vm>{body}</vm>')
        assert answer.status == 200, answer
        return answer.xml

    def act(action, status=None, body='<action/>'):
        answer = client.post(f'{path}/{action}', body)
        assert answer.status == 200, answer
        if status:
            client.wait(path, lambda vm: vm.findtext('status') == status, timeout=60)
        return answer.xml

    assert put(f'<memory>{640 << 20}</memory>').findtext('memory') == str(640 << 20)
    assert put(f'<memory>{512 << 20}</memory>').findtext('memory') == str(512 << 20)
    put(f'<memory>{500 << 20}</memory>', '?balloon=true')
    put('<description>new</description><comment>title</comment>')
    assert vm.live_xml().findtext('title') == vm.inactive_xml().findtext('title') == 'title'
    for links in ('memorycheck', 'memorydevices', 'statistics', 'nics', 'applications', 'sessions'):
        assert client.get(f'{path}/{links}').status == 200
    act('prepareguest')
    act('enablehotplug', body=f'<action><maximum>{4 << 30}</maximum></action>')
    act('reboot', 'up')  # takes the next run up: a copy is tried, the guest goes down, and is started again
    act('stop', 'down')
    act('start', 'up')
    host.virsh('suspend', 'vm')
    client.wait(path, lambda vm: vm.findtext('status') == 'paused')
    act('start', 'up')
    act('shutdown')
    assert host.denied() <= ASKED_IN_VAIN
    assert 'access denied' not in daemon.text()


@pytest.fixture
def idle(host):
    """A VM with nothing in it."""
    yield host.start_guest('vm', os=False)
    host.remove_all()


@pytest.mark.parametrize('command', FORBIDDEN)
def test_what_it_may_not(host, idle, command):
    path = host.folder / 'forbidden.xml'
    path.write_text(FORBIDDEN[command] or '')
    path.chmod(0o644)
    words = [str(path) if word == 'FILE' else word for word in command.split()]
    done = host.run([program('virsh'), '-c', host.uri, *words])
    assert done.returncode == 1 and re.search('access denied|authentication (failed|unavailable)', done.stderr), done
    assert idle.state() == 'running'


def test_no_other_user_may(host, idle):
    """The rule is the account's alone, and is what lets it in."""
    virsh = ['setpriv', '--reuid=nobody', '--regid=nogroup', '--clear-groups', program('virsh'), '-c', host.uri]
    done = subprocess.run([*virsh, 'suspend', 'vm'], env=host.environment(HOME='/'), text=True, capture_output=True,
                          check=False)
    assert done.returncode == 1 and 'authentication' in done.stderr, done
    RULE.unlink()
    try:
        deadline = time.monotonic() + 30
        while (done := host.dimmer('plug', 'vm', '128MiB')).returncode == 0:  # polkitd sees it in a moment
            assert time.monotonic() < deadline, done
        assert "join the group libvirt and log in again, or do it as root" in done.stderr, done
    finally:
        install_rule()
