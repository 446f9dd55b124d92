# SPDX-License-Identifier: Apache-2.0
"""Fixtures with real hosts and guests.

A test asks for `host` (a private libvirtd) or `embed` (libvirt's embedded driver) and starts
its VMs there. The host itself serves all tests of a run; after each test its VMs are gone.

What a test needs and the machine lacks makes it a skip that names it, or, with DIMMER_CI=1, an
error: there, no test may be missing.

A guest whose kernel was in trouble (see testbed/console.py) fails its test, unless that said
before that it expects it: vm.expect_trouble().
"""

import os
import sys
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPO))

import testbed  # noqa: E402  (it is beside this folder, not in the path)
from testbed.interpose import Interpose, library  # noqa: E402


def need(lacks):
    """Skip, or with DIMMER_CI=1 fail, a test if it lacks anything: a list of names."""
    if lacks:
        outcome = pytest.fail if os.environ.get('DIMMER_CI') == '1' else pytest.skip
        outcome('this machine lacks: ' + '; '.join(lacks))


@pytest.fixture(scope='session')
def require():
    """The function need(), for what a single test wants on top."""
    return need


def run_host(kind):
    need(testbed.missing())
    with kind() as host:
        yield host


@pytest.fixture(scope='session')
def session_host():
    yield from run_host(testbed.SessionHost)


@pytest.fixture(scope='session')
def embed_host():
    yield from run_host(testbed.EmbedHost)


def emptied(host, request):
    """The host for one test; if that fails, with what its guests said on their consoles."""
    yield host
    if request.node.stash.get(FAILED, False):
        for vm in host.vms:
            print(f'--- console of {vm.name}, its end:\n{vm.console()[-4000:]}')
        print(f'--- log of libvirt, its end:\n{host.libvirt_log()[-4000:]}')
    host.remove_all()


@pytest.fixture
def host(session_host, request):
    yield from emptied(session_host, request)


@pytest.fixture(scope='session')
def other_session_host():
    yield from run_host(testbed.SessionHost)


@pytest.fixture
def other(other_session_host, request):
    """A second host, for a VM to move to."""
    yield from emptied(other_session_host, request)


@pytest.fixture
def embed(embed_host, request):
    yield from emptied(embed_host, request)


@pytest.fixture
def interpose(host, require):
    """Stands between two steps of a request."""
    require([] if library() else ['tests/real/interpose.so (built by meson)'])
    return Interpose(host, library())


def pytest_configure(config):
    config.addinivalue_line('markers', 'tsan: runs once more under ThreadSanitizer')


def lack_image(item, report, error):
    """A guest's image is built when its first test wants it: then is when it can be missing."""
    if os.environ.get('DIMMER_CI') != '1':
        report.outcome = 'skipped'
        report.longrepr = (str(item.path), 0, f'Skipped: this machine lacks: {error}')


FAILED = pytest.StashKey()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if call.excinfo and call.excinfo.errisinstance(testbed.GuestImageMissing):
        lack_image(item, report, call.excinfo.value)
    if report.failed:
        item.stash[FAILED] = True
