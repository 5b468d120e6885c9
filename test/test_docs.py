"""The pages: links lead somewhere, code compiles, commands are ones that there are, and the reference says all."""

from __future__ import annotations

import argparse
import ast
import importlib
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from gdfusion_ros.cli import build_parser
from gdfusion_ros.messages.outputs import outputs
from gdfusion_ros.settings import BevSettings
from tools.docs.links import CODE, ROOT, in_repository, is_outside, resolved, rewritten, site_path, spaced, targets

BLOCK = re.compile(r'^( *)```(\w+)\n(.*?)^\1```$', re.DOTALL | re.MULTILINE)
INLINE = re.compile(r'`(gdfusion [a-z][^`\n]*)`')
HEADING = re.compile(r'^#+ (.+)$', re.MULTILINE)
FLAG = re.compile(r'(?<!\S)--[a-z][\w-]*')

pytestmark = pytest.mark.skipif(not (ROOT / '.git').exists(), reason='not a checkout')


def tracked(*patterns: str) -> list[str]:
    return subprocess.run(
        ['git', 'ls-files', '--', *patterns], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.splitlines()


def pages() -> dict[str, str]:
    """Path -> text of every page of the repository."""
    return {name: (ROOT / name).read_text() for name in tracked('*.md') if (ROOT / name).is_file()}


def blocks(language: str) -> Iterator[tuple[str, str]]:
    """Page and text of every block of code in that language."""
    for name, text in pages().items():
        for match in BLOCK.finditer(text):
            if match[2] == language:
                yield name, re.sub(f'^{match[1]}', '', match[3], flags=re.MULTILINE)


def commands(text: str) -> Iterator[list[str]]:
    """The words of every command of a shell block, comments and assignments apart."""
    for line in text.replace('\\\n', ' ').splitlines():
        for command in ' '.join(shlex.quote(word) for word in shlex.split(line, comments=True)).split(" '&&' "):
            words = shlex.split(command)
            while words and re.match(r'[A-Z_]+=', words[0]):
                del words[0]
            if words:
                yield words


def verbs() -> dict[str, argparse.ArgumentParser]:
    return next(
        dict(action.choices) for action in build_parser()._actions if isinstance(action, argparse._SubParsersAction)
    )


def anchors(text: str) -> set[str]:
    """What the headings of a page are linked by, here and on the site."""
    titles = HEADING.findall(CODE.sub(lambda code: code[0] if code[0].count('\n') == 0 else '', text))
    return {re.sub(r'[\s]+', '-', re.sub(r'[^\w\s-]', '', title).strip().lower()) for title in titles}


def test_links_lead_to_files_and_headings() -> None:
    texts, lost = pages(), []
    for name, text in texts.items():
        for target in targets(text):
            if is_outside(target) and not target.startswith('#'):
                continue
            path, anchor = resolved(name, target), target.partition('#')[2]
            path = name if target.startswith('#') else path
            if not (ROOT / path).exists() or (anchor and anchor not in anchors(texts[path])):
                lost.append(f'{name}: {target}')
    assert sum(len(targets(text)) for text in texts.values()) > 80
    assert lost == []


def test_every_page_of_the_site_is_in_its_menu() -> None:
    menu = re.findall(r'[\w/]+\.md', (ROOT / 'mkdocs.yml').read_text().partition('\nnav:')[2])
    written = [name.removeprefix('docs/') for name in tracked('docs/*.md')]
    assert sorted(name for name in menu if not name.startswith('reference/')) == sorted(written)


def test_python_in_pages_compiles_and_imports_what_there_is() -> None:
    lost = []
    for name, text in blocks('python'):
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ImportFrom) and (node.module or '').startswith('gdfusion_ros'):
                module = importlib.import_module(node.module or '')
                lost += [
                    f'{name}: {node.module}.{alias.name}' for alias in node.names if not hasattr(module, alias.name)
                ]
    assert lost == []


def test_commands_in_pages_are_understood(capsys: pytest.CaptureFixture[str]) -> None:
    parser, lost, count = build_parser(), [], 0
    rules = set(re.findall(r'^([a-z-]+):', (ROOT / 'Makefile').read_text(), re.MULTILINE))
    for name, text in blocks('sh'):
        for words in commands(text):
            count += 1
            if words[0] == 'make':
                lost += [f'{name}: make {word}' for word in words[1:] if word.islower() and word not in rules]
            elif words[0] in {'python', 'pytest'}:
                lost += [
                    f'{name}: {word}'
                    for word in words[1:]
                    if '/' in word and word.endswith('.py') and not (ROOT / word).exists()
                ]
            elif words[0] == 'gdfusion' and words[1] != 'VERB':
                try:
                    parser.parse_args(words[1:])
                except SystemExit:
                    lost.append(f'{name}: {" ".join(words)}: {capsys.readouterr().err.splitlines()[-1]}')
    assert count > 60
    assert lost == []


