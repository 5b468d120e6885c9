"""Counts of everything that comes in, is made and is dropped, by name and reason."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from gdfusion_ros.errors import LONGEST
from gdfusion_ros.names import printable


@dataclass
class StreamCounts:
    """What the stream of one camera, or of the LiDAR, has done.

    Attributes:
        received: images, or clouds.
        dropped: those that went into no set, by reason.
        missing: sets that had none of this sensor at the time.
        last_stamp: stamp of the newest one [ns].
        last_arrival: when it arrived [s], on the clock of the caller of FrameAssembler.
        last_change: when one arrived last whose stamp was another than that of the one before [s], on that clock.
    """

    received: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    missing: int = 0
    last_stamp: int | None = None
    last_arrival: float | None = None
    last_change: float | None = None

    def receive(self, stamp: int, now: float) -> None:
        """Count what arrived at ``now`` [s] with ``stamp`` [ns]."""
        self.received += 1
        if stamp != self.last_stamp:
            self.last_change = now
        self.last_stamp, self.last_arrival = stamp, now

    def copied(self) -> StreamCounts:
        """The same, from now on apart."""
        return replace(self, dropped=self.dropped.copy())


@dataclass
class Counts:
    """All counts at one instant.

    Attributes:
        cameras: by camera name.
        lidar: its clouds, where the network looks at them.
        sets: camera sets that were made, before the choice of key frames.
        sets_dropped: sets that came to nothing, by reason.
        grids: frames that the network has seen.
        frames_refused: sets that the estimator refused, by reason.
        resets: starts of the memory, by reason.
        last_reset: one line on the last of them; empty if there was none.
        refused: messages, or transforms of a message, that were refused, by topic.
        jumps: how often the clock of a stream jumped alone, by stream.
        last: the last line on each topic with refusals and each stream with jumps.
        remarks: what is wrong with topics that are taken all the same, a line each.
        last_drop: one line on the last set that was dropped, or refused; empty if there was none.
    """

    cameras: dict[str, StreamCounts]
    lidar: StreamCounts = field(default_factory=StreamCounts)
    sets: int = 0
    sets_dropped: Counter[str] = field(default_factory=Counter)
    grids: int = 0
    frames_refused: Counter[str] = field(default_factory=Counter)
    resets: Counter[str] = field(default_factory=Counter)
    last_reset: str = ''
    refused: Counter[str] = field(default_factory=Counter)
    jumps: Counter[str] = field(default_factory=Counter)
    last: dict[str, str] = field(default_factory=dict)
    remarks: dict[str, str] = field(default_factory=dict)
    last_drop: str = ''

    @property
    def images(self) -> int:
        """That were received, of all cameras."""
        return sum(camera.received for camera in self.cameras.values())

    @property
    def lost(self) -> Counter[str]:
        """Sets that no grid came of, by reason."""
        return self.sets_dropped + self.frames_refused

    def copied(self) -> Counts:
        """The same, from now on apart."""
        return replace(
            self,
            cameras={camera: counts.copied() for camera, counts in self.cameras.items()},
            lidar=self.lidar.copied(),
            sets_dropped=self.sets_dropped.copy(),
            frames_refused=self.frames_refused.copy(),
            resets=self.resets.copy(),
            refused=self.refused.copy(),
            jumps=self.jumps.copy(),
            last=self.last.copy(),
            remarks=self.remarks.copy(),
        )


class Counters:
    """The counts of one pipeline; every method may be called from any thread.

    A ``detail`` is one line for people; what it quotes (frames, say) may come from anybody, and is made printable here.
    """

    def __init__(self, cameras: tuple[str, ...], warn: Callable[[str, str], object] = lambda *_: None) -> None:
        """``cameras``: the names of the rig.

        ``warn`` is told what is wrong with the inputs, as it comes: the matter, which tells repetitions, and one line.
        """
        self._warn = warn
        self._lock = threading.Lock()
        self._counts = Counts({camera: StreamCounts() for camera in cameras})

    def image_received(self, camera: str, stamp: int, now: float) -> None:
        """An image of ``camera`` came in."""
        with self._lock:
            self._counts.cameras[camera].receive(stamp, now)

    def cloud_received(self, stamp: int, now: float) -> None:
        """A cloud of the LiDAR came in."""
        with self._lock:
            self._counts.lidar.receive(stamp, now)

    def cloud_dropped(self, reason: str) -> None:
        """A cloud will go into no set."""
        with self._lock:
            self._counts.lidar.dropped[reason] += 1

    def cloud_missing(self, detail: str) -> None:
        """A set goes without a cloud; ``detail`` is one line for people."""
        with self._lock:
            self._counts.lidar.missing += 1
        self._warn('lidar', printable(detail, LONGEST))

    def message_refused(self, topic: str, detail: str) -> None:
        """A message of ``topic``, or one of its transforms, is no valid input."""
        with self._lock:
            self._counts.refused[topic] += 1
            self._counts.last[topic] = detail = printable(detail, LONGEST)
        self._warn(topic, f'refused: {detail}')

    def stream_jumped(self, stream: str, detail: str) -> None:
        """The clock of ``stream`` jumped, and no other."""
        stream = printable(stream, LONGEST)
        with self._lock:
            self._counts.jumps[stream] += 1
            self._counts.last[stream] = detail = printable(detail, LONGEST)
        self._warn(stream, detail)

    def remarked(self, topic: str, detail: str) -> None:
        """What comes on ``topic`` is taken, but ``detail`` is wrong with it; empty: nothing is, any longer."""
        detail = printable(detail, LONGEST)
        with self._lock:
            known = self._counts.remarks.pop(topic, '')
            if detail:
                self._counts.remarks[topic] = detail
        if detail and detail != known:
            self._warn(f'{topic} remark', detail)

    def image_dropped(self, camera: str, reason: str) -> None:
        """An image of ``camera`` will go into no set."""
        with self._lock:
            self._counts.cameras[camera].dropped[reason] += 1

    def camera_missing(self, camera: str) -> None:
        """A set was closed without an image of ``camera``."""
        with self._lock:
            self._counts.cameras[camera].missing += 1

    def set_made(self) -> None:
        """A camera set was made."""
        with self._lock:
            self._counts.sets += 1

    def set_dropped(self, reason: str, detail: str = '') -> None:
        """A set came to nothing; ``detail`` is one line for people, without it the drop is of the planned sort."""
        with self._lock:
            self._counts.sets_dropped[reason] += 1
            self._counts.last_drop = printable(detail, LONGEST) or self._counts.last_drop

    def grid_made(self) -> None:
        """The network has seen a frame."""
        with self._lock:
            self._counts.grids += 1

    def frame_refused(self, reason: str, detail: str) -> None:
        """The estimator refused a set."""
        with self._lock:
            self._counts.frames_refused[reason] += 1
            self._counts.last_drop = printable(detail, LONGEST)

    def memory_reset(self, reason: str, detail: str) -> None:
        """The memory starts anew; ``detail`` is one line for people."""
        with self._lock:
            self._counts.resets[reason] += 1
            self._counts.last_reset = printable(detail, LONGEST)

    def snapshot(self) -> Counts:
        """A copy of all counts."""
        with self._lock:
            return self._counts.copied()
