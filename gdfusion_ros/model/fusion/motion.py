"""Temporal motion fusion (paper section 4.3, equations 5 and 14 to 17; spec section 6).

The released network differs from the paper: offsets are added after the rigid transform, so the Jacobian carries no
R^T and the sampled history is not rotated [DIFF 5]; the loss is the mean over the three components, prediction and
gradient are clamped to 20 voxels, and voxels that sample outside the grid keep their prediction [DIFF 8].
"""

from __future__ import annotations

from itertools import product

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gdfusion_ros.model import kernels
from gdfusion_ros.model.camera import sent
from gdfusion_ros.model.fusion.alignment import sampled_positions
from gdfusion_ros.model.fusion.state import MotionState
from gdfusion_ros.model.volume import rows

LIMIT = 20.0
STEP_SIZE = 0.1


class MotionFusion(nn.Module):
    """Per-voxel offsets, moved by one gradient step towards the warped offsets of the last frame."""

    def __init__(self, channels: int) -> None:
        """``channels`` of the volume."""
        super().__init__()
        self.offset = nn.Conv3d(channels, 3, 1)

    def start_neutral(self) -> None:
        """Nothing moves."""
        nn.init.zeros_(self.offset.weight)
        nn.init.zeros_(self.offset.get_parameter('bias'))

    def forward(self, volume: Tensor, previous_from_current: Tensor,
                state: MotionState | None) -> tuple[Tensor, MotionState]:
        """Fused offsets M_f (Y X Z, 3) along x, y, z [voxels], and the state H_m, which is the same.

        Args:
            volume: (1, C, Y, X, Z), V^t.
            previous_from_current: (4, 4) voxel index (x, y, z, 1) now -> index in the previous grid.
            state: the last frame's; None at a start.
        """
        offsets = F.linear(rows(volume), self.offset.weight.flatten(1), self.offset.bias).clamp_(-LIMIT, LIMIT)
        if state is not None:
            # The step is a constant to whoever trains: the offsets get the gradient of the fused ones as it is.
            with torch.no_grad():
                step = kernels.motion_step if kernels.usable(offsets) else gradient_step
                moved = step(offsets.detach(), state.offsets, previous_from_current, tuple(volume.shape[2:]))
            offsets = offsets + (moved - offsets).detach() if torch.is_grad_enabled() else moved
        return offsets, MotionState(offsets)


def gradient_step(offsets: Tensor, history: Tensor, previous_from_current: Tensor,
                  size: tuple[int, ...]) -> Tensor:
    """M - eta_m * gradient of the loss, in closed form (plain form, any device).

    Args:
        offsets: (Y X Z, 3) M.
        history: (Y X Z, 3) H_m of the last frame.
        previous_from_current: (4, 4) index transform.
        size: (Y, X, Z).
    """
    positions = sampled_positions(offsets, previous_from_current, size)
    sampled, jacobian = sample_with_jacobian(history, positions, size)
    delta = 2 * (sampled - offsets)
    gradient = ((jacobian * delta[:, None]).sum(-1) - delta) / 3
    last = sent(torch.tensor([size[1] - 1.0, size[0] - 1.0, size[2] - 1.0]), positions)
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
    sampled = torch.zeros_like(positions)
    jacobian = positions.new_zeros(len(positions), 3, 3)
    for i, j, k in product((0, 1), repeat=3):
        x, y, z = ((index + corner).clamp(0, count - 1)
                   for index, corner, count in zip(indices, (i, j, k), (size[1], size[0], size[2]), strict=True))
        value = field[(y * size[1] + x) * size[2] + z]
        wx, wy, wz = weights[i, :, 0], weights[j, :, 1], weights[k, :, 2]
        sampled += (wx * wy * wz)[:, None] * value
        jacobian[:, 0] += (slopes[i] * wy * wz)[:, None] * value
        jacobian[:, 1] += (slopes[j] * wx * wz)[:, None] * value
        jacobian[:, 2] += (slopes[k] * wx * wy)[:, None] * value
    return sampled, jacobian
