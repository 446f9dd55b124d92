# SPDX-License-Identifier: Apache-2.0
"""dimmer --debug: what it says on standard error while it works, and what it never says."""

import re

import pytest

from look import plug, run
from testbed.debug import in_order

LINE = re.compile(r'\d\d:\d\d:\d\d\.\d{3} (libvirt|host|event|change|agent): .')


def debug_lines(host, *args, **options):
    """The lines on standard error, each of which has its time and its topic."""
    done = host.dimmer(*args, **options)
    assert done.returncode == 0, done.stderr
    lines = done.stderr.splitlines()
    assert all(LINE.match(line) for line in lines), done.stderr
    return [line.split(' ', 1)[1] for line in lines]


def test_unplug(host):
    vm = host.start_guest('vm', max_mib=2048)
    alias, = plug(host, vm, 256, '--policy', 'whole')
    lines = debug_lines(host, 'unplug', '--debug', 'vm', alias)
    call = rf'^libvirt: virDomainDetachDeviceAlias\(vm, {alias}\) \d+\.\d ms: ok$'
    event = rf'^event: device-removed of vm: {alias}$'
    in_order(lines, '^change: vm: FIND$', '^change: vm: READ after .* in FIND', '^change: vm: ASK ', call)
    in_order(lines, '^change: vm: ASK ', event, '^change: vm: CLOSE after .* in WAIT, as an event answered$',
             '^change: vm: END after .* ms in ')


def test_failed_call(host):
    done = host.dimmer('--debug', 'show', 'none')
    assert re.search(r'virDomainLookupByName\(none\) \d+\.\d ms: failed, code 42 of domain 10: Domain not found',
                     done.stderr), done.stderr


def test_lines_of_an_agent(host):
    host.start_guest('vm', max_mib=2048, agent=True)
    lines = debug_lines(host, 'doctor', 'vm', env={'DIMMER_DEBUG': '1'})
    in_order(lines, r'^agent: to dimmer-guest: .*"do":"hello"', r'^agent: dimmer-guest says \{.*"ok":true')


@pytest.mark.parametrize('value', ['', '0'])
def test_silent(host, value):
    host.define('vm', os=False)
    assert host.dimmer('show', 'vm', env={'DIMMER_DEBUG': value}).stderr == ''
    run(host, 'show', '--debug', 'vm')  # the JSON on standard output is as ever


def test_no_secret(host):
    """Definitions are read with their passwords, and never shown."""
    vm = host.start_guest('vm', max_mib=2048, devices=
                          "<graphics type='vnc' port='-1' passwd='sesame'><listen type='none'/></graphics>")
    alias, = plug(host, vm, 256, '--policy', 'whole')
    done = host.dimmer('unplug', '--debug', 'vm', alias)
    assert 'virDomainDefineXML' in done.stderr
    assert 'sesame' not in done.stderr and '<domain' not in done.stderr
