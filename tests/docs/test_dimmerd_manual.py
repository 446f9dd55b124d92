# SPDX-License-Identifier: Apache-2.0
"""dimmerd(8) and packaging/dimmerd.conf against the program: each statement that can be compared, both ways."""

import re
import shutil
import signal
import subprocess

import pytest

import facts
import manual

PAGE = facts.REPO / 'docs/dimmerd.8'
EXAMPLE = facts.REPO / 'packaging/dimmerd.conf'
TABLE = facts.source('daemon/keys.c')


def help_text():
    done = facts.dimmerd('--help')
    assert (done.returncode, done.stderr) == (0, '')
    return done.stdout


def verbs():
    """{'user add': 'NAME', ...} of the help."""
    lines = facts.paragraph(help_text(), 'Verbs').splitlines()
    return dict(re.fullmatch(r'  (user [a-z]+) ?([A-Z]*(?: [A-Z]+)*)  +\S.*', line).groups() for line in lines)


def keys_of_program():
    """{('server', 'port'): '8080', ...} of the help."""
    text = facts.paragraph(help_text(), r'Keys of the configuration file[^\n]*')
    found, section = {}, None
    for line in text.splitlines():
        header, pair = re.fullmatch(r'  \[(\w+)\]', line), re.fullmatch(r'  ([\w-]+) =(?: (\S.*))?', line)
        if header:
            section = header[1]
        elif pair:
            found[section, pair[1]] = pair[2] or ''
        else:
            assert line.startswith(' ' * 6), line
    return found


def items_of_page():
    """{('server', 'port'): (default, text)}."""
    found = {}
    for title in manual.subsections('CONFIGURATION', PAGE):
        parts = re.split(r'^\.It (.*)\n', manual.section(f'CONFIGURATION/{title}', PAGE), flags=re.MULTILINE)
        for tag, text in zip(parts[1::2], parts[2::2]):
            name, default = re.fullmatch(r'Cm ([\w-]+) No =(?: Cm (\S.*))?', tag).groups()
            found[title.strip('[]'), name] = default or '', text
    return found


def keys_of_example():
    found, section = {}, None
    for line in EXAMPLE.read_text().splitlines():
        header, pair = re.fullmatch(r'\[(\w+)\]', line), re.fullmatch(r'#([\w-]+) =(?: (\S.*))?', line)
        if header:
            section = header[1]
        elif pair:
            found[section, pair[1]] = pair[2] or ''
        else:
            assert line == '' or line.startswith('# ') or line == '#', line
    return found


def test_lint(require):
    require([] if shutil.which('mandoc') else ['program mandoc (Debian package mandoc)'])
    done = subprocess.run(['mandoc', '-T', 'lint', '-W', 'warning', PAGE], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, '')


def test_no_line_is_too_wide(require):
    require([] if shutil.which('mandoc') else ['program mandoc (Debian package mandoc)'])
    text = subprocess.run(['mandoc', '-T', 'ascii', '-O', 'width=80', PAGE], capture_output=True, text=True,
                          check=True).stdout
    assert [line for line in re.sub('.\b', '', text).splitlines() if len(line) > 80] == []


def test_options():
    assert manual.options('DESCRIPTION/Options', PAGE) == facts.options_of(facts.paragraph(help_text(), 'Options'))
    assert manual.options('USERS/Options of user', PAGE) == \
        facts.options_of(facts.paragraph(help_text(), 'Options of user'))


def test_verbs():
    listed = [re.fullmatch(r'Cm (user [a-z]+)(?: Ar ([A-Z ]+))?', tag).groups('')
              for tag in re.findall(r'^\.It (Cm .*)', manual.section('USERS', PAGE), re.MULTILINE)]
    assert dict(listed) == verbs()


def test_synopsis():
    shown = {}
    for text in re.split(r'^\.Nm\n', manual.section('SYNOPSIS', PAGE), flags=re.MULTILINE)[1:]:
        verb = re.match(r'\.Cm (user \w+)\n(?:\.Ar (.*)\n)?', text)
        shown[verb[1] if verb else ''] = verb[2] or '' if verb else '', set(re.findall(r'Fl -(\w+)', text))
    options = {verb: {'users', 'config'} | ({'role'} if verb == 'user add' else set()) for verb in verbs()}
    assert shown == {'': ('', {'config', 'check'})} | {
        verb: (operand, options[verb]) for verb, operand in verbs().items()}


def test_keys():
    keys = keys_of_program()
    assert {key: default for key, (default, _) in items_of_page().items()} == keys
    assert keys_of_example() == keys
    assert list(keys) == re.findall(r'^  \{"(\w+)", "([\w-]+)", KEY_', TABLE, re.MULTILINE)


def test_live_keys():
    rows = re.findall(r'^  \{"(\w+)", "([\w-]+)", KEY_(.*?)"\},$', TABLE, re.MULTILINE | re.DOTALL)
    assert {(section, name) for section, name, rest in rows if '.live = TRUE' in rest} == \
        {key for key, (_, text) in items_of_page().items() if re.search(r'^Live\.$', text, re.MULTILINE)}


def test_choices():
    for key, allowed in re.findall(r'^  \{"log", "(\w+)".*?\.allowed = "(.*?)"', TABLE, re.MULTILINE | re.DOTALL):
        text = items_of_page()['log', key][1]
        assert set(allowed.split('|')) <= set(re.findall(r'^\.Cm (\w+)', text, re.MULTILINE)), key


