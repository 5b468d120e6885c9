"""Level ground as the cameras see it."""

from __future__ import annotations

import torch
from torch import Tensor

from gdfusion_ros.model.geometry.camera import pixel_grid, rays
from gdfusion_ros.model.interface import Calibration


def ground_bins(
    calibration: Calibration, image_size: tuple[int, int], cells: tuple[int, int], depths: Tensor
) -> Tensor:
    """Where each cell's ray meets level ground, the plane z = 0 of the ego frame.

    Args:
        calibration: the cameras.
        image_size: (H, W) of the images [px].
        cells: (h, w) of the features.
        depths: (D,) of the evenly spaced depth bins [m].

    Returns:
        (N, D, h, w), split between the two nearest bins; 0 where the ground is met beyond them or not at all.
    """
    u, v = pixel_grid(image_size, cells)
    down = -rays(
        u,
        v,
        calibration.intrinsics,
        calibration.post_rotation,
        calibration.post_translation,
        calibration.volume_from_camera,
    )[..., 2]
    height = calibration.volume_from_camera[:, 2, 3].view(-1, 1, 1)
    met = torch.where(down > 0, height / down, torch.inf)
    return (1 - (met[:, None] - depths.view(-1, 1, 1)).abs() / (depths[1] - depths[0])).clamp(min=0)
