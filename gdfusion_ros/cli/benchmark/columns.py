"""Tables of the measures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tabulate import tabulate


def columns(rows: Iterable[Sequence[object]], *headers: str) -> str:
    """A table of numbers that are written out already."""

    return tabulate(rows, headers=headers, stralign='right', disable_numparse=True)
