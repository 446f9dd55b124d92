# SPDX-License-Identifier: Apache-2.0
"""A sample of the knocks: 'make knocks' makes more of them."""

import os

import knocks
import testbed
import world


def test_three_minutes(require):
    require(testbed.missing())
    require([] if world.preload() else ['tests/knocks/world.so (built by meson)'])
    done = knocks.run(float(os.environ.get('KNOCKS_MINUTES', '3')), seed=1)
    print(done.line())
    assert not done.differences, done.line()
    assert sum(done.count.values()) > 5
