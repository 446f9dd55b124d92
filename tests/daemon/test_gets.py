# SPDX-License-Identifier: Apache-2.0
"""No GET makes a libvirt call that changes a VM. For dimmer see tests/real/test_reads.py."""

from rest import facts, fill, path, plug

SETS_PERIOD = 'virDomainSetMemoryStatsPeriod'
GET_ROUTES = sorted(route for method, route in facts.routes() if method == 'GET')


def period(vm):
    """That of the running VM's balloon statistics; None: it has none."""
    statistics = vm.live_xml().find('devices/memballoon/stats')
    return statistics is not None and statistics.get('period') or None


def test_no_get_changes_a_vm(guest, serve, interpose):
    """Not even memorycheck, for a guest of which only the balloon's statistics could tell."""
    device, = plug(guest, 128)
    daemon = serve(start=False, balloon_statistics=0)
    daemon.environment = interpose.watching()
    daemon.start()
    client = daemon.client()
    for route in GET_ROUTES:
        if route == 'live':
            with client.live():
                continue
        filled = route if route.startswith('/') else fill(client, route)
        if filled is None:
            continue
        answer = client.get(filled)
        assert answer.status == 200 or filled.startswith('/') or filled.endswith('memoryplan'), (route, answer)
    for query in ('memory=268435456', 'plug=134217728', f'device={device}'):
        assert client.get(path(guest, f'/memoryplan?{query}')).status == 200
    assert client.get(path(guest, '/memorycheck?memory=268435456')).status == 200
    assert daemon.stop() == 0
    assert interpose.changes() == [] and period(guest) is None


def test_the_daemon_turns_on_balloon_statistics_where_a_vm_has_none(host, serve, interpose):
    own, none = host.start_guest('own', os=False), host.start_guest('none', os=False)
    host.virsh('dommemstat', own.name, '--period', '3', '--live')
    daemon = serve(start=False, balloon_statistics='7s')
    daemon.environment = interpose.watching()
    daemon.start()
    while period(none) != '7':  # libvirt has no event for that
        pass
    assert daemon.stop() == 0
    assert period(own) == '3' and interpose.changes() == [SETS_PERIOD]
