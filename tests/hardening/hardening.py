# SPDX-License-Identifier: Apache-2.0
"""Holds the programs to their build hardening: usage: hardening.py STATIC-PROGRAM ARCHIVE PROGRAM...

Each program is a position independent executable with full RELRO, an unexecutable stack and a stack protector; the
static one has no interpreter. That our own code was compiled with _FORTIFY_SOURCE shows in the archive of one layer, as
a static program has the checked functions of the C library in any case.
"""

import re
import subprocess
import sys


def readelf(*options, path):
    return subprocess.run(['readelf', '-W', *options, path], check=True, capture_output=True, text=True).stdout


def lacks(path):
    """What hardening the program lacks, as words."""
    segments, dynamic, symbols = (readelf(option, path=path) for option in ('-l', '-d', '-s'))
    stack = re.search(r'^ *GNU_STACK.* (R\S*) +0x', segments, re.MULTILINE)
    wanted = {
        'a position independent executable': re.search(r'\(FLAGS_1\).*\bPIE\b', dynamic),
        'RELRO': 'GNU_RELRO' in segments,
        'immediate binding (full RELRO)': re.search(r'\(FLAGS_1\).*\bNOW\b', dynamic),
        'an unexecutable stack': stack and stack[1] == 'RW',
        'a stack protector': '__stack_chk_fail' in symbols,
    }
    return [what for what, there in wanted.items() if not there]


def main():
    static, archive, *programs = sys.argv[1:]
    results = [(path, lacks(path)) for path in (static, *programs)]
    results.append((static, ['no interpreter'] if 'INTERP' in readelf('-l', path=static) else []))
    undefined = re.findall(r'UND (__\w+)', readelf('-s', path=archive))
    results.append((archive, [name for name, there in (
        ('a stack protector', '__stack_chk_fail' in undefined),
        ('_FORTIFY_SOURCE', any(symbol.endswith('_chk') for symbol in undefined))) if not there]))
    print(f'1..{len(results)}')
    for number, (path, missing) in enumerate(results, 1):
        print(f'{"not " if missing else ""}ok {number} {path.rsplit("/", 1)[-1]}')
        if missing:
            print(f'# it lacks {", ".join(missing)}')
    return any(missing for _, missing in results)


sys.exit(main())
