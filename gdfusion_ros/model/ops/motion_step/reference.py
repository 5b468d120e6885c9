"""The step in plain torch, on any device."""

from __future__ import annotations

from itertools import product

import torch
from torch import Tensor

from gdfusion_ros.model.geometry.camera import to_device_of
from gdfusion_ros.model.ops.warp.reference import sampled_positions

LIMIT = 20.0
"""Of offsets and of their gradient [voxels]."""
STEP_SIZE = 0.1


def motion_step(
    offsets: Tensor, history: Tensor, previous_from_current: Tensor, size: tuple[int, ...], axes: int = 3
) -> Tensor:
    """See ``gdfusion_ros.model.ops.motion_step.motion_step``."""
    positions = sampled_positions(offsets, to_device_of(previous_from_current, offsets), size)
    sampled, jacobian = sample_with_jacobian(history, positions, size)
    delta = 2 * (sampled - offsets)
    gradient = ((jacobian * delta[:, None]).sum(-1) - delta) / axes
    last = to_device_of(torch.tensor([size[1] - 1.0, size[0] - 1.0, size[2] - 1.0]), positions)
    inside = ((positions >= 0) & (positions <= last)).all(-1, keepdim=True)
    return torch.where(inside, offsets - STEP_SIZE * gradient.clamp(-LIMIT, LIMIT), offsets)


def sample_with_jacobian(field: Tensor, positions: Tensor, size: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Trilinear samples of a field and their derivatives along the position.

    Corners beyond the border take the border's value, with the weights of the position itself.

    Args:
        field: (Y X Z, 3).
        positions: (n, 3) along x, y, z [voxels].
        size: (Y, X, Z).

    Returns:
        (n, 3) samples, and (n, 3, 3) whose entry [a, i] is d sample_i / d position_a.
    """
    lower = positions.floor()
    fraction = positions - lower
    indices, weights = lower.long().unbind(-1), torch.stack([1 - fraction, fraction])
    slopes = (-1.0, 1.0)
    total = positions.new_zeros(len(positions), 4, 3)  # the sample, then its derivatives
    for i, j, k in product((0, 1), repeat=3):
        x, y, z = (
            (index + corner).clamp(0, count - 1)
            for index, corner, count in zip(indices, (i, j, k), (size[1], size[0], size[2]), strict=True)
        )
        value = field[(y * size[1] + x) * size[2] + z]
        wx, wy, wz = weights[i, :, 0], weights[j, :, 1], weights[k, :, 2]
        shares = [wx * wy * wz, slopes[i] * wy * wz, slopes[j] * wx * wz, slopes[k] * wx * wy]
        total = total + torch.stack(shares, -1)[..., None] * value[:, None]
    return total[:, 0], total[:, 1:]
