# SPDX-License-Identifier: Apache-2.0
"""docs/names.md against all public names: each stands there, with where it is used, and none else."""

import re

import facts
import inventory

PAGE = (facts.REPO / 'docs/names.md').read_text()
SURFACES = inventory.by_surface()


def rows(heading):
    text = PAGE.partition(f'\n## {heading}\n')[2].partition('\n## ')[0]
    return [[cell.strip() for cell in line.strip('|').split(' | ')] for line in text.splitlines() if line.startswith('| `')]


def common(name):
    """The name as all surfaces have it, but for how they write it."""
    return name.removeprefix('--').replace('-', '_')


def test_names():
    used = {}
    for surface, names in SURFACES.items():
        for name, deprecated in names:
            if surface != 'metric' and not deprecated:
                used.setdefault(common(name), set()).add(surface)
    assert {row[0].strip('`'): set(row[-1].split(', ')) for row in rows('Names')} == used


def test_deprecated_names():
    found = {(surface, name) for surface, names in SURFACES.items() for name, deprecated in names if deprecated}
    listed = {(row[1], row[0].strip('`')): row[2].strip('`') for row in rows('Deprecated')}
    assert set(listed) == found
    for (surface, _), name in listed.items():
        assert (name, False) in SURFACES[surface], (surface, name)


def test_each_name_once_and_in_order():
    for heading in ('Names', 'Deprecated'):
        names = [row[0] for row in rows(heading)]
        assert names == sorted(names)
    assert len({row[0] for row in rows('Names')}) == len(rows('Names'))


def test_the_page_says_what_a_name_means():
    assert all(re.fullmatch(r'\S.*', cell) for row in rows('Names') for cell in row)
