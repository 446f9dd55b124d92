# SPDX-License-Identifier: Apache-2.0
"""Hot plug: policies, and the rules that are checked before anything is touched."""

import json

import pytest

from look import fail, mib, plug, run, show, steps, values
from testbed import inside, vhost


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
    assert 'all 1 memory slots of vm are taken; unplug' in message


def test_what_can_grow_is_named_where_nothing_can_be_plugged(host):
    """No slot is free, then there is no room below the maximum, and a virtio-mem device can still take more."""
    host.start_guest('vm', slots=1, max_mib=2048)
    run(host, 'plug', 'vm', '128MiB', '--kind', 'virtio-mem', '--max-size', '512MiB')
    most = 1536
    if show(host, 'vm')['live']['free_slots']:  # libvirt 11.3 counts no virtio-mem device among them
        run(host, 'plug', 'vm', '128MiB')
        most += 128
    grown = f'set its memory to {most} MiB at most, which its virtio-mem devices take'
    assert grown in fail(host, 'plug', 'vm', '128MiB', status=3, code='no-free-slot')
    assert grown in fail(host, 'set', 'vm', '--memory', f'{most + 128}MiB', status=3, code='no-free-slot')
    assert grown in fail(host, 'plug', 'vm', '2GiB', status=3, code='memory-above-maximum')
    run(host, 'set', 'vm', '--memory', f'{most}MiB')
    assert 'virtio-mem' not in fail(host, 'plug', 'vm', '128MiB', status=3, code='no-free-slot')


@pytest.mark.parametrize('args, code, words', [
    (('plug', 'vm', '100MiB'), 'not-a-multiple', 'steps of 128 MiB'),
    (('plug', 'vm', '4GiB'), 'memory-above-maximum', 'room for 3072 MiB more'),
    (('plug', 'vm', '128MiB', '--node', '3'), 'no-such-node', 'only node 0'),
    (('set', 'vm', '--memory', '1100MiB'), 'not-a-multiple', '76 MiB is not a multiple of that; add 128 MiB'),
    (('set', 'vm', '--memory', '5GiB'), 'memory-above-maximum', 'above its maximum of 4096 MiB'),
    (('set', 'vm', '--guaranteed', '2GiB'), 'guaranteed-above-memory', 'above its memory of 1024 MiB'),
    (('set', 'vm', '--maximum', '512MiB'), 'memory-above-maximum', 'above its maximum of 512 MiB'),
    (('plug', 'vm', '2GiB', '--kind', 'virtio-mem', '--max-size', '1GiB'), 'memory-above-maximum',
     'raise its maximum size'),
    (('plug', 'vm', '64MiB', '--kind', 'virtio-mem'), 'not-a-multiple', 'make it 128 MiB'),
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
    (('set', 'nobody', '--memory', '1G'), 8, 'no-such-vm', "dimmer list"),
    (('unplug', 'vm', 'dimm7'), 8, 'no-such-device', "dimmer show vm"),
    (('unplug', 'vm'), 2, 'usage', 'usage: dimmer unplug'),
    (('plug', 'vm', '128M', '--policy', 'odd'), 2, 'usage', "not 'odd'"),
    (('plug', 'vm', '128M', '--max-size', '1G'), 2, 'usage', 'virtio-mem'),
    (('enable', 'vm'), 2, 'usage', '--maximum is missing'),
])
def test_each_mistake_has_its_error(host, vm, args, status, code, words):
    if words.startswith('dimmer '):
        words = f": {host.printed(words)}"
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
    run(host, 'set', 'vm', '--memory', '900MiB', status=9)
    assert len(vm.memory_devices()) == 1


def test_what_the_host_cannot_do_is_no_refusal_of_the_guest(host):
    """More than any machine that tests run on has: QEMU cannot have it."""
    host.start_guest('vm', os=False, memory_mib=256, max_mib=900 << 10)
    result = run(host, 'plug', 'vm', '800GiB', '--policy', 'whole', '--force', status=5)
    assert result['steps'][0]['refused_by'] == 'host'
    assert result['steps'][0]['reason'].startswith('the host is out of memory; free some there, or plug less: ')
    assert values(host, 'vm') == (256, 256, 256, 256)
    done = host.dimmer('plug', 'vm', '800GiB', '--policy', 'whole', '--force', check=5)
    assert 'failed after' in done.stdout and 'vm: failed, as the host' in done.stdout and 'refused' not in done.stdout


