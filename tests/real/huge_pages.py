# SPDX-License-Identifier: Apache-2.0
"""A guest on real huge pages of 2 MiB. By hand, as root, as it takes memory out of the machine for a while:

    /usr/bin/python3 -m pytest tests/real/huge_pages.py

It is none of `make test`: containers may not set aside huge pages, and a machine that ran for long has none in a row.
"""

import json
import time
from pathlib import Path

import pytest

from look import fail, plug, run, steps, values
from testbed.daemon import Daemon, make_users

PAGES = Path('/proc/sys/vm/nr_hugepages')
BACKING = """<memoryBacking>
  <hugepages><page size='2048' unit='KiB'/></hugepages><source type='memfd'/>
</memoryBacking>"""


@pytest.fixture(scope='module')
def pages():
    """256 pages more than there were: 512 MiB."""
    before = int(PAGES.read_text())
    PAGES.write_text(str(before + 256))
    try:
        assert int(PAGES.read_text()) == before + 256, 'the machine has no such pages left'
        yield
    finally:
        PAGES.write_text(str(before))
        assert int(PAGES.read_text()) == before


def free_mib():
    row, = [row for row in Path('/proc/meminfo').read_text().splitlines() if row.startswith('HugePages_Free')]
    return int(row.split()[1]) * 2


@pytest.fixture
def vm(pages, host):
    return host.start_guest('vm', memory_mib=256, max_mib=2048, agent=True, pci_ports=2, extra=BACKING)


def huge_pages(host):
    report = json.loads(host.dimmer('doctor', 'vm', '-o', 'json').stdout)
    found, = [finding for finding in report['findings'] if finding['check'] == 'huge-pages']
    return found['verdict'], found['evidence']


def test_plugged_and_unplugged(host, vm):
    assert huge_pages(host) == ('good', 'the memory is backed by huge pages of 2 MiB, which any DIMM is a multiple of')
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
    run(host, 'set', 'vm', '--memory', '302MiB')
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
