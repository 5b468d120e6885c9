"""How often a stream comes, and which of its sets are key frames."""

from __future__ import annotations

import statistics
from collections import deque

_RECENT = 9


class Cadence:
    """The period of a stream: the median of its last few intervals, known from its second stamp in an epoch on."""

    def __init__(self) -> None:
        """Nothing is known yet."""
        self._epoch = 0
        self._last: int | None = None
        self._intervals: deque[int] = deque(maxlen=_RECENT)

    def observe(self, epoch: int, stamp: int) -> None:
        """The next ``stamp`` [ns] of the stream. A new epoch starts anew, so that a bag gives the same every time."""
        if epoch != self._epoch:
            self._last = None
            self._intervals.clear()
        if self._last is not None:
            self._intervals.append(stamp - self._last)
        self._epoch, self._last = epoch, stamp

    def half_period(self) -> int | None:
        """Half the period [ns]; None if it is not known yet."""
        return statistics.median_low(self._intervals) // 2 if self._intervals else None


class KeyframeSelector:
    """Chooses the sets that the network sees out of a faster stream.

    A set is a key frame if it is the one nearest to an interval after the last: its stamp plus half the period of the
    sets reaches that far. So a stream of about the interval itself (0.4 to 0.6 s for 0.5 s) is taken whole. The first
    set of an epoch is always one.
    """

    def __init__(self, interval: int) -> None:
        """``interval`` [ns] between key frames; 0 takes every set."""
        self._interval = interval
        self._cadence = Cadence()
        self._last: tuple[int, int] | None = None

    def wants(self, epoch: int, stamp: int) -> bool:
        """Whether a set of that stamp would be a key frame, as far as can be told now."""
        if self._last is None or self._last[0] != epoch:
            return True
        return stamp + (self._cadence.half_period() or 0) >= self._last[1] + self._interval

    def choose(self, epoch: int, stamp: int) -> bool:
        """Whether the next set is a key frame; call it once for each set, in order."""
        self._cadence.observe(epoch, stamp)
        chosen = self.wants(epoch, stamp)
        if chosen:
            self._last = (epoch, stamp)
        return chosen
