# SPDX-License-Identifier: Apache-2.0
"""Sizes as tests and people have them: MiB."""

MIB = 1 << 20


def mib(size):
    """Bytes, a number or its text, in MiB: whole where they are. None stays None."""
    if size is None:
        return None
    size = int(size)
    return size / MIB if size % MIB else size // MIB
