# SPDX-License-Identifier: Apache-2.0
"""WebAdmin in a real Chromium, on the real daemon with real guests. What is done there is in scenarios.mjs."""

import gzip
import http.client
import re
import socket
import uuid

import pytest

import testbed
from testbed import inside

DEVICE = '<memory_device><size>{}</size></memory_device>'
MIB = 1 << 20


def plug(daemon, vm, mib, times=1):
    client = daemon.client()
    identity = vm.host.virsh('domuuid', vm.name).strip()
    for _ in range(times):
        answer = client.post(f'vms/{identity}/memorydevices', DEVICE.format(mib * MIB))
        assert answer.status == 201, answer


def free_port():
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


@pytest.fixture
def started(serve, page):
    return lambda **settings: serve(web=page, **settings)


def ask(daemon, path, **headers):
    connection = http.client.HTTPConnection('127.0.0.1', daemon.port, timeout=20)
    connection.request('GET', path, headers=headers)
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return response, body


def test_files(host, started):
    """What is served without a browser: headers, caching, nothing beside the page."""
    daemon = started()
    root, _ = ask(daemon, '/')
    assert (root.status, root.headers['Location']) == (302, '/ovirt-engine/webadmin/')
    index, body = ask(daemon, '/ovirt-engine/webadmin/')
    assert (index.status, index.headers['Cache-Control']) == (200, 'no-cache')
    assert index.headers['Content-Type'] == 'text/html; charset=utf-8'
    assert "default-src 'none'; script-src 'self'; style-src 'self';" in index.headers['Content-Security-Policy']
    assert 'unsafe' not in index.headers['Content-Security-Policy']
    assert index.headers['X-Content-Type-Options'] == 'nosniff'
    assert index.headers['Referrer-Policy'] == 'no-referrer'
    assert not re.search(r'<style|style=|<script(?! type="module" src)', body.decode())
    path = re.search(r'src="(.*?/app\.js)"', body.decode())[1]
    plain, text = ask(daemon, path)
    assert plain.headers['Cache-Control'] == 'public, max-age=31536000, immutable'
    packed, squeezed = ask(daemon, path, **{'Accept-Encoding': 'gzip'})
    assert packed.headers['Content-Encoding'] == 'gzip' and gzip.decompress(squeezed) == text
    assert ask(daemon, path, **{'If-None-Match': plain.headers['ETag']})[0].status == 304
    icon, picture = ask(daemon, '/favicon.ico')
    assert (icon.status, icon.headers['Content-Type']) == (200, 'image/svg+xml') and b'<svg' in picture
    assert ask(daemon, '/ovirt-engine/webadmin/index.html')[0].headers['Location'] == '/ovirt-engine/webadmin/'
    folder = path.split('/')[-2]
    for wrong in ('0000000000000000/app.js', f'{folder}/none.js', f'{folder}/%2e%2e%2findex.html',
                  'x/..%2f..%2f..%2fetc%2fpasswd', f'{folder}/app.js/more'):
        assert ask(daemon, f'/ovirt-engine/webadmin/{wrong}')[0].status == 404, wrong


def test_without_page(host, serve, tmp_path):
    """The API is still served."""
    daemon = serve(web='/nonexistent/web')
    daemon.wait_log('there is no WebAdmin page')
    assert ask(daemon, '/ovirt-engine/webadmin/')[0].status == 404
    assert daemon.client().get('vms').status == 200


def test_login(host, started, browse):
    host.define('web1', os=False)
    browse(started(), 'logging_in')


def test_list(host, started, browse):
    for name, mib in (('web1', 1024), ('web2', 512), ('db1', 2048)):
        host.define(name, os=False, memory_mib=mib)
    browse(started(), 'list', define=lambda: host.define('new1', os=False))


def test_example(host, started, browse):
    vm = host.start_guest('web1', memory_mib=1024, max_mib=4096)
    daemon = started()
    plug(daemon, vm, 256, times=3)
    browse(daemon, 'example')


def test_growing(host, started, browse):
    vm = host.start_guest('web1', memory_mib=1024, max_mib=4096)
    daemon = started()
    browse(daemon, 'growing', plug=lambda: plug(daemon, vm, 128))


def test_unplug(host, started, browse):
    vm = host.start_guest('web1', memory_mib=256, max_mib=2048)
    daemon = started()
    plug(daemon, vm, 128)
    browse(daemon, 'unplug')


def test_refusal(host, started, browse):
    vm = host.start_guest('web1', memory_mib=256, max_mib=2048, qga=True)
    daemon = started()
    plug(daemon, vm, 128)
    vm.set_refusing(True)
    browse(daemon, 'refusal')


