"""Temporal motion fusion (paper section 4.3, equations 5 and 14 to 17; bevdetocc_gf.md §6).

The released network differs from the paper: offsets are added after the rigid transform, so the Jacobian carries no
R^T and the sampled history is not rotated [DIFF 5]; the loss is the mean over the three components, prediction and
gradient are clamped to 20 voxels, and voxels that sample outside the grid keep their prediction [DIFF 8].
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gdfusion_ros.model.graph_form import unless_first
from gdfusion_ros.model.layers.volume import rows
from gdfusion_ros.model.ops.motion_step import LIMIT, motion_step


@dataclass(frozen=True, eq=False)
class MotionState:
    """H_m: fused offsets (Y X Z, 3) along x, y, z [voxels of the frame's previous grid]."""

    offsets: Tensor


class MotionFusion(nn.Module):
    """Per-voxel offsets, moved by one gradient step towards the warped offsets of the last frame."""

    def __init__(self, channels: int, axes: int = 3) -> None:
        """``channels`` of the volume, or of a map, whose ``axes`` are 2: nothing moves out of it."""
        super().__init__()
        self.offset = nn.Conv3d(channels, axes, 1)

    def start_neutral(self) -> None:
        """Nothing moves."""
        nn.init.zeros_(self.offset.weight)
        nn.init.zeros_(self.offset.get_parameter('bias'))

    def forward(
        self, volume: Tensor, previous_from_current: Tensor, state: MotionState | None, first: Tensor | None = None
    ) -> tuple[Tensor, MotionState]:
        """Fused offsets M_f (Y X Z, 3) along x, y, z [voxels], and the state H_m, which is the same.

        Args:
            volume: (1, C, Y, X, Z), V^t, or a map (1, C, Y, X).
            previous_from_current: (4, 4) voxel index (x, y, z, 1) now -> index in the previous grid.
            state: the last frame's; None at a start.
            first: of a graph, see ``unless_first``.
        """
        axes, size = self.offset.out_channels, (*volume.shape[2:], 1)[:3]
        offsets = F.linear(rows(volume), self.offset.weight.flatten(1), self.offset.bias).clamp_(-LIMIT, LIMIT)
        offsets = offsets if axes == 3 else F.pad(offsets, (0, 3 - axes))
        if state is not None:
            # The step is a constant to whoever trains: the offsets get the gradient of the fused ones as it is.
            with torch.no_grad():
                moved = motion_step(offsets.detach(), state.offsets, previous_from_current, size, axes)
            moved = unless_first(first, moved, offsets)
            offsets = offsets + (moved - offsets).detach() if torch.is_grad_enabled() else moved
        return offsets, MotionState(offsets)
