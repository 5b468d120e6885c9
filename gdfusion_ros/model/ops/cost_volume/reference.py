"""The cost in plain torch, on any device."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from gdfusion_ros.model.geometry.camera import OUTSIDE, camera_points, normalised, previous_pixels
from gdfusion_ros.model.geometry.reprojection import Reprojection

INVALID_COST = 5.0
TESTED_CHANNEL = -4
"""Whose exact zero makes a bin invalid."""
DEPTHS_AT_ONCE = 8


def matching_cost(
    current: Tensor, previous: Tensor, reprojection: Reprojection, image_size: tuple[int, int], depths: Tensor
) -> Tensor:
    """(N, D, h, w); see ``cost_volume``."""
    cameras, channels, height, width = current.shape
    previous = torch.where(reprojection.remembered.view(-1, 1, 1, 1), previous, current)
    grid = sampling_grid((height, width), reprojection, image_size, depths)
    costs = []
    for part in torch.split(grid, DEPTHS_AT_ONCE, dim=1):
        warped = F.grid_sample(previous, part.flatten(1, 2), align_corners=True)
        warped = warped.view(cameras, channels, -1, height, width)
        cost = (current[:, :, None] - warped).abs_().sum(1)
        costs.append(cost + INVALID_COST * (warped[:, TESTED_CHANNEL] == 0))
    return torch.cat(costs, 1)


def sampling_grid(
    cells: tuple[int, int], reprojection: Reprojection, image_size: tuple[int, int], depths: Tensor
) -> Tensor:
    """(N, D, h, w, 2) where every bin of every cell is seen in the previous image, in grid_sample's coordinates."""
    points = camera_points(image_size, cells, depths, reprojection.source_from_input, reprojection.post_translation)
    pixels, behind = previous_pixels(points, reprojection)
    return normalised(pixels[..., :2], image_size).masked_fill_(behind[..., None], OUTSIDE)
