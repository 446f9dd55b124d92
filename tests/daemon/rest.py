# SPDX-License-Identifier: Apache-2.0
"""What the tests of dimmerd say to it and read from it. Sizes are MiB here, bytes on the wire."""

import functools
import re
import sys
import uuid
from pathlib import Path
from urllib.parse import quote
from xml.etree import ElementTree

from testbed.sizes import MIB, mib

REPO = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPO / 'tests/docs'))

import facts  # noqa: E402, F401  (it is in tests/docs, and tests import it from here)

BAD_SYNTAX = 'Request syntactically incorrect.'
FAILED = 'Operation Failed'
NEXT_RUN = '?next_run=true'


def vm_id(vm):
    return vm.host.virsh('domuuid', vm.name).strip()


def path(vm, rest=''):
    """The VM's resource, or one below it or a parameter of it."""
    return f'vms/{vm_id(vm)}{rest}'


def fill(client, route):
    """The route with the id of the first object of each collection; None: a collection is empty."""
    while '{}' in route:
        above, _, below = route.partition('/{}')
        found = client.get(above).xml
        if len(found) == 0:
            return None
        route = f'{above}/{found[0].get("id")}{below}'
    return route


def search(kind, text, **others):
    """A collection's path with a search."""
    return f'{kind}?' + '&'.join([f'search={quote(text)}'] +
                                 [f'{key}={value}' for key, value in others.items()])


def definitions(vm):
    """The running VM and its next run, whole; but for the period of the balloon's statistics,
    which dimmerd sets in its own time.
    """
    found = vm.live_xml(), vm.inactive_xml()
    for definition in found:
        balloon = definition.find('devices/memballoon')
        for statistics in balloon.findall('stats'):
            balloon.remove(statistics)
    return [ElementTree.tostring(definition) for definition in found]


# Memory.

def memory(element):
    """(memory, guaranteed) of a <vm>, or of one in JSON."""
    if isinstance(element, dict):
        return mib(element['memory']), mib(element['memory_policy']['guaranteed'])
    return (mib(element.findtext('memory')),
            mib(element.findtext('memory_policy/guaranteed')))


def values(client, vm):
    """(memory, guaranteed) of the VM as it is, and then as it will be."""
    live, later = (client.get(path(vm, rest)) for rest in ('', NEXT_RUN))
    assert (live.status, later.status) == (200, 200), (live, later)
    return memory(live.xml) + memory(later.xml)


def change(size=None, guaranteed=None, maximum=None, rest=''):
    """The body of a PUT; sizes in MiB, or in bytes as text."""
    def element(name, value):
        return '' if value is None else f'<{name}>{to_bytes(value)}</{name}>'
    policy = element('guaranteed', guaranteed) + element('max', maximum)
    if policy:
        policy = f'<memory_policy>{policy}</memory_policy>'
    return f'<vm>{rest}{element("memory", size)}{policy}</vm>'


def to_bytes(value):
    return value if isinstance(value, str) else value * MIB


def put(client, vm, *args, query='', **sizes):
    """The <vm> that a PUT which must do well answers with."""
    answer = client.put(path(vm, query), change(*args, **sizes))
    assert answer.status == 200, answer
    assert answer.xml.tag == 'vm' and answer.xml.get('id') == vm_id(vm), answer
    return answer.xml


def next_run_exists(element):
    return element.findtext('next_run_configuration_exists')


# Devices.

def plug(vm, *sizes):
    """The ids of new devices, plugged in behind the daemon's back and in use by the guest."""
    ids = []
    for size in sizes:
        ids.append(str(uuid.uuid4()))
        vm.plug(f'ua-{ids[-1]}', size)
    return ids


def sizes_of(vm):
    """What libvirt says of the live devices: their sizes, sorted."""
    return sorted(vm.memory_devices().values())


def wait_memory(client, vm, size, rest=''):
    """Wait until the daemon says that the VM has this much memory; the <vm>. rest: see path()."""
    return client.wait(path(vm, rest), lambda found: memory(found)[0] == size)


def wait_status(client, vm, status):
    return client.wait(path(vm), lambda found: found.findtext('status') == status)


RUNS = 'up', 'powering_up'  # most guests here have no agent, and are up half a minute after their start


def wait_runs(client, vm):
    return client.wait(path(vm), lambda found: found.findtext('status') in RUNS)


# Faults.

@functools.cache
def fault_codes():
    """Those that are documented."""
    manual = re.findall(r'^\.It Sy ([a-z-]+)', (REPO / 'docs/dimmer.1').read_text().partition('.Sh DIAGNOSTICS')[2], re.MULTILINE)
    page = (REPO / 'docs/api.md').read_text().partition('| code | of |')[2].partition('`detail`')[0]
    return {*manual, *re.findall(r'`([a-z-]+)`', page)}


def fault(answer, status, reason=FAILED):
    """The detail of the fault that an answer must be; it says something."""
    assert answer.status == status, answer
    if answer.type == 'application/json':
        found = answer.json
        assert set(found) == {'code', 'reason', 'detail'}, answer
    else:
        assert answer.xml.tag == 'fault', answer
        found = {child.tag: child.text for child in answer.xml}
    assert found['reason'] == reason, answer
    assert found['detail'], answer
    assert found['code'] in fault_codes(), answer
    return found['detail']


def rule(answer, status):
    """The message of a broken rule, out of its brackets."""
    detail = fault(answer, status)
    assert detail.startswith('[') and detail.endswith(']'), detail
    return detail[1:-1]


def empty(answer, status):
    assert answer.status == status and answer.body == b'', answer
    return answer


# Events and jobs.

def events(client, code=None, wait=False):
    """The <event>s, newest first; those with a code, if one is given. wait: at least one."""
    where = 'events' if code is None else search('events', f'type={code}')
    found = (client.wait(where, lambda element: len(element) > 0) if wait else
             client.get(where).xml)
    assert found.tag == 'events'
    return found.findall('event')


def event(client, code):
    """The one <event> with that code, which there is or comes."""
    found, = events(client, code, wait=True)
    assert found.findtext('code') == str(code)
    return found


def jobs(client, vm):
    """The <job>s whose description has the VM's name, newest first or only."""
    answer = client.get('jobs')
    assert answer.status == 200 and answer.xml.tag == 'jobs', answer
    return [job for job in answer.xml if vm.name in (job.findtext('description') or '')]


def job(client, vm):
    found, = jobs(client, vm)
    return found


def wait_job(client, job_id, *statuses):
    return client.wait(f'jobs/{job_id}', lambda found: found.findtext('status') in statuses)


def steps(client, job_id):
    """[(status, description)] of a job's steps, in the order of their numbers."""
    answer = client.get(f'jobs/{job_id}/steps')
    assert answer.status == 200 and answer.xml.tag == 'steps', answer
    found = sorted(answer.xml, key=lambda step: int(step.findtext('number')))
    return [(step.findtext('status'), step.findtext('description')) for step in found]
