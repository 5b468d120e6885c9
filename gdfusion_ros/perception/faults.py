"""What an error that nobody expected costs: the set that it came with, and the whole work once it does not stop."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gdfusion_ros.errors import GdfusionError, RepeatedError
from gdfusion_ros.perception.counters import Counters
from gdfusion_ros.perception.types import stamp_text

_MOST_IN_A_ROW = 3


class Faults:
    """Turns unexpected errors into refusals of their sets, counted as 'error'."""

    def __init__(self, counters: Counters) -> None:
        """``counters`` are told of every set that was lost."""
        self._counters = counters
        self._in_a_row = 0

    @contextmanager
    def cost_a_set(self, stamp: int) -> Iterator[None]:
        """Work on the set at ``stamp`` [ns].

        Raises:
            GdfusionError: as the work does; or the work raised another error, which is the cause of this one.
            RepeatedError: it did so for the third set in a row.
        """
        try:
            yield
        except GdfusionError:
            raise
        except Exception as error:
            self._in_a_row += 1
            line = f'set at {stamp_text(stamp)}: {_described(error)}'
            self._counters.frame_refused('error', line)
            if self._in_a_row < _MOST_IN_A_ROW:
                raise GdfusionError(line) from error
            raise RepeatedError(f'{line}; {self._in_a_row} sets in a row failed by errors like this') from error
        self._in_a_row = 0


def _described(error: Exception) -> str:
    """An error in one line, with the place that raised it."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    said = ' '.join(str(error).split()) or 'without a word'
    return f'unexpected {type(error).__name__} in {Path(place.filename).name}:{place.lineno}: {said}'
