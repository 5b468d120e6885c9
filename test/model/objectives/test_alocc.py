"""ALOcc's objective: the recorded weights of classes, and the masks' losses written out (training.md §5)."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from gdfusion_ros.model.network import OccupancyNetwork
from gdfusion_ros.model.objectives import alocc
from gdfusion_ros.model.objectives.alocc import AloccWeights, drawn_points, mask_weights
from gdfusion_ros.model.objectives.interface import IGNORE, FrameTruth, RaySupervision


def test_weights_of_masks_and_of_points_are_as_recorded(recordings: Path) -> None:
    with np.load(recordings / 'losses.npz') as recorded:
        by_class, rarity = (torch.from_numpy(recorded[f'alocc_{name}_weight']) for name in ('class', 'sample'))
    found = mask_weights('occ3d_nuscenes', 18)
    torch.testing.assert_close(found[0].double(), by_class, rtol=1e-6, atol=0)
    torch.testing.assert_close(found[1].double(), rarity**0.25, rtol=1e-6, atol=0)


def test_where_nobody_has_counted_all_classes_are_alike() -> None:
    for weights in mask_weights('waymo', 16):
        assert weights.tolist() == [0.0, *[1.0] * 16]


def test_so_many_points_are_drawn_and_kept_as_the_released_system_has_them() -> None:
    torch.manual_seed(0)
    mask = torch.randn(100_000)
    rarity = torch.ones(len(mask))
    rarity[75_264:] = 0  # so all others are drawn
    points = drawn_points(mask, rarity, 25_088)
    assert len(points) == 25_088
    kept = mask[:75_264].abs().sort().values[:18_816]
    assert torch.equal(mask[points[:18_816]].abs().sort().values, kept)
    assert (points[18_816:] >= 75_264).any(), 'the rest comes from everywhere'


def masks_by_definition(scores: Tensor, labels: Tensor, points: dict[int, list[int]], weights: Tensor) -> float:
    """Row by row and point by point: 5 times both losses of the labels that are there."""
    binary = dice = total = 0.0
    known = [i for i, label in enumerate(labels.tolist()) if label != IGNORE]
    for target in sorted({int(labels[i]) + 1 for i in known}):
        weight, both, mine, true = float(weights[target]), 0.0, 0.0, 0
        for place in points[target]:
            i = known[place]
            sigmoid = 1 / (1 + math.exp(-float(scores[i, target])))
            truth = int(int(labels[i]) + 1 == target)
            binary -= weight * math.log(sigmoid if truth else 1 - sigmoid) / len(points[target])
            both, mine, true = both + sigmoid * truth, mine + sigmoid, true + truth
        dice += weight * (1 - (2 * both + 1) / (mine + true + 1))
        total += weight
    return 5 * binary / total + 5 * dice / total


def test_the_losses_of_masks_by_definition(tiny_alocc: OccupancyNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    objective = AloccWeights(points=12).build(tiny_alocc)
    scores, labels = 2 * torch.randn(60, 19), torch.tensor([0, 3, 17, 17, IGNORE] * 12, dtype=torch.uint8)
    drawn: list[list[int]] = []

    def draw(mask: Tensor, rarity: Tensor, count: int) -> Tensor:
        points = drawn_points(mask, rarity, count)
        drawn.append(points.tolist())
        return points

    monkeypatch.setattr(alocc, 'drawn_points', draw)
    found = objective._mask_losses('masks', 0.5, scores, labels, 12)
    points = dict(zip((1, 4, 18), drawn, strict=True))
    expected = 0.5 * masks_by_definition(scores, labels, points, objective.class_weights)
    assert float(found['masks']) == pytest.approx(expected, rel=1e-5)
    nothing = objective._mask_losses('masks', 1.0, scores, torch.full((60,), IGNORE, dtype=torch.uint8), 12)
    assert float(nothing['masks']) == 0


def test_classes_of_points_come_before_those_of_rays(tiny_alocc: OccupancyNetwork, drive: Any) -> None:
    objective, frame = AloccWeights(masks=0.0, depth=0.0, told_depth=False).build(tiny_alocc), drive.frame(0)
    points = torch.full((2, 4, 6), IGNORE, dtype=torch.uint8)
    points[:, 1], points[:, 2, :3] = 3, 8
    others = torch.full((2, 8, 12), 11, dtype=torch.uint8)
    labels, depth = torch.full((16, 20, 4), IGNORE, dtype=torch.uint8), torch.full((2, 4, 6), IGNORE)

    def loss(rays: Tensor | None, point_classes: Tensor | None) -> dict[str, Tensor]:
        torch.manual_seed(0)
        supervision = None if rays is None else RaySupervision(torch.empty(0), rays)
        found: dict[str, Tensor] = objective(frame, FrameTruth(labels, depth, supervision, point_classes), None, 0.0)[0]
        return found

    both, alone, by_rays = loss(others, points), loss(None, points), loss(others, None)
    assert set(both) == {'image_masks'}
    assert torch.equal(both['image_masks'], alone['image_masks'])
    assert not torch.equal(both['image_masks'], by_rays['image_masks'])
    assert loss(None, None) == {}
