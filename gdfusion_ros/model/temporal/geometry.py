"""Temporal geometry fusion (paper section 4.4, equations 18 to 22; bevdetocc_gf.md §3.1).

The released network differs from the paper: the state holds raw logits of a second head instead of the distribution
[DIFF 1]; the gate weighs the history, so eta_g = 1 - gate, one scalar a pixel for all bins, and bins that the warp does
not reach take the current value [DIFF 2]; a second gate blends the fused with the current distribution [DIFF 3].
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gdfusion_ros.model.geometry.reprojection import Reprojection
from gdfusion_ros.model.ops.depth_warp import depth_warp

NEUTRAL_HISTORY = 0.1


@dataclass(frozen=True, eq=False)
class GeometryState:
    """H_g: fused depth logits (N, D, h, w)."""

    logits: Tensor


class Gate(nn.Sequential):
    """One weight in 0..1 a pixel from two stacks of depth bins."""

    def __init__(self, bins: int) -> None:
        """``bins`` of each of the two inputs."""
        super().__init__(nn.Conv2d(2 * bins, bins, 1), nn.ReLU(), nn.Conv2d(bins, 1, 1), nn.Sigmoid())

    def start_at(self, share: float) -> None:
        """Give that weight to everything."""
        nn.init.zeros_(self[2].get_parameter('weight'))
        nn.init.constant_(self[2].get_parameter('bias'), math.log(share / (1 - share)))


def mixed(history: Tensor, weight: Tensor, current: Tensor) -> Tensor:
    """Both by weight, bin by bin where the warped value is not exactly zero, else the current one [QUIRK 4]."""
    return torch.where(history != 0, weight * history + (1 - weight) * current, current)


class GeometryFusion(nn.Module):
    """Depth logits fused with the warped history, then blended with the current distribution."""

    depths: Tensor

    def __init__(self, image_size: tuple[int, int], depths: Tensor) -> None:
        """``image_size`` (H, W) of the network's input [px], ``depths`` (D,) of the bins [m], evenly spaced."""
        super().__init__()
        self.image_size = image_size
        self.register_buffer('depths', depths, persistent=False)
        self.history_gate = Gate(len(depths))
        self.blend_gate = Gate(len(depths))

    def start_neutral(self) -> None:
        """Take little of the history, and as much of the fused distribution as of the current one."""
        self.history_gate.start_at(NEUTRAL_HISTORY)
        self.blend_gate.start_at(0.5)

    def forward(
        self,
        logits: Tensor,
        probability: Tensor,
        frustum: Tensor,
        reprojection: Reprojection,
        state: GeometryState | None,
    ) -> tuple[Tensor, GeometryState]:
        """Geometry for the lift, and the state.

        Args:
            logits: (N, D, h, w) of the second head.
            probability: (N, D, h, w) of the supervised head.
            frustum: (N, D, h, w, 3) as ``camera_points`` gives them for the current frame.
            reprojection: to the frame of the state. The history of a camera that is not remembered is not taken.
            state: the last frame's; None at a start.

        Returns:
            (N, D, h, w) distribution over the bins, and H_g.
        """
        fused = logits
        if state is not None:
            history, weight = self.history(logits, frustum, reprojection, state)
            fused = mixed(history, weight, logits)
        softened, blend = self.blend(fused, probability)
        return blend * softened + (1 - blend) * probability, GeometryState(fused)

    def history(
        self, logits: Tensor, frustum: Tensor, reprojection: Reprojection, state: GeometryState
    ) -> tuple[Tensor, Tensor]:
        """The warped history (N, D, h, w), and its weight (N, 1, h, w) against the current logits."""
        history = depth_warp(state.logits, frustum, reprojection, self.image_size, self.depths)
        return history, self.history_gate(torch.cat([history, logits], 1))

    def blend(self, fused: Tensor, probability: Tensor) -> tuple[Tensor, Tensor]:
        """The fused distribution (N, D, h, w), and its weight (N, 1, h, w) against the current one [DIFF 3]."""
        softened = fused.softmax(1)
        return softened, self.blend_gate(torch.cat([softened, probability], 1))
