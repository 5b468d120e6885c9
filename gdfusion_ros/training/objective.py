"""What a network is trained for: the weighted sum of the losses of one frame."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.model.interface import CellDepth
from gdfusion_ros.model.network import OccupancyNetwork
from gdfusion_ros.model.state import SequenceState
from gdfusion_ros.training import losses
from gdfusion_ros.training.examples import Example
from gdfusion_ros.training.settings import TrainingSettings
from gdfusion_ros.training.sight import RAYS, Sight

FREQUENCIES = {'occ3d_nuscenes': (
    944004, 1897170, 152386, 2391677, 16957802, 724139, 189027, 2074468, 413451, 2384460, 5916653, 175883646, 4275424,
    51393615, 61411620, 105975596, 116424404, 1892500630)}
"""Voxels of every class in the training split, by label set."""


class Objective(nn.Module):
    """``objective(example, state) -> (losses by name, state)``; the sum of the losses is what is to become small.

    The state is a constant: training does not go back through time.

    The network is part of this module, so that one call is one forward pass for torch's data parallelism. Where nothing
    is to be learned behind the images, it is not run behind them. A linear classifier of the lifted features, which the
    network itself has no use for, makes them tell the classes apart.
    """

    class_weights: Tensor | None

    def __init__(self, network: OccupancyNetwork, settings: TrainingSettings) -> None:
        """``network`` is in training mode."""
        super().__init__()
        self.network = network
        self._settings = settings
        weights = None
        if settings.class_balance:
            label_set = network.spec.label_set
            if label_set not in FREQUENCIES:
                raise GdfusionError(f"'class_balance' needs to know how frequent the classes of {label_set} are, which "
                                    'nobody has counted: set it to 0')
            counts = torch.tensor(FREQUENCIES[label_set], dtype=torch.float64)
            weights = (counts.max() / counts) ** settings.class_balance
            weights = torch.cat([torch.zeros(1), weights.float()])
        self.register_buffer('class_weights', weights, persistent=False)
        self.cell_classifier = nn.Conv2d(network.spec.context_channels, network.spec.classes + 1, 1)
        nn.init.zeros_(self.cell_classifier.weight)
        nn.init.zeros_(self.cell_classifier.get_parameter('bias'))

    def forward(self, example: Example, state: SequenceState | None) -> tuple[dict[str, Tensor], SequenceState]:
        """See one example.

        Args:
            example: on the network's device where its tensors are large.
            state: of the same sequence's last frame; None at its start.
        """
        frame, then = example.frame, None if state is None else state.calibration
        geometry = self.network.geometry(frame.calibration, frame.previous(then))
        if not self._settings.lifts:
            cells, after = self.network.predict_depth(frame.images, geometry, state, frame.lidar_depth)
            return self._cell_losses(cells, example), after.detach()
        seen = self.network.encode(frame.images, geometry, state, frame.lidar_depth)
        found = {**self._voxel_losses(seen.volume, example), **self._cell_losses(seen.cells, example)}
        return found, seen.state.detach()

    def _voxel_losses(self, volume: Tensor, example: Example) -> dict[str, Tensor]:
        """Only cells in which something is labelled are classified."""
        chosen = self._settings
        scores, labels = self.network.classify_labelled(volume, example.labels, losses.IGNORE)
        logits, targets = losses.known(scores, losses.targets_of(labels))
        logits = logits.float()
        found: dict[str, Tensor] = {}
        if chosen.cross_entropy:
            found['cross_entropy'] = chosen.cross_entropy * losses.cross_entropy(logits, targets, self.class_weights)
        if chosen.semantic_scaling or chosen.geometric_scaling or chosen.lovasz:
            probability = logits.softmax(1)
            for name, loss in (('semantic_scaling', losses.semantic_scaling),
                               ('geometric_scaling', losses.geometric_scaling), ('lovasz', losses.lovasz_softmax)):
                if weight := getattr(chosen, name):
                    found[name] = weight * loss(probability, targets)
        return found

    def _cell_losses(self, cells: CellDepth, example: Example) -> dict[str, Tensor]:
        chosen, found = self._settings, {}
        supervised = cells.supervised.float()
        if chosen.depth:
            found['depth'] = chosen.depth * losses.depth_binary(supervised, example.depth)
        if chosen.cell_depth and example.sight is not None:
            distributions = [supervised] if cells.fused_logits is None else [supervised, cells.distribution]
            likelihoods = [_depth_loss(each, example.sight) for each in distributions]
            found['cell_depth'] = chosen.cell_depth * torch.stack(likelihoods).mean()
        if chosen.cell_depth_fused and example.sight is not None and cells.fused_logits is not None:
            fused = cells.fused_logits.float().softmax(1)
            found['cell_depth_fused'] = chosen.cell_depth_fused * _depth_loss(fused, example.sight)
        if chosen.cell_classes and example.sight is not None:
            logits = losses.spread(self.cell_classifier(cells.context), RAYS).permute(0, 2, 3, 1).flatten(0, 2)
            found['cell_classes'] = chosen.cell_classes * losses.cross_entropy(
                logits, losses.targets_of(example.sight.classes), self.class_weights)
        return found


def _depth_loss(distribution: Tensor, sight: Sight) -> Tensor:
    return losses.depth_between(losses.spread(distribution, RAYS), sight.bins)


def on_device(example: Example, device: torch.device) -> Example:
    """The example with its large tensors on ``device``; matrices stay on the CPU, their place."""
    images = example.frame.images.to(device, memory_format=torch.channels_last, non_blocking=True)
    depth = example.frame.lidar_depth
    frame = replace(example.frame, images=images,
                    lidar_depth=None if depth is None else depth.to(device, non_blocking=True))
    return replace(example, frame=frame,
                   labels=example.labels.to(device, non_blocking=True),
                   depth=example.depth.to(device, non_blocking=True),
                   sight=None if example.sight is None else example.sight.to(device))
