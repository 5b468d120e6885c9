"""Occlusion: the recorded sum behind a surface, and the heads' shapes and limits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from gdfusion_ros.model.depth.occlusion import InterRay, IntraRay, behind
from gdfusion_ros.model.layers.blocks2d import ResidualBlock2d

GATE = 1e-4


def test_recorded_sum_behind_a_surface(recording: Callable[[str], Any]) -> None:
    recorded = recording('alocc_intra_ray')
    probability = recorded['p'].clone()
    assert recorded.error('o', behind(probability, recorded['w'])) <= GATE
    assert torch.equal(probability, recorded['p'])


def test_more_distances_than_bins() -> None:
    probability, weights = torch.rand(1, 3, 2, 2), torch.rand(1, 7, 2, 2)
    torch.testing.assert_close(behind(probability, weights), behind(probability, weights[:, :2]))


def test_both_trunks_share_one_layer() -> None:
    first = ResidualBlock2d(20, 8)
    intra = IntraRay(first, 5)
    assert intra(torch.randn(2, 20, 4, 6)).shape == (2, 5, 4, 6)
    assert intra.trunk[0].downsample is first.downsample
    assert intra.trunk[0].conv1 is not first.conv1


def test_neighbours_begin_round_the_cell_and_stay_near() -> None:
    inter, features = InterRay(8), torch.zeros(2, 8, 4, 6)
    offsets = inter(features).offsets
    assert offsets[1, 0, 2, :, 3, 3].tolist() == [-4, 4]
    assert offsets[1, 1, 1, :, 0, 0].tolist() == [0, 0]
    assert inter(1e3 * torch.randn(2, 8, 4, 6)).offsets.abs().max() == 8
    assert inter(features).weights.shape == (2, 3, 3, 3, 4, 6)
