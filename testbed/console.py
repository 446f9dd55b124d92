# SPDX-License-Identifier: Apache-2.0
"""What a guest's kernel says on its console when something is wrong with it."""

import re

# The level that a kernel writes warnings from, and for how long a guest may be held up by its
# host, as emulated ones of a busy machine are, before its kernel complains of that.
CMDLINE = 'loglevel=5 watchdog_thresh=30 rcupdate.rcu_cpu_stall_timeout=60'

TROUBLE = re.compile(r'BUG:|Oops|WARNING:|Kernel panic|general protection fault|blocked for more than'
                     r'|self-detected stall|detected (expedited )?stalls')


class GuestTrouble(AssertionError):
    """A guest's kernel is in trouble, and no test expected it."""


def trouble(text, expected=()):
    """The lines of a console that tell of trouble, less those that one of the patterns finds."""
    return [line.strip() for line in text.splitlines()
            if TROUBLE.search(line) and not any(re.search(pattern, line) for pattern in expected)]