@pytest.mark.parametrize('kind', ['dimm', 'virtio-mem'])
def test_a_host_that_is_out_of_memory_is_no_refusal_of_the_guest(host, kind):
    """Its QEMU may have no more address space: what an allocation fails for is the same to it. Then there is some again."""
    vm = host.start_guest('vm', memory_mib=512, agent=True, pci_ports=2)
    vm.leave_room(100)
    before = values(host, 'vm')[:2], vm.guest_memory_mib()
    for args in (['plug', 'vm', '512MiB', '--policy', 'whole'], ['set', 'vm', '--memory', '1GiB', '--policy', 'whole']):
        if kind == 'virtio-mem':
            args[-2:] = ['--kind', kind]
        result = run(host, *args, status=5)
        step, = result['steps']
        assert (step['refused_by'], step['reason_code'], step['kind']) == ('host', 'host-refused', kind)
        assert step['reason'].startswith('the host is out of memory; free some there, or plug less: ')
        text = host.dimmer(*args, check=5).stdout
        assert 'failed after' in text and 'vm: failed, as the host' in text and 'refused' not in text
    assert (values(host, 'vm')[:2], vm.guest_memory_mib()) == before and vm.memory_devices() == {}
    vm.leave_room(None)
    run(host, *args)
    inside.wait_whole(vm, 512)


def test_a_vhost_back_end_that_is_full_is_no_refusal_of_the_guest(host):
    """It maps 8 pieces of memory: boot memory and 7 devices."""
    with vhost.disk(host, 'vm') as disk:
        host.start_guest('vm', os=False, memory_mib=256, devices=disk,
                         extra="<memoryBacking><source type='memfd'/><access mode='shared'/></memoryBacking>")
        for _ in range(7):
            run(host, 'plug', 'vm', '128MiB')
        result = run(host, 'plug', 'vm', '128MiB', status=5)
        assert result['steps'][0]['refused_by'] == 'host'
        assert 'a vhost-user back end) can map no more memory regions; unplug a memory device' in \
            result['steps'][0]['reason']
        assert values(host, 'vm') == 4 * (256 + 7 * 128,)
        finding, = (found for found in run(host, 'doctor', 'vm', status=0)['findings'] if found['check'] == 'vhost')
        assert finding['verdict'] == 'unknown' and 'older ones map 8 memory regions' in finding['evidence']


def chosen(host, vm, *args, **options):
    """(kind of the new devices, why) of a plug that leaves the kind open."""
    result = run(host, 'plug', vm.name, '128MiB', *args, **options)
    why, = [note for note, code in zip(result['notes'], result['note_codes']) if code == 'kind-chosen']
    kind, = {step['kind'] for step in result['steps']}
    return kind, why


def test_the_kind_is_chosen_by_what_the_guest_drives(host):
    vm = host.start_guest('vm', memory_mib=512, agent=True, pci_ports=2, files=inside.without_module('virtio_mem'))
    kind, why = chosen(host, vm, '--kind', 'auto', '--dry-run')
    assert kind == 'dimm' and 'its driver virtio_mem is not loaded' in why
    inside.load_module(vm, 'virtio_mem')
    kind, why = chosen(host, vm, '--kind', 'auto')
    assert kind == 'virtio-mem' and 'its guest has the driver' in why
    assert values(host, 'vm') == (640, 640, 640, 640)
    kind, why = chosen(host, vm, '--kind', 'auto')  # libvirt 9.0, which keeps no address of it beside others
    assert (kind, 'does not keep the address' in why) in [('dimm', True), ('virtio-mem', False)]


def test_no_virtio_mem_is_chosen_without_a_pci_port(host):
    host.start_guest('vm', memory_mib=512, agent=True, pci_ports=1)
    assert chosen(host, host.vms[0], '--kind', 'auto')[0] == 'virtio-mem'
    kind, why = chosen(host, host.vms[0], '--kind', 'auto')
    assert kind == 'dimm' and 'none of its PCI ports is free' in why
    result = run(host, 'plug', 'vm', '128MiB', '--kind', 'virtio-mem', status=5)
    assert result['steps'][0]['refused_by'] == 'host'
    assert 'give it more pcie-root-port controllers' in result['steps'][0]['reason']


def test_udev_is_taken_at_its_word_to_load_the_driver(host):
    vm = host.start_guest('vm', memory_mib=512, agent=True, files=inside.without_module('virtio_mem'))
    folder = '/lib/modules/$(uname -r)/kernel/drivers/virtio'
    vm.guest(f'mkdir -p {folder} /run/udev && touch {folder}/virtio_mem.ko.xz')
    assert chosen(host, vm, '--kind', 'auto', '--dry-run')[0] == 'dimm'
    vm.guest('touch /run/udev/control')
    assert chosen(host, vm, '--kind', 'auto', '--dry-run')[0] == 'virtio-mem'


