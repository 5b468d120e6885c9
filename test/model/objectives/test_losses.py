"""The losses: the recorded numbers of the released systems, and cases that can be done by hand."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from gdfusion_ros.model.depth.measured import nearest_bins
from gdfusion_ros.model.geometry.depth_bins import DepthBins
from gdfusion_ros.model.objectives import depth_losses, losses
from gdfusion_ros.model.objectives.interface import IGNORE


@pytest.fixture(scope='module')
def recorded(recordings: Path) -> dict[str, Tensor]:
    with np.load(recordings / 'losses.npz') as arrays:
        return {
            name: torch.from_numpy(array) if array.shape else torch.tensor(array.item())
            for name, array in arrays.items()
        }


@pytest.fixture(scope='module')
def voxels(recorded: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """Logits (n, 19) and targets (n,) of the labelled voxels, and which they are."""
    logits = recorded['logits'].permute(0, 2, 3, 4, 1).flatten(0, 3)
    targets = recorded['target'].flatten().long()
    chosen = targets != IGNORE
    return logits[chosen], targets[chosen], chosen


def test_voxel_losses_are_as_recorded(recorded: dict[str, Tensor], voxels: tuple[Tensor, Tensor, Tensor]) -> None:
    logits, targets, known = voxels
    probability = logits.softmax(1)
    places = losses.distance_weights(6, 6)
    torch.testing.assert_close(places, recorded['focal_dist_weight_6x6'])
    weights = losses.class_weights(recorded['class_freq'])
    torch.testing.assert_close(weights, recorded['class_weights19'])
    place = places[None, :, :, None].expand(2, 6, 6, 3).flatten()[known]
    for value, name in (
        (losses.cross_entropy(logits, targets), 'ce_masked_mean'),
        (losses.semantic_scaling(probability, targets), 'sem_scal'),
        (losses.geometric_scaling(probability, targets), 'geo_scal'),
        (losses.lovasz_softmax(probability, targets), 'lovasz'),
        (losses.focal(logits, targets, weights, place), 'focal'),
    ):
        torch.testing.assert_close(value, recorded[name], rtol=1e-5, atol=0)


def test_depth_and_mask_losses_are_as_recorded(recorded: dict[str, Tensor]) -> None:
    bins = nearest_bins(recorded['gt_depth'][0], 16, DepthBins(1.0, 0.5, 16))
    probability = recorded['depth_pred'][0]
    masks = recorded['mask_logits'], recorded['mask_target'], recorded['mask_weight']
    for value, name in (
        (0.05 * depth_losses.depth_binary(probability, bins), 'depth_bce_w005'),
        (depth_losses.depth_likelihood(probability, bins), 'depth_ce'),
        (losses.mask_binary(*masks), 'mask_bce'),
        (losses.mask_dice(*masks), 'mask_dice'),
    ):
        torch.testing.assert_close(value, recorded[name], rtol=1e-5, atol=0)


def test_unknown_voxels_do_not_count_and_the_first_output_has_no_class() -> None:
    logits = torch.arange(24.0).view(6, 4)
    targets = losses.targets_of(torch.tensor([[0, IGNORE, 2], [1, 1, IGNORE]], dtype=torch.uint8))
    assert targets.tolist() == [1, losses.NO_TARGET, 3, 2, 2, losses.NO_TARGET]
    chosen, left = losses.known(logits, targets)
    assert left.tolist() == [1, 3, 2, 2]
    assert chosen[:, 0].tolist() == [0, 8, 12, 16]
    weights = torch.tensor([0.0, 1, 2, 5])
    for weighing in (None, weights):
        torch.testing.assert_close(
            losses.cross_entropy(logits, targets, weighing), torch.nn.functional.cross_entropy(chosen, left, weighing)
        )


def test_cross_entropy_takes_a_bad_voxel_as_undecided() -> None:
    logits = torch.tensor([[torch.nan, torch.inf], [0.0, 0.0]])
    assert float(losses.cross_entropy(logits, torch.tensor([0, 1]))) == pytest.approx(math.log(2))


def test_a_perfect_prediction_costs_almost_nothing_and_a_wrong_one_much() -> None:
    targets = torch.tensor([1, 1, 2, 3, 3, 3])
    perfect = 20.0 * torch.nn.functional.one_hot(targets, 4)
    wrong = perfect.roll(1, 1)
    ones = torch.ones(4), torch.ones(6)
    costs: tuple[Callable[[Tensor], Tensor], ...] = (
        lambda x: losses.semantic_scaling(x.softmax(1), targets),
        lambda x: losses.geometric_scaling(x.softmax(1), targets),
        lambda x: losses.lovasz_softmax(x.softmax(1), targets),
        lambda x: losses.cross_entropy(x, targets),
        lambda x: losses.focal(x - 10, targets, *ones),
    )
    for loss in costs:
        assert float(loss(perfect)) < 1e-3
        assert float(loss(wrong)) > 0.5


def test_lovasz_of_a_hard_prediction_is_one_minus_the_mean_iou() -> None:
    targets, predicted = torch.tensor([0, 0, 0, 1, 1, 2]), torch.tensor([0, 0, 1, 1, 2, 2])
    probability = torch.nn.functional.one_hot(predicted, 3).float()
    ious = [2 / 3, 1 / 3, 1 / 2]
    assert float(losses.lovasz_softmax(probability, targets)) == pytest.approx(1 - sum(ious) / 3)


def test_nothing_labelled_costs_nothing() -> None:
    probability, targets = torch.rand(0, 4), torch.zeros(0, dtype=torch.long)
    assert float(losses.cross_entropy(torch.rand(3, 4), torch.full((3,), losses.NO_TARGET))) == 0
    assert float(losses.lovasz_softmax(probability, targets)) == 0
    assert float(losses.semantic_scaling(probability, targets)) == 0


def test_depth_bins_take_the_nearest_depth_of_a_patch() -> None:
    depth = torch.zeros(1, 4, 8)
    depth[0, 0, 1], depth[0, 3, 3] = 7.9, 2.0  # one patch; 2.0 is its nearest
    depth[0, 1, 6] = 1.49
    assert nearest_bins(depth, 4, DepthBins(1.0, 0.5, 10)).tolist() == [[[2, 0]]]
    depth[0, 3, 3], depth[0, 1, 6] = 0.9, 0.0  # before the first bin; none at all
    assert nearest_bins(depth, 4, DepthBins(1.0, 0.5, 10)).tolist() == [[[IGNORE, IGNORE]]]


def test_depth_losses_by_hand() -> None:
    probability = torch.tensor([0.5, 0.25, 0.25]).view(1, 3, 1, 1).expand(1, 3, 1, 2)
    bins = torch.tensor([[[1, IGNORE]]])
    assert float(depth_losses.depth_likelihood(probability, bins)) == pytest.approx(math.log(4))
    assert float(depth_losses.depth_binary(probability, bins)) == pytest.approx(
        -math.log(0.5) - math.log(0.25) - math.log(0.75)
    )
    assert float(depth_losses.depth_binary(probability, torch.full((1, 1, 2), IGNORE))) == 0


def test_a_depth_between_two_bins_is_learned_as_both() -> None:
    places = torch.tensor([[[0.25, torch.nan]]])
    logits = torch.zeros(1, 3, 1, 2, requires_grad=True)
    loss = depth_losses.depth_between(logits.softmax(1), places)
    assert float(loss.detach()) == pytest.approx(math.log(3), rel=1e-5)
    loss.backward()
    assert logits.grad is not None
    torch.testing.assert_close(logits.grad[0, :, 0, 0], 1 / 3 - torch.tensor([0.75, 0.25, 0]), rtol=1e-4, atol=1e-6)
    assert not logits.grad[..., 1].any()
    sure = torch.tensor([0.0, 0.0, 1.0]).view(1, 3, 1, 1)
    assert float(depth_losses.depth_between(sure, torch.tensor([[[2.0]]]))) == pytest.approx(0, abs=1e-6)
    assert float(depth_losses.depth_between(sure, torch.full((1, 1, 1), torch.nan))) == 0


def test_mask_losses_by_hand() -> None:
    logits, truth, weights = torch.zeros(2, 4), torch.tensor([[1.0, 1, 0, 0], [0, 0, 0, 0]]), torch.tensor([3.0, 1.0])
    assert float(losses.mask_binary(logits, truth, weights)) == pytest.approx(5 * math.log(2))
    dice = [1 - 3 / 5, 1 - 1 / 3]
    assert float(losses.mask_dice(logits, truth, weights)) == pytest.approx(5 * (3 * dice[0] + dice[1]) / 4)


def test_without_an_unused_slot_the_first_class_counts_like_others() -> None:
    labels = torch.tensor([0, 0, 2, IGNORE], dtype=torch.uint8)
    assert losses.targets_of(labels, unused=0).tolist() == [0, 0, 2, losses.NO_TARGET]
    targets = torch.tensor([0, 0, 1, 2])
    sure = 20.0 * torch.nn.functional.one_hot(targets, 3)
    assert float(losses.semantic_scaling(sure.softmax(1), targets)) < 1e-3
    wrong = sure.clone()
    wrong[:2] = sure[3]  # of the first class alone
    assert float(losses.semantic_scaling(wrong.softmax(1), targets)) > 5
