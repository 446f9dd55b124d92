# SPDX-License-Identifier: Apache-2.0
"""Holds the layers apart: usage: layers.py BUILD SOURCE.

With the very flags that Meson compiles a layer with, a file that includes a header of a layer it may use must compile,
and one that includes a header of any other layer must not. libvirt's headers are found by every compiler, so who
includes them is looked up in the text.
"""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

# Each layer and the layers that it may use, itself included; see docs/architecture.md.
LAYERS = {
    'base': {'base'},
    'words': {'base', 'words'},
    'model': {'base', 'words', 'model'},
    'plan': {'base', 'words', 'model', 'plan'},
    'hypervisor': {'base', 'words', 'model', 'hypervisor'},
    'agents': {'base', 'words', 'model', 'hypervisor', 'agents'},
    'engine': {'base', 'words', 'model', 'plan', 'hypervisor', 'agents', 'engine'},
    'cli': {'base', 'words', 'model', 'plan', 'hypervisor', 'agents', 'engine'},
    'http': {'base', 'http'},
    'wire': {'base', 'wire'},
    'store': {'base', 'store'},
    'api': {'base', 'words', 'model', 'plan', 'hypervisor', 'agents', 'engine', 'http', 'wire', 'store', 'api'},
    'daemon': {'base', 'words', 'model', 'plan', 'hypervisor', 'agents', 'engine', 'http', 'wire', 'store', 'api',
               'daemon'},
}
LIBVIRT_LAYER = 'hypervisor'
LIBVIRT = re.compile(r'^\s*#\s*include\s*[<"](libvirt[^>"]*|libvirt-glib/[^>"]*|virterror\.h)[>"]', re.MULTILINE)
INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]+)"', re.MULTILINE)
# Calls to libvirtd are in the debugging log, by virt_calls.h; these are local, streams, or a heartbeat.
CALLED = re.compile(r'\bvir(?:Connect|Domain|Node)[A-Za-z]+(?=\()')
SILENT = {'virConnectDomainEventDeregisterAny', 'virConnectGetType', 'virConnectGetURI', 'virConnectIsAlive',
          'virConnectRef', 'virConnectRegisterCloseCallback', 'virConnectSetKeepAlive',
          'virConnectUnregisterCloseCallback', 'virDomainFree', 'virDomainGetConnect', 'virDomainGetID',
          'virDomainGetName', 'virDomainGetUUID', 'virDomainGetUUIDString', 'virDomainStatsRecordListFree'}
CANNOT_FIND = 'No such file or directory', 'file not found'


class Tap:
    """Test Anything Protocol on standard output."""

    def __init__(self):
        self.number = self.failed = 0

    def check(self, well, why, what):
        self.number += 1
        self.failed += not well
        print(f'{"" if well else "not "}ok {self.number} {what}')
        if not well:
            print('\n'.join(f'# {line}' for line in why.splitlines()))

    def end(self):
        print(f'1..{self.number}')
        return 1 if self.failed or not self.number else 0


def compile_command(build, source, layer):
    """(argv without input and output, folder) of one file of the layer."""
    folder = source / 'src' / layer
    for entry in json.loads((build / 'compile_commands.json').read_text()):
        path = (Path(entry['directory']) / entry['file']).resolve()
        if path.parent != folder:
            continue
        argv = shlex.split(entry['command'])
        while argv[0].rsplit('/', 1)[-1] in ('ccache', 'sccache'):
            argv.pop(0)
        for flag, values in (('-o', 1), ('-MF', 1), ('-MQ', 1), ('-c', 1), ('-MD', 0)):
            if flag in argv:
                at = argv.index(flag)
                del argv[at:at + values + 1]
        return argv, entry['directory']
    raise SystemExit(f'compile_commands.json has no file of {folder}')


def compiles(command, *headers):
    """(whether a file that includes the headers compiles, the compiler's words)."""
    argv, folder = command
    text = ''.join(f'#include "{header}"\n' for header in headers)
    done = subprocess.run([*argv, '-fsyntax-only', '-x', 'c', '-'], input=text, cwd=folder, text=True,
                          capture_output=True, timeout=300, check=False)
    return done.returncode == 0, done.stderr


def public_headers(source, layer):
    include = source / 'src' / layer / 'include'
    return sorted(path.relative_to(include).as_posix() for path in include.rglob('*.h'))


def private_headers(source, layer):
    return sorted(path.name for path in (source / 'src' / layer).glob('*.h'))


def check_layer(tap, build, source, layer):
    command = compile_command(build, source, layer)
    for other in LAYERS:
        public = public_headers(source, other)
        if other in LAYERS[layer]:
            tap.check(*compiles(command, *public), f'{layer} may include {other}: {" ".join(public)}')
        forbidden = [] if other in LAYERS[layer] else public
        own = private_headers(source, layer)
        for header in forbidden + ([name for name in private_headers(source, other) if name not in own]
                                   if other != layer else []):
            well, words = compiles(command, header)
            missing = any(text in words for text in CANNOT_FIND)
            tap.check(not well and missing, words or 'it compiles', f"{layer} may not include {other}'s {header}")


def check_text(tap, source):
    """What the flags cannot tell: libvirt's headers, and includes by a path that leaves its layer."""
    for path in sorted(source.glob('src/**/*.[ch]')):
        layer, text = path.relative_to(source / 'src').parts[0], path.read_text()
        wrong = [include for include in INCLUDE.findall(text)
                 if '..' in include.split('/') or include.startswith(('src/', '/'))]
        if layer != LIBVIRT_LAYER:
            wrong += LIBVIRT.findall(text)
        if layer not in LAYERS:
            wrong.append(f'the layer {layer}, which {Path(__file__).name} does not know')
        tap.check(not wrong, ', '.join(wrong), f'{path.relative_to(source)} includes what it may')


def check_calls(tap, source):
    """No call of libvirt's escapes the debugging log."""
    folder = source / 'src' / LIBVIRT_LAYER
    logged = set(re.findall(r'^#define (vir\w+)\(', (folder / 'virt_calls.h').read_text(), re.MULTILINE))
    for path in sorted(folder.glob('*.c')):
        missing = sorted(set(CALLED.findall(path.read_text())) - logged - SILENT)
        tap.check(not missing, ', '.join(missing), f'{path.relative_to(source)} calls what virt_calls.h logs')


def main():
    build, source = Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve()
    tap = Tap()
    for layer in LAYERS:
        check_layer(tap, build, source, layer)
    check_text(tap, source)
    check_calls(tap, source)
    return tap.end()


if __name__ == '__main__':
    sys.exit(main())
