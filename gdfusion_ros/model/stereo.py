"""Stereo cost volume between an image and the same camera's previous image (spec section 2.1)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from gdfusion_ros.model import kernels
from gdfusion_ros.model.camera import OUTSIDE, camera_points, normalised, previous_pixels

INVALID_COST = 5.0
DEPTHS_AT_ONCE = 8


@dataclass(frozen=True, eq=False)
class StereoGeometry:
    """Float32 CPU matrices of the N cameras that the cost volume needs; see Frame for their meaning."""

    image_size: tuple[int, int]
    depths: Tensor
    intrinsics: Tensor
    post_rotation: Tensor
    post_translation: Tensor
    previous_camera_from_camera: Tensor
    previous_post_rotation: Tensor
    previous_post_translation: Tensor


def cost_volume(current: Tensor, previous: Tensor, geometry: StereoGeometry) -> Tensor:
    """Probability of each depth bin from the match of the two images' features.

    The cost of a bin is the L1 distance between a cell's feature and the previous image's feature where the bin's point
    is seen there, plus 5 where the latter is exactly zero in the first channel of the last group of four [QUIRK 3].

    Args:
        current: (N, C, h, w) features of the images, channels_last memory.
        previous: the same of the previous images.
        geometry: the cameras.

    Returns:
        (N, D, h, w) softmax over the bins of the negative cost.
    """
    if kernels.usable(current, previous):
        cost = kernels.matching_cost(current, previous, geometry)
    else:
        cost = matching_cost(current, previous, geometry)
    # Over the bins where they lie side by side in memory.
    return torch.softmax(-cost.permute(0, 2, 3, 1), -1).permute(0, 3, 1, 2)


def sampling_grid(feature_size: tuple[int, int], geometry: StereoGeometry, device: torch.device) -> Tensor:
    """(N, D, h, w, 2) where every bin of every cell is seen in the previous image, in grid_sample's coordinates."""
    points = camera_points(geometry.image_size, feature_size, geometry.depths.to(device, non_blocking=True),
                           geometry.post_rotation, geometry.post_translation)
    pixels, behind = previous_pixels(points, geometry.intrinsics, geometry.previous_camera_from_camera,
                                     geometry.previous_post_rotation, geometry.previous_post_translation)
    return normalised(pixels[..., :2], geometry.image_size).masked_fill_(behind[..., None], OUTSIDE)


def matching_cost(current: Tensor, previous: Tensor, geometry: StereoGeometry) -> Tensor:
    """Plain form of the cost, on any device: (N, D, h, w)."""
    cameras, channels, height, width = current.shape
    grid = sampling_grid((height, width), geometry, current.device)
    costs = []
    for part in torch.split(grid, DEPTHS_AT_ONCE, dim=1):
        warped = F.grid_sample(previous, part.flatten(1, 2), align_corners=True)
        warped = warped.view(cameras, channels, -1, height, width)
        cost = (current[:, :, None] - warped).abs_().sum(1)
        costs.append(cost + INVALID_COST * (warped[:, channels - 4] == 0))
    return torch.cat(costs, 1)
