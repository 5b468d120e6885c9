"""What the BEVDetOcc family is trained for: the weighted sum of the losses of one frame (training.md §4)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gdfusion_ros.model.interface import CellDepth, Frame
from gdfusion_ros.model.network import OccupancyNetwork
from gdfusion_ros.model.objectives import depth_losses, losses
from gdfusion_ros.model.objectives.interface import (
    IGNORE,
    FrameTruth,
    Objective,
    ObjectiveSettings,
    RaySupervision,
    require_any,
)
from gdfusion_ros.model.state import SequenceState
from gdfusion_ros.settings import setting


@dataclass(frozen=True)
class LossWeights(ObjectiveSettings):
    """How much each loss counts; the released ones unless others are given."""

    cross_entropy: float = setting(1.0, 'Weight of the cross-entropy.', low=0.0, high=1e3)
    class_balance: float = setting(
        0.0, 'Exponent of the inverse class frequency that weighs the cross-entropy.', low=0.0, high=1.0
    )
    semantic_scaling: float = setting(0.0, 'Weight of the semantic scaling loss.', low=0.0, high=1e3)
    geometric_scaling: float = setting(0.0, 'Weight of the geometric scaling loss.', low=0.0, high=1e3)
    lovasz: float = setting(0.0, 'Weight of the Lovasz-softmax loss.', low=0.0, high=1e3)
    depth: float = setting(0.05, 'Weight of the depth loss; it needs LiDAR.', low=0.0, high=1e3)
    cell_depth: float = setting(
        0.0, 'Weight of the depth loss of the image cells, by rays through the labels.', low=0.0, high=1e3
    )
    cell_depth_fused: float = setting(
        0.0,
        'Weight of the same loss for the depth fused with history, before it is '
        'blended with the other; what the blend alone teaches, its gate may shut out.',
        low=0.0,
        high=1e3,
    )
    cell_classes: float = setting(
        0.0, 'Weight of the cross-entropy of what the image cells see, by the same rays.', low=0.0, high=1e3
    )

    @property
    def wants_volume(self) -> bool:
        """Whether anything is to be learned behind the images: if not, the network ends at them."""
        return any((self.cross_entropy, self.semantic_scaling, self.geometric_scaling, self.lovasz))

    @property
    def wants_depth(self) -> bool:
        """Whether LiDAR depth is learned from."""
        return bool(self.depth)

    def wants_rays(self, cues: tuple[str, ...]) -> bool:
        """Whether anything is learned from what the rays of the image cells meet."""
        return bool(self.cell_depth or self.cell_classes or (self.cell_depth_fused and 'geometry' in cues))

    def check(self, cues: tuple[str, ...]) -> None:
        """Refuse weights with which a network with those cues cannot learn."""
        require_any(self.wants_volume, self.wants_depth, self.wants_rays(cues))

    def build(self, network: OccupancyNetwork) -> BevdetoccObjective:
        """The objective with these weights."""
        return BevdetoccObjective(network, self)


class BevdetoccObjective(Objective):
    """Voxels by cross-entropy, cells by LiDAR depth, and what else has a weight.

    Where nothing is to be learned behind the images, the network is not run behind them. A linear classifier of the
    lifted features, which the network itself has no use for, makes them tell the classes apart.
    """

    class_weights: Tensor | None

    def __init__(self, network: OccupancyNetwork, weights: LossWeights) -> None:
        """``network`` is in training mode."""
        super().__init__(network)
        self._weights = weights
        by_class = losses.balance(network.spec.label_set, weights.class_balance) if weights.class_balance else None
        self.register_buffer('class_weights', by_class, persistent=False)
        self.cell_classifier = nn.Conv2d(network.spec.context_channels, network.spec.classes + 1, 1)
        nn.init.zeros_(self.cell_classifier.weight)
        nn.init.zeros_(self.cell_classifier.get_parameter('bias'))

    def forward(
        self, frame: Frame, truth: FrameTruth, state: SequenceState | None, progress: float = 0.0
    ) -> tuple[dict[str, Tensor], SequenceState]:
        """See ``Objective``; the losses are the same all through the training."""
        del progress
        geometry = self.geometry(frame, state)
        if not self._weights.wants_volume:
            cells, after = self.network.predict_depth(frame.images, geometry, state, frame.lidar_depth)
            return self._cell_losses(cells, truth), after.detach()
        seen = self.network.encode(frame.images, geometry, state, frame.lidar_depth)
        found = {**self._voxel_losses(seen.volume, truth), **self._cell_losses(seen.cells, truth)}
        return found, seen.state.detach()

    def _voxel_losses(self, volume: Tensor, truth: FrameTruth) -> dict[str, Tensor]:
        """Only cells in which something is labelled are classified."""
        chosen = self._weights
        scores, labels = self.network.classify_labelled(volume, truth.labels, IGNORE)
        logits, targets = losses.known(scores, losses.targets_of(labels))
        logits = logits.float()
        found: dict[str, Tensor] = {}
        if chosen.cross_entropy:
            found['cross_entropy'] = chosen.cross_entropy * losses.cross_entropy(logits, targets, self.class_weights)
        return found | losses.by_probability(chosen, logits, targets)

    def _cell_losses(self, cells: CellDepth, truth: FrameTruth) -> dict[str, Tensor]:
        chosen, found = self._weights, {}
        supervised = cells.supervised.float()
        if chosen.depth:
            found['depth'] = chosen.depth * depth_losses.depth_binary(supervised, truth.depth)
        if chosen.cell_depth and truth.rays is not None:
            distributions = [supervised] if cells.fused_logits is None else [supervised, cells.distribution]
            likelihoods = [_depth_loss(each, truth.rays) for each in distributions]
            found['cell_depth'] = chosen.cell_depth * torch.stack(likelihoods).mean()
        if chosen.cell_depth_fused and truth.rays is not None and cells.fused_logits is not None:
            fused = cells.fused_logits.float().softmax(1)
            found['cell_depth_fused'] = chosen.cell_depth_fused * _depth_loss(fused, truth.rays)
        if chosen.cell_classes and truth.rays is not None:
            logits = depth_losses.spread(self.cell_classifier(cells.context), truth.rays.classes.shape)
            found['cell_classes'] = chosen.cell_classes * losses.cross_entropy(
                logits.permute(0, 2, 3, 1).flatten(0, 2), losses.targets_of(truth.rays.classes), self.class_weights
            )
        return found


def _depth_loss(distribution: Tensor, rays: RaySupervision) -> Tensor:
    return depth_losses.depth_between(depth_losses.spread(distribution, rays.bins.shape), rays.bins)
