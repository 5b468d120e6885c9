"""What the ALOcc family is trained for: a mask a class, in the volume and in the images, and depth (training.md §5)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from gdfusion_ros.model.geometry.depth_bins import one_hot
from gdfusion_ros.model.heads.query import QueryHead
from gdfusion_ros.model.interface import CellDepth, Frame
from gdfusion_ros.model.network import OccupancyNetwork
from gdfusion_ros.model.objectives import depth_losses, losses
from gdfusion_ros.model.objectives.interface import IGNORE, FrameTruth, Objective, ObjectiveSettings, require_any
from gdfusion_ros.model.state import SequenceState
from gdfusion_ros.settings import setting

DRAWN, KEPT = 3.0, 0.75
"""Points that are drawn by class for each that counts, and the share of those that count which come from them."""

RARITY = 0.25
"""Exponent of the inverse class frequency by which points are drawn."""

IMAGE_POINTS = 1056


@dataclass(frozen=True)
class AloccWeights(ObjectiveSettings):
    """How much each loss counts; the released ones unless others are given."""

    masks: float = setting(1.0, 'Weight of the losses of the masks of voxels.', low=0.0, high=1e3)
    image_masks: float = setting(
        0.1,
        'Weight of the losses of the masks of image cells, by classes of LiDAR points '
        'where the dataset has them (nuScenes-lidarseg), else by rays through the labels.',
        low=0.0,
        high=1e3,
    )
    depth: float = setting(1.0, 'Weight of the depth loss; it needs LiDAR.', low=0.0, high=1e3)
    told_depth: bool = setting(True, 'Look behind LiDAR depth at first, then more and more behind what is predicted.')
    points: int = setting(25088, 'Voxels at which each mask is compared.', low=1, high=10**6)

    @property
    def wants_depth(self) -> bool:
        """Whether LiDAR depth is learned from."""
        return bool(self.depth or self.told_depth)

    @property
    def wants_point_classes(self) -> bool:
        """Whether the masks of the images are learned."""
        return bool(self.image_masks)

    def wants_rays(self, cues: tuple[str, ...]) -> bool:
        """Whether anything is learned from what the rays of the image cells meet."""
        del cues
        return bool(self.image_masks)

    def check(self, cues: tuple[str, ...]) -> None:
        """Refuse weights with which nothing is learned."""
        del cues
        require_any(self.masks, self.image_masks, self.depth)

    def build(self, network: OccupancyNetwork) -> AloccObjective:
        """The objective with these weights."""
        return AloccObjective(network, self)


class AloccObjective(Objective):
    """Each class that is there has a mask, compared at points, many of them of rare classes and where it is unsure.

    The masks of the images are of the classes of LiDAR points, as the released systems learn them, where the dataset
    has them; else of what rays through the cells meet in the labels of the voxels.
    """

    class_weights: Tensor
    rarity: Tensor

    def __init__(self, network: OccupancyNetwork, weights: AloccWeights) -> None:
        """``network`` is in training mode."""
        super().__init__(network)
        self._weights = weights
        head = network.get_submodule('decoder.head')
        assert isinstance(head, QueryHead)
        self._head = [head]
        by_class, rarity = mask_weights(network.spec.label_set, network.spec.classes)
        self.register_buffer('class_weights', by_class, persistent=False)
        self.register_buffer('rarity', rarity, persistent=False)

    def forward(
        self, frame: Frame, truth: FrameTruth, state: SequenceState | None, progress: float = 0.0
    ) -> tuple[dict[str, Tensor], SequenceState]:
        """See ``Objective``."""
        geometry = self.geometry(frame, state)
        share = trust_in_lidar(progress) if self._weights.told_depth else 0.0
        with self.told(partial(measured_over, bins=truth.depth, share=share)):
            seen = self.network.encode(frame.images, geometry, state, frame.lidar_depth)
        found: dict[str, Tensor] = {}
        if self._weights.masks:
            scores, labels = self.network.classify_labelled(seen.volume, truth.labels, IGNORE)
            found |= self._mask_losses('masks', self._weights.masks, scores, labels, self._weights.points)
        found |= self._cell_losses(seen.cells, truth)
        return found, seen.state.detach()

    def _cell_losses(self, cells: CellDepth, truth: FrameTruth) -> dict[str, Tensor]:
        found: dict[str, Tensor] = {}
        if self._weights.depth:
            likelihood = depth_losses.depth_likelihood(cells.supervised.float(), truth.depth)
            found['depth'] = self._weights.depth * likelihood
        classes = truth.point_classes
        if classes is None and truth.rays is not None:
            classes = truth.rays.classes
        if self._weights.image_masks and classes is not None and self._head[0].embed_context is not None:
            scores = torch.einsum('qc,nchw->nqhw', self._head[0].context_queries(), cells.context)
            spread = depth_losses.spread(scores, classes.shape).permute(0, 2, 3, 1).flatten(0, 2)
            found |= self._mask_losses(
                'image_masks', self._weights.image_masks, spread, classes.flatten(), IMAGE_POINTS
            )
        return found

    def _mask_losses(self, name: str, weight: float, scores: Tensor, labels: Tensor, points: int) -> dict[str, Tensor]:
        """Of (n, K) scores and (n,) labels."""
        logits, targets = losses.known(scores, losses.targets_of(labels))
        logits = logits.float()
        if not len(targets):
            return {name: logits.sum() * 0}
        masks, truths, classes = [], [], targets.unique()
        for label in classes:
            mask = logits[:, label]
            chosen = drawn_points(mask.detach(), self.rarity[targets], points)
            masks.append(mask[chosen])
            truths.append((targets[chosen] == label).to(mask.dtype))
        compared = torch.stack(masks), torch.stack(truths), self.class_weights[classes]
        return {name: weight * (losses.mask_binary(*compared) + losses.mask_dice(*compared))}


def mask_weights(label_set: str, classes: int) -> tuple[Tensor, Tensor]:
    """(K + 1,) weights of the masks and of the points by class, behind the unused slot; 1 where nobody has counted."""
    if label_set not in losses.FREQUENCIES:
        alike = torch.ones(classes + 1)
        alike[0] = 0
        return alike, alike
    weights = losses.class_weights(torch.tensor(losses.FREQUENCIES[label_set]))
    return weights / weights[1], losses.balance(label_set, 1.0) ** RARITY


def drawn_points(mask: Tensor, rarity: Tensor, count: int) -> Tensor:
    """(count,) indices of the points (n,) at which a mask is compared; the same one may be among them twice.

    Most are those where it is least sure of many that are drawn by rarity; the rest are drawn evenly.

    Args:
        mask: (n,) logits.
        rarity: (n,) how likely each is to be drawn, relative to others.
        count: how many.
    """
    unsure = min(int(KEPT * count), len(mask))
    drawn = rarity.multinomial(min(int(DRAWN * count), len(mask)), replacement=False)
    least = mask[drawn].abs().topk(min(unsure, len(drawn)), largest=False, sorted=False).indices
    even = torch.randint(len(mask), (count - len(least),), device=mask.device)
    return torch.cat([drawn[least], even])


def measured_over(predicted: Tensor, bins: Tensor, share: float) -> Tensor:
    """(N, D, h, w) depth distribution, of which ``share`` gives way to the known bins (N, h, w) where there are any."""
    known = (bins != IGNORE)[:, None]
    return torch.where(known, share * one_hot(bins, predicted.shape[1]) + (1 - share) * predicted, predicted)


def trust_in_lidar(progress: float) -> float:
    """Share of LiDAR depth in what is looked behind: from 1 to 0 in the first half of the training."""
    return (math.cos(2 * math.pi * progress) + 1) / 2 if progress <= 0.5 else 0.0
