# SPDX-License-Identifier: Apache-2.0
"""Hot plug: policies, and the rules that are checked before anything is touched."""

import pytest

from look import fail, mib, plug, run, show, steps, values


@pytest.fixture
def vm(host):
    return host.start_guest('vm', os=False, max_mib=4096, slots=6)


@pytest.mark.parametrize('policy, first, second', [
    ('ovirt', [128, 384], [512]),
    ('whole', [512], [512]),
    ('fine', [128, 256, 128], [512]),
])
def test_policies(host, vm, policy, first, second):
    for expected in (first, second):
        result = run(host, 'plug', 'vm', '512MiB', '--policy', policy)
        assert steps(result) == [('plug', size, 'added') for size in expected]
    assert values(host, 'vm') == (2048, 2048, 2048, 2048)


def test_fine_gives_any_multiple_back(host):
    vm = host.start_guest('vm', memory_mib=256)
    plug(host, vm, 640, '--policy', 'fine')
    for memory in range(256, 896, 128):
        result = run(host, 'set', 'vm', '--memory', f'{memory}MiB', '--dry-run')
        assert mib(result['planned']['memory']) == memory
    run(host, 'set', 'vm', '--memory', '512MiB')
    assert values(host, 'vm') == (512, 512, 512, 512)


def test_raising_by_set_plugs_as_ovirt_does(host, vm):
    result = run(host, 'set', 'vm', '--memory', '1536MiB', '--guaranteed', '1500MiB')
    assert steps(result) == [('plug', 128, 'added'), ('plug', 384, 'added')]
    assert values(host, 'vm') == (1536, 1500, 1536, 1500)


def test_with_one_slot_left_it_is_one_device(host):
    host.start_guest('vm', os=False, slots=1)
    assert steps(run(host, 'plug', 'vm', '512MiB')) == [('plug', 512, 'added')]
    message = fail(host, 'plug', 'vm', '128MiB', status=3, code='no-free-slot')
    assert 'all 1 memory slots of vm are taken' in message


@pytest.mark.parametrize('args, code, words', [
    (('plug', 'vm', '100MiB'), 'not-a-multiple', 'steps of 128 MiB'),
    (('plug', 'vm', '4GiB'), 'memory-above-maximum', 'room for 3072 MiB more'),
    (('plug', 'vm', '128MiB', '--node', '3'), 'no-such-node', 'only node 0'),
    (('set', 'vm', '--memory', '1100MiB'), 'not-a-multiple', '76 MiB is not a multiple of that; add 128 MiB'),
    (('set', 'vm', '--memory', '5GiB'), 'memory-above-maximum', 'above its maximum of 4096 MiB'),
    (('set', 'vm', '--guaranteed', '2GiB'), 'guaranteed-above-memory', 'above its memory of 1024 MiB'),
    (('set', 'vm', '--max', '512MiB'), 'memory-above-maximum', 'above its maximum of 512 MiB'),
    (('plug', 'vm', '2GiB', '--kind', 'virtio-mem', '--max-size', '1GiB'), 'memory-above-maximum',
     'let it hold more'),
    (('plug', 'vm', '64MiB', '--kind', 'virtio-mem'), 'not-a-multiple', 'let it hold up to 128 MiB'),
    (('plug', 'vm', '3MiB', '--kind', 'virtio-mem', '--max-size', '1GiB'), 'not-a-multiple',
     'steps of 2 MiB'),
])
def test_a_broken_rule_touches_nothing(host, vm, args, code, words):
    before = host.virsh('dumpxml', 'vm'), host.virsh('dumpxml', '--inactive', 'vm')
    assert words in fail(host, *args, status=3, code=code)
    assert before == (host.virsh('dumpxml', 'vm'), host.virsh('dumpxml', '--inactive', 'vm'))


@pytest.mark.parametrize('args, status, code, words', [
    (('set', 'vm', '--memory', 'lots'), 2, 'bad-size', "'lots' is not a size"),
    (('set', 'vm', '--memory', '-1GiB'), 2, 'size-negative', 'is negative'),
    (('set', 'vm', '--memory', '0'), 2, 'size-zero', 'is zero'),
    (('set', 'vm', '--memory', '1400'), 2, 'size-zero', 'without a unit'),
    (('set', 'vm', '--memory', '99999999T'), 2, 'size-overflow', '64 bits'),
    (('set', 'vm', '--memory', '1GB'), 2, 'bad-size', 'write MiB'),
    (('set', 'vm'), 2, 'usage', 'nothing to set'),
    (('set', 'vm', '--memory', '1G', '--timeout', 'soon'), 2, 'usage', 'not a time'),
    (('set', 'nobody', '--memory', '1G'), 8, 'no-such-vm', ": 'dimmer list'"),
    (('unplug', 'vm', 'dimm7'), 8, 'no-such-device', "'dimmer show vm'"),
    (('unplug', 'vm'), 2, 'usage', 'usage: dimmer unplug'),
    (('plug', 'vm', '128M', '--policy', 'odd'), 2, 'usage', "not 'odd'"),
    (('plug', 'vm', '128M', '--max-size', '1G'), 2, 'usage', 'virtio-mem'),
    (('enable', 'vm'), 2, 'usage', '--max is missing'),
])
def test_each_mistake_has_its_error(host, vm, args, status, code, words):
    assert words in fail(host, *args, status=status, code=code)


def test_a_shortened_id_of_two_devices_is_ambiguous(host, vm):
    for alias in ('ua-aaaaaaaa-0000-4000-8000-000000000001', 'ua-aaaaaaaa-0000-4000-8000-000000000002'):
        vm.attach(f"<memory model='dimm'><target><size unit='MiB'>128</size><node>0</node></target>"
                  f"<alias name='{alias}'/></memory>")
    assert 'more than one' in fail(host, 'unplug', 'vm', 'aaaaaaaa', status=8, code='ambiguous')
    text = host.dimmer('show', 'vm', check=0).stdout
    assert 'aaaaaaaa-0000-4000-8000-000000000001 ' in text


def test_an_nvdimm_is_shown_and_left_alone(host):
    from testbed import nvdimm_xml
    path = host.folder / 'vm' / 'pmem'
    with open(path, 'wb') as file:
        file.truncate(256 << 20)
    host.user.give(path)
    vm = host.start_guest('vm', os=False, devices=nvdimm_xml(path, 256))
    device, = show(host, 'vm')['live']['devices']
    assert device['kind'] == 'nvdimm' and mib(device['memory']) == 0
    assert values(host, 'vm')[0] == 1024
    fail(host, 'unplug', 'vm', device['id'], status=3, code='not-removable')
    run(host, 'set', 'vm', '--memory', '900MiB')
    assert len(vm.memory_devices()) == 1
