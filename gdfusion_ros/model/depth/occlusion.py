"""Occlusion: what stands behind what a cell sees, and beside it (alocc.md §2, 3)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gdfusion_ros.model.depth.net import DepthPrediction
from gdfusion_ros.model.interface import Neighbours
from gdfusion_ros.model.layers.blocks2d import ResidualBlock2d
from gdfusion_ros.model.weights.keys import Table

REACH, PIXELS = 8.0, 4.0
"""How far neighbours may lie [px], and how many pixels a unit of what is learned is."""


def behind(probability: Tensor, weights: Tensor) -> Tensor:
    """What each bin sees, and a share of what the bins before it see: o_j = P_j + sum over l of w_l P_(j-l).

    It is no distribution any more: the more lies behind, the larger its sum.

    Args:
        probability: (N, D, h, w) depth distribution.
        weights: (N, L, h, w) of what lies l = 1, …, L bins behind.
    """
    bins = probability.shape[1]
    spread = probability.clone()
    for distance, weight in enumerate(weights.split(1, 1), 1):
        spread[:, distance:] += weight * probability[:, : max(bins - distance, 0)]
    return spread


class NoOcclusion(nn.Module):
    """Nothing is said of what is not seen: the distribution of the supervised head is lifted."""

    def forward(self, seen: DepthPrediction) -> tuple[Tensor, Neighbours | None]:
        """The distribution, and nothing of the neighbours."""
        return seen.probability, None


class IntraRay(nn.Module):
    """A second trunk of the depth network: how likely space behind a surface is occupied, too, by distance."""

    def __init__(self, trunk: nn.Sequential, length: int) -> None:
        """``trunk`` of the depth network, whose first block's shortcut is this one's, too; ``length`` in bins."""
        super().__init__()
        first = trunk[0]
        assert isinstance(first, ResidualBlock2d)
        inputs, channels = first.conv1.in_channels, first.conv1.out_channels
        own = ResidualBlock2d(inputs, channels)
        own.downsample = first.downsample  # the released networks share this one layer between both trunks [QUIRK]
        self.trunk = nn.Sequential(
            own,
            ResidualBlock2d(channels, channels),
            ResidualBlock2d(channels, channels),
            nn.Conv2d(channels, length, 1),
        )

    def forward(self, seen: DepthPrediction) -> tuple[Tensor, Neighbours | None]:
        """(N, D, h, w) what the bins see and what lies behind, and nothing of the neighbours."""
        return behind(seen.probability, torch.sigmoid(self.trunk(seen.looked_at))), None


class IntraInterRay(IntraRay):
    """The same, and what the cells say of their neighbours."""

    def __init__(self, trunk: nn.Sequential, length: int, channels: int) -> None:
        """As ``IntraRay``; ``channels`` of the depth network."""
        super().__init__(trunk, length)
        self.weights = nn.Conv2d(channels, 27, 1)
        self.offsets = nn.Conv2d(channels, 18, 1)
        self.start()

    @torch.no_grad()
    def start(self) -> None:
        """The neighbours lie one unit up or down and left or right."""
        steps = torch.arange(-1.0, 2.0)
        self.offsets.get_parameter('bias').copy_(torch.cartesian_prod(steps, steps).flatten())

    def forward(self, seen: DepthPrediction) -> tuple[Tensor, Neighbours | None]:
        """(N, D, h, w) what the bins see and what lies behind, and the neighbours."""
        occluded, _ = super().forward(seen)
        weights = torch.sigmoid(self.weights(seen.gated)).float().unflatten(1, (3, 3, 3))
        offsets = (PIXELS * self.offsets(seen.gated).float()).clamp(-REACH, REACH)
        return occluded, Neighbours(weights, offsets.unflatten(1, (3, 3, 2)))


INTRA_RAY: Table = {'trunk.': 'occ_conv.'}
INTER_RAY: Table = {'weights.': 'depth2occ_inter_weight_net.', 'offsets.': 'depth2occ_inter_bias_net.'}
