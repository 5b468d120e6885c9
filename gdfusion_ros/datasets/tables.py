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
# In JSON this is never part of a string (its first quotation mark would end it), nor of a row without objects inside.
_BETWEEN_ROWS = re.compile(rb'\}(\s*,\s*)(?=\{\s*"\w+"\s*:)')


class Tables:
    """The tables in a folder."""

    def __init__(self, folder: Path) -> None:
        """Nothing is read yet."""
        self._folder = folder

    def has(self, name: str) -> bool:
        """Whether there is a table ``name``."""
        return (self._folder / f'{name}.json').is_file()

    def read(self, name: str, row_type: type[R], make: Callable[[R], T | None]) -> dict[str, T]:
        """Token -> ``make(row)`` of table ``name`` in its order; rows for which that is None are dropped.

        Raises:
            GdfusionError: the file cannot be read, is no such table, a row that is kept has a token that cannot name a
                file, or ``make`` raises ValueError for a row.
        """
        path = self._folder / f'{name}.json'
        made: dict[str, T] = {}
        for row in _rows(path, row_type):
            try:
                value = make(row)
                if value is not None and not is_file_name(row.token):
                    raise ValueError('tokens name files; expected letters and digits, as nuScenes has them')
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
            raise GdfusionError(f"{self._folder}/{user}.json points to '{token}', which is not in {name}.json; both "
                                'are to be whole and of one version: fetch or export them again')
        return index[token]


def _rows(path: Path, row_type: type[R]) -> Iterator[R]:
    """The rows of the table at ``path``."""
    decoder = msgspec.json.Decoder(list[row_type])  # type: ignore[valid-type]
    try:
        with path.open('rb') as file:
            file.seek(len(BOM_UTF8) if file.read(len(BOM_UTF8)) == BOM_UTF8 else 0)
            for piece in _pieces(file):
                try:
                    yield from decoder.decode(piece)
                except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                    raise GdfusionError(_fault(path, piece, row_type, error)) from error
    except OSError as error:
        remedy = '; unpack all metadata of this version there (nuImages has other tables, and no drives)' \
            if isinstance(error, FileNotFoundError) else ''
        raise GdfusionError(f'table {path} cannot be read: {error.strerror}{remedy}') from error


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    """The text of a table in pieces, each a JSON list of whole rows."""
    text = file.read(_PIECE)
    while more := file.read(_PIECE):
        ends = list(_BETWEEN_ROWS.finditer(text, max(0, len(text) - _TAIL)))
        if ends:
            comma = ends[-1]
            yield text[:comma.start(1)] + b']'
            text = b'[' + text[comma.end(1):]
        text += more
    yield text


def _fault(path: Path, piece: bytes, row_type: type[Row], error: Exception) -> str:
    """What is wrong with a piece of the table at ``path`` that cannot be decoded."""
    if piece.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        return f'table {path} is not whole JSON: it is written in UTF-16; save it as UTF-8'
    try:
        # What Python's writer makes of numbers that are none, and JSON does not know, is a string to it.
        rows = json.loads(piece, parse_constant=str)
    except RecursionError:
        return _no_rows(path)
    except ValueError:
        return f'table {path} is not whole JSON ({error}); fetch it again'
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        return _no_rows(path)
    for row in rows:
        if fault := _row_fault(row, row_type):
            return f"{path}: row {row.get('token', row)} {fault}"
    return f'table {path} is not whole JSON ({error}); fetch it again'


def _no_rows(path: Path) -> str:
    return f'table {path} is not a list of rows; expected [{{"token": …}}, …], as the tables of nuScenes are'


def _row_fault(row: dict[str, object], row_type: type[Row]) -> str | None:
    for field in msgspec.structs.fields(row_type):
        if field.required and field.name not in row:
            return f"has no '{field.name}', which is needed: write it as nuScenes does, or fetch the table again"
    try:
        msgspec.convert(row, row_type)
    except msgspec.ValidationError as error:
        return f'is wrong: {error}{_remedy(str(error))}'
    return None


_FORMS = {'str': 'text in quotation marks', 'bool': 'true or false', 'int': 'a whole number', 'float': 'a number',
          'array': 'a list of numbers'}
"""msgspec's name of a type -> how JSON has it."""


def _remedy(fault: str) -> str:
    """What to write in the place of a value that msgspec found wrong."""
    wanted = re.search(r'Expected `(\w+)', fault)
    return f'; write {_FORMS[wanted[1]]} there, as nuScenes does' if wanted and wanted[1] in _FORMS else ''
