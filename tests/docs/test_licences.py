# SPDX-License-Identifier: Apache-2.0
"""What the WebAdmin page carries and is not ours goes out with its licence, in the folder licences."""

from fnmatch import fnmatch

import pytest

from facts import REPO
from testbed.setup import web_page


@pytest.fixture
def page():
    folder = web_page()
    if not folder.exists():
        pytest.skip(f'this machine lacks: {folder} (built by meson)')
    return folder


def licensed(page):
    """Each licence's file and the patterns on its first line."""
    for path in sorted((page / 'licences').glob('*.txt')):
        word, *patterns = path.read_text().splitlines()[0].split()
        assert word == 'Files:' and patterns, path
        yield path, patterns


def test_licences(page):
    ours = {path.name for path in (REPO / 'web/page').iterdir()}
    carried = [path.name for path in page.rglob('*') if path.is_file() and path.suffix != '.txt']
    foreign = [name for name in carried if name not in ours]
    assert foreign and not set(carried) <= ours
    texts = dict(licensed(page))
    covered = [pattern for patterns in texts.values() for pattern in patterns]
    assert [name for name in foreign if not any(fnmatch(name, one) for one in covered)] == []
    for path, patterns in texts.items():
        assert any(fnmatch(name, one) for name in foreign for one in patterns), f'{path}: covers nothing'
        assert 'Copyright' in path.read_text() or 'License' in path.read_text()
