# SPDX-License-Identifier: Apache-2.0
"""Reads docs/dimmer.1, or another page: sections, options, lists and examples in mdoc(7)."""

import re

from facts import REPO, Option

PAGE = REPO / 'docs/dimmer.1'
ESCAPES = {r'\-': '-', r'\(aq': "'", r'\(ha': '^', r'\(ti': '~', r'\(dq': '"', r'\e': '\\'}


def _blocks(text, macro):
    """{title: text} of each part that begins with the macro."""
    parts = re.split(rf'^\.{macro} (.*)\n', text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2]))


def section(title, page=PAGE):
    """The text of a section up to the next; a subsection as 'SECTION/Subsection'."""
    title, _, subtitle = title.partition('/')
    text = _blocks(page.read_text(), 'Sh')[title]
    return _blocks(text, 'Ss')[subtitle] if subtitle else text


def subsections(title, page=PAGE):
    return list(_blocks(section(title, page), 'Ss'))


def tags(title, page=PAGE):
    """The tags of a section's list items, as plain words."""
    items = re.findall(r'^\.It (.*)', section(title, page), re.MULTILINE)
    return [re.sub(r'\b(Sy|Li|Cm|Pq|Dq) ', '', item) for item in items]


def options(title, page=PAGE):
    """The options that are described in a section's list items."""
    found = set()
    for item in re.findall(r'^\.It (Fl .*)', section(title, page), re.MULTILINE):
        short = re.match(r'Fl (\w)\b', item)
        long = re.search(r'Fl -([\w-]+)(?: Ns = Ns Ar ([\w=]+))?$', item)
        assert long, f'cannot read .It {item}'
        assert not short or f'Fl {short[1]} Ar {long[2]} ,' in item or (not long[2] and f'Fl {short[1]} ,' in item), \
            f'the short option has another argument: .It {item}'
        found.add(Option(short[1] if short else '', long[1], long[2] or ''))
    return found


def synopsis():
    """{verb: (set of '-m SIZE', '--next-run', ...; operands)}."""
    found = {}
    for text in re.split(r'^\.Nm\n', section('SYNOPSIS'), flags=re.MULTILINE):
        verb = re.match(r'\.Cm (\w+)\n', text)
        if verb:
            flags = re.findall(r'^\.(?:Op )?Fl (-?[\w-]+)(?: Ar ([\w=]+))?$', text, re.MULTILINE)
            operands = re.findall(r'^\.(?:Ar|Cm) (.*)$', text, re.MULTILINE)[1:]
            found[verb[1]] = ({f'-{flag} {argument}'.strip() for flag, argument in flags},
                              ' '.join(operands).replace(' ...', '...'))
    return found


def examples():
    """[(arguments of dimmer, lines of its output)] of each literal block that shows output."""
    found = []
    for block in re.findall(r'^\.Bd -literal.*?\n(.*?)^\.Ed', PAGE.read_text(), re.MULTILINE | re.DOTALL):
        for escape, character in ESCAPES.items():
            block = block.replace(escape, character)
        command, *lines = block.splitlines()
        if command.startswith('$ dimmer '):
            found.append((command.split()[2:], lines))
    return found
