# SPDX-License-Identifier: Apache-2.0
"""Fixtures with dimmerd over the real hosts of ../conftest.py.

A test's VMs come before its daemon where it names them first: then the daemon has read them
when it is ready, and nothing needs to be waited for.
"""

import concurrent.futures
import os

import pytest

import testbed
from testbed.daemon import VIEWER, Authority, Daemon, make_users
from testbed.setup import dimmerd


@pytest.fixture(scope='session')
def dimmerd_built(require):
    require([] if os.access(dimmerd(), os.X_OK) else
            [f'program {dimmerd()} (build it, or set DIMMERD)'])


@pytest.fixture(scope='session')
def users(dimmerd_built, session_host):
    """One users file for all tests of a run: its hashes are slow on purpose."""
    return make_users(session_host, session_host.folder / 'users')


@pytest.fixture(scope='session')
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp('ca'))


@pytest.fixture(scope='module')
def own_host(require):
    """A host of its own, whose libvirtd may be stopped or killed."""
    require(testbed.missing())
    with testbed.SessionHost() as host:
        yield host


@pytest.fixture
def fragile(own_host):
    """The same for one test."""
    yield own_host
    own_host.remove_all()


@pytest.fixture
def serve(host, users):
    """A function that starts a dimmerd; each must end well when the test is over."""
    started = []

    def start(*hosts, start=True, **settings):
        daemon = Daemon(*(hosts or [host]), users=users, start=False, **settings)
        started.append(daemon)
        return daemon.start() if start else daemon

    yield start
    for daemon in started:
        try:
            if daemon.running():
                assert daemon.stop() == 0, 'dimmerd did not end well'
        finally:
            daemon.close()
            print(f'--- log of dimmerd:\n{daemon.text()[-8000:]}')


@pytest.fixture
def daemon(serve):
    return serve()


@pytest.fixture
def client(daemon):
    """An administrator, with a token."""
    return daemon.client()


@pytest.fixture
def viewer(daemon):
    return daemon.client(VIEWER)


@pytest.fixture
def pool():
    """For requests side by side."""
    with concurrent.futures.ThreadPoolExecutor(24) as pool:
        yield pool


@pytest.fixture
def off(host):
    """A VM of 1024 MiB at most 4096, shut off; nothing in it."""
    return host.define('web1', os=False)


@pytest.fixture
def mute(host):
    """The same, running: a guest that never answers."""
    return host.start_guest('web1', os=False)


@pytest.fixture
def guest(host):
    """A running guest of 256 MiB, at most 2048, that releases what it is asked for."""
    return host.start_guest('web1', memory_mib=256, max_mib=2048)