def test_balloon(host, started, browse):
    host.start_guest('web1', memory_mib=1024, max_mib=None)
    browse(started(), 'balloon',
           never=lambda: host.dimmer('enable', 'web1', '--balloon-use', 'never', check=0))


def test_virtio_mem(host, started, browse):
    """A guest whose driver comes late, and whose kernel keeps some of the device later."""
    vm = host.start_guest('web1', memory_mib=256, max_mib=2048, pci_ports=2,
                          files=inside.without_module('virtio_mem'))
    daemon = started(guest_timeout=3, answer_timeout=1)
    client = daemon.client()
    resource = f"vms/{host.virsh('domuuid', 'web1').strip()}"

    def plug_virtio(mib):
        body = f'<memory_device><size>{int(mib) * MIB}</size><kind>virtio-mem</kind><max_size>{1024 * MIB}</max_size>'
        answer = client.post(f'{resource}/memorydevices', f'{body}</memory_device>')
        assert answer.status == 202, answer

    def change(mib):
        flags = 'try_unmovable=true&force=true&async=true'
        answer = client.put(f'{resource}?{flags}', f'<vm><memory>{int(mib) * MIB}</memory></vm>')
        assert answer.status == 200, answer

    browse(daemon, 'virtio_mem', plug=plug_virtio, load=lambda: inside.load_module(vm, 'virtio_mem'), set=change,
           kernel=lambda: vm.set_auto_online('online_kernel'), pin=lambda: vm.pin_memory(64))


def test_setting_up(host, started, browse):
    """As virt-install makes it, to one that gives back all above its floor."""
    vm = host.start_guest('web1', memory_mib=1024, max_mib=None, qga=True)
    daemon = started()
    client = daemon.client()
    resource = f"vms/{host.virsh('domuuid', 'web1').strip()}"

    def go_down():
        vm.wait_event('POWERDOWN')
        with pytest.raises(ConnectionError):
            vm.guest('poweroff -f')

    def lower():
        answer = client.put(f'{resource}?async=true', f'<vm><memory>{512 * MIB}</memory></vm>')
        assert answer.status == 200, answer

    browse(daemon, 'setting_up', go_down=go_down, lower=lower,
           agent=lambda: vm.wait_port('org.qemu.guest_agent.0', 'connected'))


def describe(daemon, host, name):
    identity = host.virsh('domuuid', name).strip()
    answer = daemon.client().put(f'vms/{identity}', '<vm><description>described anew</description></vm>')
    assert answer.status == 200, answer


def test_plans(host, started, browse):
    vm = host.start_guest('web1', os=False)
    daemon = started()
    browse(daemon, 'plans', describe=lambda: describe(daemon, host, 'web1'), plug=lambda: plug(daemon, vm, 128))


def test_balloon_choices(host, started, browse):
    host.start_guest('web1', os=False, max_mib=None)
    browse(started(), 'balloon_choices')


def test_transient(host, started, browse):
    vm = host.create('web1', os=False, max_mib=None)

    def define():
        path = vm.folder / 'defined.xml'
        path.write_text(host.virsh('dumpxml', '--inactive', 'web1'))
        host.user.give(path)
        host.virsh('define', path)

    browse(started(), 'transient', define=define)


def test_small(host, started, browse):
    for name, mib in (('web1', 256), ('web2', 1024)):
        host.define(name, os=False, memory_mib=mib, max_mib=None)
    browse(started(), 'small')


def test_preparing(host, started, browse):
    vm = host.start_guest('web1', os=False)
    daemon = started()
    identity = host.virsh('domuuid', 'web1').strip()

    def prepare():
        answer = daemon.client().post(f'vms/{identity}/prepareguest', '<action/>')
        assert answer.status in (200, 409), answer

    browse(daemon, 'preparing', prepare=prepare, destroy=vm.destroy)


def test_to_scale(host, started, browse):
    vm = host.start_guest('web1', os=False, memory_mib=1024, max_mib=32768, slots=64)
    daemon = started()
    plug(daemon, vm, 128, times=64)
    browse(daemon, 'to_scale')


def test_silence(host, started, browse):
    vm = host.start_guest('web1', os=False)
    daemon = started(guest_timeout=3, answer_timeout=1)
    plug(daemon, vm, 128)
    browse(daemon, 'silence', destroy=vm.destroy)


def test_dialogs(host, started, browse):
    vm = host.start_guest('web1')
    daemon = started(port=free_port())
    plug(daemon, vm, 128)
    device, = vm.memory_devices()
    browse(daemon, 'dialogs', stop=daemon.stop, start=daemon.restart, detach=lambda: vm.detach(device),
           suspend=vm.suspend, resume=vm.resume, destroy=vm.destroy, undefine=lambda: host.remove(vm))


