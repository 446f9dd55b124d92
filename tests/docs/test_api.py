# SPDX-License-Identifier: Apache-2.0
"""docs/api.md against the router and the events: each route stands in the page, and none else."""

import re

import facts
from facts import REPO

PAGE = (REPO / 'docs/api.md').read_text()


def routes():
    rows = re.findall(r'^  \{"([A-Z]+)", "([^"]*)", handle_', facts.source('api/routes.c'), re.MULTILINE)
    assert len(rows) > 40
    return {f'{method} {path}' for method, path in rows}


def documented():
    rows = [line.split(' | ')[0] for line in PAGE.splitlines() if line.startswith('| `')]
    return {route for row in rows for route in re.findall(r'`((?:GET|PUT|POST|DELETE) [^`]*)`', row)}


def test_routes():
    assert documented() == routes()


def test_event_codes():
    codes = re.findall(r'^  AUDIT_\w+ = (\d+),$', facts.source('api/api_private.h'), re.MULTILINE)

    table = PAGE[PAGE.index('| code | event |'):PAGE.index('Codes above')]
    in_page = {number for row in table.splitlines()[2:] if row
               for number in re.findall(r'\d+', row.split('|')[1])}
    assert in_page == set(codes)
