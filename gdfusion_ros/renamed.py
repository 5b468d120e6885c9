"""Names of settings, flags and keys of files that have changed: the old ones work for one version more and say so."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

T = TypeVar('T')

RENAMED = {'moods': 'weather'}
"""Old name -> name. What was renamed in one version is taken out in the next but one."""


def current(values: Mapping[str, T]) -> dict[str, T]:
    """``values`` under the names of today, with a line on standard error for every old one."""
    for old in filter(RENAMED.__contains__, values):
        _say(old, RENAMED[old])
    return {RENAMED.get(name, name): value for name, value in values.items()}


def add_old_flag(parser: argparse._ActionsContainer, flag: str, **options: Any) -> None:
    """Take ``flag``, e.g. ``--moods``, for the flag that it is called now; help does not show it."""
    name = RENAMED[flag.removeprefix('--')]
    parser.add_argument(flag, dest=name, action=_OldFlag, help=argparse.SUPPRESS, default=argparse.SUPPRESS, **options)


class _OldFlag(argparse.Action):
    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        del parser
        _say(f'{option_string}', f'--{self.dest}')
        setattr(namespace, self.dest, values)


def _say(old: str, new: str) -> None:
    print(f"'{old}' is called '{new}' now; the old name still works in this version", file=sys.stderr)
