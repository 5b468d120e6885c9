"""Scores of predictions over a dataset. Code that has arrays at hand uses ``ConfusionMatrix`` and ``RayCounts``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.evaluation.alignment import align, known_labels
from gdfusion_ros.evaluation.confusion import ConfusionMatrix
from gdfusion_ros.evaluation.frames import KeyFrame, Truth
from gdfusion_ros.evaluation.predictions import Predictions, Tally
from gdfusion_ros.evaluation.protocol import Mask, ScoringProtocol
from gdfusion_ros.evaluation.rays import RayCounts, ray_origins
from gdfusion_ros.evaluation.report import Report
from gdfusion_ros.evaluation.seen import SeenCounts
from gdfusion_ros.perception.labels import UNKNOWN
from gdfusion_ros.perception.regrid import voxel_grid
from gdfusion_ros.perception.transforms import TransformError
from gdfusion_ros.perception.types import SemanticGrid, stamp_text


def evaluate(
    truth: Truth,
    predictions: Predictions,
    protocol: ScoringProtocol,
    on_frame: Callable[[KeyFrame, SemanticGrid], object] = lambda *_: None,
) -> Report:
    """Score ``predictions`` against ``truth``.

    Args:
        truth: Key frames with labels.
        predictions: Where the predictions come from.
        protocol: How they are scored.
        on_frame: Told every key frame that was scored, with the prediction in the voxels that it was scored in.

    Raises:
        GdfusionError: labels or predictions that are not in order or do not belong together, no prediction for any key
            frame, no voxel that counts, no camera mask where one is asked for, or no poses where they are needed.
    """
    tally, models = Tally(), set()
    matrix = ConfusionMatrix(truth.label_set)
    counts = _Counts(
        matrix,
        RayCounts(truth.label_set) if protocol.rays else None,
        SeenCounts() if protocol.mask == 'predicted' else None,
    )
    for frame, prediction in predictions.pairs(truth.frames, tally):
        models.add(prediction.model)
        try:
            scored = _score(frame, prediction, protocol, counts)
        except GdfusionError as error:
            raise GdfusionError(f'key frame at {stamp_text(frame.stamp)}: {error}') from error
        on_frame(frame, scored)
    if not tally.scored:
        raise GdfusionError(
            f'none of the {tally.unlabelled} predictions belongs to any of the {len(truth.frames)} '
            f'labelled key frames, {_span(truth)}; are they of the same scenes?'
        )
    if not matrix.counts.any():
        raise GdfusionError(f'nothing to score in {tally.scored} key frames: ' + _NOTHING_LEFT[protocol.mask])
    return Report(
        truth.label_set,
        tuple(sorted(models)),
        protocol,
        tally,
        len(truth.frames) - tally.scored,
        truth.unlabelled,
        matrix,
        counts.rays,
        counts.seen,
    )


_NOTHING_LEFT: Mapping[Mask, str] = {
    'camera': 'the camera mask of the labels leaves no voxel; score all with --mask none',
    'predicted': 'the cameras saw no voxel that has a label',
    'none': "the labels are 'unknown' everywhere",
}


@dataclass(frozen=True)
class _Counts:
    """What is counted; None where it was not asked for."""

    matrix: ConfusionMatrix
    rays: RayCounts | None
    seen: SeenCounts | None


def _score(frame: KeyFrame, prediction: SemanticGrid, protocol: ScoringProtocol, counts: _Counts) -> SemanticGrid:
    """Count one key frame; the prediction as it was scored."""
    truth = frame.read()
    if truth.label_set != (before := counts.matrix.label_set):
        raise GdfusionError(
            f'the labels are of {truth.label_set.name}, those before of {before.name}; evaluate them one by one'
        )
    if protocol.ignored == 'free':
        truth = replace(truth, labels=known_labels(truth))
    truth, prediction = align(truth, prediction, frame.drive, protocol.frame_of)
    counts.matrix.add(truth.labels, prediction.labels, _mask(truth, prediction, protocol.mask))
    if counts.seen is not None and truth.confidence is not None:
        counts.seen.add(truth.confidence > 0, prediction.labels != UNKNOWN)
    if counts.rays is not None:
        try:
            places = frame.drive.lidar_places(truth.frame_id, truth.stamp)
        except TransformError as error:
            raise GdfusionError(
                f'RayIoU needs to know where the LiDAR was, but {error}; leave it out with --no-rays'
            ) from error
        grid = voxel_grid(truth)
        counts.rays.add(truth.labels, prediction.labels, grid, ray_origins(places, grid))
    return prediction


def _mask(truth: SemanticGrid, prediction: SemanticGrid, mask: Mask) -> NDArray[np.bool_] | None:
    """(X, Y, Z) which voxels count; None counts all.

    Raises:
        GdfusionError: the labels, or the prediction, do not say what was seen.
    """
    if mask == 'none':
        return None
    if mask == 'predicted':
        seen: NDArray[np.bool_] = prediction.labels != UNKNOWN
        if seen.all():
            raise GdfusionError(
                "the prediction says of no voxel that it was not seen; make it with 'unobserved: "
                "unknown', or take the topic /occ/observed of a node"
            )
        return seen
    if truth.confidence is None:
        raise GdfusionError('the labels have no camera mask; score all voxels with --mask none')
    return truth.confidence > 0


def _span(truth: Truth) -> str:
    stamps = [frame.stamp for frame in truth.frames]
    return f'{stamp_text(min(stamps))} to {stamp_text(max(stamps))}'
