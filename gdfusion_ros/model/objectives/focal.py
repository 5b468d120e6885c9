"""Voxels by the focal, scaling and Lovasz losses, cells by LiDAR depth, as FB-Occ has it (training.md §6)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from gdfusion_ros.model.interface import Frame
from gdfusion_ros.model.network import Encoded, FrameGeometry, OccupancyNetwork
from gdfusion_ros.model.objectives import depth_losses, losses
from gdfusion_ros.model.objectives.interface import IGNORE, FrameTruth, Objective, ObjectiveSettings, require_any
from gdfusion_ros.model.state import SequenceState
from gdfusion_ros.settings import setting


@dataclass(frozen=True)
class FocalWeights(ObjectiveSettings):
    """How much each loss counts; the released ones unless others are given."""

    focal: float = setting(1.0, 'Weight of the focal loss; voxels far from the middle count more.', low=0.0, high=1e3)
    rare_classes: bool = setting(True, 'Whether rare classes count more in the focal loss, by 1 / ln(frequency).')
    semantic_scaling: float = setting(1.0, 'Weight of the semantic scaling loss.', low=0.0, high=1e3)
    geometric_scaling: float = setting(1.0, 'Weight of the geometric scaling loss.', low=0.0, high=1e3)
    lovasz: float = setting(1.0, 'Weight of the Lovasz-softmax loss.', low=0.0, high=1e3)
    depth: float = setting(1.0, 'Weight of the depth loss; it needs LiDAR.', low=0.0, high=1e3)

    @property
    def wants_depth(self) -> bool:
        """Whether LiDAR depth is learned from."""
        return bool(self.depth)

    def check(self, cues: tuple[str, ...]) -> None:
        """Refuse weights with which nothing is learned."""
        del cues
        require_any(self.focal, self.semantic_scaling, self.geometric_scaling, self.lovasz, self.depth)

    def build(self, network: OccupancyNetwork) -> FocalObjective:
        """The objective with these weights."""
        return FocalObjective(network, self)


class FocalObjective(Objective):
    """The weighted sum of the losses of one frame. Outputs before the classes are unused: nothing belongs there."""

    class_weights: Tensor

    def __init__(self, network: OccupancyNetwork, weights: FocalWeights) -> None:
        """``network`` is in training mode."""
        super().__init__(network)
        self._weights = weights
        classes = network.spec.classes
        by_class = (
            losses.class_weights(torch.tensor(losses.FREQUENCIES[network.spec.label_set]))[1:]
            if weights.rare_classes
            else torch.full((classes,), 1 / classes)
        )
        self.register_buffer('class_weights', by_class, persistent=False)

    def forward(
        self, frame: Frame, truth: FrameTruth, state: SequenceState | None, progress: float = 0.0
    ) -> tuple[dict[str, Tensor], SequenceState]:
        """See ``Objective``."""
        geometry = self.geometry(frame, state)
        seen = self.encoded(frame, truth, geometry, state, progress)
        found = self._voxel_losses(seen.volume, truth.labels)
        if self._weights.depth:
            found['depth'] = self._weights.depth * depth_losses.depth_binary(seen.cells.supervised.float(), truth.depth)
        return found, seen.state.detach()

    def encoded(
        self, frame: Frame, truth: FrameTruth, geometry: FrameGeometry, state: SequenceState | None, progress: float
    ) -> Encoded:
        """The frame before its voxels are classified."""
        del truth, progress
        return self.network.encode(frame.images, geometry, state, frame.lidar_depth)

    def _voxel_losses(self, volume: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Of what is labelled. The network is asked for places, so that far voxels can be told from near ones."""
        places = torch.arange(labels.numel(), device=labels.device).view(labels.shape)
        scores, place = losses.known(
            *self.network.classify_labelled(
                volume, places.masked_fill(labels == IGNORE, losses.NO_TARGET), losses.NO_TARGET
            )
        )
        logits, unused = scores.float(), scores.shape[1] - self.network.spec.classes
        targets = losses.targets_of(labels.flatten()[place], unused)
        far = losses.distance_weights(*labels.shape[:2]).to(labels.device).flatten()[place // labels.shape[2]]
        weights = self._weights
        found: dict[str, Tensor] = {}
        if weights.focal:
            found['focal'] = weights.focal * losses.focal(logits, targets, F.pad(self.class_weights, (unused, 0)), far)
        return found | losses.by_probability(weights, logits, targets)
