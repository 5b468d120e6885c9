"""Names that come from others."""

from __future__ import annotations

import pickle

import pytest

from gdfusion_ros.errors import LONGEST, GdfusionError
from gdfusion_ros.names import is_file_name, is_relative_path, printable


@pytest.mark.parametrize(
    ('text', 'shown'),
    [
        ('bevdetocc_gf', 'bevdetocc_gf'),
        ('東京 \\x', '東京 \\x'),
        ('\x1b[2Jgone', '\\x1b[2Jgone'),
        ('a\r\n\tb', 'a b'),
        ('a\u202eb\x9bc', 'a\\u202eb\\x9bc'),
        ('\ud800', '\\ud800'),
    ],
)
def test_what_a_terminal_would_obey_is_escaped(text: str, shown: str) -> None:
    assert printable(text, 100) == shown
    assert printable(shown, 100) == shown


@pytest.mark.parametrize('char', ['x', '\x1b'])
def test_errors_are_one_line_of_a_sane_length(char: str) -> None:
    error = GdfusionError(f'what: {char * 7_000_000}; mend it so')
    said = str(error)
    assert len(said) <= LONGEST
    assert said.startswith('what: ')
    assert said.endswith('; mend it so')
    assert said.isprintable()
    assert str(pickle.loads(pickle.dumps(error))) == said  # noqa: S301  our own


@pytest.mark.parametrize('name', ['a', '3a1c', 'scene-0001', 'Odaiba 1-1 (rain)', '2024.05.01', 'a..b'])
def test_names_of_files(name: str) -> None:
    assert is_file_name(name)
    assert is_relative_path(f'samples/{name}/{name}.jpg')


@pytest.mark.parametrize(
    'name', ['', '.', '..', '.hidden', '-rf', 'a/b', 'a\\b', ' a', 'a ', 'a\n', 'a\0', 'x' * 201, '日' * 67]
)
def test_no_names_of_files(name: str) -> None:
    assert not is_file_name(name)


@pytest.mark.parametrize('path', ['', '/a', '../a', 'a/..', 'a/../b', 'C:/a', '~/a', 'a/', 'a\n/../b', 'a\0'])
def test_no_paths_below_a_folder(path: str) -> None:
    assert not is_relative_path(path)
