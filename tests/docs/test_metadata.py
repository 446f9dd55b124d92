# SPDX-License-Identifier: Apache-2.0
"""docs/metadata.md against src/hypervisor/metadata.c, and its rule for ids against an example."""

import hashlib
import re
import uuid
from xml.etree import ElementTree

import facts
from test_json import example

GUIDE = facts.REPO / 'docs/metadata.md'
SOURCE = facts.source('hypervisor/metadata.c')
NAMESPACE = re.search(r'#define METADATA_NAMESPACE "(.*)"', facts.source('hypervisor/metadata.h')).group(1)

# Each with the functions that write its attributes, and those that read them.
ELEMENTS = {'memory': (['write_values', 'write_floors', 'metadata_mark_trial'],
                       ['metadata_read', 'read_floors', 'metadata_is_trial']),
            'request': (['write_request'], ['read_request']),
            'step': (['write_step', 'write_origin'], ['read_step', 'read_origin']),
            'refusal': (['write_refusal'], ['metadata_read_refusals'])}


def bodies(functions):
    return ''.join(re.search(rf'^[^\n/]*\b{function}\([^;]*?\) \{{\n(.*?)^\}}', SOURCE,
                             re.MULTILINE | re.DOTALL).group(1) for function in functions)


def written(element):
    return set(re.findall(r'(?:set_\w+|xml_set_attribute_number)\(\w+, "([a-z-]+)"', bodies(ELEMENTS[element][0])))


def read(element):
    return set(re.findall(r'xml_attribute(?:_number)?\(\w+, "([a-z-]+)"', bodies(ELEMENTS[element][1])))


def documented(element):
    text = re.search(rf'^## {element}\n(.*?)^## ', GUIDE.read_text(), re.MULTILINE | re.DOTALL).group(1)
    rows = re.findall(r'^\| (`.*?) \|', text, re.MULTILINE)
    return {name for row in rows for name in re.findall(r'`([a-z-]+)`', row)}


def test_attributes():
    for element in ELEMENTS:
        assert written(element), element
        assert documented(element) == written(element) | read(element), element
        assert read(element) == written(element), element


def test_example():
    text = re.search(r'^```xml\n(.*?)^```', GUIDE.read_text(), re.MULTILINE | re.DOTALL).group(1)
    memory = ElementTree.fromstring(text)
    for element in memory.iter():
        name = element.tag.removeprefix(f'{{{NAMESPACE}}}')
        assert name in ELEMENTS
        assert set(element.attrib) <= documented(name)


def test_ids():
    vm = example('show')
    for device in vm['live']['devices']:
        if device['alias'].startswith('ua-'):
            assert device['id'] == device['alias'].removeprefix('ua-')
        else:
            space = re.search(r'`(urn:dimmer:memory:1/device/)`', GUIDE.read_text()).group(1)
            digest = hashlib.sha1(f"{space}{vm['uuid']}{device['alias']}".encode()).digest()
            assert uuid.UUID(device['id']) == uuid.UUID(bytes=digest[:16], version=5)