def test_commands_in_prose_have_flags_that_there_are() -> None:
    known = {verb: set(parser._option_string_actions) for verb, parser in verbs().items()}
    lost = [
        f'{name}: {match[1]}'
        for name, text in pages().items()
        for match in INLINE.finditer(text)
        for verb in [match[1].split()[1]]
        if verb not in known or not set(FLAG.findall(match[1])) <= known[verb]
    ]
    assert lost == []


@pytest.mark.parametrize('verb', verbs())
def test_examples_in_the_help_are_understood(verb: str) -> None:
    description = verbs()[verb].description or ''
    assert not re.search(r'\S {4,}--', description), 'a line is broken by a single backslash, which Python takes away'
    text = re.sub(r' *\\\n +', ' ', description)
    examples = re.findall(r'^  gdfusion (\S+(?: \S+)*)', text, re.MULTILINE)
    assert examples
    for example in examples:
        build_parser().parse_args(shlex.split(example))


def test_yaml_in_pages_sets_parameters_that_there_are() -> None:
    parameters = yaml.safe_load((ROOT / 'config/occ.yaml').read_text())['/**']['ros__parameters']
    found = [yaml.safe_load(text) for _, text in blocks('yaml')]
    given = {name for each in found if '/**' in each for name in each['/**']['ros__parameters']}
    assert given
    assert given <= set(parameters)


def test_every_output_of_the_node_is_on_its_page() -> None:
    page = (ROOT / 'docs/node.md').read_text()
    rows = [
        f'| `~/{output.topic}` | `{output.type_name.replace("/msg", "")}` |'
        for output in outputs(BevSettings(), bev_updates=True)
    ]
    assert [row for row in rows if row not in page] == []


def test_links_of_the_site() -> None:
    there = {'docs/a.md', 'docs/spec/b.md', 'config/c.yaml'}.__contains__
    assert (
        rewritten('docs/a.md', '[b](spec/b.md#x) [c](../config/c.yaml) [d](../gone)', there)
        == '[b](spec/b.md#x) [c](repository/config/c.yaml) [d](../gone)'
    )
    assert rewritten('docs/spec/b.md', '[a](../a.md)', there) == '[a](../a.md)'
    assert (
        rewritten('README.md', '[a](docs/a.md) [w](https://x.org) `[a](docs/a.md)`', there)
        == '[a](../a.md) [w](https://x.org) `[a](docs/a.md)`'
    )
    assert [in_repository(site_path(path)) for path in ('docs/a.md', 'LICENSE')] == ['docs/a.md', 'LICENSE']


def test_lists_behind_a_line_of_text() -> None:
    assert spaced('so:\n* a\n  b\n* c\n\n| x |\n| - |\n') == 'so:\n\n* a\n  b\n* c\n\n| x |\n| - |\n'
    assert spaced('```\nso:\n* a\n```\n') == '```\nso:\n* a\n```\n'


def test_the_reference_has_every_option_parameter_and_field() -> None:
    pytest.importorskip('rclpy', reason='the records of the node need rclpy')
    from gdfusion_ros.ros.parameters import RECORDS
    from tools.docs import reference

    written = reference.pages(ROOT)
    for verb, parser in verbs().items():
        assert f'## gdfusion {verb}\n' in written['reference/cli.md']
        flags = [
            flag
            for action in parser._actions
            if action.dest != 'help' and action.help != argparse.SUPPRESS
            for flag in action.option_strings
        ]
        assert [flag for flag in flags if not re.search(f'[` ]{flag}\\b', written['reference/cli.md'])] == []
    assert all(f'| `{name}` |' in written['reference/parameters.md'] for name in RECORDS)
    fields = re.findall(r'^\w\S* (\w+)$', (ROOT / 'msg/SemanticOccupancyGrid.msg').read_text(), re.MULTILINE)
    assert len(fields) == 14
    assert all(f'| `{name}` |' in written['reference/messages.md'] for name in fields)
    assert '`UNKNOWN` | `uint8` = 255' in written['reference/messages.md']


def test_text_is_shown_as_it_is() -> None:
    pytest.importorskip('rclpy', reason='the records of the node need rclpy')
    from tools.docs.reference import cell, described

    assert cell('a | <b> *c*\n [d] e_f') == r'a \| &lt;b&gt; \*c\* \[d\] e_f'
    assert described('One.\n\n  gdfusion a   b\n\nTwo.') == 'One.\n\n```sh\ngdfusion a   b\n```\n\nTwo.'


@pytest.mark.slow
def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    pytest.importorskip('mkdocs', reason='the site needs the extra docs')
    built = subprocess.run(
        [sys.executable, '-m', 'mkdocs', 'build', '--quiet', '--site-dir', str(tmp_path / 'site')],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    index = (tmp_path / 'site' / 'index.html').read_text()
    assert 'first_grid.html' in index
    assert (tmp_path / 'site' / 'reference' / 'api.html').is_file()
    assert (tmp_path / 'site' / 'repository' / 'config' / 'occ.yaml').is_file()
    assert not re.search(r'(?:src|href)="https?://(?!squidfunk)', re.sub(r'<a .*?>', '', index))
