# SPDX-License-Identifier: Apache-2.0
"""/metrics by Prometheus' rules of text and of names (https://prometheus.io/docs/practices/naming)."""

import re
from collections import defaultdict

import pytest

from rest import facts, put, vm_id
from testbed.sizes import MIB

NAME = r'[a-z][a-z0-9_]*'
LABELS = r'\{(?:[a-z_]+="(?:[^"\\\n]|\\["\\n])*",?)+\}'
UNITS = ('_seconds', '_bytes', '_info', '_fds')
COUNTS = ('dimmer_vms', 'dimmer_vms_next_run', 'dimmer_vms_changing', 'dimmer_hosts', 'dimmer_host_up', 'dimmer_host_vms',
          'dimmer_libvirt_tasks_pending')
DEPRECATED = ('dimmer_requests_total', 'dimmer_requests_in_flight', 'dimmer_release_seconds', 'dimmer_http_seconds')


def read(text):
    """{metric: (type, {sample with its labels: value})}; each line is one of the format's."""
    found, name = {}, None
    lines = text.splitlines()
    assert text.endswith('\n')
    while lines:
        name, = re.fullmatch(rf'# HELP ({NAME}) \S.*', lines.pop(0)).groups()
        kind, = re.fullmatch(rf'# TYPE {name} (gauge|counter|histogram)', lines.pop(0)).groups()
        assert name not in found, name
        samples = {}
        while lines and not lines[0].startswith('#'):
            sample, value = re.fullmatch(rf'({name}(?:_bucket|_sum|_count)?(?:{LABELS})?) (\S+)', lines.pop(0)).groups()
            assert sample not in samples and float(value) >= 0, sample
            assert kind == 'histogram' or re.fullmatch(rf'{name}(?:\{{.*)?', sample), sample
            samples[sample] = float(value)
        found[name] = kind, samples
    return found


def metrics(client):
    answer = client.anonymous().get('/metrics')
    assert answer.status == 200 and answer.headers['Content-Type'] == 'text/plain; version=0.0.4; charset=utf-8'
    return read(answer.text)


def value(client, sample):
    name = re.match(NAME, sample)[0].removesuffix('_count')
    return metrics(client)[name][1][sample]


def check_histogram(name, samples):
    buckets = [(float(re.search('le="(.*)"', sample)[1]), count) for sample, count in samples.items()
               if sample.startswith(f'{name}_bucket')]
    assert buckets == sorted(buckets) and [count for _, count in buckets] == sorted(count for _, count in buckets)
    assert buckets[-1] == (float('inf'), samples[f'{name}_count']) and f'{name}_sum' in samples


def test_each_metric_is_named_by_the_rules(client):
    for name, (kind, samples) in metrics(client).items():
        assert name.startswith(('dimmer_', 'process_')), name
        assert (kind == 'counter') == name.endswith('_total'), name
        assert name.removesuffix('_total').endswith(UNITS) or kind == 'counter' or name in COUNTS + DEPRECATED, name
        if kind == 'histogram':
            check_histogram(name, samples)


def test_a_request_and_a_change_are_counted(mute, client):
    done = 'dimmer_memory_changes_total{action="set",outcome="done"}'
    assert value(client, done) == 0
    put(client, mute, 1152)
    assert value(client, done) == value(client, 'dimmer_requests_total{outcome="done"}') == 1
    answered = value(client, 'dimmer_http_request_duration_seconds_count')
    assert value(client, 'dimmer_http_request_duration_seconds_count') == answered + 1
    assert client.get('vms/none').status == 404
    assert value(client, 'dimmer_http_responses_total{class="4xx"}') == 1


def test_the_process_is_there(daemon, client):
    found = metrics(client)
    resident = found['process_resident_memory_bytes'][1]['process_resident_memory_bytes']
    assert resident > MIB
    assert found['process_open_fds'][1]['process_open_fds'] <= found['process_max_fds'][1]['process_max_fds']
    started = found['process_start_time_seconds'][1]['process_start_time_seconds']
    assert abs(started - daemon.folder.joinpath('ready').stat().st_mtime) < 60
    assert metrics(client)['process_start_time_seconds'][1]['process_start_time_seconds'] == started
    info, = found['dimmer_build_info'][1].items()
    assert info == ('dimmer_build_info{version="%s"}' % facts.dimmerd('--version').stdout.split()[1], 1)


def test_each_host_has_its_series(mute, other, serve):
    """Both have one name."""
    client = serve(mute.host, other).client()
    found = metrics(client)
    hosts = {host.get('id') for host in client.get('hosts').xml}
    for name, wanted in (('dimmer_host_up', [1, 1]), ('dimmer_host_vm_memory_guaranteed_bytes', [0, 1024 * MIB])):
        samples = found[name][1]
        assert {re.search('host_id="(.*?)"', sample)[1] for sample in samples} == hosts
        assert sorted(samples.values()) == wanted
    running = defaultdict(float)
    for sample, number in found['dimmer_host_vms'][1].items():
        running[re.search('state="(.*?)"', sample)[1]] += number
    assert running == {'running': 1, 'not_running': 0, 'unknown': 0}


@pytest.mark.parametrize('vms', ['no', 'yes'])
def test_each_vm_has_its_series_where_the_configuration_wants_them(host, serve, vms):
    name = 'a"b\\c'
    running = host.start_guest(name, os=False)
    host.define('off', os=False)
    found = metrics(serve(vms=vms).client())
    assert any(metric.startswith('dimmer_vm_') for metric in found) == (vms == 'yes')
    if vms == 'yes':
        sample, = found['dimmer_vm_memory_bytes'][1].items()
        assert sample[0].startswith(r'dimmer_vm_memory_bytes{vm="a\"b\\c",vm_id="%s",host="' % vm_id(running))
        assert sample[1] == 1024 * MIB
        assert list(found['dimmer_vm_memory_ballooned_bytes'][1].values()) == [0]  # known, so it is there
