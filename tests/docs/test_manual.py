# SPDX-License-Identifier: Apache-2.0
"""dimmer(1) against the program: each statement that can be compared, both ways."""

import re
import shutil
import subprocess

import pytest

import facts
import manual

COMMON = 'DESCRIPTION/Options of every verb'
VERBS = facts.verbs()


def heading(verb):
    return f'dimmer {verb} {VERBS[verb]}'.strip()


def test_lint(require):
    require([] if shutil.which('mandoc') else ['program mandoc (Debian package mandoc)'])
    done = subprocess.run(['mandoc', '-T', 'lint', '-W', 'warning', manual.PAGE], capture_output=True, text=True,
                          check=False)
    assert (done.returncode, done.stdout) == (0, '')


def test_no_line_is_too_wide(require):
    """Examples in the page are not wrapped, and most terminals are 80 columns wide."""
    require([] if shutil.which('mandoc') else ['program mandoc (Debian package mandoc)'])
    text = subprocess.run(['mandoc', '-T', 'ascii', '-O', 'width=80', manual.PAGE], capture_output=True, text=True,
                          check=True).stdout
    lines = re.sub('.\b', '', text).splitlines()
    assert [line for line in lines if len(line) > 80] == []


def test_verbs():
    assert manual.subsections('VERBS') == [heading(verb) for verb in VERBS]


@pytest.mark.parametrize('verb', VERBS)
def test_options(verb):
    described = manual.options(f'VERBS/{heading(verb)}') | manual.options(COMMON)
    assert described == facts.verb_options(verb)


def test_the_readme_lists_each_verb():
    rows = re.findall(r'^\| `dimmer (\w+)', (facts.REPO / 'README.md').read_text(), re.MULTILINE)
    assert set(rows) == set(VERBS)


@pytest.mark.parametrize('verb', VERBS)
def test_usage(verb):
    assert facts.usage(verb) == f'Usage: dimmer {verb} [OPTION...] {VERBS[verb]}'.strip()


@pytest.mark.parametrize('verb', VERBS)
def test_attached_values(verb):
    """The value of a short option may follow it at once, as the page says."""
    assert re.search(r'may follow it at once:\n\.Fl o Ns Cm json ,\n\.Fl m Ns Cm 1G \.', manual.section(COMMON))
    known = {'SIZE': '1G', 'prepare': 'prepare'}
    operands = [known.get(operand, 'test') for operand in VERBS[verb].split()]
    operands += {'set': ['--maximum=16G'], 'enable': ['--maximum=16G'], 'reclaim': ['--memory=1G']}.get(verb, [])  # first
    for option in facts.verb_options(verb):
        if option.short and option.argument:
            apart, attached = (facts.dimmer(verb, *operands, *words)
                               for words in ((f'-{option.short}', 'wrong'), (f'-{option.short}wrong',)))
            assert 'wrong' in apart.stderr, option
            assert (attached.returncode, attached.stderr) == (apart.returncode, apart.stderr), option


def test_common_options():
    assert manual.options(COMMON) == facts.common_options()


def test_program_options():
    named = set(re.findall(r'^\.Nm Fl -(\w+)$', manual.section(COMMON), re.MULTILINE))
    assert named == {option.name for option in facts.program_options()}


def test_synopsis():
    def short_form(option):
        flag = f'-{option.short}' if option.short else f'--{option.name}'
        return f'{flag} {option.argument}'.strip()

    common = facts.common_options()
    assert manual.synopsis() == {
        verb: ({short_form(option) for option in facts.verb_options(verb) - common}, arguments)
        for verb, arguments in VERBS.items()}


def test_exit_statuses():
    listed = [int(tag) for tag in manual.tags('EXIT STATUS')]
    assert listed == sorted(facts.exit_statuses().values())


def test_error_names():
    listed = dict(re.fullmatch(r'([a-z-]+) (\d+)', tag).groups() for tag in manual.tags('DIAGNOSTICS'))
    assert listed == {name: str(status) for name, status in facts.errors().items()}


def test_environment():
    assert 'Ev LIBVIRT_DEFAULT_URI' in manual.tags('ENVIRONMENT')
    done = facts.dimmer('list', env={'LIBVIRT_DEFAULT_URI': 'test:///default'})
    assert (done.returncode, done.stderr) == (0, '')


@pytest.mark.parametrize('text, mib', [('1400MiB', 1400), ('1.5GiB', 1536), ('256M', 256), ('1468006400', 1400)])
def test_sizes(text, mib):
    assert text in manual.section('SIZES')
    done = facts.dimmer('-c', 'test:///default', 'set', 'test', '--next-run', '-m', text, '-n')
    assert f'next run     {mib} MiB' in done.stdout, done.stderr


def test_checks_of_the_doctor():
    """Each is named here, and has a title on the page."""
    checks = set(re.findall(r'\[DM_CHECK_\w+\] = "([a-z-]+)"', facts.source('words/finding.c')))
    text = manual.section('VERBS/dimmer doctor VM').partition('The checks are')[2].partition('\n.Pp')[0]
    assert checks and {word for line in re.findall(r'^\.Cm (.*)$', text, re.MULTILINE) for word in re.findall(r'[a-z-]+', line)} == checks
    page = (facts.REPO / 'web/page/check.js').read_text().partition('const names = {')[2].partition('};')[0]
    assert set(re.findall(r"^  '?([a-z-]+)'?:", page, re.MULTILINE)) == checks
