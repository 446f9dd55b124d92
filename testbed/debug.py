# SPDX-License-Identifier: Apache-2.0
"""Reads the debugging log of dimmer and dimmerd."""

import re


def in_order(lines, *patterns):
    """Each pattern is found, in a line behind that of the one before."""
    rest = iter(lines)
    for pattern in patterns:
        assert any(re.search(pattern, line) for line in rest), f'no {pattern!r}, or not here:\n' + '\n'.join(lines)
