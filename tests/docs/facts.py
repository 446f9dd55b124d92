# SPDX-License-Identifier: Apache-2.0
"""What the program says of itself, and what its sources say: the side that the documents are held against."""

import os
import re
import subprocess
from pathlib import Path
from typing import NamedTuple

REPO = Path(__file__).resolve().parents[2]
BINARY = Path(os.environ.get('DIMMER', REPO / 'build/dev/src/cli/dimmer')).absolute()
# Beside dimmer if installed, in its own folder if built.
DAEMON = next((path for path in (BINARY.parent / 'dimmerd', BINARY.parents[1] / 'daemon/dimmerd') if path.exists()),
              BINARY.parent / 'dimmerd')


class Option(NamedTuple):
    """As in -m, --memory=SIZE; short and argument are '' where there is none."""

    short: str
    name: str
    argument: str


def dimmer(*args, env=None):
    """Run dimmer to its end, with no terminal and in the C locale."""
    return subprocess.run([BINARY, *args], env=os.environ | {'LC_ALL': 'C'} | (env or {}),
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
                          check=False)


def dimmerd(*args, stdin='', env=None):
    """As dimmer(), with a line of standard input, say a password."""
    return subprocess.run([DAEMON, *args], env=os.environ | {'LC_ALL': 'C'} | (env or {}), input=stdin,
                          capture_output=True, text=True, timeout=60, check=False)


def options_of(text):
    lines = text.splitlines()
    found = [re.fullmatch(r'  (?:-(\w), |    )?--([\w-]+)(?:=([\w=]+))?  +\S.*', line) for line in lines]
    assert lines and all(found), f'not all of this are options: {text}'
    return {Option(*option.groups('')) for option in found}


def paragraph(text, heading):
    return re.search(rf'^{heading}:\n(.*?)(?:\n\n|\Z)', text, re.MULTILINE | re.DOTALL).group(1)


def help_text(*verb):
    done = dimmer(*verb, '--help')
    assert done.returncode == 0, done.stderr
    return done.stdout


def verbs():
    """{verb: its arguments}, from 'dimmer --help'."""
    lines = paragraph(help_text(), 'Verbs').splitlines()
    words = (re.match(r'  (\S+) ?(.*?)  +\S', line).groups() for line in lines)
    return dict(words)


def verb_options(verb):
    """All options that 'dimmer VERB --help' lists."""
    return options_of(paragraph(help_text(verb), 'Options'))


def usage(verb):
    """The first line of 'dimmer VERB --help'."""
    return help_text(verb).splitlines()[0]


def common_options():
    """Those that 'dimmer --help' promises for every verb."""
    return options_of(paragraph(help_text(), 'Options of every verb'))


def program_options():
    """Those that 'dimmer --help' lists for itself."""
    return options_of(paragraph(help_text(), 'Options'))


def source(path):
    return (REPO / 'src' / path).read_text()


def exit_statuses():
    """{'DM_EXIT_DONE': 0, ...} of base/error.h."""
    pairs = re.findall(r'^  (DM_EXIT_\w+) = (\d+),$', source('base/include/base/error.h'), re.MULTILINE)
    return {name: int(number) for name, number in pairs}


def errors():
    """{stable name: exit status} of base/error.c's table, without those of the daemon alone."""
    statuses = exit_statuses()
    rows = re.findall(r'^  ROW\(\w+, "([a-z-]+)", \d+, (DM_EXIT_\w+)\),$', source('base/error.c'), re.MULTILINE)
    codes = re.search(r'typedef enum \{(.*?)\} DmError;', source('base/include/base/error.h'), re.DOTALL)
    assert len(rows) == len(re.findall(r'^  DM_ERROR_(?!CODES\b)\w+', codes.group(1), re.MULTILINE))
    return {name: statuses[status] for name, status in rows if status != 'DM_EXIT_NONE'}


def routes():
    """{(method, path)} of the API's table; "{}" stands for an id."""
    rows = re.findall(r'^  \{"([A-Z]+)", "([^"]*)", handle_', source('api/routes.c'), re.MULTILINE)
    assert len(rows) > 40
    return set(rows)


def names(path, array):
    """The strings of a table of names in C."""
    body = re.search(rf'\b{array}\[\w*\] = \{{(.*?)\}};', source(path), re.DOTALL).group(1)
    return set(re.findall(r'"([^"]*)"', body))