def test_example_is_well(tmp_path, monkeypatch):
    """With each of its lines in force too."""
    monkeypatch.setenv('CONFIGURATION_DIRECTORY', str(tmp_path))  # default path of the users file
    for name, text in (('as-it-is', EXAMPLE.read_text()),
                       ('in-force', re.sub(r'^#([\w-]+ =)', r'\1', EXAMPLE.read_text(), flags=re.MULTILINE))):
        path = tmp_path / name
        users = tmp_path / 'users'
        path.write_text(text.replace('/etc/dimmer/users', str(users)))
        users.touch(mode=0o600)
        done = facts.dimmerd('--config', path, '--check')
        assert (done.returncode, done.stdout, done.stderr) == (0, 'ok\n', '')


def test_check_looks_for_the_users(tmp_path):
    path, users = tmp_path / 'dimmerd.conf', tmp_path / 'users'
    path.write_text(f'[users]\nfile = {users}\n')
    done = facts.dimmerd('--config', path, '--check')
    assert (done.returncode, done.stdout) == (1, '') and f'there is no users file {users};' in done.stderr


def test_exit_statuses(tmp_path):
    listed = [int(tag) for tag in manual.tags('EXIT STATUS', PAGE)]
    assert listed == [0, 1, 2, 128 + signal.SIGINT, 128 + signal.SIGTERM]
    assert facts.dimmerd('--config', tmp_path / 'missing', '--check').returncode == 1
    assert facts.dimmerd('--nonsense').returncode == 2


@pytest.mark.parametrize('line', ['nonsense', 'user', 'user nonsense', 'user add', 'user list x', 'user add a b',
                                  'user del a --role admin', 'user add a@b --role boss',
                                  'user role', 'user role a@b', 'user role a@b boss', 'user role a@b admin x', '--users x', '--role admin',
                                  'user list --check', 'user list --users a --config b'])
def test_wrong_usage(line):
    done = facts.dimmerd(*line.split())
    assert (done.returncode, done.stdout) == (2, '')
    assert re.fullmatch(r'dimmerd: .+\n', done.stderr)


def test_users(tmp_path):
    where = '--users', tmp_path / 'folder/users'
    missing = facts.dimmerd('user', 'list', *where)
    assert (missing.returncode, missing.stdout) == (1, '') and f'there is no users file {where[1]};' in missing.stderr

    def change(*line, stdin=None):
        """A change of a user ends with the command that makes a running daemon read it."""
        done = facts.dimmerd('user', *line, *where, stdin=stdin)
        assert done.returncode == 0 and done.stdout.endswith('systemctl reload dimmerd\n'), done
        return where[1].read_text()

    change('add', 'a@internal', '--role', 'admin', stdin='one\n')
    before = change('add', 'v@internal', stdin='two')
    assert facts.dimmerd('user', 'list', *where).stdout == 'admin   a@internal\nviewer  v@internal\n'
    after = change('passwd', 'v@internal', stdin='three\n')
    assert after != before
    assert change('role', 'v@internal', 'admin') == after.replace('v@internal:viewer:', 'v@internal:admin:')
    assert change('role', 'v@internal', 'viewer') == after
    change('del', 'a@internal')
    assert facts.dimmerd('user', 'list', *where).stdout == 'viewer  v@internal\n'
    assert where[1].stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize('line, password, message', [
    ('add v@internal', 'x\n', "there is a user 'v@internal' in .* already; .*passwd"),
    ('add w@internal', '\n', 'the password is empty'),
    ('add w@internal', '', 'the password is empty'),
    ('passwd w@internal', 'x\n', "there is no user 'w@internal' in "),
    ('role w@internal admin', '', 'the users file .* has no user w@internal; add the user first'),
])
def test_users_are_refused(tmp_path, line, password, message):
    where = '--users', tmp_path / 'users'
    facts.dimmerd('user', 'add', 'v@internal', *where, stdin='x\n')
    before = where[1].read_text()
    done = facts.dimmerd('user', *line.split(), *where, stdin=password)
    assert (done.returncode, done.stdout) == (1, '')
    assert re.match(f'dimmerd: {message}', done.stderr)
    assert where[1].read_text() == before


def test_unit(require, tmp_path):
    require([] if shutil.which('systemd-analyze') else ['program systemd-analyze (Debian package systemd)'])
    unit = tmp_path / 'dimmerd.service'
    text = (facts.REPO / 'packaging/dimmerd.service.in').read_text()
    unit.write_text(text.replace('@BINDIR@/dimmerd', str(facts.DAEMON)))
    done = subprocess.run(['systemd-analyze', 'verify', '--man=no', unit], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, '')
    # Some count for nothing there.
    for option in ('DevicePolicy=closed', 'MemoryMax=2G', 'PrivateMounts=yes', 'PrivateUsers=yes',
                   'SystemCallFilter=~@privileged @resources', 'TasksMax=512'):
        assert f'\n{option}\n' in text, option
    # The score is in tenths; 20 is what systemd calls OK.
    done = subprocess.run(['systemd-analyze', 'security', '--offline=true', '--threshold=20', unit],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