def test_the_environment_has_kind_and_policy_of_a_connection(host, vm):
    def plugged(**env):
        env = {f'DIMMER_PLUG_{name.upper()}': value for name, value in env.items()}
        return steps(run(host, 'plug', 'vm', '512MiB', '--dry-run', env=env)), env
    assert plugged(policy='fine')[0] == [('plug', size, 'planned') for size in (128, 256, 128)]
    assert plugged(policy=f'fine {host.uri}=whole')[0] == [('plug', 512, 'planned')]
    assert plugged(policy='whole other:///=fine')[0] == [('plug', 512, 'planned')]
    result = run(host, 'set', 'vm', '--memory', '1300MiB', '--dry-run', env={'DIMMER_PLUG_KIND': 'virtio-mem'})
    assert [step['kind'] for step in result['steps']] == ['virtio-mem']
    result = run(host, 'plug', 'vm', '128MiB', '--policy', 'fine', '--dry-run', env={'DIMMER_PLUG_KIND': 'virtio-mem'})
    assert [step['kind'] for step in result['steps']] == ['dimm']
    message = fail(host, 'plug', 'vm', '128MiB', status=2, code='usage', env={'DIMMER_PLUG_KIND': 'auto dim'})
    variable = 'the environment variable DIMMER_PLUG_'
    assert message.startswith(f"{variable}KIND: 'dim' is not valid; write dimm, virtio-mem or auto")
    both = {'DIMMER_PLUG_KIND': 'auto', 'DIMMER_PLUG_POLICY': 'auto'}
    assert fail(host, 'plug', 'vm', '128MiB', status=2, code='usage', env=both).startswith(f'{variable}POLICY: ')
    assert plugged(policy='fine', kind='auto')[0]
    run(host, 'plug', 'vm', '128MiB', '--policy', 'fine', '--dry-run', env=both)  # which needs the other one alone
    run(host, 'set', 'vm', '--guaranteed', '256MiB', '--dry-run', env=both)
    message = fail(host, 'set', 'vm', '--memory', '1300MiB', '--kind', 'virtio-mem', '--policy', 'fine', status=2, code='usage')
    assert message.startswith('--policy goes with --kind dimm')


@pytest.mark.parametrize('online, use, words', [
    ('online_movable', 'online-movable', 'online as movable'),
    ('online_kernel', 'online-kernel', 'online, in a zone of the kernel'),
    ('offline', 'offline', 'offline'),
])
def test_how_the_guest_uses_a_dimm(host, online, use, words):
    vm = host.start_guest('vm', memory_mib=512, qga=True, auto_online=online)
    text = host.dimmer('plug', 'vm', '256MiB', '--policy', 'whole', check=0).stdout
    assert f'  in use       256 MiB {words}\n' in text
    alias, = vm.memory_devices()
    vm.wait_plugged(alias)
    device, = run(host, 'show', 'vm', '--guest')['live']['devices']
    assert device['use'] == use
    assert show(host, 'vm')['live']['devices'][0]['use'] == 'unknown'
    assert words in host.dimmer('show', 'vm', '--guest', check=0).stdout
    result = run(host, 'plug', 'vm', '128MiB')
    assert [step['use'] for step in result['steps']] == [use]
    vm.wait_plugged(result['steps'][0]['alias'])
    assert values(host, 'vm')[0] == 896  # whatever the guest makes of it


def test_how_the_guest_uses_virtio_mem(host):
    vm = host.start_guest('vm', memory_mib=512, agent=True, files=inside.without_module('virtio_mem'))
    result = run(host, 'plug', 'vm', '256MiB', '--kind', 'virtio-mem', '--timeout', '1s', status=6)
    assert [step['use'] for step in result['steps']] == ['not-taken']
    assert [device['use'] for device in run(host, 'show', 'vm', '--guest')['live']['devices']] == ['not-taken']
    assert values(host, 'vm')[0] == 512
    inside.load_module(vm, 'virtio_mem')
    inside.wait_whole(vm, 256)
    assert [device['use'] for device in run(host, 'show', 'vm', '--guest')['live']['devices']] == ['online-movable']


def test_how_it_is_used_is_unknown_without_agent(host, vm):
    result = run(host, 'plug', 'vm', '128MiB')
    assert [step['use'] for step in result['steps']] == ['unknown']
    assert 'in use       128 MiB unknown: no agent reported it' in host.dimmer('plug', 'vm', '128MiB', check=0).stdout


def test_the_connection_may_be_one_that_libvirt_finds(host, vm, request):
    """Neither named nor in the environment: libvirt's own configuration has it."""
    folder = host.folder / 'config' / 'libvirt'
    folder.mkdir(parents=True, exist_ok=True)
    configuration = folder / 'libvirt.conf'
    configuration.write_text(f'uri_default = "{host.uri}"\nuri_aliases = ["here={host.uri}"]\n')
    request.addfinalizer(configuration.unlink)
    binary = host.dimmer_argv()[0]
    for env, options in (({'LIBVIRT_DEFAULT_URI': ''}, []), ({}, ['-c', 'here'])):
        done = host.run([binary, *options, 'plug', 'vm', '512MiB', '--dry-run', '-o', 'json'], check=0,
                        env=env | {'DIMMER_PLUG_POLICY': f'fine {host.uri}=whole'})
        assert [step['size'] >> 20 for step in json.loads(done.stdout)['steps']] == [512]
