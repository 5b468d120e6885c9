"""The counts behind the scores of a bag as JSON, and the scores of many bags from the sum of their counts.

Counts are whole numbers, so the sum is exactly what one evaluation of all bags would have counted.
"""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.evaluation.alignment import GridFrame
from gdfusion_ros.evaluation.confusion import ConfusionMatrix
from gdfusion_ros.evaluation.predictions import Tally
from gdfusion_ros.evaluation.protocol import Ignored, Mask, ScoringProtocol
from gdfusion_ros.evaluation.rays import RayCounts
from gdfusion_ros.evaluation.report import Report
from gdfusion_ros.perception.labels import LABEL_SETS


class RayNumbers(msgspec.Struct, frozen=True):
    """RayCounts: rays by label in truth and prediction (256 each), and hits by threshold and label (3 x 256)."""

    truth: list[int]
    predicted: list[int]
    hits: list[list[int]]


class FrameNumbers(msgspec.Struct, frozen=True):
    """Key frames and predictions: Tally, and what Report says of key frames without a prediction or without labels."""

    scored: int
    without_labels: int
    surplus: int
    unpredicted: int
    unlabelled: int


class ScoreCounts(msgspec.Struct, frozen=True, kw_only=True):
    """A Report as whole numbers and names; see there. ``confusion`` is (C, C), row: true class."""

    label_set: str
    models: list[str]
    mask: Mask
    ignored: Ignored
    frame_of: GridFrame
    frames: FrameNumbers
    confusion: list[list[int]]
    rays: RayNumbers | None


def counted(report: Report) -> ScoreCounts:
    """The counts of a report."""
    rays = None
    if report.rays is not None:
        rays = RayNumbers(report.rays.truth.tolist(), report.rays.predicted.tolist(), report.rays.hits.tolist())
    tally = report.tally
    frames = FrameNumbers(tally.scored, tally.unlabelled, tally.surplus, report.unpredicted, report.unlabelled)
    return ScoreCounts(
        label_set=report.label_set.name,
        models=list(report.models),
        mask=report.protocol.mask,
        ignored=report.protocol.ignored,
        frame_of=report.protocol.frame_of,
        frames=frames,
        confusion=report.matrix.counts.tolist(),
        rays=rays,
    )


class Sum:
    """Adds counts up, one after the other: it needs as much memory for many bags as for one.

    Attributes:
        report: the scores of all; None where nothing was added.
    """

    def __init__(self) -> None:
        """Nothing is counted yet."""
        self.report: Report | None = None

    def add(self, one: Report) -> None:
        """Add the counts of a bag.

        Raises:
            GdfusionError: they are of other labels, or were counted otherwise than those before.
        """
        self.report = one if self.report is None else _added(self.report, one)


def scores_of(counts: ScoreCounts) -> Report:
    """The report that was counted."""
    label_set = LABEL_SETS[counts.label_set]
    matrix = ConfusionMatrix(label_set)
    matrix.counts = np.array(counts.confusion, np.int64)
    rays = None
    if counts.rays is not None:
        rays = RayCounts(label_set)
        rays.truth, rays.predicted, rays.hits = (
            np.array(numbers, np.int64) for numbers in (counts.rays.truth, counts.rays.predicted, counts.rays.hits)
        )
    frames = counts.frames
    tally = Tally(frames.scored, frames.without_labels, frames.surplus)
    protocol = ScoringProtocol(counts.mask, counts.frame_of, rays is not None, counts.ignored)
    return Report(
        label_set, tuple(counts.models), protocol, tally, frames.unpredicted, frames.unlabelled, matrix, rays, seen=None
    )


def _added(a: Report, b: Report) -> Report:
    """One report of both parts."""
    kinds = [
        {
            'label_set': part.label_set,
            'mask': part.protocol.mask,
            'ignored': part.protocol.ignored,
            'frame_of': part.protocol.frame_of,
        }
        for part in (a, b)
    ]
    for what in kinds[0]:
        if kinds[0][what] != kinds[1][what]:
            raise GdfusionError(f'scores of different kinds ({what}) cannot be added; evaluate the bags one by one')
    matrix = ConfusionMatrix(a.label_set)
    matrix.counts = a.matrix.counts + b.matrix.counts
    tally = Tally(
        a.tally.scored + b.tally.scored, a.tally.unlabelled + b.tally.unlabelled, a.tally.surplus + b.tally.surplus
    )
    rays = None
    if a.rays is not None and b.rays is not None:
        rays = RayCounts(a.label_set)
        for name in ('truth', 'predicted', 'hits'):
            setattr(rays, name, getattr(a.rays, name) + getattr(b.rays, name))
    return Report(
        a.label_set,
        tuple(sorted({*a.models, *b.models})),
        replace(a.protocol, rays=rays is not None),
        tally,
        a.unpredicted + b.unpredicted,
        a.unlabelled + b.unlabelled,
        matrix,
        rays,
        seen=None,
    )
