# SPDX-License-Identifier: Apache-2.0
"""dimmerd as a service: its Debian package, of the last commit, in a Debian guest with its own libvirt.

That libvirt's QEMU runs in an emulator in an emulator: its one VM has nothing in it.
"""

import fcntl
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from testbed.setup import program

REPO = Path(__file__).resolve().parents[2]

# libvirt, what may reach it, a client, dimmerd's own libraries that these do not bring, and what installs packages.
PACKAGES = ('libvirt-daemon-system', 'qemu-system-x86', 'libvirt-clients', 'polkitd', 'curl', 'libvirt-glib-1.0-0',
            'libjansson4', 'libmicrohttpd12', 'libsqlite3-0', 'libxml2', 'dpkg', 'diffutils', 'init-system-helpers',
            'perl-base')

PASSWORD = 'correct horse'
UP = r'\(powering_\)*up'  # for grep
SLOW = 120  # seconds, under TCG on a busy machine
API = 'http://127.0.0.1:8080/ovirt-engine/api'
# The guest's other packages are there, but dpkg does not know them.
INSTALL = 'dpkg --force-depends -i'
CURL = f"curl -sS -u admin@internal:'{PASSWORD}'"


@pytest.fixture
def packages(host, tmp_path, require):
    """A disk image with the packages, and with the same as a later version."""
    require([f'program {name} (Debian package {debian})'
             for name, debian in (('fakeroot', 'fakeroot'), ('mke2fs', 'e2fsprogs'), ('dh', 'debhelper'))
             if not program(name)])
    made = tmp_path / 'made'
    made.mkdir()
    for package in built():
        shutil.copy(package, made)
        later(made / package.name, tmp_path / 'later')
    image = host.folder / 'packages.img'
    subprocess.run(['fakeroot', program('mke2fs'), '-q', '-F', '-d', made, image, '32M'], check=True)
    host.user.give(image)
    return image


