"""The cost in plain torch, on any device."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from gdfusion_ros.model.geometry.camera import (
    camera_points,
    hidden,
    last_pixel,
    normalised,
    previous_pixels,
    to_device_of,
)
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


def camera_matrices(reprojection: Reprojection, image_size: tuple[int, int], like: Tensor) -> tuple[Tensor, Tensor]:
    """What a compiled pass applies to the pixels of each camera, in this order: (N, 4, 3, 3) and (N, 4, 3).

    The last vector is an image's last pixel; ``like`` is on the device of all.
    """
    matrices = (
        reprojection.source_from_input,
        reprojection.camera_from_source,
        reprojection.intrinsics,
        reprojection.previous_post_rotation,
    )
    shifts = (reprojection.post_translation, reprojection.camera_translation, reprojection.previous_post_translation)
    last = F.pad(to_device_of(last_pixel(image_size), like), (0, 1)).expand_as(shifts[0])
    return torch.stack(matrices, 1), torch.stack((*shifts, last), 1)


def sampling_grid(
    cells: tuple[int, int], reprojection: Reprojection, image_size: tuple[int, int], depths: Tensor
) -> Tensor:
    """(N, D, h, w, 2) where every bin of every cell is seen in the previous image, in grid_sample's coordinates."""
    points = camera_points(image_size, cells, depths, reprojection.source_from_input, reprojection.post_translation)
    pixels, behind = previous_pixels(points, reprojection)
    return hidden(normalised(pixels[..., :2], image_size), behind)
