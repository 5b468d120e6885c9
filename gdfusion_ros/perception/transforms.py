"""The tree of coordinate frames, with the meaning that tf2 gives it (geometry2, ``tf2::BufferCore``)."""

from __future__ import annotations

import bisect
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.perception.epochs import EpochClock
from gdfusion_ros.perception.lineage import Lineage
from gdfusion_ros.perception.poses import Quaternion, Vector, interpolate_vectors, inverse, pose_matrix, product, slerp
from gdfusion_ros.perception.types import Matrix, StampedTransform, stamp_text

_LONGEST_CHAIN = 1000
"""As in tf2: a longer way up is an error."""


class TransformError(GdfusionError):
    """A transform cannot be told. ``may_heal``: it may be there in a moment."""

    may_heal = True


class UnknownFrameError(TransformError):
    """No transform names the frame yet."""


class DisconnectedError(TransformError):
    """Both frames are known, but no chain of transforms joins them."""


class AfterSpanError(TransformError):
    """The stamp is newer than the newest transform of a frame in the chain."""


class BeforeSpanError(TransformError):
    """The stamp is older than the oldest transform that is kept of a frame in the chain."""

    may_heal = False


class Tree(Protocol):
    """Transforms of one run of time: TransformTree, or tf2's buffer (ros/transforms.py)."""

    def set_static(self, transform: StampedTransform) -> None:
        """Set a transform that holds at every stamp."""

    def set(self, transform: StampedTransform) -> None:
        """Add a transform at its stamp."""

    def forget(self, child: str) -> None:
        """Where ``child`` was is of no use any more: its clock was wrong."""

    def lookup(self, target: str, source: str, stamp: int) -> Matrix:
        """(4, 4) float64 target_from_source at ``stamp`` [ns].

        Raises:
            TransformError: it cannot be told, for now (``may_heal``) or for good.
        """


class _Sample(NamedTuple):
    parent: str
    translation: Vector
    rotation: Quaternion

    def matrix(self) -> Matrix:
        return pose_matrix(self.translation, self.rotation)


@dataclass
class _Climb:
    """The way up from a frame: each ancestor with (4, 4) ancestor_from_frame, and why it ended early if it did."""

    matrices: dict[str, Matrix]
    error: TransformError | None = None

    @property
    def top(self) -> str:
        """The last frame that was reached."""
        return next(reversed(self.matrices))


class _TimedEdge:
    """A frame's place in its parent over time."""

    def __init__(self) -> None:
        self._stamps: list[int] = []
        self._samples: list[_Sample] = []

    def insert(self, stamp: int, sample: _Sample, history: int) -> None:
        """Keep a sample, in the order of stamps; drop what is older than the newest by more than ``history``.

        Of several with one stamp the first and the last are kept: no other is ever asked for.
        """
        index = bisect.bisect_right(self._stamps, stamp)
        if self._stamps[max(index - 2, 0) : index] == [stamp, stamp]:
            self._samples[index - 1] = sample
            return
        self._stamps.insert(index, stamp)
        self._samples.insert(index, sample)
        expired = bisect.bisect_left(self._stamps, self._stamps[-1] - history)
        del self._stamps[:expired], self._samples[:expired]

    def at(self, child: str, stamp: int) -> _Sample:
        """The sample at ``stamp``, between its neighbours where they have the same parent."""
        oldest, newest = self._stamps[0], self._stamps[-1]
        if stamp > newest:
            advice = '; what never moves belongs on /tf_static' if oldest == newest else ''
            raise AfterSpanError(
                f"no transform of '{child}' at {stamp_text(stamp)}: the newest is of {stamp_text(newest)}{advice}"
            )
        if stamp < oldest:
            raise BeforeSpanError(
                f"no transform of '{child}' at {stamp_text(stamp)}: the oldest that is kept is of "
                f'{stamp_text(oldest)}; tf_history may be too short, or two clocks at work'
            )
        if stamp == oldest != newest:
            return self._samples[0]
        index = bisect.bisect_right(self._stamps, stamp)
        before = self._samples[index - 1]
        if self._stamps[index - 1] == stamp:
            return before
        after = self._samples[index]
        if before.parent != after.parent:
            return before
        start, end = self._stamps[index - 1], self._stamps[index]
        ratio = (stamp - start) / (end - start)
        return _Sample(
            before.parent,
            interpolate_vectors(before.translation, after.translation, ratio),
            slerp(before.rotation, after.rotation, ratio),
        )


