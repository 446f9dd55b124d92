# SPDX-License-Identifier: Apache-2.0
"""libgovirt, as virt-viewer uses it: a client from another project. See govirt_client.c."""

import socket
import ssl
from pathlib import Path

import pytest

import testbed.setup
from rest import memory, path, plug, put, values, vm_id, wait_memory
from testbed.daemon import ADMIN, VIEWER

BUILDS = [testbed.setup.dimmerd().parents[2], testbed.setup.BUILD / 'dev']


@pytest.fixture(scope='session')
def program(require):
    found = [file for build in BUILDS for file in Path(build).glob('tests/daemon/govirt_client')]
    require([] if found else ['tests/daemon/govirt_client (Debian package libgovirt-dev)'])
    return found[0]


class Govirt:
    """Runs it against a daemon. A call gives its output, line by line."""

    def __init__(self, program, daemon, options):
        self.host = daemon.host
        self.program = self.host.user.reachable_copy(program, self.host.folder / 'bin')
        # A bare host is what libgovirt wants; it makes an https URI of that.
        where = f'127.0.0.1:{daemon.port}'
        self.where = where if daemon.tls else f'http://{where}'
        self.options = list(options)
        if daemon.tls:
            ca = self.host.folder / 'ca.pem'
            ca.write_bytes(daemon.tls.ca.read_bytes())
            ca.chmod(0o644)
            self.options += ['--ca', str(ca)]

    def __call__(self, *verbs, status=0, fatal='fatal-criticals'):
        """A critical is a link or an element that libgovirt wants and we lack."""
        done = self.host.run([str(self.program), *self.options, self.where, *verbs],
                             env={'G_DEBUG': fatal, 'no_proxy': '*'}, timeout=60)
        assert done.returncode == status, f'{verbs}: {done}'
        return done.stdout.splitlines()


@pytest.fixture(params=['http', 'https'])
def served(request, two_vms, serve, authority):
    return serve(tls=authority if request.param == 'https' else None)


@pytest.fixture
def two_vms(host):
    return [host.define(name, os=False) for name in ('web1', 'web2')]


@pytest.fixture(params=['basic', 'token'])
def govirt(request, program, served):
    if request.param == 'basic':
        credentials = basic(ADMIN)
    else:
        credentials = ['--token', served.anonymous().token(*ADMIN)]
    return Govirt(program, served, credentials)


def basic(user):
    return ['--user', user[0], '--password', user[1]]


def test_a_walk(govirt, served, two_vms):
    """On one OvirtProxy: root, all VMs, a search, refresh, start, host, cluster, stop."""
    one, two = map(vm_id, two_vms)
    host_name = served.client().get('hosts').xml.findtext('host/name')
    assert govirt('root', 'list', 'search', 'name=web2', 'start', 'web1', 'refresh', 'web1',
                  'host', 'web1', 'cluster', 'web1') == [
        'root', '2', f'vm web1 {one} down vnc', f'vm web2 {two} down vnc',
        '1', f'vm web2 {two} down vnc', 'started web1', f'refreshed web1 {one} powering_up vnc',
        f'host {host_name}', 'cluster Default']
    assert two_vms[0].state() == 'running'
    assert govirt('root', 'list', 'stop', 'web1', 'refresh', 'web1')[4:] == [
        'stopped web1', f'refreshed web1 {one} down vnc']
    assert two_vms[0].state() == 'shut off'


def test_a_search_that_finds_nothing(govirt):
    assert govirt('root', 'search', 'name=none and status=up', 'search', 'name=web*')[:3] == [
        'root', '0', '2']


def test_a_refusal_is_reported(govirt):
    """libgovirt shows the fault's reason, or at least that there was one."""
    lines = govirt('root', 'list', 'stop', 'web1', status=1)
    assert lines[-1].startswith('error: ') and 'Operation Failed' in lines[-1]


def test_both_views(program, served):
    for options in ([], ['--admin']):
        lines = Govirt(program, served, [*basic(ADMIN), *options])('root', 'list')
        assert lines[1] == '2'


@pytest.mark.parametrize('credentials', [
    basic((ADMIN[0], 'wrong')), ['--token', 'never-given-out']], ids=['basic', 'token'])
def test_wrong_credentials_end_soon(program, served, credentials):
    # With a token only, libsoup itself asks for a user name that it lacks, and is critical of it.
    lines = Govirt(program, served, credentials)('root', status=1, fatal='')
    assert lines[-1].startswith('error: ')


def test_a_viewer_may_look_but_not_start(program, served, two_vms):
    govirt = Govirt(program, served, basic(VIEWER))
    assert govirt('root', 'list')[1] == '2'
    assert govirt('root', 'list', 'start', 'web1', status=1)[-1].startswith('error: ')
    assert two_vms[0].state() == 'shut off'


def test_it_watches_the_worked_example(program, host, serve):
    """Plain HTTP asks, libgovirt looks on."""
    vm = host.start_guest('web1', memory_mib=1024, max_mib=4096)
    plug(vm, 128, 128, 256, 256)
    daemon = serve(answer_timeout=60)
    client = daemon.client()
    wait_memory(client, vm, 1792)
    govirt = Govirt(program, daemon, basic(ADMIN))
    shown = [f'refreshed web1 {vm_id(vm)} up vnc']
    assert govirt('root', 'list', 'refresh', 'web1')[-1:] == shown
    assert memory(put(client, vm, 1400, 900)) == (1408, 900)
    assert values(client, vm) == (1408, 900, 1400, 900)
    assert govirt('root', 'search', 'name=web1 and memory=1408', 'list', 'refresh', 'web1') == [
        'root', '1', f'vm web1 {vm_id(vm)} up vnc', '1', f'vm web1 {vm_id(vm)} up vnc', *shown]
    assert client.get(path(vm)).status == 200


# TLS and its CA. libgovirt would fetch it from /ca.crt, through GIO's virtual file systems, which
# are not here.

CA_PATHS = ['/ca.crt', '/ovirt-engine/services/pki-resource?resource=ca-certificate'
            '&format=X509-PEM-CA']


@pytest.mark.parametrize('where', CA_PATHS)
def test_the_ca_is_served_to_everybody(serve, authority, where):
    answer = serve(tls=authority).anonymous().get(where)
    assert answer.status == 200 and answer.body == authority.ca.read_bytes()


@pytest.mark.parametrize('where', CA_PATHS)
def test_without_one_there_is_none(daemon, where):
    assert daemon.anonymous().get(where).status == 404


def test_tls_is_12_and_up(serve, authority):
    daemon = serve(tls=authority)
    assert daemon.client().get().status == 200
    for version, works in ((ssl.TLSVersion.TLSv1_1, False), (ssl.TLSVersion.TLSv1_2, True),
                           (ssl.TLSVersion.TLSv1_3, True)):
        context = authority.context()
        # Or else this side refuses by itself.
        context.set_ciphers('DEFAULT:@SECLEVEL=0')
        context.minimum_version = context.maximum_version = version
        connection = socket.create_connection(('127.0.0.1', daemon.port), timeout=10)
        try:
            with context.wrap_socket(connection, server_hostname='localhost'):
                assert works, version
        except (ssl.SSLError, ConnectionError):
            assert not works, version


def test_plain_http_to_a_tls_port(serve, authority):
    daemon = serve(tls=authority)
    with socket.create_connection(('127.0.0.1', daemon.port), timeout=10) as connection:
        connection.sendall(b'GET /health HTTP/1.1\r\nHost: x\r\n\r\n')
        try:
            assert b' 200 ' not in connection.recv(4096)
        except ConnectionError:
            pass
    assert daemon.client().get().status == 200
