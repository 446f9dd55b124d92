# SPDX-License-Identifier: Apache-2.0
"""usage: demo.py [--keep]

Plays the worked example of "Hot unplug memory" with dimmer on a real guest: a VM started with
1 GiB that was given three hot plugs of 256 MiB is asked down to 1400 MiB, 900 MiB guaranteed.
"""

import json
import secrets
import shlex
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

REPO = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPO))

import testbed  # noqa: E402  (it stands beside this folder, not in the path)
from testbed.daemon import make_page  # noqa: E402
from testbed.setup import dimmerd  # noqa: E402

MIB = 1 << 20
EXPECTED = {'live': (1408, 900), 'next_run': (1400, 900)}


def say(text):
    print('\n' + textwrap.fill(text, 100), flush=True)


def dimmer(host, *args):
    """Show the command as a user would type it, and run it with its output shown."""
    print(f'\n$ dimmer {shlex.join(args)}', flush=True)
    done = host.popen(host.dimmer_argv(*args), stdin=subprocess.DEVNULL).wait()
    if done != 0:
        raise SystemExit(f'demo: dimmer {shlex.join(args)} ended with status {done}')


def check(host):
    """The numbers of the worked example, as dimmer tells programs."""
    vm = json.loads(host.dimmer('show', 'web1', '-o', 'json', check=0).stdout)
    for which, expected in EXPECTED.items():
        values = tuple(vm[which][name] // MIB for name in ('memory', 'guaranteed'))
        if values != expected:
            raise SystemExit(f'demo: {which} has memory and guaranteed {values} MiB, not {expected}')


def wrapper(host, name, command):
    """A script in the host's folder that runs the command there as the host's user; its path."""
    path = host.folder / name
    environment = ' '.join(f'{key}={shlex.quote(value)}' for key, value in host.environment().items()
                           if key.startswith('XDG_') or key in ('HOME', 'TMPDIR'))
    words = shlex.join([*host.user.command_prefix(), *map(str, command)])
    path.write_text(f'#!/bin/sh\ncd /\nexec env {environment} {words} "$@"\n')
    path.chmod(0o755)
    return path


def prepare_daemon(host):
    """dimmerd's configuration for this guest; (the script that starts it, its port, the password)."""
    binary = host.user.reachable_copy(dimmerd(), host.folder / 'bin')
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    folder = host.folder / 'config'
    config = folder / 'dimmerd.conf'
    config.write_text(f'[server]\nport={port}\nweb={make_page(host)}\n[hosts]\nconnections={host.uri}\n'
                      '[users]\nfile=users\n[database]\nfile=dimmerd.db\n')
    host.user.give(config)
    password = secrets.token_urlsafe(9)
    host.run([binary, 'user', 'add', 'admin@internal', '--role', 'admin', '--config', config],
             stdin=f'{password}\n', check=0)
    return wrapper(host, 'dimmerd', [binary, '--config', config]), port, password


def keep(host):
    """Leave the guest running; say how to go on and how to end it."""
    command = wrapper(host, 'dimmer', host.dimmer_argv())
    daemon, port, password = prepare_daemon(host)
    end = host.keep()
    print(f"""
The guest is still running. Go on with any verb, for example:

    {command} show web1
    {command} plug web1 512MiB --policy fine
    {command} set web1 --memory 1GiB

or start dimmerd, open its page in a browser, or ask it as oVirt's clients do:

    {daemon} &
    http://127.0.0.1:{port}/ovirt-engine/webadmin/  user admin, password {password}
    curl -u admin@internal:{password} http://127.0.0.1:{port}/ovirt-engine/api/vms

One at a time: libvirt's embedded driver lets in one process. End the guest with:

    {end}
""")


def main():
    lacks = testbed.missing()
    if lacks:
        raise SystemExit('demo: this machine lacks\n  ' + '\n  '.join(lacks))
    accel = testbed.accel()
    say('A VM with 1 GiB is started on a real Linux kernel, '
        + ('with KVM' if accel == 'kvm' else 'emulated by TCG, as KVM does not run guests here')
        + ', on libvirt\'s embedded driver: no daemon, nothing installed.')
    started = time.monotonic()
    with testbed.EmbedHost() as host:
        vm = host.start_guest('web1', memory_mib=1024, max_mib=4096, accel=accel)
        print(f'(its guest is up after {time.monotonic() - started:.1f} s)')
        say('It is given 256 MiB three times. As in oVirt, the first is split, so that there is a '
            'small device to give back later.')
        for _ in range(3):
            dimmer(host, 'plug', 'web1', '256MiB')
        dimmer(host, 'show', 'web1')
        say('Now it is asked down to 1400 MiB, of which 900 MiB are guaranteed: first the plan, '
            'then for real.')
        wish = ('set', 'web1', '--memory', '1400MiB', '--guaranteed', '900MiB')
        dimmer(host, *wish, '--dry-run')
        dimmer(host, *wish)
        dimmer(host, 'show', 'web1')
        check(host)
        say('1792 MiB - (256 + 128) MiB = 1408 MiB live, 900 MiB guaranteed, and exactly 1400 / 900 '
            f'MiB for the next run. The guest itself has {vm.guest_memory_mib()} MiB online.')
        if '--keep' in sys.argv[1:]:
            keep(host)


main()
