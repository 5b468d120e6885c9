"""Tables decoded a piece at a time."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from gdfusion_ros.datasets import tables
from gdfusion_ros.datasets.tables import Row, Tables
from gdfusion_ros.errors import GdfusionError


class Named(Row):
    name: str
    size: float


ROWS = [
    {'token': f'token {number}', 'name': f'a "}}, {{" b\\ {number} }},{{"x":', 'size': 1.5, 'more': [[1.5, number], []]}
    for number in range(200)
]


@pytest.fixture(autouse=True, params=[60, 1000, 1 << 20])
def small_pieces(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, '_PIECE', request.param)
    monkeypatch.setattr(tables, '_TAIL', 300)


@pytest.mark.parametrize('form', [{'indent': 0}, {'separators': (',', ':')}, {'indent': 4, 'sort_keys': True}])
def test_pieces_make_the_whole(tmp_path: Path, form: dict[str, object]) -> None:
    (tmp_path / 'things.json').write_text(json.dumps(ROWS, **form))  # type: ignore[arg-type]
    found = Tables(tmp_path).read('things', Named, lambda row: row.name)
    assert found == {row['token']: row['name'] for row in ROWS}
    assert list(found) == [row['token'] for row in ROWS]


def test_numbers_that_are_none_do_not_matter_where_nobody_looks(tmp_path: Path) -> None:
    rows = [row | {'more': [float('nan'), float('inf')]} for row in ROWS]
    (tmp_path / 'things.json').write_text(json.dumps(rows))
    assert len(Tables(tmp_path).read('things', Named, lambda row: row.name)) == len(ROWS)


def test_objects_in_rows_are_no_rows(tmp_path: Path) -> None:
    rows = [row | {'parts': [{'name': 'a', 'size': 1}, {'size': 2, 'name': 'b'}], 'last': {'c': {}}} for row in ROWS]
    (tmp_path / 'things.json').write_text(json.dumps(rows))
    assert list(Tables(tmp_path).read('things', Named, lambda row: row.name)) == [row['token'] for row in ROWS]


def test_rows_that_make_nothing_are_dropped(tmp_path: Path) -> None:
    (tmp_path / 'things.json').write_text(json.dumps(ROWS))
    found = Tables(tmp_path).read('things', Named, lambda row: row if row.token.endswith('7') else None)
    assert len(found) == 20


@pytest.mark.parametrize(
    ('change', 'said'),
    [
        ({'name': 3}, 'row token 150 is wrong: Expected `str`, got `int` - at `$.name`'),
        ({'size': float('nan')}, 'row token 150 is wrong: Expected `float`'),
        ({'token': None}, 'row None is wrong'),
    ],
)
def test_a_fault_is_found_in_its_piece(tmp_path: Path, change: dict[str, object], said: str) -> None:
    rows = [row | (change if index == 150 else {}) for index, row in enumerate(ROWS)]
    (tmp_path / 'things.json').write_text(json.dumps(rows))
    with pytest.raises(GdfusionError) as error:
        Tables(tmp_path).read('things', Named, lambda row: row)
    assert f'{tmp_path}/things.json' in str(error.value)
    assert said in str(error.value)


@pytest.mark.parametrize(
    'content',
    [
        b'[{"token": "\x80"}]',
        b'[{"token": "a", "name": "b", "size": 1, "more": ' + b'[' * 10**5,
        b'[' * 10**5,
        b'\xff\xfe',
        b'',
    ],
)
def test_bytes_that_are_no_table_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / 'things.json').write_bytes(content)
    with pytest.raises(GdfusionError, match=r'things.json is not (whole JSON|a list of rows)'):
        Tables(tmp_path).read('things', Named, lambda row: row)


def test_an_end_in_the_middle_is_found(tmp_path: Path) -> None:
    (tmp_path / 'things.json').write_text(json.dumps(ROWS)[:-40])
    with pytest.raises(GdfusionError, match='not whole JSON'):
        Tables(tmp_path).read('things', Named, lambda row: row)


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / 'things.json')
    with pytest.raises(GdfusionError, match=r'things\.json cannot be read: it is no file'):
        Tables(tmp_path).read('things', Named, lambda row: row.name)
