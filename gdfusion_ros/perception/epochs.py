"""Restarts of time, counted stream by stream.

When a bag loops, every stream jumps back to the bag's start, but not at the same instant: images, transforms and the
cameras among each other arrive interleaved. So each stream counts its own jumps, and what two streams show belongs
together where their counts, the epochs, are equal.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, replace

from gdfusion_ros.perception.types import NANOSECONDS

_A_WHILE = NANOSECONDS
"""How far a stream's stamps run before it is taken as not to follow a jump; a shorter step ahead is no jump."""


@dataclass(frozen=True)
class Jump:
    """The time of ``stream`` jumped from ``before`` to ``after`` [ns] and so into ``epoch``.

    ``leads``: see EpochClock. ``witnesses`` are the other streams with the first stamp that each has shown since.
    ``returned``: the stream is back where it came from, a few stamps were wrong.
    """

    stream: Hashable
    before: int
    after: int
    epoch: int
    leads: bool
    witnesses: dict[Hashable, int] = field(default_factory=dict)
    returned: bool = False

    @property
    def ahead(self) -> bool:
        """Whether time was passed over; otherwise it began again."""
        return self.after > self.before

    @property
    def leaves_newer(self) -> bool:
        """Whether what the stream has shown hides what it will show: it is newer, and no new epoch begins."""
        return self.returned if self.ahead else not self.leads


@dataclass
class _Stream:
    epoch: int
    newest: int
    behind_since: int | None = None


class EpochClock:
    """The epochs of all streams of a pipeline.

    Only a stream that leads (the reference camera, the vehicle's transforms) begins an epoch for all. Another one that
    jumps back is ahead until a leader follows. A stream that missed a jump (it was silent, or its source does not loop)
    joins the newest epoch when its own time jumps, or when it has gone on for a while in the older one.

    A jump, back or ahead, is one stream's alone if none follows while another one goes on for a while; one that leads
    must be among the two. Then the clock of that stream is wrong: it is named, and where it was ahead of the epochs it
    is in the newest one again. So it is at once where the stream returns to its own time, as after a single stamp of 0.
    """

    def __init__(self, jump_back: int, on_alone: Callable[[Jump], None] = lambda _: None) -> None:
        """A stream's epoch counts up at a stamp older than its newest one by more than ``jump_back`` [ns].

        ``on_alone`` is told of a jump that was one stream's alone.
        """
        self._jump_back, self._on_alone = jump_back, on_alone
        self._streams: dict[Hashable, _Stream] = {}
        self._open: dict[Hashable, Jump] = {}
        self.newest = 0

    def observe(self, name: Hashable, stamp: int, *, leads: bool = True) -> int:
        """The epoch of ``stamp`` [ns], which is what the stream ``name`` shows next."""
        stream = self._streams.setdefault(name, _Stream(self.newest, stamp))
        if self._returns(name, stream, stamp):
            stream.newest = stamp
            self._settle(replace(self._open[name], returned=True))
        elif stamp < stream.newest - self._jump_back:
            self._begin_again(name, stream, stamp, leads=leads)
        else:
            if self._open:
                self._bear_witness(name, stream, stamp, leads=leads)
            if stamp > stream.newest + _A_WHILE:
                self._pass_over(name, stream, stamp, leads=leads)
            self._catch_up(stream, stamp)
            stream.newest = max(stream.newest, stamp)
        return stream.epoch

    def clear(self) -> None:
        """Forget all streams; epochs count from 0 again."""
        self._streams.clear()
        self._open.clear()
        self.newest = 0

    def _returns(self, name: Hashable, stream: _Stream, stamp: int) -> bool:
        """Whether the stream takes back a jump that none has followed. A leader ahead that steps back begins again."""
        jump = self._open.get(name)
        if jump is None or stamp < jump.before:
            return False
        return not jump.ahead or (not jump.leads and stamp < stream.newest - self._jump_back)

    def _begin_again(self, name: Hashable, stream: _Stream, stamp: int, *, leads: bool) -> None:
        again = stream.epoch > self.newest
        jump = Jump(name, stream.newest, stamp, max(stream.epoch + 1, self.newest), leads)
        stream.epoch, stream.newest, stream.behind_since = jump.epoch, stamp, None
        self._open.pop(name, None)
        fellows = [other.stream for other in self._open.values() if other.epoch == jump.epoch and not other.ahead]
        begins = jump.epoch > self.newest
        if begins and not leads:
            self._open[name] = jump
            if again:
                self._settle(jump)
            return
        self.newest = jump.epoch
        for fellow in fellows:
            del self._open[fellow]
        if begins and not fellows:
            self._open[name] = jump

    def _pass_over(self, name: Hashable, stream: _Stream, stamp: int, *, leads: bool) -> None:
        """Time was passed over: by one stream alone, unless another one is there already."""
        if not any(
            other is not stream and other.epoch == stream.epoch and other.newest >= stamp - _A_WHILE
            for other in self._streams.values()
        ):
            self._open[name] = Jump(name, stream.newest, stamp, stream.epoch, leads)

    def _bear_witness(self, name: Hashable, stream: _Stream, stamp: int, *, leads: bool) -> None:
        """Settle the jumps of others that this stream follows, or that it has not followed for a while."""
        for jump in [jump for jump in self._open.values() if jump.stream != name]:
            if jump.ahead and (stream.epoch != jump.epoch or stamp >= jump.after - _A_WHILE):
                del self._open[jump.stream]
            elif (
                (leads or jump.leads)
                and (jump.ahead or stream.epoch < jump.epoch)
                and stamp > jump.witnesses.setdefault(name, stamp) + _A_WHILE
            ):
                self._settle(jump)

    def _settle(self, jump: Jump) -> None:
        del self._open[jump.stream]
        stream = self._streams[jump.stream]
        stream.epoch = min(stream.epoch, self.newest)
        self._on_alone(jump)

    def _catch_up(self, stream: _Stream, stamp: int) -> None:
        if stream.epoch < self.newest:
            if stream.behind_since is None:
                stream.behind_since = stamp
            elif stamp > stream.behind_since + _A_WHILE:
                stream.epoch, stream.behind_since = self.newest, None
