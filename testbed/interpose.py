# SPDX-License-Identifier: Apache-2.0
"""dimmer or dimmerd, stopped, killed or failed at any of its changing libvirt calls."""

import os
import shutil
from pathlib import Path

from .setup import BUILD, dimmer

# Built beside the dimmer under test, or for the installed one in the ordinary build.
BUILDS = [dimmer().parents[2], BUILD / 'dev']


def library(name='interpose'):
    """The library that tests/real/interpose.c, or another one there, is built into, or None."""
    found = [path for build in BUILDS for path in Path(build).glob(f'tests/real/{name}.so')]
    return found[0] if found else None


class Interpose:
    """A program with its changing libvirt calls counted: see tests/real/interpose.c."""

    def __init__(self, host, path):
        self.host = host
        self.library = host.folder / 'bin' / path.name
        self.log = host.folder / 'tmp' / 'calls'
        shutil.copyfile(path, self.library)
        self.library.chmod(0o755)

    def environment(self, at, do):
        self.log.unlink(missing_ok=True)
        return {'LD_PRELOAD': str(self.library), 'INTERPOSE_AT': str(at), 'INTERPOSE_DO': do,
                'INTERPOSE_LOG': str(self.log),
                'ASAN_OPTIONS': os.environ.get('ASAN_OPTIONS', '') + ':verify_asan_link_order=0'}

    def watching(self):
        """The environment in which each changing call is only logged: see changes()."""
        self.log.unlink(missing_ok=True)
        environment = self.environment(0, 'nothing')
        return environment | {'INTERPOSE_CHANGES': environment.pop('INTERPOSE_LOG')}

    def run(self, at, do, *args):
        """A run of dimmer to its end, with do at the call of that number."""
        return self.host.dimmer(*args, env=self.environment(at, do))

    def calls(self):
        """The names of the calls of the last run."""
        return self.log.read_text().split() if self.log.exists() else []

    def changes(self):
        """The names of all changing calls of the last watching()."""
        return self.calls()

    def stopped(self, at, *args):
        """A run of dimmer that has stopped after the call of that number; its Popen."""
        process = self.host.dimmer_start(*args, env=self.environment(at, 'stop'))
        _, status = os.waitpid(process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status), f'it ended instead: {process.communicate()}'
        return process
