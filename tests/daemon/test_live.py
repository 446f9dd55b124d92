# SPDX-License-Identifier: Apache-2.0
"""Live updates: server-sent events of what dimmerd does and of what others do."""

import pytest

from testbed.daemon import ADMIN, VIEWER, user_command

from rest import MIB, RUNS, event, memory, mib, path, plug, put, vm_id, wait_runs


@pytest.fixture
def live(client):
    with client.live() as live:
        yield live


def of(vm, **fields):
    """Whether an update is this VM's and has these values."""
    ident = vm_id(vm)
    return lambda data: data['id'] == ident and fields.items() <= data.items()


def test_the_stream(daemon, live):
    assert live.response.headers['Content-Type'].partition(';')[0] == 'text/event-stream'
    assert live.response.headers['Cache-Control'] in ('no-cache', 'no-store')
    assert daemon.client().get().status == 200


def test_the_short_form(client, host):
    with client.live('/api/live') as live:
        vm = host.define('web1', os=False)
        live.wait('vm', of(vm, status='down'))


def test_the_life_of_a_vm_behind_its_back(host, live):
    vm = host.define('web1', os=False)
    found = live.wait('vm', of(vm, status='down'))
    assert memory(found) == (1024, 1024) and found['name'] == 'web1'

    def runs(data):
        return of(vm)(data) and data['status'] in RUNS

    vm.start()
    assert 'host' in live.wait('vm', runs)
    vm.suspend()
    live.wait('vm', of(vm, status='paused'))
    vm.resume()
    live.wait('vm', runs)
    vm.destroy()
    assert 'host' not in live.wait('vm', of(vm, status='down'))
    ident = vm_id(vm)
    host.remove(vm)
    assert live.wait('vm_removed')['id'] == ident


def test_devices_behind_its_back(host, live):
    vm = host.start_guest('web1', memory_mib=256)
    device, = plug(vm, 128)
    assert memory(live.wait('vm', of(vm, memory=str(384 * MIB)))) == (384, 384)
    vm.detach(f'ua-{device}')
    live.wait('vm', of(vm, memory=str(256 * MIB)))


def test_a_changed_definition(mute, client):
    with client.live() as live:
        mute.host.virsh('setmem', 'web1', '512MiB', '--config')
        mute.host.virsh('desc', 'web1', '--live', '--config', 'front end')
        live.wait('vm', of(mute, description='front end'))


def test_an_update_is_what_get_says(mute, client):
    with client.live() as live:
        mute.suspend()
        seen = live.wait('vm', of(mute, status='paused'))
    got = client.get(path(mute), json=True).json
    assert {key: seen[key] for key in ('id', 'href', 'name', 'status', 'memory',
                                       'memory_policy')} == {
        key: got[key] for key in ('id', 'href', 'name', 'status', 'memory', 'memory_policy')}


def test_a_change_with_its_job_and_events(guest, client):
    device, = plug(guest, 128)
    with client.live() as live:
        put(client, guest, 256)
        started = live.wait('job')
        assert started['status'] == 'started'
        asked = live.wait('event', lambda data: data['code'] == '2046', past=True)
        assert device in asked['description'] and asked['vm']['id'] == vm_id(guest)
        live.wait('vm', of(guest, memory=str(256 * MIB)), past=True)
        ended = live.wait('job', lambda data: data['status'] == 'finished', past=True)
        assert ended['id'] == started['id']
    assert event(client, 2046).get('id') == asked['id']


def test_guaranteed_and_the_next_run(mute, client):
    with client.live() as live:
        put(client, mute, None, 700)
        found = live.wait('vm', lambda data: mib(data['memory_policy']['guaranteed']) == 700)
        assert memory(found) == (1024, 700)
        put(client, mute, 2048, query='?next_run=true')
        live.wait('vm', of(mute, next_run_configuration_exists='true'))


def test_several_listeners_and_one_that_goes(mute, client):
    with client.live() as first, client.live() as second:
        with client.live():
            pass
        mute.suspend()
        for live in (first, second):
            live.wait('vm', of(mute, status='paused'))
    mute.resume()
    wait_runs(client, mute)


def test_a_viewer_listens_too(mute, viewer):
    with viewer.live() as live:
        mute.suspend()
        live.wait('vm', of(mute, status='paused'))


def test_a_listener_that_does_not_read_harms_no_other(mute, client, daemon):
    with client.live('live'):
        for _ in range(20):
            mute.suspend()
            mute.resume()
    assert client.get().status == 200


def test_it_ends_with_the_daemon(daemon, client):
    with client.live() as live:
        assert daemon.stop() == 0
        live.ended()


def test_it_ends_when_its_token_expires(host, serve):
    """With nothing sent on it, and listening alone keeps no token."""
    with serve(token_idle=1).client().live() as live:
        live.ended()


def test_it_ends_with_a_logout_and_others_go_on(mute, daemon):
    other = daemon.anonymous()
    token = other.token(*ADMIN)
    with daemon.client().live() as stays, other.bearer(token).live() as ends:
        other.logout(token)
        ends.ended()
        mute.suspend()
        stays.wait('vm', of(mute, status='paused'))


def test_it_ends_with_the_user(host, daemon):
    """By token or by password."""
    with daemon.client(VIEWER).live() as token, daemon.basic(VIEWER).live() as password:
        with daemon.client().live() as stays:
            host.run(user_command(host, 'del', VIEWER[0], '--users', daemon.folder / 'users'), check=0)
            daemon.reload()
            token.ended()
            password.ended()
            host.define('web1', os=False)
            stays.wait('vm')
