# SPDX-License-Identifier: Apache-2.0
"""Guests on real huge pages of 2 MiB and 1 GiB. By hand, as root, as it takes memory out of the machine for a while:

    /usr/bin/python3 -m pytest tests/real/huge_pages.py

It is none of `make test`: containers may not set aside huge pages, and a machine that ran for long has none in a row.
"""

import json
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from look import fail, plug, run, steps, values
from testbed.daemon import Daemon, make_users

POOLS = Path('/sys/kernel/mm/hugepages')
SMALL, LARGE = 'hugepages-2048kB', 'hugepages-1048576kB'
BACKING = """<memoryBacking>
  <hugepages><page size='2048' unit='KiB'/></hugepages><source type='memfd'/>
</memoryBacking>"""


BY_NODE = """<memoryBacking>
  <hugepages><page size='1' unit='GiB' nodeset='0'/><page size='2' unit='MiB' nodeset='1'/></hugepages>
  <source type='memfd'/>
</memoryBacking>"""


@contextmanager
def more(pool, count):
    """So many pages more than there were."""
    file = POOLS / pool / 'nr_hugepages'
    before = int(file.read_text())
    file.write_text(str(before + count))
    try:
        assert int(file.read_text()) == before + count, f'the machine has no more {pool} in a row'
        yield
    finally:
        file.write_text(str(before))
        assert int(file.read_text()) == before


@pytest.fixture(scope='module')
def pages():
    """512 MiB."""
    with more(SMALL, 256):
        yield


@pytest.fixture
def pages_of_both_sizes():
    """1 GiB each."""
    with more(LARGE, 1), more(SMALL, 512):
        yield


def free(pool):
    return int((POOLS / pool / 'free_hugepages').read_text())


def free_mib():
    return free(SMALL) * 2


@pytest.fixture
def vm(pages, host):
    return host.start_guest('vm', memory_mib=256, max_mib=2048, agent=True, pci_ports=2, extra=BACKING)


def huge_pages(host):
    report = json.loads(host.dimmer('doctor', 'vm', '-o', 'json').stdout)
    found, = [finding for finding in report['findings'] if finding['check'] == 'huge-pages']
    return found['verdict'], found['evidence']


def test_plugged_and_unplugged(host, vm):
    assert huge_pages(host) == ('good', 'the memory is backed by huge pages of 2 MiB, which every DIMM is a multiple of')
    before = free_mib()
    plug(host, vm, 128)
    assert free_mib() == before - 128
    run(host, 'set', 'vm', '--memory', '256MiB')
    assert values(host, 'vm') == (256, 256, 256, 256)
    deadline = time.monotonic() + 30
    while free_mib() != before:  # QEMU lets go of them a moment after the device is gone
        assert time.monotonic() < deadline, free_mib()


def test_sizes_that_are_no_multiple(host, vm):
    plug(host, vm, 128)
    before = values(host, 'vm'), free_mib()
    words = fail(host, 'set', 'vm', '--memory', '301MiB', status=3, code='not-a-multiple')
    assert words == 'vm is backed by huge pages of 2 MiB and could not start with 301 MiB; ask for a multiple of 2 MiB'
    fail(host, 'plug', 'vm', '65MiB', status=3, code='not-a-multiple')
    assert (values(host, 'vm'), free_mib()) == before
    run(host, 'set', 'vm', '--memory', '302MiB', status=9)
    assert values(host, 'vm') == (384, 384, 302, 302)


def test_virtio_mem(host, vm):
    alias, = plug(host, vm, 64, '--kind', 'virtio-mem', '--max-size', '128MiB')
    vm.wait_size(alias, 64)
    run(host, 'set', 'vm', '--memory', '258MiB')
    assert values(host, 'vm') == (258, 258, 258, 258)


def test_the_host_has_no_more(host, vm):
    result = run(host, 'plug', 'vm', '512MiB', '--policy', 'whole', status=5)
    assert steps(result) == [('plug', 512, 'refused')]
    assert 'backed by huge pages of 2 MiB, of which its host may have too few free' in result['steps'][0]['reason']
    assert values(host, 'vm') == (256, 256, 256, 256)


def cells(vm):
    """Of the next run, in MiB."""
    return [int(cell.get('memory')) >> 10 for cell in vm.inactive_xml().iter('cell')]


def test_sizes_by_node(pages_of_both_sizes, host):
    """The node on pages of 1 GiB takes and gives those alone, whatever the other one does."""
    before = free_mib()
    vm = host.start_guest('vm', cells=[1024, 512], vcpus=2, max_mib=4096, agent=True, extra=BY_NODE)
    assert (free(LARGE), free_mib()) == (0, before - 512)
    fail(host, 'set', 'vm', '--memory', '2047MiB', status=3, code='not-a-multiple')
    result = run(host, 'plug', 'vm', '1GiB', '--node', '0', status=5)
    assert result['steps'][0]['refused_by'] == 'host'
    assert 'backed by huge pages of 1024 MiB, of which its host may have too few free' in result['steps'][0]['reason']
    assert (values(host, 'vm'), cells(vm)) == ((1536,) * 4, [1024, 512])

    message = fail(host, 'plug', 'vm', '256MiB', '--node', '0', status=3, code='not-a-multiple')
    assert 'in steps of 1024 MiB' in message
    for request in ('plug', 'vm', '256MiB'), ('set', 'vm', '--memory', '2GiB'):  # node 1 takes what node 0 cannot
        result = run(host, *request)
        assert any('node 1 of vm gets the added memory' in note for note in result['notes'])
    assert {device.findtext('target/node') for device in vm.live_xml().iter('memory')
            if device.get('model') == 'dimm'} == {'1'}
    assert (values(host, 'vm'), cells(vm), free_mib()) == ((2048,) * 4, [1024, 1024], before - 1024)

    vm.destroy()  # what was written starts, on the same pages
    vm.start().wait_ready()
    assert (values(host, 'vm'), free(LARGE), free_mib()) == ((2048,) * 4, 0, before - 1024)
    run(host, 'set', 'vm', '--memory', '1302MiB', '--next-run')
    assert cells(vm) == [1024, 278]


def test_by_the_daemon(host, vm):
    plug(host, vm, 128)
    uuid = host.virsh('domuuid', 'vm').strip()
    with Daemon(host, users=make_users(host, host.folder / 'users-huge')) as daemon:
        client = daemon.client()
        answer = client.put(f'vms/{uuid}', f'<vm><memory>{301 << 20}</memory></vm>')
        assert answer.status == 400 and 'ask for a multiple of 2 MiB' in answer.xml.findtext('detail'), answer
        answer = client.put(f'vms/{uuid}', f'<vm><memory>{256 << 20}</memory></vm>')
        assert answer.status == 200 and vm.memory_devices() == {}, answer
        report = client.get(f'vms/{uuid}/memorycheck').xml
        assert [row.findtext('verdict') for row in report.iter('finding')
                if row.findtext('check') == 'huge-pages'] == ['good']
        assert daemon.stop() == 0
