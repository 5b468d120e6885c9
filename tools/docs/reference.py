"""The reference pages of the site, written from what the code says of itself."""

from __future__ import annotations

import argparse
import html
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from textwrap import dedent

import gdfusion_ros
from gdfusion_ros.cli import build_parser
from gdfusion_ros.model.zoo import ZOO
from gdfusion_ros.ros.parameters import PARTS
from gdfusion_ros.settings import Record, Value, records
from gdfusion_ros.training.settings import TrainingSettings

FIELD = re.compile(r'^(\S+) ([A-Za-z]\w*)(?:=(\S+))?$')
PROTOCOLS = ('model.network', 'model.objectives.interface', 'model.probe')
"""Modules behind the public names, for who adds a network."""


def pages(root: Path) -> dict[str, str]:
    """Path below the site's root -> Markdown of every generated page."""
    return {
        'reference/cli.md': cli(build_parser()),
        'reference/parameters.md': parameters(),
        'reference/training.md': training(),
        'reference/messages.md': messages(root / 'msg'),
        'reference/api.md': api(),
    }


def plain(text: str) -> str:
    """Text as Markdown that shows it as it is."""
    return re.sub(r'([\\*|\[\]])|(?<!\w)(_)', r'\\\1\2', html.escape(text, quote=False))


def cell(text: str) -> str:
    """Text as one cell of a table."""
    return plain(' '.join(text.split()))


def table(heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """A table; cells are Markdown already."""
    lines = [heads, tuple('---' for _ in heads), *rows]
    return '\n'.join('| ' + ' | '.join(line) + ' |' for line in lines)


def cli(parser: argparse.ArgumentParser) -> str:
    """Every verb: its help as text, its examples as code, its arguments as tables."""
    verbs = next(action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    chapters = [
        f'## gdfusion {name}\n\n{described(verb.description or "")}\n\n'
        f'```text\n{verb.format_usage().strip()}\n```\n\n' + '\n\n'.join(arguments(verb))
        for name, verb in verbs.choices.items()
    ]
    return (
        '\n\n'.join(
            [
                '# The command line',
                f'{plain(parser.description or "")} `gdfusion --version` says which '
                'version is installed; `gdfusion VERB --help` prints what stands here.',
                *chapters,
            ]
        )
        + '\n'
    )


def described(text: str) -> str:
    """The help of a verb: paragraphs that are indented are commands."""
    return '\n\n'.join(
        f'```sh\n{dedent(paragraph).rstrip()}\n```' if paragraph.startswith('  ') else plain(paragraph)
        for paragraph in text.strip('\n').split('\n\n')
    )


def arguments(verb: argparse.ArgumentParser) -> Iterator[str]:
    """A table for each group of a verb's arguments."""
    formatter = verb._get_formatter()
    for group in verb._action_groups:
        rows = [
            (
                f'`{formatter._format_action_invocation(action)}`',
                cell(formatter._expand_help(action) if action.help else ''),
            )
            for action in group._group_actions
            if action.help != argparse.SUPPRESS and action.dest != 'help'
        ]
        if rows:
            yield table((f'{group.title}', ''), rows)


def settings_table(found: Mapping[str, tuple[Value, Record]]) -> str:
    """Every setting of one class: name, default, what it may be, its sentence."""
    return table(
        ('name', 'default', 'may be', 'what it is'),
        [
            (f'`{name}`', f'`{json.dumps(default)}`', allowed(default, record), cell(record.description))
            for name, (default, record) in found.items()
        ],
    )


def allowed(default: Value, record: Record) -> str:
    """The values that a setting may have."""
    if record.choices:
        return ', '.join(f'`{choice}`' for choice in record.choices)
    if record.low is not None and record.high is not None:
        return f'{record.low:.10g} to {record.high:.10g}'
    kinds = {bool: 'true, false', str: 'text', int: 'whole number', float: 'number', tuple: 'list of names'}
    return kinds[type(default)]


def parameters() -> str:
    """The parameters of the node, part by part."""
    chapters = [
        f'## {plain((part.__doc__ or "").splitlines()[0].rstrip("."))}\n\n{settings_table(records(part))}'
        for part in PARTS.values()
    ]
    return (
        '\n\n'.join(
            [
                '# Parameters of the node',
                'Parameters of the node `occ`. A file of them ([config/occ.yaml](../repository/config/occ.yaml) has '
                'them all) serves `gdfusion node --params-file`, `ros2 launch … params_file:=` and `gdfusion replay '
                '--params-file` alike; `--set NAME=VALUE` sets one.',
                *chapters,
            ]
        )
        + '\n'
    )


def training() -> str:
    """The settings of a training run, then those of each objective."""
    objectives: dict[type, list[str]] = {}
    for name, entry in ZOO.items():
        objectives.setdefault(entry.objective, []).append(name)
    chapters = [
        f'## Objective of {", ".join(f"`{name}`" for name in names)}\n\n'
        + (settings_table(records(objective)) if records(objective) else 'Nothing is to be chosen.')
        for objective, names in objectives.items()
    ]
    return (
        '\n\n'.join(
            [
                '# Settings of training',
                'Keys of the YAML file of `gdfusion train`; the settings of the '
                "network's objective stand among the others.",
                settings_table(records(TrainingSettings)),
                *chapters,
            ]
        )
        + '\n'
    )


def messages(folder: Path) -> str:
    """Every message: what it is, and its fields with their comments."""
    chapters = [
        f'## gdfusion\\_ros/{path.stem}\n\n{message(path.read_text())}' for path in sorted(folder.glob('*.msg'))
    ]
    return '\n\n'.join(['# Messages', *chapters]) + '\n'


def message(text: str) -> str:
    """One definition: paragraphs of comments, each with the fields that it is about."""
    head, rows = [], []
    for block in text.strip().split('\n\n'):
        lines = block.split('\n')
        comment = ' '.join(line.lstrip('# ') for line in lines if line.startswith('#'))
        fields = [match for line in lines if (match := FIELD.match(line))]
        if not fields:
            head.append(plain(comment))
        rows += [
            (f'`{field[2]}`', f'`{field[1]}`' + (f' = {field[3]}' if field[3] else ''), cell(comment))
            for field in fields
        ]
    return '\n\n'.join([*head, table(('field', 'type', 'what it is'), rows)])


def api() -> str:
    """The public names, each by its docstring, and the Protocols that a network is put together of."""
    public = '\n\n'.join(f'::: gdfusion_ros.{module}.{name}' for name, module in gdfusion_ros._HOMES.items())
    behind = '\n\n'.join(f'::: gdfusion_ros.{module}' for module in PROTOCOLS)
    return (
        '# Python\n\n`from gdfusion_ros import ...` gives these names, and brings no library before one of them is '
        f'asked for.\n\n{public}\n\n## For a network of your own\n\n{behind}\n'
    )
