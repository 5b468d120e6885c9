"""The grid as shaded cubes, seen from behind and above the vehicle."""

from __future__ import annotations

import numpy as np
from PIL import Image

from gdfusion_ros.perception.labels import UNKNOWN
from gdfusion_ros.perception.types import SemanticGrid
from gdfusion_ros.visualization.canvas import EGO, PANEL, palette
from gdfusion_ros.visualization.raycast import Drawing, Viewpoint, render

# Lower and upper corner of body and cabin of a small car in the ego frame (origin below the rear axle) [m].
VEHICLE = np.array([[(-0.9, -0.88, 0.2), (3.2, 0.88, 0.9)], [(-0.4, -0.76, 0.9), (1.9, 0.76, 1.5)]])


_OPENING, _WIDEST = 54, 1.9
"""Opening angle [deg] that holds the grid's width, and its depth too in an image up to that width / height."""


def behind(grid: SemanticGrid, aspect: float) -> Viewpoint:
    """A view along the driving direction that holds nearly the whole grid in an image of width / height ``aspect``."""
    lower, extent = np.array(grid.origin), np.multiply(grid.labels.shape, grid.voxel_size)
    center, reach = lower + extent / 2, float(extent.max())
    x, y, z = center + np.array([-0.84, 0.10, 0.54]) * reach
    target_x, target_y, target_z = center + np.array([-0.05, 0.01, -0.06]) * reach
    return Viewpoint((x, y, z), (target_x, target_y, target_z), _OPENING * max(1.0, aspect / _WIDEST))


def perspective(grid: SemanticGrid, width: int, height: int) -> Image.Image:
    """The occupied voxels and the vehicle on a plain background, from behind; unknown voxels are left out."""
    solid = np.ones(256, np.bool_)
    solid[[grid.label_set.free, UNKNOWN]] = False
    scene = Drawing(
        grid.labels,
        palette(grid.label_set),
        solid,
        grid.origin,
        grid.voxel_size,
        VEHICLE,
        np.full((len(VEHICLE), 3), EGO, np.float32),
    )
    image = render(scene, behind(grid, width / height), width, height)
    pixels = image[..., :3] + (1 - image[..., 3:]) * np.array(PANEL)
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
