# SPDX-License-Identifier: Apache-2.0
"""What a killed dimmer left of a balloon, with dimmerd beside it."""

import re
import signal

from rest import path

MORE_THAN_ANY_REQUEST_MAKES = 12
SET = 'virDomainSetMemoryFlags'
NAMESPACE = '{urn:dimmer:memory:1}'


def carried(vm):
    """The state of the balloon's step that the VM carries, and the process that drives it."""
    request = vm.live_xml().find(f'metadata//{NAMESPACE}request')
    step = None if request is None else request.find(f"{NAMESPACE}step[@op='balloon']")
    return (None, None) if step is None else (step.get('state'), request.get('pid'))


def actual_mib(host):
    return int(re.search(r'^actual (\d+)$', host.virsh('dommemstat', 'web1'), re.MULTILINE)[1]) >> 10


def test_its_target_is_taken_back_and_can_be_asked_for_again(host, serve, interpose):
    vm = host.start_guest('web1', memory_mib=1024, max_mib=None)
    wish = ('set', 'web1', '--memory', '512MiB', '--balloon', '--live')
    for at in range(1, MORE_THAN_ANY_REQUEST_MAKES):
        assert interpose.run(at, 'kill', *wish).returncode == -signal.SIGKILL
        if interpose.calls()[-1] == SET:
            break
    assert carried(vm)[0] == 'asked'
    daemon = serve(start=False)
    daemon.environment = interpose.watching()
    client = daemon.start().client()
    client.wait(path(vm), lambda _: carried(vm) == ('overdue', None))
    assert SET in interpose.changes()
    left = actual_mib(host)
    assert left > 512
    assert host.dimmer('settle', 'web1').returncode == 0
    assert actual_mib(host) == 512 and carried(vm) == (None, None)
