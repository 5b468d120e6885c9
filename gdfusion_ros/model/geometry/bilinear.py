"""The four cells that a bilinear sample is made of; what lies outside of the map counts as zero."""

from __future__ import annotations

import torch
from torch import Tensor

from gdfusion_ros.model.geometry.camera import to_device_of


def bilinear_corners(places: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Index of each corner in the flattened (h, w) map, and its share of the sample, 0 outside; differentiable.

    Args:
        places: (…, 2) x, y [cells; the middle of the first one is 0, 0].
        size: (h, w).

    Returns:
        (…, 4) int64 and (…, 4).
    """
    height, width = size
    lower = places.floor()
    fraction = places - lower
    steps = to_device_of(torch.arange(4), places)
    x, y = lower[..., :1] + steps % 2, lower[..., 1:] + steps // 2
    across = torch.cat([1 - fraction, fraction], -1)  # x left, y up, x right, y down
    share = across[..., [0, 2, 0, 2]] * across[..., [1, 1, 3, 3]]
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    index = y.clamp(0, height - 1).long() * width + x.clamp(0, width - 1).long()
    return index, torch.where(inside, share, 0)
