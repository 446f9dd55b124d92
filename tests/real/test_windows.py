# SPDX-License-Identifier: Apache-2.0
"""A guest that says it is Windows, or whose definition says so: it takes memory devices, and cannot release them.

What runs in it is Linux with a program that speaks as qemu-guest-agent on Windows: so what is asked for in spite of
that goes, which shows that it was asked.
"""

import json
import re

import pytest

from look import fail, plug, run, show, steps, validate, values
from testbed import inside

NAME = 'Windows Server 2022 Standard'
DEFINITION = """<libosinfo:libosinfo xmlns:libosinfo='http://libosinfo.org/xmlns/libvirt/domain/1.0'>
  <libosinfo:os id='http://microsoft.com/win/2k22'/>
</libosinfo:libosinfo>"""
CANNOT = 'cannot release memory devices while it runs'


@pytest.fixture
def vm(host):
    vm = host.start_guest('vm', memory_mib=256, max_mib=2048, qga=True, pci_ports=2, files=inside.windows())
    inside.start_windows(vm)
    return vm


@pytest.fixture
def defined(host):
    """One of which the definition alone says it: no agent answers in it."""
    return host.start_guest('vm', memory_mib=256, max_mib=2048, metadata=DEFINITION)


def doctor(host):
    """{(check, device): finding}"""
    report = validate('checkup', host.dimmer('doctor', 'vm', '-o', 'json', check=3).stdout)
    return {(finding['check'], finding['device']): finding for finding in report['findings']}


def test_it_tells(host, vm):
    findings = doctor(host)
    system = findings['guest-os', None]
    assert (system['verdict'], system['source']) == ('bad', 'qemu-guest-agent')
    assert system['evidence'] == f'the guest is {NAME}, which {CANNOT}'
    assert system['remedy'] == 'change its memory for the next start'
    assert system['command'] == host.printed('dimmer set vm --next-run --memory SIZE')
    plugged = findings['hot-plugged', None]
    assert (plugged['remedy'], plugged['command']) == (None, None)  # none that could go again
    assert not {('ports', None), ('onlining', None)} & set(findings)  # nothing to be mended
    assert host.dimmer('doctor', 'vm').stdout.startswith(f'vm  running  {NAME}  kernel 20348\n')
    asked = vm.guest('sort -u /run/windows.log').split()
    assert asked == ['guest-get-osinfo', 'guest-info', 'guest-sync']  # no script, no files


def test_what_is_plugged_stays(host, vm):
    result = run(host, 'plug', 'vm', '128MiB')
    assert result['notes'] == [f'the guest of vm is Windows, which {CANNOT}: they stay until its next start']
    alias, = vm.memory_devices()
    finding = doctor(host)['movable', alias]
    assert (finding['verdict'], finding['evidence']) == ('bad', f'Windows {CANNOT}')
    asked = inside.times_asked(vm)

    message = fail(host, 'unplug', 'vm', alias, status=3, code='not-movable')
    assert f'would stay: its guest is Windows, which {CANNOT}; change the memory it starts with' in message
    assert '--next-run' in host.dimmer('unplug', 'vm', alias).stderr
    result = run(host, 'set', 'vm', '--memory', '256MiB', status=9)
    assert result['steps'] == [] and inside.times_asked(vm) == asked
    assert any(f'left out, as Windows {CANNOT}' in note for note in result['notes']), result
    assert values(host, 'vm') == (384, 384, 256, 256)
    assert result['next_run']['memory'] == 256 << 20  # what it can do: the remedy

    result = run(host, 'unplug', 'vm', alias, '--try-unmovable')
    assert any('will probably stay: the guest is Windows, which' in note for note in result['notes'])
    assert inside.times_asked(vm) == asked + 1


def test_virtio_mem_may_go(host, vm):
    alias, = plug(host, vm, 128, '--kind', 'virtio-mem')
    vm.wait_size(alias, 128)
    finding = doctor(host)['movable', alias]
    assert finding['verdict'] == 'warning' and 'viomem' in finding['evidence']
    assert steps(run(host, 'unplug', 'vm', alias)) == [('resize', 128, 'resized')]


def ports(vm):
    return [target.get('name') for target in vm.live_xml().findall('.//channel/target')]


def fail_guest(host, *args):
    done = host.dimmer('guest', 'prepare', 'vm', '-o', 'json', *args, check=3)
    return json.loads(done.stdout)['error']['message']


def test_there_is_nothing_to_prepare(host, vm):
    before = ports(vm)
    for more in ([], ['--print']):
        message = fail_guest(host, *more)
        assert message == 'vm runs Windows, which cannot release memory while it runs: there is nothing to prepare'
    assert ports(vm) == before


def test_its_definition_tells(host, defined):
    findings = doctor(host)
    system = findings['guest-os', None]
    assert (system['verdict'], system['source']) == ('bad', 'libvirt')
    assert system['evidence'] == f'the guest is Windows by its definition, which {CANNOT}'
    before = ports(defined)
    assert 'runs Windows by its definition' in fail_guest(host)
    assert ports(defined) == before


def test_a_definition_can_be_wrong(host, defined):
    """So it refuses nothing, and is said."""
    alias, = plug(host, defined, 128)
    assert doctor(host)['movable', alias]['verdict'] == 'bad'
    result = run(host, 'unplug', 'vm', alias)
    assert steps(result) == [('unplug', 128, 'removed')]
    assert any(re.search(f'will probably stay: the guest is Windows by its definition, which {CANNOT}', note)
               for note in result['notes']), result
    assert show(host, 'vm')['request'] is None
