# SPDX-License-Identifier: Apache-2.0
"""Stop, start, raise, lower, again and again: what is above the floor goes every time, and every account agrees.

DIMMER_CYCLES is how often, for each kernel and kind ('make cycles').
"""

import os

import pytest

from accounts import Guest, agreed
from look import run

CYCLES = int(os.environ.get('DIMMER_CYCLES', '0'))
FLOOR, MEMORY, MORE = 512, 1152, 1408  # MiB
SAMPLE = {'6.1': 2}


def has(vm, guest, memory):
    """Running and at its next start, by all accounts."""
    now = agreed(vm, guest)
    assert (now.memory, now.usable, now.next_run) == (memory,) * 3, now


@pytest.mark.parametrize('kind', ['virtio-mem', 'dimm'])
@pytest.mark.parametrize('kernel', ['5.10', '6.1', '6.12'])
def test_what_is_above_the_floor_goes_every_time(host, kernel, kind):
    vm = host.define('vm', memory_mib=MEMORY, max_mib=4096, kernel=kernel)
    run(host, 'enable', 'vm', '--maximum', '4GiB', '--floor', f'{FLOOR}MiB', '--kind', kind)
    for cycle in range(CYCLES or SAMPLE.get(kernel, 1)):
        vm.start().wait_ready()
        guest = Guest(vm)
        has(vm, guest, MEMORY)
        for memory in (MORE, FLOOR, MEMORY):
            result = run(host, 'set', 'vm', '--memory', f'{memory}MiB')
            assert result['outcome'] == 'done', result
            has(vm, guest, memory)
        boot, = {int(cell.get('memory')) >> 10 for cell in vm.inactive_xml().iter('cell')}
        assert boot == FLOOR
        print(f'{kernel}, {kind}: cycle {cycle + 1}')
        vm.destroy()
