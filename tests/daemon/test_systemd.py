# SPDX-License-Identifier: Apache-2.0
"""dimmerd as a service: installed as a package would into a Debian guest with its own libvirt.

That libvirt's QEMU runs in an emulator in an emulator: its one VM has nothing in it.
"""

import os
import re
import subprocess
from pathlib import Path

import pytest

from testbed.setup import program

REPO = Path(__file__).resolve().parents[2]

# libvirt, what may reach it, a client, and dimmerd's own libraries that these do not bring.
PACKAGES = ('libvirt-daemon-system', 'qemu-system-x86', 'libvirt-clients', 'polkitd', 'curl', 'libvirt-glib-1.0-0',
            'libjansson4', 'libmicrohttpd12', 'libsqlite3-0', 'libxml2')

PASSWORD = 'correct horse'
UP = r'\(powering_\)*up'  # for grep
SLOW = 120  # seconds, under TCG on a busy machine
API = 'http://127.0.0.1:8080/ovirt-engine/api'
CURL = f"curl -sS -u admin@internal:'{PASSWORD}'"


@pytest.fixture
def package(host, tmp_path, require):
    """A disk image with all that is installed below /usr, without debugging aids."""
    require([f'program {name} (Debian package {debian})'
             for name, debian in (('fakeroot', 'fakeroot'), ('mke2fs', 'e2fsprogs'))
             if not program(name)])
    options = ['--prefix=/usr', '--buildtype=release']
    subprocess.run([REPO / 'scripts/build', 'build/packaged', *options], check=True)
    subprocess.run(['meson', 'install', '-C', 'build/packaged', '--no-rebuild', '--quiet',
                    '--destdir', tmp_path / 'stage'], cwd=REPO, check=True,
                   env=os.environ | {'PATH': f'/usr/bin:/bin:{os.environ["PATH"]}'})
    image = host.folder / 'package.img'
    subprocess.run(['fakeroot', program('mke2fs'), '-q', '-F', '-d', tmp_path / 'stage', image,
                    '32M'], check=True)
    host.user.give(image)
    return image


@pytest.fixture
def machine(host, package):
    """A Debian with libvirt, into which dimmer was installed and nothing else was done."""
    vm = host.start_debian('machine', packages=PACKAGES, devices=f"""
        <disk type='file'><source file='{package}'/><target dev='vdb' bus='virtio'/>
        <readonly/></disk>""")
    vm.guest("""
        set -e
        mkdir -p /mnt
        mount -r /dev/vdb /mnt
        tar -C /mnt --exclude ./lost+found -c . | tar -C / -x --keep-directory-symlink
        systemctl daemon-reload
        systemctl start libvirtd.socket
    """)
    yield vm
    print(vm.guest('journalctl --no-pager -b -u dimmerd -u libvirtd -u polkit'))


def show(machine, *names):
    return [machine.guest(f'systemctl show dimmerd -P {name}').strip() for name in names]


def events(machine):
    """The identifiers of all events, oldest first."""
    answer = machine.guest(f'{CURL} {API}/events')
    return sorted(map(int, re.findall(r'<event [^>]*id="(\d+)"', answer)))


def test_service(machine):
    # As dimmerd(8) says it.
    machine.guest('systemd-sysusers')
    machine.guest(f"echo '{PASSWORD}' | dimmerd user add admin@internal --role admin")
    machine.guest('systemctl start dimmerd', timeout=SLOW)

    starts_hardened_as_its_own_user(machine)
    reaches_libvirt(machine)
    reloads(machine)
    keeps_its_events(machine)
    ends_when_all_is_answered(machine)
    needs_its_polkit_rule(machine)


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
    machine.guest('systemd-sysusers')
    machine.guest(f"echo '{PASSWORD}' | dimmerd user add admin@internal --role admin")
    machine.guest('systemctl start dimmerd', timeout=SLOW)
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
