"""The warp in plain torch, on any device, differentiable."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from gdfusion_ros.model.geometry.camera import hidden, last_pixel, normalised, previous_pixels, to_device_of
from gdfusion_ros.model.geometry.reprojection import Reprojection


def depth_warp(
    history: Tensor, frustum: Tensor, reprojection: Reprojection, image_size: tuple[int, int], depths: Tensor
) -> Tensor:
    """See ``gdfusion_ros.model.ops.depth_warp.depth_warp``."""
    grid = history_grid(frustum, reprojection, image_size, depths)
    return F.grid_sample(history[:, None], grid, align_corners=True)[:, 0]


def camera_matrices(reprojection: Reprojection, image_size: tuple[int, int], depths: Tensor) -> tuple[Tensor, Tensor]:
    """What a compiled pass applies to the points of each camera, in this order: (N, 3, 3, 3) and (N, 4, 3).

    The last two vectors are the first place in the history and how far it reaches: columns, rows [px], depth [m].
    """
    matrices = (reprojection.camera_from_source, reprojection.intrinsics, reprojection.previous_post_rotation)
    shifts = (reprojection.camera_translation, reprojection.previous_post_translation)
    first = torch.cat([depths.new_zeros(2), depths[:1]]).expand_as(shifts[0])
    span = torch.cat([to_device_of(last_pixel(image_size), depths), depths[-1:] - depths[:1]]).expand_as(shifts[0])
    return torch.stack(matrices, 1), torch.stack((*shifts, first, span), 1)


def history_grid(frustum: Tensor, reprojection: Reprojection, image_size: tuple[int, int], depths: Tensor) -> Tensor:
    """(N, D, h, w, 3) where the cells' bins lie in the history, in grid_sample's coordinates (Warp_c of eq. 18)."""
    pixels, behind = previous_pixels(frustum, reprojection)
    near, far = depths[0], depths[-1]
    grid = torch.cat([normalised(pixels[..., :2], image_size), (pixels[..., 2:] - near) / (far - near) * 2 - 1], -1)
    forgotten = ~reprojection.remembered.view(-1, 1, 1, 1)
    return hidden(grid, behind | forgotten)