class TransformTree:
    """Static and timed transforms, looked up at a stamp.

    As in tf2 a frame has one parent at a time, which may change; the newest kind of a frame's transform, static or
    timed, replaces the other; between two samples translations are interpolated linearly and rotations by slerp;
    nothing is extrapolated. Of several samples with one stamp the first ends what lies before it, and the last holds
    at the stamp and begins what lies after it (at the oldest stamp that is kept, the first holds). What comes in is
    taken to be finite and rigid: messages are checked where they are decoded. No look-up costs more for there being
    many frames.
    """

    def __init__(self, history: int) -> None:
        """``history`` [ns] is the span that is kept of each timed transform."""
        self._history = history
        self._static: dict[str, _Sample] = {}
        self._timed: dict[str, _TimedEdge] = {}
        self._frames: set[str] = set()

    def set_static(self, transform: StampedTransform) -> None:
        """Set a transform that holds at every stamp."""
        self._static[transform.child] = _sample(transform)
        self._frames |= {transform.parent, transform.child}
        self._timed.pop(transform.child, None)

    def set(self, transform: StampedTransform) -> None:
        """Add a transform at its stamp."""
        self._static.pop(transform.child, None)
        self._frames |= {transform.parent, transform.child}
        edge = self._timed.setdefault(transform.child, _TimedEdge())
        edge.insert(transform.stamp, _sample(transform), self._history)

    def forget(self, child: str) -> None:
        """Drop all timed transforms of a frame."""
        self._timed.pop(child, None)

    def lookup(self, target: str, source: str, stamp: int) -> Matrix:
        """(4, 4) float64 target_from_source at ``stamp`` [ns].

        Raises:
            UnknownFrameError, DisconnectedError, AfterSpanError, BeforeSpanError: see there.
        """
        from_source = self._climb(source, target, stamp)
        if target in from_source.matrices:
            return from_source.matrices[target]
        from_target = self._climb(target, source, stamp)
        for frame, frame_from_source in from_source.matrices.items():
            if frame in from_target.matrices:
                return product(inverse(from_target.matrices[frame]), frame_from_source)
        for frame in (target, source):
            self._require_known(frame)
        raise (
            from_source.error
            or from_target.error
            or DisconnectedError(
                f"frames '{source}' and '{target}' are not joined by transforms at {stamp_text(stamp)}: above them "
                f"are '{from_source.top}' and '{from_target.top}'; has a frame two parents, or is one missing?"
            )
        )

    def _climb(self, frame: str, goal: str, stamp: int) -> _Climb:
        """From ``frame`` up to ``goal``, or as far as there are transforms."""
        climb = _Climb({frame: np.eye(4)})
        matrix = climb.matrices[frame]
        while frame != goal:
            if len(climb.matrices) > _LONGEST_CHAIN:
                climb.error = DisconnectedError(f"more than {_LONGEST_CHAIN} frames lie below '{frame}'")
                break
            try:
                sample = self._sample(frame, stamp)
            except TransformError as error:
                climb.error = error
                break
            if sample is None:
                break
            frame, matrix = sample.parent, product(sample.matrix(), matrix)
            if frame in climb.matrices:
                climb.error = DisconnectedError(f"the transforms of '{frame}' lead in a circle at {stamp_text(stamp)}")
                break
            climb.matrices[frame] = matrix
        return climb

    def _sample(self, child: str, stamp: int) -> _Sample | None:
        if child in self._static:
            return self._static[child]
        return self._timed[child].at(child, stamp) if child in self._timed else None

    def _require_known(self, frame: str) -> None:
        if frame not in self._frames:
            raise UnknownFrameError(f"frame '{frame}' is in no transform; something has to publish where it is")


class EpochTransforms:
    """One tree an epoch (see epochs.py), of the newest epoch and the one before; static transforms in common.

    So the last images before a bag loops are placed by the poses of that run, even when transforms of the next arrive
    first. Of the many frames on /tf only those that place the vehicle and its cameras tell of a restart: a detector's
    may go back in time as they like.
    """

    def __init__(self, clock: EpochClock, base_frame: str, make_tree: Callable[[], Tree]) -> None:
        """``clock`` is common to the transforms and the images that are placed by them."""
        self._clock, self._make_tree = clock, make_tree
        self._vehicle, self._lineage = Lineage(base_frame), Lineage(base_frame)
        self._static: dict[str, StampedTransform] = {}
        self._trees: dict[int, Tree] = {}

    def set_static(self, transform: StampedTransform) -> None:
        """See TransformTree."""
        self._add(transform)
        self._static[transform.child] = transform
        for tree in self._trees.values():
            tree.set_static(transform)

    def set(self, transform: StampedTransform) -> None:
        """See TransformTree."""
        self._add(transform)
        self._static.pop(transform.child, None)
        epoch = self._clock.newest
        if transform.child in self._lineage:
            epoch = self._clock.observe(
                ('transform', transform.child), transform.stamp, leads=transform.child in self._vehicle
            )
        self._tree(epoch).set(transform)

    def forget(self, child: str) -> None:
        """See Tree."""
        for tree in self._trees.values():
            tree.forget(child)

    def lookup(self, target: str, source: str, stamp: int, epoch: int) -> Matrix:
        """(4, 4) target_from_source at ``stamp`` of the ``epoch`` in which the images' time runs.

        Raises:
            TransformError: it cannot be told, for now (``may_heal``) or for good.
        """
        found = self._tree(epoch).lookup(target, source, stamp)
        self._lineage.ask(target, source)
        return found

    def clear(self) -> None:
        """Forget the timed transforms; the static ones stay. The clock is the owner's to clear."""
        self._trees.clear()

    def _add(self, transform: StampedTransform) -> None:
        for lineage in (self._vehicle, self._lineage):
            lineage.add(transform.parent, transform.child)

    def _tree(self, epoch: int) -> Tree:
        for old in [known for known in self._trees if known < self._clock.newest - 1]:
            del self._trees[old]
        if epoch not in self._trees:
            self._trees[epoch] = tree = self._make_tree()
            for transform in self._static.values():
                tree.set_static(transform)
        return self._trees[epoch]


def _sample(transform: StampedTransform) -> _Sample:
    return _Sample(transform.parent, transform.translation, transform.rotation)
