# SPDX-License-Identifier: Apache-2.0
"""The sanitizers' canary: usage: canary.py PROGRAM [SIN...]. PROGRAM is the compiled canary.c.

Each wrong that it does must end it, in the same environment that the unit tests run in, with the sanitizer's own
words. Where a sanitizer is inert, or only warns, this fails.
"""

import subprocess
import sys

# What it does, and what its sanitizer says.
SINS = {
    'heap-overflow': 'AddressSanitizer: heap-buffer-overflow',
    'use-after-free': 'AddressSanitizer: heap-use-after-free',
    'integer-overflow': 'runtime error: signed integer overflow',
    'shift': 'runtime error: shift exponent',
    'leak': 'LeakSanitizer: detected memory leaks',
    'race': 'ThreadSanitizer: data race',
}


def caught(program, sin, words):
    """None, or why the sanitizer has not done its duty."""
    done = subprocess.run([program, sin], capture_output=True, text=True, timeout=60, check=False)
    if words not in done.stderr:
        return f'"{words}" was not reported'
    if done.returncode == 0:
        return 'said, but the program ended as if all were well'
    if sin != 'leak' and 'not noticed' in done.stdout:
        return 'said, but the program went on'
    return None


def main():
    program, *sins = sys.argv[1:]
    print(f'1..{len(sins)}')
    failed = False
    for number, sin in enumerate(sins, 1):
        why = caught(program, sin, SINS[sin])
        print(f'{"not " if why else ""}ok {number} {sin}{": " + why if why else ""}')
        failed = failed or why
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
