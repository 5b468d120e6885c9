"""Restarts of time, counted stream by stream.

When a bag loops, every stream jumps back to the bag's start, but not at the same instant: images, transforms and the
cameras among each other arrive interleaved. So each stream counts its own jumps, and what two streams show belongs
together where their counts, the epochs, are equal.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass

from gdfusion_ros.perception.types import NANOSECONDS

_FOLLOW_AFTER = NANOSECONDS


@dataclass
class _Stream:
    epoch: int
    newest: int
    behind_since: int | None = None
    ahead_since: int | None = None


class EpochClock:
    """The epochs of all streams of a pipeline.

    A stream that missed a jump (it was silent, or its source does not loop) joins the newest epoch when its own time
    jumps, or when it has gone on for a second of its stamps in the older one. Only a stream that leads (the reference
    camera, the vehicle's transforms) begins an epoch for all. Another one that jumps is ahead until a leader follows;
    if none does within a second of its stamps, its own clock is wrong: it is named and joins the newest epoch again.
    """

    def __init__(self, jump_back: int, on_alone: Callable[[Hashable], None] = lambda _: None) -> None:
        """A stream's epoch counts up at a stamp older than its newest one by more than ``jump_back`` [ns].

        ``on_alone`` is told the name of a stream that has jumped alone, before it is in the newest epoch again.
        """
        self._jump_back, self._on_alone = jump_back, on_alone
        self._streams: dict[Hashable, _Stream] = {}
        self.newest = 0

    def observe(self, name: Hashable, stamp: int, *, leads: bool = True) -> int:
        """The epoch of ``stamp`` [ns], which is what the stream ``name`` shows next."""
        stream = self._streams.setdefault(name, _Stream(self.newest, stamp))
        if stamp < stream.newest - self._jump_back:
            again = stream.epoch > self.newest
            self._streams[name] = stream = _Stream(max(stream.epoch + 1, self.newest), stamp)
            if leads:
                self.newest = stream.epoch
            elif again:
                self._rejoin(name, stream)
            elif stream.epoch > self.newest:
                stream.ahead_since = stamp
        elif stream.epoch > self.newest:
            if stream.ahead_since is not None and stamp > stream.ahead_since + _FOLLOW_AFTER:
                self._rejoin(name, stream)
        elif stream.epoch < self.newest:
            if stream.behind_since is None:
                stream.behind_since = stamp
            elif stamp > stream.behind_since + _FOLLOW_AFTER:
                stream.epoch, stream.behind_since = self.newest, None
        stream.newest = max(stream.newest, stamp)
        return stream.epoch

    def _rejoin(self, name: Hashable, stream: _Stream) -> None:
        self._on_alone(name)
        stream.epoch, stream.ahead_since = self.newest, None

    def clear(self) -> None:
        """Forget all streams; epochs count from 0 again."""
        self._streams.clear()
        self.newest = 0
