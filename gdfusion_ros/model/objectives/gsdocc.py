"""What GSD-Occ is trained for: FB-Occ's losses, lifting along LiDAR depth at first (gsdocc.md §7, training.md §9)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

from torch import Tensor

from gdfusion_ros.model.geometry.depth_bins import one_hot
from gdfusion_ros.model.interface import Frame
from gdfusion_ros.model.network import Encoded, FrameGeometry, OccupancyNetwork
from gdfusion_ros.model.objectives.focal import FocalObjective, FocalWeights
from gdfusion_ros.model.objectives.interface import FrameTruth
from gdfusion_ros.model.state import SequenceState
from gdfusion_ros.settings import setting


@dataclass(frozen=True)
class GsdoccWeights(FocalWeights):
    """How much each loss counts, all classes alike, and whether LiDAR guides."""

    rare_classes: bool = setting(False, 'Whether rare classes count more in the focal loss, by 1 / ln(frequency).')
    guided: bool = setting(True, 'Lift along LiDAR depth at first, then more and more along what is predicted.')

    @property
    def wants_depth(self) -> bool:
        """Whether LiDAR depth is learned from."""
        return bool(self.depth or self.guided)

    def build(self, network: OccupancyNetwork) -> GsdoccObjective:
        """The objective with these weights."""
        return GsdoccObjective(network, self)


class GsdoccObjective(FocalObjective):
    """FB-Occ's losses of a network whose cells are told their depth while they do not know it yet."""

    def __init__(self, network: OccupancyNetwork, weights: GsdoccWeights) -> None:
        """``network`` is in training mode."""
        super().__init__(network, weights)
        self._guided = weights.guided

    def encoded(
        self, frame: Frame, truth: FrameTruth, geometry: FrameGeometry, state: SequenceState | None, progress: float
    ) -> Encoded:
        """The frame before its voxels are classified, lifted along the guided depth."""
        share = trust(progress) if self._guided else 1.0
        with self.told(partial(guided, bins=truth.depth, share=share)):
            return super().encoded(frame, truth, geometry, state, progress)


def trust(progress: float) -> float:
    """Share of the predicted depth in what is lifted along, from 0 to 1, half in the middle of the training."""
    return 1 / (1 + math.exp(-5 * (10 * progress - 5)))


def guided(distribution: Tensor, bins: Tensor, share: float) -> Tensor:
    """(N, D, h, w) depth distribution mixed with the known bins (N, h, w); where none is known, with nothing."""
    return share * distribution + (1 - share) * one_hot(bins, distribution.shape[1])
