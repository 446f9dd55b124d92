# SPDX-License-Identifier: Apache-2.0
"""[log] level=debug: each libvirt call, event, phase of a change and line of an agent; see tests/real/test_debug.py."""

import re

from rest import memory, path, plug, put
from testbed import inside
from testbed.daemon import ADMIN
from testbed.debug import in_order

LINE = re.compile(r'\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} debug   ((?:libvirt|host|event|change|agent): .*)')


def debug_lines(daemon):
    """What it has logged at that level, without time and level."""
    lines = [line for line in daemon.log if ' debug ' in line]
    assert all(LINE.fullmatch(line) for line in lines), daemon.text()
    return [LINE.fullmatch(line)[1] for line in lines]


def test_change(host, serve):
    """A PUT that frees a device's memory with dimmer-guest's help, from the connection on."""
    vm = host.start_guest('web1', memory_mib=256, max_mib=2048, agent=True)
    device, = plug(vm, 256)
    inside.wait_whole(vm, 256)
    daemon = serve(level='debug')
    client = daemon.client()
    assert memory(put(client, vm, 256)) == (256, 256)
    daemon.wait_log(' change: web1: END after ')
    lines = debug_lines(daemon)
    detach = rf'^libvirt: virDomainDetachDeviceAlias\(web1, ua-{device}\) \d+\.\d ms: ok$'
    asks, closes = '^change: web1: ASK after .* in FREE', '^change: web1: CLOSE after .* in WAIT'
    in_order(lines, r'^libvirt: virConnectOpenAuth\(.*\) \d+\.\d ms: ok$', '^change: web1: READ$',
             '^change: web1: planning set ', '^change: web1: FREE after ', '^agent: to dimmer-guest: .*"do":"offline"',
             r'^agent: dimmer-guest says .*"ok":true', asks, detach, closes)
    in_order(lines, asks, f'^event: device-removed of web1: ua-{device}$', closes)


def test_silent_at_info(host, guest, serve):
    """Without it none of that is logged, nor after a reload that takes it back."""
    daemon = serve(level='debug')
    client = daemon.client()
    assert debug_lines(daemon)
    daemon.config.write_text(daemon.config.read_text().replace('level=debug', 'level=info'))
    daemon.reload()
    daemon.wait_log('the configuration was reloaded')
    count = len(debug_lines(daemon))
    plug(guest, 256)
    client.wait(path(guest), lambda found: memory(found)[0] == 512)
    assert memory(put(client, guest, 256)) == (256, 256)
    assert len(debug_lines(daemon)) == count, debug_lines(daemon)[count:]


def test_no_secret(host, serve):
    """Neither passwords and tokens of clients nor those in definitions."""
    graphics = "<graphics type='vnc' port='-1' passwd='sesame'><listen type='none'/></graphics>"
    vm = host.start_guest('web1', memory_mib=256, max_mib=2048, devices=graphics)
    daemon = serve(level='debug')
    client = daemon.client()
    token = daemon.anonymous().token(*ADMIN)
    assert daemon.anonymous().bearer(token).get('vms').status == daemon.basic().get('vms').status == 200
    assert memory(put(client, vm, 384))[0] == 384
    assert 'virDomainDefineXML' in daemon.text()
    for secret in ('sesame', '<domain', token, ADMIN[1]):
        assert secret not in daemon.text()


def test_what_a_host_can_is_asked_for_each_machine(host, serve):
    for name, machine in (('one', 'q35'), ('two', 'pc'), ('three', 'q35')):
        host.define(name, machine=machine)
    daemon = serve(level='debug')
    daemon.client()
    found = [re.search(r'host: .*, x86_64 (\S+): virtio-mem .* \((.*)\)', line) for line in debug_lines(daemon)]
    told = sorted((line[1], line[2]) for line in found if line)
    assert [how for _, how in told] == ['asked', 'asked'] and told[0][0] != told[1][0], told