def built():
    """The packages of the last commit, built once for all tests."""
    folder = REPO / 'build/deb-tested'
    commit = subprocess.check_output(['git', 'rev-parse', 'HEAD'], cwd=REPO, text=True)
    with (REPO / 'build/.deb-tested.lock').open('w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        stamp = folder / 'commit'
        if not stamp.exists() or stamp.read_text() != commit:
            subprocess.run([REPO / 'scripts/deb', folder], check=True, env=os.environ | {'DEB_BUILD_OPTIONS': 'nocheck'})
            stamp.write_text(commit)
    return [path for path in folder.glob('dimmer*.deb') if 'dbgsym' not in path.name]


def later(package, work):
    """Beside the package, the same with the version 'later'."""
    subprocess.run(['dpkg-deb', '-R', package, work], check=True)
    control = work / 'DEBIAN/control'
    control.write_text(re.sub('(?m)^Version: .*', 'Version: 9later', control.read_text()))
    name = package.name.split('_')[0]
    subprocess.run(['dpkg-deb', '--root-owner-group', '-b', work, package.with_name(f'{name}-later.deb')], check=True)
    shutil.rmtree(work)


@pytest.fixture
def machine(host, packages):
    """A Debian with libvirt, on which the packages were installed and nothing else was done."""
    vm = host.start_debian('machine', packages=PACKAGES, devices=f"""
        <disk type='file'><source file='{packages}'/><target dev='vdb' bus='virtio'/>
        <readonly/></disk>""")
    vm.guest("""
        set -e
        mkdir -p /mnt
        mount -r /dev/vdb /mnt
        systemctl start libvirtd.socket
        mkdir -p /var/lib/dpkg/info /var/lib/dpkg/updates
        touch /var/lib/dpkg/status
    """)
    vm.guest(f'{INSTALL} /mnt/dimmer_*.deb /mnt/dimmerd_*.deb', timeout=SLOW)
    yield vm
    print(vm.guest('journalctl --no-pager -b -u dimmerd -u libvirtd -u polkit'))


def show(machine, *names):
    return [machine.guest(f'systemctl show dimmerd -P {name}').strip() for name in names]


def events(machine):
    """The identifiers of all events, oldest first."""
    answer = machine.guest(f'{CURL} {API}/events')
    return sorted(map(int, re.findall(r'<event [^>]*id="(\d+)"', answer)))


def add_user(machine):
    """As dimmerd(8) says it. The package has started the service before."""
    machine.guest(f"echo '{PASSWORD}' | dimmerd user add admin@internal --role admin")
    machine.guest('systemctl reload dimmerd')
    machine.guest(f'until {CURL} -f {API} >/dev/null 2>&1; do :; done', timeout=SLOW)


def test_service(machine):
    starts_hardened_as_its_own_user(machine)
    assert '401' in machine.guest(f"{CURL} -o /dev/null -w '%{{http_code}}' {API}")
    add_user(machine)
    reaches_libvirt(machine)
    reloads(machine)
    keeps_its_events(machine)
    is_upgraded(machine)
    ends_when_all_is_answered(machine)
    needs_its_polkit_rule(machine)
    is_purged(machine)


VM = """
<domain type='qemu'><name>inner</name><maxMemory slots='4' unit='MiB'>1024</maxMemory><memory unit='MiB'>64</memory>
<vcpu>1</vcpu><os><type machine='q35'>hvm</type></os><features><acpi/></features>
<cpu><numa><cell id='0' cpus='0' memory='64' unit='MiB'/></numa></cpu>
<devices><graphics type='vnc' passwd='secret'/></devices></domain>
"""


def test_fine_grained_access(machine):
    """With libvirt's own access control, it may do what it does, and nothing else."""
    machine.guest(f"""
        set -e
        cat >/root/vm.xml <<'END'{VM}END
        virsh define /root/vm.xml
        echo 'access_drivers = [ "polkit" ]' >>/etc/libvirt/libvirtd.conf
        systemctl start polkit
        systemctl restart libvirtd
    """, timeout=SLOW)
    add_user(machine)
    ident = machine.guest('virsh domuuid inner').strip()
    for action, status in (('start', UP), ('stop', 'down'), ('start', UP), ('reboot', ''), ('shutdown', '')):
        assert '<fault>' not in ask(machine, 'POST', f'vms/{ident}/{action}', '<action/>')
        machine.guest(f"""until {CURL} {API}/vms/{ident} | grep -q '<status>{status}'; do :; done""", timeout=SLOW)
    for size in (192, 64):
        answer = ask(machine, 'PUT', f'vms/{ident}?async=true', f'<vm><memory>{size << 20}</memory></vm>')
        assert '<fault>' not in answer, answer
    machine.guest(f'until {CURL} {API}/vms/{ident}/memorydevices | grep -q "<state>going"; do :; done', timeout=SLOW)
    virsh = 'setpriv --reuid dimmer --regid dimmer --clear-groups env HOME=/tmp virsh -c qemu:///system'
    for forbidden in ('undefine inner', 'dump inner /var/tmp/core', 'snapshot-create inner',
                      'pool-create-as pool dir --target /var/tmp'):
        refused = machine.guest(f'{virsh} {forbidden} 2>&1 || echo status $?')
        assert 'status 1' in refused and re.search('access denied|authentication', refused), (forbidden, refused)
    assert 'inner' in machine.guest(f'{virsh} list')


def ask(machine, method, where, body=''):
    return machine.guest(f"{CURL} -X {method} -H 'Content-Type: application/xml' {API}/{where} -d '{body}'",
                         timeout=SLOW)


def starts_hardened_as_its_own_user(machine):
    pid, kind, state, user = show(machine, 'MainPID', 'Type', 'ActiveState', 'User')
    assert (kind, state, user) == ('notify', 'active', 'dimmer')
    assert machine.guest(f'stat -c %U /proc/{pid}') == 'dimmer\n'
    assert machine.guest('stat -c "%U %a" /var/lib/dimmer') == 'dimmer 700\n'
    status = machine.guest(f'cat /proc/{pid}/status')
    for line in (r'CapBnd:\s0+', r'NoNewPrivs:\s1', r'Seccomp:\s2'):
        assert re.search(f'^{line}$', status, re.MULTILINE), status
    score = machine.guest('systemd-analyze security --no-pager dimmerd | tail -n 1')
    assert float(re.search(r'[\d.]+ OK', score)[0].split()[0]) < 1.2


def reaches_libvirt(machine):
    assert machine.guest('id -nG dimmer') == 'dimmer\n'
    assert show(machine, 'StatusText') == ['1 of 1 hosts up, 0 VMs']
    assert '1 of 1 hosts connected' in machine.guest('curl -sSf http://127.0.0.1:8080/health')
    assert '<status>up</status>' in machine.guest(f'{CURL} -f {API}/hosts')
    assert '<title>' in machine.guest('curl -sSfL http://127.0.0.1:8080/')


def reloads(machine):
    pid = show(machine, 'MainPID')
    machine.guest(r"printf '[log]\nlevel = debug\n' >/etc/dimmer/dimmerd.conf")
    machine.guest('systemctl reload dimmerd')
    assert 'the configuration was reloaded' in machine.guest('journalctl --no-pager -u dimmerd')
    assert show(machine, 'MainPID', 'ActiveState') == pid + ['active']


def keeps_its_events(machine):
    before = events(machine)
    assert before
    machine.guest('systemctl restart dimmerd', timeout=SLOW)
    after = events(machine)
    assert after[:len(before)] == before and len(after) > len(before)


def is_upgraded(machine):
    """The configuration that was changed stays, users and events too, and the new one runs."""
    before, pid = events(machine), show(machine, 'MainPID')
    machine.guest(f'{INSTALL} --force-confold /mnt/dimmer-later.deb /mnt/dimmerd-later.deb', timeout=SLOW)
    assert show(machine, 'ActiveState') == ['active'] and show(machine, 'MainPID') != pid
    assert events(machine)[:len(before)] == before
    assert 'level = debug' in machine.guest('cat /etc/dimmer/dimmerd.conf')
    assert '9later' in machine.guest("dpkg-query -W -f '${Version}' dimmerd")


def is_purged(machine):
    """Nothing of it is left but its account, first without what it wrote and then with that."""
    machine.guest('dpkg -r dimmerd dimmer', timeout=SLOW)
    assert show(machine, 'ActiveState') == ['inactive']
    assert machine.guest('ls /etc/dimmer') == 'dimmerd.conf\nusers\n'
    machine.guest('dpkg -P dimmerd dimmer', timeout=SLOW)
    left = machine.guest('find /etc /usr /var/lib -name "*dimmer*" -not -path "*testbed*" -not -path "/var/lib/dpkg/*"')
    assert left == '', left


def ends_when_all_is_answered(machine):
    """A client that listens hears the end of the stream, not a torn connection."""
    assert machine.guest(f"""
        mkfifo /run/live
        {CURL} -N {API}/live >/run/live &
        exec 4</run/live
        read -r first <&4
        systemctl stop dimmerd
        cat <&4 >/dev/null
        wait $!
        echo $?
    """, timeout=SLOW) == '0\n'
    assert show(machine, 'ActiveState', 'Result', 'ExecMainStatus') == ['inactive', 'success', '0']


def needs_its_polkit_rule(machine):
    """Else another thing than the rule would let it in, and the above said nothing of it."""
    machine.guest('rm /usr/share/polkit-1/rules.d/60-dimmer.rules')
    machine.guest('systemctl restart polkit dimmerd', timeout=SLOW)
    assert "action 'org.libvirt.unix.manage'" in machine.guest(f'{CURL} {API}/hosts')
