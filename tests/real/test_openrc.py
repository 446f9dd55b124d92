# SPDX-License-Identifier: Apache-2.0
"""dimmer-guest installed by itself into a Debian whose services OpenRC manages."""

import pytest

from testbed import inside, setup

PORT = 'org.example.memory.0'  # its own, as the service has to name it
BOOT = 'cat /proc/sys/kernel/random/boot_id'


@pytest.fixture
def vm(host, require):
    """The program is on its second disk."""
    program = setup.dimmer_guest()
    static = program.exists() and b'/ld-linux' not in program.read_bytes()
    require([] if static else [f'{program}, static (build/dev, or set DIMMER_GUEST)'])
    disk = host.folder / 'dimmer-guest.img'
    disk.write_bytes(program.read_bytes() + bytes(-program.stat().st_size % 512))
    host.user.give(disk)
    return host.start_debian('vm', ('openrc',), memory_mib=512, devices=f"""
        <disk type='file'><source file='{disk}'/><target dev='vdb' bus='virtio'/><readonly/></disk>
        <channel type='unix'><source mode='bind' path='{host.folder}/vm/vm/agent.sock'/>
        <target type='virtio' name='{PORT}'/></channel>""")


def test_it_runs_from_now_on_and_after_a_restart(vm):
    vm.set_auto_online('offline')
    vm.plug('ua-a')
    vm.guest(f"""set -e
        cat /dev/vdb >/root/dimmer-guest
        chmod +x /root/dimmer-guest
        /root/dimmer-guest --install --port={PORT}
        sync""")
    inside.wait_whole(vm, 128)
    with vm.dimmer_guest() as agent:
        assert agent.hello()['ok']
    boot = vm.guest(BOOT)
    vm.reset()
    assert vm.guest(BOOT) != boot
    vm.guest('rc-service dimmer-guest status')
    vm.plug('ua-b')
    with vm.dimmer_guest() as agent:
        assert agent.hello()['ok']
        assert agent.ask('blocks', **{'from': inside.PLUGGED})['runs'] == [
            {'start': inside.PLUGGED, 'size': 256 << 20, 'state': 'online', 'zone': 'movable', 'node': 0}]
