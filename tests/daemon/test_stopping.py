# SPDX-License-Identifier: Apache-2.0
"""SIGTERM at any moment, with everything under way: exit status 0, and no sanitizer has a word to say.

DIMMER_STOPS is how often each is done, DIMMER_MANY with how many VMs; the moments are random, by DIMMER_SEED.
"""

import contextlib
import http.client
import os
import random
import threading
import time
import uuid

import pytest

from rest import change, path
from testbed.daemon import ADMIN, VIEWER
from testbed.setup import program

STOPS = int(os.environ.get('DIMMER_STOPS', '6'))
MANY = int(os.environ.get('DIMMER_MANY', '200'))
SEED = os.environ.get('DIMMER_SEED') or str(uuid.uuid4())
LONGEST = 0.5  # seconds after it is ready

pytestmark = pytest.mark.tsan


@pytest.fixture
def moments():
    print(f'DIMMER_SEED={SEED}')
    return random.Random(SEED)


@contextlib.contextmanager
def repeating(*functions):
    """Each in a thread of its own, again and again. What they ask need not come to an answer."""
    over = threading.Event()

    def repeat(function):
        while not over.is_set():
            with contextlib.suppress(OSError, http.client.HTTPException):
                function()

    threads = [threading.Thread(target=repeat, args=[function]) for function in functions]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


@contextlib.contextmanager
def churning(host, *vms):
    """Their definitions and metadata change all the time, which dimmerd reads after."""
    lines = ''.join(f'desc {vm.name} --config text{number}\ndesc {vm.name} --title --config title{number}\n'
                    for number in range(20) for vm in vms)

    def change_some():
        host.run([program('virsh'), '--quiet', '--connect', host.uri], stdin=lines, check=0)

    with repeating(change_some, change_some):
        yield


def asking(daemon, vms):
    """What clients do meanwhile, each request with a connection of its own that may break."""
    admin, anonymous = daemon.client(), daemon.anonymous()
    paths = [path(vm) for vm in vms]
    rng = random.Random(SEED)
    return [lambda: admin.put(rng.choice(paths), change(rng.choice([1152, 1280, 1408]))),
            lambda: admin.get(rng.choice(paths) + '/memorycheck'),
            lambda: admin.get('events?search=message%3D*web*'),
            lambda: anonymous.basic(*VIEWER).get('vms'),
            lambda: anonymous.basic(ADMIN[0], rng.random()).get('vms'),
            lambda: anonymous.get('/health')]


def test_stopped_while_everything_changes(host, serve, moments):
    vms = [host.start_guest('web1', os=False), host.start_guest('web2', os=False)]
    others = [host.define(f'off{number}', os=False) for number in range(12)]
    daemon = serve(start=False)
    with churning(host, *others):
        for _ in range(STOPS):
            daemon.start()
            with repeating(*asking(daemon, vms)), daemon.client().live():
                time.sleep(moments.uniform(0, LONGEST))
                assert daemon.stop() == 0


def many(host, count):
    """The URI of libvirt's test driver with so many VMs."""
    file = host.folder / f'many-{count}.xml'
    file.write_text('<node>' + ''.join(
        f"<domain type='test'><name>vm{i:05}</name><uuid>{uuid.uuid5(uuid.NAMESPACE_OID, str(i))}</uuid>"
        f"<memory unit='MiB'>1024</memory><os><type arch='x86_64'>hvm</type></os></domain>"
        for i in range(count)) + '</node>')
    host.user.give(file)
    return f'test://{file}'


@pytest.mark.parametrize('ready', [True, False])
def test_stopped_with_many_vms_right_after_the_start(host, serve, moments, ready):
    """While it lists them, or has just done so, and counts their memory."""
    daemon = serve(start=False, connections=many(host, MANY))
    for _ in range(STOPS):
        daemon.start() if ready else daemon.begin()
        time.sleep(moments.uniform(0, LONGEST))
        assert daemon.stop() == 0
