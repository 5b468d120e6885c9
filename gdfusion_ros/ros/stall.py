"""Whether a process still works, however slow the machine is."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

_WORK = 0.05
"""Who uses less than this share of a processor only waits; an idle node needs 2 %."""


class Stall:
    """True once a process was not heard of for a while, in which it did not compute either.

    Time alone says nothing: what a node compiles at its first start takes many minutes on a busy machine.
    """

    def __init__(self, limit: float, used: Callable[[], float], clock: Callable[[], float] = time.monotonic) -> None:
        """Begin to watch.

        Args:
            limit: How long it may be silent and idle [s].
            used: Seconds of processor time that it has used so far, see ``processor_time``.
            clock: The time [s].
        """
        self._limit, self._used, self._clock = limit, used, clock
        self.heard()

    def heard(self) -> None:
        """It was heard of: the limit begins anew."""
        self._deadline, self._before = self._clock() + self._limit, self._used()

    def __bool__(self) -> bool:
        """Whether it is over."""
        if self._clock() < self._deadline:
            return False
        if self._used() - self._before < _WORK * self._limit:
            return True
        self.heard()
        return False


def processor_time(pid: int) -> Callable[[], float]:
    """Tells the seconds of the processor that all threads of a process have used; 0 where it has ended (proc(5))."""
    stat = Path(f'/proc/{pid}/stat')

    def used() -> float:
        try:
            fields = stat.read_text().rpartition(')')[2].split()
        except OSError:
            return 0.0
        return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')

    return used
