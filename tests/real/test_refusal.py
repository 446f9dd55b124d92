# SPDX-License-Identifier: Apache-2.0
"""The shortest test of a guest that refuses. HACKING.md shows it as an example: copy it for your own."""

from look import plug, run, steps, values


def test_refused(host):
    vm = host.start_guest('vm', max_mib=2048)
    vm.set_auto_online('online_kernel')  # its kernel may use new memory for itself,
    alias, = plug(host, vm, 128)
    vm.pin_memory(32)  # and does
    before = values(host, 'vm')
    result = run(host, 'unplug', 'vm', alias, status=5)
    assert steps(result) == [('unplug', 128, 'refused')]
    assert values(host, 'vm') == before
