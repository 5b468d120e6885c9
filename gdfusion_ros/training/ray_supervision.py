"""What the cells of the images see, read off the voxel labels: the class and the depth of the first voxel on a ray.

So the labels alone teach the image branch, cell by cell and before anything is lifted; LiDAR reaches few of the cells.
"""

from __future__ import annotations

import numba
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gdfusion_ros.model.geometry.camera import pixel_grid, rays
from gdfusion_ros.model.geometry.depth_bins import DepthBins
from gdfusion_ros.model.interface import Frame
from gdfusion_ros.model.objectives.interface import IGNORE, RaySupervision
from gdfusion_ros.perception.labels import UNKNOWN, LabelSet
from gdfusion_ros.perception.ray_traversal import first_voxel

RAYS = 2
"""Rays along an edge of a cell: a cell may see a car and, beside it, the street behind."""


def look(labels: NDArray[np.uint8], label_set: LabelSet, frame: Frame, bins: DepthBins, stride: int) -> RaySupervision:
    """Send rays through the labels.

    Args:
        labels: (X, Y, Z) in the ego frame, not mirrored. What is not known is passed like free space.
        label_set: of the labels.
        frame: whose images the rays belong to, with their augmentation.
        bins: the network's.
        stride: pixels of the images along an edge of a cell.
    """
    solid = (labels != label_set.free) & (labels != UNKNOWN)
    grid = label_set.grid
    voxel_size = np.array(grid.voxel_size)
    directions = _directions(frame, stride).numpy().astype(np.float64) / voxel_size
    origins = (frame.calibration.volume_from_camera[:, :3, 3].numpy().astype(np.float64) - grid.lower) / voxel_size
    depths, classes = np.full(directions.shape[:-1], np.inf), np.full(directions.shape[:-1], IGNORE, np.uint8)
    _look(labels, solid, origins, directions, depths, classes)
    places = ((depths - bins.first) / bins.step).clip(0, bins.count - 1)
    return RaySupervision(torch.from_numpy(places.astype(np.float32)), torch.from_numpy(classes))


def unknown(frame: Frame, stride: int) -> RaySupervision:
    """What is seen where there are no labels: IGNORE everywhere."""
    height, width = frame.images.shape[-2:]
    size = len(frame.images), RAYS * (height // stride), RAYS * (width // stride)
    return RaySupervision(torch.full(size, torch.nan), torch.full(size, IGNORE, dtype=torch.uint8))


def _directions(frame: Frame, stride: int) -> Tensor:
    """(N, r h, r w, 3) of the rays in the ego frame, as long as one metre of depth."""
    height, width = frame.images.shape[-2:]
    u, v = pixel_grid((height, width), (height // stride, width // stride))
    spread = ((torch.arange(RAYS) + 0.5) / RAYS - 0.5) * stride
    u, v = (u[:, None] + spread).flatten(), (v[:, None] + spread).flatten()
    c = frame.calibration
    return rays(u, v, c.intrinsics, c.post_rotation, c.post_translation, c.volume_from_camera)


@numba.njit(cache=True)
def _look(labels, solid, origins, directions, depths, classes):  # type: ignore[no-untyped-def]
    """Fills ``depths`` and ``classes`` where rays meet something; origins and directions are in voxels."""
    images, rows, columns, _ = directions.shape
    for image in range(images):
        for row in range(rows):
            for column in range(columns):
                x, y, z, _, enter, leave = first_voxel(solid, origins[image], directions[image, row, column], False)
                if x >= 0:
                    depths[image, row, column] = (enter + leave) / 2
                    classes[image, row, column] = labels[x, y, z]
