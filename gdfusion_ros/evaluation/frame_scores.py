"""Scores of a single frame, to be drawn over time. What is published are scores over all frames, see evaluator.py."""

from __future__ import annotations

import math

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.evaluation.confusion import ConfusionMatrix
from gdfusion_ros.visualization.snapshot import Snapshot


def frame_scores(snapshot: Snapshot) -> dict[str, float]:
    """IoU of occupied voxels and mIoU of the classes that are there [%], without a mask; empty without ground truth."""
    if snapshot.truth is None:
        return {}
    matrix = ConfusionMatrix(snapshot.grid.label_set)
    try:
        matrix.add(snapshot.truth.labels, snapshot.grid.labels)
    except GdfusionError:  # of other voxels: then there is nothing to compare
        return {}
    scores = {'IoU [%]': 100 * matrix.iou, 'mIoU [%]': 100 * matrix.miou}
    return {name: score for name, score in scores.items() if not math.isnan(score)}
