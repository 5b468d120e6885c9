"""RayIoU: intersection over union of what rays from the LiDAR's places meet first (SparseOcc: Liu et al., ECCV 2024).

Every ray gives the class of the first occupied voxel that it meets and the depth at which it leaves that voxel, as the
released metric measures it. Where the truth has nothing, a ray does not count. It is a hit of its class where the
prediction gives the same class and a depth that differs by less than 1, 2 or 4 m.
"""

from __future__ import annotations

import math
from functools import cache

import numba
import numpy as np
from numpy.typing import NDArray

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.evaluation.confusion import iou, nanmean
from gdfusion_ros.model.geometry.voxel_grid import VoxelGrid
from gdfusion_ros.perception.labels import UNKNOWN, LabelSet
from gdfusion_ros.perception.ray_traversal import first_voxel

THRESHOLDS = (1.0, 2.0, 4.0)
"""Differences of depth [m]."""

_STEEP_PITCHES = 10  # whose rays meet flat ground at 1, 2, … 10 times the LiDAR's height
_HIGHEST_PITCH = 0.21  # of nuScenes' LiDAR [rad]
_AZIMUTHS = 360
_ORIGINS, _MARGIN = 8, 1.0  # at most so many places, so far inside of the grid [m]

Floats = NDArray[np.float64]


@cache
def ray_directions() -> Floats:
    """(14040, 3) unit vectors: 39 pitches, from steep down to slightly up, times 360 azimuths. Never to be changed."""
    pitches = [math.atan(k) - math.pi / 2 for k in range(1, _STEEP_PITCHES + 1)]
    step = pitches[-1] - pitches[-2]
    while pitches[-1] < _HIGHEST_PITCH:
        pitches.append(pitches[-1] + step)
    pitch, azimuth = np.meshgrid(pitches, np.deg2rad(np.arange(_AZIMUTHS)), indexing='ij')
    directions: Floats = np.stack(
        (np.cos(pitch) * np.cos(azimuth), np.cos(pitch) * np.sin(azimuth), np.sin(pitch)), axis=-1
    )
    return directions.reshape(-1, 3)


def ray_origins(places: Floats, grid: VoxelGrid) -> Floats:
    """Where the rays of a sample start: at the LiDAR's ``places`` that lie in the grid as seen from above, at most 8.

    Args:
        places: (n, 3) of the LiDAR at all key frames of the scene, in time order, in the grid's frame [m].
        grid: Where the labels are.

    Returns:
        (m, 3), evenly chosen where there are more than 8.
    """
    lower = np.array(grid.lower[:2])
    upper = lower + np.array(grid.voxel_size[:2]) * grid.shape[:2]
    inside = ((places[:, :2] > lower + _MARGIN) & (places[:, :2] < upper - _MARGIN)).all(axis=1)
    origins: Floats = places[inside]
    if len(origins) > _ORIGINS:
        origins = origins[np.round(np.linspace(0, len(origins) - 1, _ORIGINS)).astype(int)]
    return origins


def cast(
    labels: NDArray[np.uint8], label_set: LabelSet, grid: VoxelGrid, origins: Floats, directions: Floats
) -> tuple[NDArray[np.uint8], Floats]:
    """What the rays from every origin in every direction meet first; UNKNOWN voxels are passed like free ones.

    Args:
        labels: (X, Y, Z).
        label_set: Says which label is free.
        grid: Where the voxels are.
        origins: (m, 3) in the grid's frame [m].
        directions: (n, 3) unit vectors.

    Returns:
        Labels (m, n) and depths (m, n) [m]; free and infinite where nothing is met.
    """
    size = np.array(grid.voxel_size)
    solid = np.ones(256, np.bool_)
    solid[[label_set.free, UNKNOWN]] = False
    met = np.full((len(origins), len(directions)), label_set.free, np.uint8)
    depths = np.full(met.shape, np.inf)
    _cast(labels, solid[labels], (origins - grid.lower) / size, directions / size, met, depths)
    return met, depths


class RayCounts:
    """Counts rays by class: in the truth, in the prediction, and hits at each threshold.

    Attributes:
        label_set: The classes.
        truth, predicted: (256,) rays by label.
        hits: (3, 256) rays by threshold and label.
    """

    def __init__(self, label_set: LabelSet) -> None:
        """Nothing is counted yet."""
        self.label_set = label_set
        self.truth: NDArray[np.int64] = np.zeros(256, np.int64)
        self.predicted: NDArray[np.int64] = np.zeros(256, np.int64)
        self.hits: NDArray[np.int64] = np.zeros((len(THRESHOLDS), 256), np.int64)
        self._directions = ray_directions()

    def add(self, truth: NDArray[np.uint8], prediction: NDArray[np.uint8], grid: VoxelGrid, origins: Floats) -> None:
        """Cast the rays of one sample, without any mask. What the truth does not know is passed in both grids.

        Args:
            truth: (X, Y, Z) true labels.
            prediction: (X, Y, Z) predicted labels.
            grid: Where the voxels of both are.
            origins: (m, 3) see ``ray_origins``.

        Raises:
            GdfusionError: the shapes are not the grid's.
        """
        if {truth.shape, prediction.shape} != {grid.shape}:
            raise GdfusionError(f'the grid is {grid.shape}, but truth {truth.shape} and prediction {prediction.shape}')
        known = np.where(truth == UNKNOWN, np.uint8(UNKNOWN), prediction)
        true_labels, true_depths = cast(truth, self.label_set, grid, origins, self._directions)
        labels, depths = cast(known, self.label_set, grid, origins, self._directions)
        counted = true_labels != self.label_set.free
        true_labels, true_depths, labels, depths = (
            array[counted] for array in (true_labels, true_depths, labels, depths)
        )
        self.truth += np.bincount(true_labels, minlength=256)
        self.predicted += np.bincount(labels, minlength=256)
        same = true_labels == labels
        difference = np.abs(true_depths[same] - depths[same])
        self.hits += [np.bincount(true_labels[same][difference < threshold], minlength=256) for threshold in THRESHOLDS]

    @property
    def class_iou(self) -> Floats:
        """(3, C) IoU at every threshold of every class but free, 0..1; nan for a class that no ray meets."""
        ids = [label.id for label in self.label_set.occupied]
        return iou(self.hits[:, ids], self.truth[ids], self.predicted[ids])

    @property
    def at_thresholds(self) -> tuple[float, ...]:
        """Mean over the classes, at every threshold."""
        return tuple(nanmean(row) for row in self.class_iou)

    @property
    def ray_iou(self) -> float:
        """RayIoU: mean over the thresholds."""
        return float(np.mean(self.at_thresholds))


@numba.njit(cache=True, parallel=True)
def _cast(labels, solid, origins, directions, met, depths):  # type: ignore[no-untyped-def]
    """``origins`` and ``directions`` are in voxels, so that a distance along a ray remains in metres."""
    for ray in numba.prange(met.size):
        start, direction = origins[ray // len(directions)], directions[ray % len(directions)]
        x, y, z, _, _, leave = first_voxel(solid, start, direction, True)
        if x >= 0:
            met.flat[ray] = labels[x, y, z]
            depths.flat[ray] = leave
