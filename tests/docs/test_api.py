# SPDX-License-Identifier: Apache-2.0
"""docs/api.md against the router and the events: each route stands in the page, and none else."""

import re

import facts
from facts import REPO

PAGE = (REPO / 'docs/api.md').read_text()


def documented():
    rows = [line.split(' | ')[0] for line in PAGE.splitlines() if line.startswith('| `')]
    return {route for row in rows for route in re.findall(r'`((?:GET|PUT|POST|DELETE) [^`]*)`', row)}


def test_routes():
    assert documented() == {f'{method} {path}' for method, path in facts.routes()}


def test_fault_codes():
    """Those that only the API has; the others are dimmer(1)'s."""
    codes = re.findall(r'^#define FAULT_\w+ "([^"]+)"$', facts.source('api/call.h'), re.MULTILINE)
    codes += re.findall(r'"([a-z-]+)", \d+, DM_EXIT_NONE\)', facts.source('base/error.c'))

    table = PAGE[PAGE.index('| code | of |'):PAGE.index('`detail` is for people')]
    in_page = {code for row in table.splitlines()[2:] if row for code in re.findall(r'`([^`]+)`', row.split('|')[1])}
    assert in_page == set(codes)


def test_metrics():
    sources = facts.source('api/metrics.c') + facts.source('api/exposition.c')
    table = PAGE[PAGE.index('| metric | type | of |'):]
    in_page = {name for row in table.splitlines()[2:] for name in re.findall(r'`([^`]+)`', row)}
    names = set(re.findall(r'"((?:dimmer|process)_[a-z_]+)"', sources))
    assert len(names) > 30 and names == {name for name in in_page if name.startswith(('dimmer_', 'process_'))}


def test_event_codes():
    codes = re.findall(r'^  AUDIT_\w+ = (\d+),$', facts.source('api/watchers.h'), re.MULTILINE)

    table = PAGE[PAGE.index('| code | event |'):PAGE.index('Codes above')]
    in_page = {number for row in table.splitlines()[2:] if row
               for number in re.findall(r'\d+', row.split('|')[1])}
    assert in_page == set(codes)