def test_guest_tells(host, started, browse):
    vm = host.start_guest('web1', memory_mib=512, max_mib=2048, qga=True, auto_online='online_kernel')
    daemon = started()
    plug(daemon, vm, 128)
    vm.set_refusing(True)
    fill = 'mkdir /full && mount -t tmpfs -o size=600m none /full && dd if=/dev/zero of=/full/file bs=1M count=500'
    browse(daemon, 'guest_tells', prepare=lambda: vm.set_auto_online('online_movable'),
           plug=lambda: plug(daemon, vm, 128), fill=lambda: vm.guest(fill))


def test_guest_is_silent(host, started, browse):
    """And reported nothing before, for a device that another program plugged."""
    vm = host.start_guest('web1', memory_mib=256, max_mib=2048, qga=True)
    vm.attach(testbed.dimm_xml(128))
    vm.wait_plugged('dimm0')
    daemon = started(answer_timeout=4)
    vm.guest('kill -STOP $(pidof qemu-ga)')
    browse(daemon, 'guest_is_silent', wake=lambda: vm.guest('kill -CONT $(pidof qemu-ga)'))


def test_viewer(host, started, browse):
    vm = host.start_guest('web1', os=False)
    daemon = started()
    plug(daemon, vm, 128)
    browse(daemon, 'viewer')


def test_expiry(host, started, browse):
    """The page's token is revoked behind its back."""
    vm = host.start_guest('web1', os=False)
    daemon = started()
    plug(daemon, vm, 128)
    browse(daemon, 'expiry', expire=daemon.anonymous().logout)


def test_session(host, started, browse):
    vm = host.start_guest('web1', os=False)
    daemon = started()
    plug(daemon, vm, 128)
    browse(daemon, 'session')


def test_logging_out(host, started, browse):
    """The session lives on where the server does not hear of it, or cannot write it down."""
    host.define('web1', os=False)
    daemon = started(port=free_port())
    browse(daemon, 'logging_out', stop=daemon.stop, start=daemon.restart)


def test_restart(host, started, browse):
    vm = host.start_guest('web1', memory_mib=256, max_mib=2048)
    daemon = started(port=free_port())
    plug(daemon, vm, 128)
    browse(daemon, 'restart', stop=daemon.stop, start=daemon.restart,
           plug=lambda: plug(daemon, vm, 128))


def test_pictures(host, started, browse):
    """A few VMs in as many states; what is on its way out stays in the picture, as no guest answers the request."""
    vms = {name: host.start_guest(name, os=False, memory_mib=mib, max_mib=most) for name, mib, most in
           (('web2', 1024, 4096), ('db1', 2048, 6144), ('mail', 512, 2048))}
    vms['web1'] = host.start_guest('web1', memory_mib=1024, max_mib=4096, qga=True, auto_online='online_kernel')
    host.define('build1', os=False, memory_mib=2048, max_mib=8192)
    host.define('spare', os=False, memory_mib=1024, max_mib=4096)
    daemon = started(guest_timeout=1, answer_timeout=2)
    client = daemon.client()

    def resource(name):
        return f"vms/{host.virsh('domuuid', name).strip()}"

    for name, sizes in (('web1', (256, 512, 256)), ('web2', (512,)), ('db1', (1024, 2048)), ('mail', (256, 256))):
        for mib in sizes:
            plug(daemon, vms[name], mib)
            if name == 'web1':  # the first stays with its kernel
                vms[name].wait_plugged(list(vms[name].memory_devices())[-1])
                vms[name].set_auto_online('online_movable')
    vms['web1'].set_deaf(True)
    for name, mib in (('web1', 1792), ('db1', 4096)):
        guaranteed = f'<memory_policy><guaranteed>{mib // 2 * MIB}</guaranteed></memory_policy>'
        assert client.put(resource(name), f'<vm><memory>{mib * MIB}</memory>{guaranteed}</vm>').status == 200
    browse(daemon, 'pictures')


def test_10000_vms(host, started, browse):
    vms = ''.join(
        f"<domain type='test'><name>vm{i:05}</name><uuid>{uuid.uuid5(uuid.NAMESPACE_OID, str(i))}</uuid>"
        f"<memory unit='MiB'>{1024 + i % 7 * 512}</memory><vcpu>2</vcpu>"
        "<os><type arch='x86_64'>hvm</type></os></domain>"
        for i in range(10000))
    path = host.folder / 'many.xml'
    path.write_text(f'<node>{vms}</node>')
    host.user.give(path)
    browse(started(connections=f'test://{path}'), 'many')
