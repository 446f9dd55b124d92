# SPDX-License-Identifier: Apache-2.0
"""Fixtures for the browser tests: the daemon's of ../daemon, and a Chromium with what drives it.

browse(daemon, 'name') runs a function of scenarios.mjs. What npm provides is installed once, into build/web-tests;
screenshots of every page stay in build/screenshots.
"""

import fcntl
import importlib.util
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from testbed.daemon import make_page, make_users
from testbed.setup import BUILD, web_page

HERE = Path(__file__).resolve().parent
TIMEOUT = 180

_spec = importlib.util.spec_from_file_location('daemon_fixtures', HERE.parent / 'daemon/conftest.py')
_daemon = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_daemon)
dimmerd_built, serve = _daemon.dimmerd_built, _daemon.serve


@pytest.fixture(scope='session')
def users(dimmerd_built, session_host):
    """Not the file that the fixture of ../daemon makes on the same host."""
    return make_users(session_host, session_host.folder / 'web-users')


@pytest.fixture(scope='session')
def web_tests(require):
    """The folder with playwright-core and axe-core. Several pytests at once share it."""
    require([f'program {name} (Debian package {package})' for name, package in
             (('chromium', 'chromium'), ('node', 'nodejs'), ('npm', 'npm')) if not shutil.which(name)])
    folder = BUILD / 'web-tests'
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / 'lock', 'w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted = (HERE / 'package-lock.json').read_bytes()
        installed = folder / 'installed.json'
        if not installed.exists() or installed.read_bytes() != wanted:
            for name in ('package.json', 'package-lock.json'):
                shutil.copy(HERE / name, folder)
            subprocess.run(['npm', 'ci', '--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline'],
                           cwd=folder, check=True)
            installed.write_bytes(wanted)
    return folder


@pytest.fixture(scope='session')
def page(session_host, require):
    """The page's files, where the daemon's user can read them."""
    require([] if (web_page() / 'index.html').exists() else
            [f'the WebAdmin page {web_page()} (build it, or set DIMMER_WEB)'])
    return make_page(session_host)


@pytest.fixture
def browse(web_tests):
    """A function that runs a scenario against a daemon and returns its output.

    deeds are what the scenario may ask for in between.
    """
    started = []

    def run(daemon, name, **deeds):
        process = subprocess.Popen(
            ['node', HERE / 'scenarios.mjs', name], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            env=os.environ | {'DIMMER_URL': f'http://127.0.0.1:{daemon.port}', 'DIMMER_WEB_TESTS': str(web_tests),
                              'DIMMER_SCREENSHOTS': str(BUILD / 'screenshots'),
                              'DIMMER_CHROMIUM': shutil.which('chromium')})
        started.append(process)
        said = []
        for line in process.stdout:
            if line.startswith('> '):
                deed, *words = line[2:].split()
                deeds[deed](*words)
                process.stdin.write('ok\n')
                process.stdin.flush()
            else:
                said.append(line)
        text = ''.join(said)
        assert process.wait(TIMEOUT) == 0, text
        print(text)
        return text

    yield run
    for process in started:
        if process.poll() is None:
            process.kill()
            process.wait()
