# SPDX-License-Identifier: Apache-2.0
"""completions/dimmerd.bash against the program, driven in a bash without a terminal."""

import os
import shutil
import subprocess

import pytest

import facts
from test_completion import flags, words_of
from test_dimmerd_manual import help_text, verbs

SCRIPT = facts.REPO / 'completions/dimmerd.bash'
DRIVER = '''
set -u
source "$1"
COMP_WORDS=("${@:2}")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_dimmerd dimmerd "${COMP_WORDS[COMP_CWORD]}" ""
((${#COMPREPLY[@]} == 0)) || printf '%s\\n' "${COMPREPLY[@]}"
'''


def complete(line, cwd=None):
    done = subprocess.run(['bash', '--norc', '-c', DRIVER, 'bash', SCRIPT, *words_of(line)], env=os.environ, cwd=cwd,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (0, ''), line
    return done.stdout.splitlines()


def options(heading):
    return flags(facts.options_of(facts.paragraph(help_text(), heading)))


def test_shellcheck(require):
    require([] if shutil.which('shellcheck') else ['program shellcheck (Debian package shellcheck)'])
    done = subprocess.run(['shellcheck', SCRIPT], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, '')


def test_verbs():
    assert complete('dimmerd ') == ['user']
    assert [f'user {verb}' for verb in complete('dimmerd user ')] == list(verbs())
    assert complete('dimmerd user p') == ['passwd']
    assert complete('dimmerd user add ') == complete('dimmerd user role ') == complete('dimmerd user add a@b ') == []


def test_options():
    assert set(complete('dimmerd -')) == options('Options')
    assert set(complete('dimmerd user add a@b -')) == options('Options of user') | {'--config'}


@pytest.mark.parametrize('line', ['dimmerd user add a --role ', 'dimmerd user add a --role=', 'dimmerd user role a@b '])
def test_roles(line):
    assert complete(line) == ['admin', 'viewer']
    assert complete(f'{line}v') == ['viewer']


@pytest.mark.parametrize('line', ['dimmerd --config ', 'dimmerd --config=', 'dimmerd user list --users '])
def test_files(tmp_path, line):
    (tmp_path / 'a b.conf').touch()
    (tmp_path / 'b.conf').touch()
    assert sorted(complete(line, tmp_path)) == ['a b.conf', 'b.conf']
    assert complete(f'{line}b', tmp_path) == ['b.conf']
