"""Tables of a relational dataset: a folder of JSON files, each a list of flat rows with a ``token``.

Only the fields that a row type declares are decoded, a piece of the file at a time: what is not kept of a table never
piles up in memory, however large the file is.
"""

from __future__ import annotations

import json
import re
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, TypeVar

import msgspec

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.names import is_file_name


class Row(msgspec.Struct, gc=False):
    """A row; subclasses declare the fields that are needed of it."""

    token: str


R = TypeVar('R', bound=Row)
T = TypeVar('T')

_PIECE = 8 << 20  # bytes
_TAIL = 64 << 10  # bytes at the end of a piece in which rows end
_FIRST_KEY = re.compile(rb'\s*\[\s*\{\s*("[^"\\]*")\s*:')


class Tables:
    """The tables in a folder."""

    def __init__(self, folder: Path) -> None:
        """Nothing is read yet."""
        self._folder = folder

    def path(self, name: str) -> Path:
        """Where table ``name`` is, or would be."""
        return self._folder / f'{name}.json'

    def has(self, name: str) -> bool:
        """Whether there is a table ``name``."""
        return self.path(name).is_file()

    def read(self, name: str, row_type: type[R], make: Callable[[R], T | None]) -> dict[str, T]:
        """Token -> ``make(row)`` of table ``name`` in its order; rows for which that is None are dropped.

        Raises:
            GdfusionError: the file cannot be read, is no such table, a row that is kept has a token that cannot name a
                file or that another kept row has, or ``make`` raises ValueError for a row. The same row twice is one.
        """
        path = self.path(name)
        made: dict[str, T] = {}
        for row in _rows(path, row_type):
            try:
                value = make(row)
                if value is not None and not is_file_name(row.token):
                    raise ValueError('tokens name files; expected letters and digits, as nuScenes has them')
                if row.token in made and value is not None and made[row.token] != value:
                    raise ValueError('another row has the same token')
            except ValueError as error:
                raise GdfusionError(f'{path}: row {row.token} is wrong: {error}') from error
            if value is not None:
                made[row.token] = value
        return made

    def find(self, index: Mapping[str, T], token: str, name: str, user: str) -> T:
        """The row ``token`` of table ``name`` that table ``user`` points to.

        Raises:
            GdfusionError: there is no such row.
        """
        if token not in index:
            raise GdfusionError(
                f"{self._folder}/{user}.json points to '{token}', which is not in {name}.json; both "
                'are to be whole and of one version: fetch or export them again'
            )
        return index[token]


def _rows(path: Path, row_type: type[R]) -> Iterator[R]:
    """The rows of the table at ``path``."""
    decoder = msgspec.json.Decoder(list[row_type])  # type: ignore[valid-type]
    if path.exists() and not path.is_file():
        raise GdfusionError(f'table {path} cannot be read: it is no file; fetch the tables again')
    try:
        with path.open('rb') as file:
            file.seek(len(BOM_UTF8) if file.read(len(BOM_UTF8)) == BOM_UTF8 else 0)
            for piece in _pieces(file):
                try:
                    yield from decoder.decode(piece)
                except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                    yield from _judged(path, piece, row_type, error)
    except OSError as error:
        remedy = (
            '; unpack all metadata of this version there (nuImages has other tables, and no drives)'
            if isinstance(error, FileNotFoundError)
            else ''
        )
        raise GdfusionError(f'table {path} cannot be read: {error.strerror}{remedy}') from error


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    """The text of a table in pieces, each a JSON list of whole rows."""
    text = file.read(_PIECE)
    between = _between_rows(text)
    while more := file.read(_PIECE):
        ends = list(between.finditer(text, max(0, len(text) - _TAIL)))
        if ends:
            comma = ends[-1]
            yield text[: comma.start(1)] + b']'
            text = b'[' + text[comma.end(1) :]
        text += more
    yield text


def _between_rows(text: bytes) -> re.Pattern[bytes]:
    """The end of a row and the beginning of one with the first key of the first, which tells them from objects inside.

    In JSON this is never part of a string: the first quotation mark would end it.
    """
    first = _FIRST_KEY.match(text)
    return re.compile(rb'\}(\s*,\s*)(?=\{\s*' + (re.escape(first[1]) if first else rb'"\w+"') + rb'\s*:)')


def _judged(path: Path, piece: bytes, row_type: type[R], error: Exception) -> list[R]:
    """The rows of a piece that is no JSON, if only because of what Python's writer makes of numbers that are none.

    Raises:
        GdfusionError: what else is wrong with it, or such a number is in a field that is needed.
    """
    if piece.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        raise GdfusionError(f'table {path} is not whole JSON: it is written in UTF-16; save it as UTF-8')
    try:
        rows = json.loads(piece, parse_constant=str)
    except RecursionError:
        raise GdfusionError(_no_rows(path)) from error
    except ValueError:
        raise GdfusionError(f'table {path} is not whole JSON ({error}); fetch it again') from error
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise GdfusionError(_no_rows(path))
    return [_row(path, row, row_type) for row in rows]


def _row(path: Path, row: dict[str, object], row_type: type[R]) -> R:
    place = f'{path}: row {row.get("token", row)}'
    for field in msgspec.structs.fields(row_type):
        if field.required and field.name not in row:
            raise GdfusionError(
                f"{place} has no '{field.name}', which is needed: write it as nuScenes does, or fetch the table again"
            )
    try:
        return msgspec.convert(row, row_type)
    except msgspec.ValidationError as error:
        raise GdfusionError(f'{place} is wrong: {error}{_remedy(str(error))}') from error


def _no_rows(path: Path) -> str:
    return f'table {path} is not a list of rows; expected [{{"token": …}}, …], as the tables of nuScenes are'


_FORMS = {
    'str': 'text in quotation marks',
    'bool': 'true or false',
    'int': 'a whole number',
    'float': 'a number',
    'array': 'a list of numbers',
}
"""msgspec's name of a type -> how JSON has it."""


def _remedy(fault: str) -> str:
    """What to write in the place of a value that msgspec found wrong."""
    wanted = re.search(r'Expected `(\w+)', fault)
    return f'; write {_FORMS[wanted[1]]} there, as nuScenes does' if wanted and wanted[1] in _FORMS else ''
