"""Restarts of time, counted stream by stream.

When a bag loops, every stream jumps back to the bag's start, but not at the same instant: images, transforms and the
cameras among each other arrive interleaved. So each stream counts its own jumps, and what two streams show belongs
together where their counts, the epochs, are equal.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, replace

from gdfusion_ros.perception.types import NANOSECONDS

_A_WHILE = NANOSECONDS
"""How far a stream's stamps run before it is taken as not to follow a jump; a shorter step ahead is no jump."""

_PATIENCE = 1.0
"""And how much of the callers' time goes by [s]: a bag that is played fast shows a second of stamps in an instant."""

_KEPT_FOR, _MOST_KEPT = 5.0, 32
"""How long an epoch that is over may be asked for [s] of the callers' time, and how many there are then at most."""


@dataclass(frozen=True)
class Jump:
    """The time of ``stream`` jumped from ``before`` to ``after`` [ns] and so into ``epoch``.

    ``leads``: see EpochClock. ``at`` is the callers' time [s]. ``witnesses`` are the other streams with the first stamp
    that each has shown since. ``returned``: the stream is back where it came from, a few stamps were wrong.
    """

    stream: Hashable
    before: int
    after: int
    epoch: int
    leads: bool
    at: float
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
    """Where the time of a stream is.

    Attributes:
        epoch: of what it shows.
        newest: stamp in that epoch [ns].
        behind_since: when a newer epoch began [s], on the callers' clock; None where it is in the newest.
        behind_from: the first stamp [ns] that it has shown since.
    """

    epoch: int
    newest: int
    behind_since: float | None = None
    behind_from: int | None = None

    def enter(self, epoch: int, newest: int) -> None:
        """It is in another epoch from now on; ``newest`` is that of all streams."""
        self.epoch, self.behind_from = epoch, None
        if epoch >= newest:
            self.behind_since = None


class EpochClock:
    """The epochs of all streams of a pipeline.

    Only a stream that leads (the reference camera, the vehicle's transforms) begins an epoch for all. Another one that
    jumps back is ahead until a leader follows. A stream that is behind comes late, as images come after transforms: it
    moves on by one epoch when its own time jumps. If it has been behind for a while it missed a jump (it was silent, or
    its source does not loop) and joins the newest epoch, when its own time jumps or has gone on for a while.

    A jump, back or ahead, is one stream's alone if none follows while another one goes on for a while; one that leads
    must be among the two. Then the clock of that stream is wrong: it is named, and where it was ahead of the epochs it
    is in the newest one again. So it is at once where the stream returns to its own time, as after a single stamp of 0.

    A while is a second of the stream's stamps and of the callers' time: of the stamps alone, a bag of 1.5 s that is
    played 20 times as fast would have it in the 50 ms by which images may well come after transforms.
    """

    def __init__(
        self, jump_back: int, now: Callable[[], float], on_alone: Callable[[Jump], None] = lambda _: None
    ) -> None:
        """A stream's epoch counts up at a stamp older than its newest one by more than ``jump_back`` [ns].

        ``now`` gives the callers' time [s], at which that arrived which is shown; ``on_alone`` is told of a jump that
        was one stream's alone.
        """
        self._jump_back, self._now, self._on_alone = jump_back, now, on_alone
        self._streams: dict[Hashable, _Stream] = {}
        self._open: dict[Hashable, Jump] = {}
        self._begun: deque[float] = deque(maxlen=_MOST_KEPT)
        self.newest = 0

    @property
    def oldest(self) -> int:
        """The oldest epoch that may be asked for: the one before the newest, or one that was over a moment ago."""
        while self._begun and self._now() - self._begun[0] > _KEPT_FOR:
            self._begun.popleft()
        return self.newest - max(len(self._begun), 1)

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
        self._begun.clear()
        self.newest = 0

    def _returns(self, name: Hashable, stream: _Stream, stamp: int) -> bool:
        """Whether the stream takes back a jump that none has followed. A leader ahead that steps back begins again."""
        jump = self._open.get(name)
        if jump is None or stamp < jump.before:
            return False
        if jump.ahead:
            return not jump.leads and stamp < stream.newest - self._jump_back
        # A short bag that loops comes by there, too, step by step.
        return stamp > stream.newest + self._jump_back

    def _begin_again(self, name: Hashable, stream: _Stream, stamp: int, *, leads: bool) -> None:
        again = stream.epoch > self.newest
        late = stream.behind_since is None or self._now() - stream.behind_since <= _PATIENCE
        epoch = stream.epoch + 1 if late else max(stream.epoch + 1, self.newest)
        jump = Jump(name, stream.newest, stamp, epoch, leads, self._now())
        stream.enter(epoch, self.newest)
        stream.newest = stamp
        self._open.pop(name, None)
        fellows = [other.stream for other in self._open.values() if other.epoch == jump.epoch and not other.ahead]
        begins = jump.epoch > self.newest
        if begins and not leads:
            self._open[name] = jump
            if again:
                self._settle(jump)
            return
        for fellow in fellows:
            del self._open[fellow]
        if begins:
            self._begin(jump)
            if not fellows:
                self._open[name] = jump

    def _begin(self, jump: Jump) -> None:
        """An epoch begins for all."""
        self.newest = jump.epoch
        self._begun.append(jump.at)
        for stream in self._streams.values():
            if stream.epoch < jump.epoch and stream.behind_since is None:
                stream.behind_since = jump.at

    def _pass_over(self, name: Hashable, stream: _Stream, stamp: int, *, leads: bool) -> None:
        """Time was passed over: by one stream alone, unless another one is there already."""
        if not any(
            other is not stream and other.epoch == stream.epoch and other.newest >= stamp - _A_WHILE
            for other in self._streams.values()
        ):
            self._open[name] = Jump(name, stream.newest, stamp, stream.epoch, leads, self._now())

    def _bear_witness(self, name: Hashable, stream: _Stream, stamp: int, *, leads: bool) -> None:
        """Settle the jumps of others that this stream follows, or that it has not followed for a while."""
        for jump in [jump for jump in self._open.values() if jump.stream != name]:
            if jump.ahead and (stream.epoch != jump.epoch or stamp >= jump.after - _A_WHILE):
                del self._open[jump.stream]
            elif (
                (leads or jump.leads)
                and (jump.ahead or stream.epoch < jump.epoch)
                and stamp > jump.witnesses.setdefault(name, stamp) + _A_WHILE
                and self._now() - jump.at > _PATIENCE
            ):
                self._settle(jump)

    def _settle(self, jump: Jump) -> None:
        del self._open[jump.stream]
        stream = self._streams[jump.stream]
        stream.enter(min(stream.epoch, self.newest), self.newest)
        self._on_alone(jump)

    def _catch_up(self, stream: _Stream, stamp: int) -> None:
        if stream.behind_since is None:
            return
        if stream.behind_from is None:
            stream.behind_from = stamp
        elif stamp > stream.behind_from + _A_WHILE and self._now() - stream.behind_since > _PATIENCE:
            stream.enter(self.newest, self.newest)
