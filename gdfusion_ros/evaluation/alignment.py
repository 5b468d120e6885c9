"""Truth and prediction brought to the same voxels."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.evaluation.frames import Drive
from gdfusion_ros.perception.labels import UNKNOWN
from gdfusion_ros.perception.regrid import regrid, voxel_grid
from gdfusion_ros.perception.types import SemanticGrid

GridFrame = Literal['released', 'label', 'prediction']
"""Whose frame the comparison is made in.

Predictions are in the vehicle's frame at the reference camera's stamp, labels at the LiDAR's, which is up to 50 ms
later: 0.2 m on average, half a voxel. 'released', the benchmarks' protocol, takes the two frames for one and moves
nothing; 'label' moves the prediction by the motion of the vehicle, 'prediction' moves the labels.
"""


def align(
    truth: SemanticGrid, prediction: SemanticGrid, drive: Drive, frame_of: GridFrame = 'released'
) -> tuple[SemanticGrid, SemanticGrid]:
    """Truth and prediction over the same voxels: those of the labels, or with 'prediction' those of the prediction.

    A prediction with other voxels than the labels is sampled at their centres. Where it was moved to, and so does not
    reach, the truth becomes UNKNOWN; otherwise it is to be as large as the labels: what it leaves out is UNKNOWN.

    Args:
        truth: The labels.
        prediction: The predicted grid.
        drive: Where the vehicle was. It is asked only if something is moved.
        frame_of: See GridFrame.

    Raises:
        GdfusionError: different label sets, or a pose that is not known.
    """
    if prediction.label_set != truth.label_set:
        raise GdfusionError(
            f'the prediction has labels of {prediction.label_set.name}, the truth of '
            f'{truth.label_set.name}; give labels of the same set (--label-set, --labels)'
        )
    here, there = (truth.frame_id, truth.stamp), (prediction.frame_id, prediction.stamp)
    if frame_of == 'prediction':
        motion = drive.motion(here, there)
        return regrid(truth, voxel_grid(prediction), motion, *there), prediction
    if frame_of == 'label':
        return _moved(truth, prediction, drive.motion(there, here))
    if prediction.frame_id != truth.frame_id:
        return _moved(truth, prediction, drive.motion((prediction.frame_id, truth.stamp), here))
    if voxel_grid(prediction) == voxel_grid(truth):
        return truth, prediction
    return truth, regrid(prediction, voxel_grid(truth), np.eye(4), *here)


def _moved(
    truth: SemanticGrid, prediction: SemanticGrid, prediction_from_truth: NDArray[np.float64]
) -> tuple[SemanticGrid, SemanticGrid]:
    """The prediction in the voxels of the truth, and the truth as far as the prediction reaches."""

    def moved(grid: SemanticGrid) -> SemanticGrid:
        return regrid(grid, voxel_grid(truth), prediction_from_truth, truth.frame_id, truth.stamp)

    known = moved(replace(prediction, labels=known_labels(prediction)))
    reached = np.where(known.labels == UNKNOWN, np.uint8(UNKNOWN), truth.labels)
    says_all = not (prediction.labels == UNKNOWN).any()
    return replace(truth, labels=reached), known if says_all else moved(prediction)


def known_labels(grid: SemanticGrid) -> NDArray[np.uint8]:
    """(X, Y, Z) labels with UNKNOWN as free, which is what it counts as."""
    return np.where(grid.labels == UNKNOWN, np.uint8(grid.label_set.free), grid.labels)
