"""The objectives of FB-Occ and GSD-Occ: what counts, which depth is lifted along, and that a step helps."""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

import pytest
import torch

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.model.network import OccupancyNetwork
from gdfusion_ros.model.objectives import depth_losses, losses
from gdfusion_ros.model.objectives.focal import FocalWeights
from gdfusion_ros.model.objectives.gsdocc import GsdoccWeights, guided, trust
from gdfusion_ros.model.objectives.interface import IGNORE, FrameTruth

NOTHING = FocalWeights(focal=0.0, semantic_scaling=0.0, geometric_scaling=0.0, lovasz=0.0, depth=0.0)


@pytest.fixture
def truth(tiny_gsdocc: OccupancyNetwork) -> FrameTruth:
    """Ground, a car and what is unknown; LiDAR in a part of the cells."""
    x, y, z = tiny_gsdocc.spec.predicted_grid.shape
    labels = torch.full((y, x, z), 17, dtype=torch.uint8)
    labels[:, :, 1], labels[4:8, 6:12, 2:5], labels[:, 30:], labels[0, 0] = 11, 4, IGNORE, 0
    depth = torch.full((2, 4, 6), IGNORE)
    depth[:, 2:] = torch.arange(6)
    return FrameTruth(labels, depth)


def test_every_loss_that_counts_by_its_definition(tiny_gsdocc: OccupancyNetwork, truth: FrameTruth, drive: Any) -> None:
    frame, known = drive.frame(0), truth.labels != IGNORE
    geometry = tiny_gsdocc.geometry(frame.calibration)
    prediction, _ = tiny_gsdocc(frame.images, geometry)
    logits, targets = prediction.logits[known], truth.labels[known].long()
    places = losses.distance_weights(32, 40)[..., None].expand(truth.labels.shape)[known]
    cells, _ = tiny_gsdocc.predict_depth(frame.images, geometry)
    expected = {
        'focal': 2 * losses.focal(logits, targets, torch.full((18,), 1 / 18), places),
        'semantic_scaling': losses.semantic_scaling(logits.softmax(1), targets),
        'geometric_scaling': losses.geometric_scaling(logits.softmax(1), targets),
        'lovasz': losses.lovasz_softmax(logits.softmax(1), targets),
        'depth': depth_losses.depth_binary(cells.supervised, truth.depth),
    }
    found, state = GsdoccWeights(focal=2.0, guided=False).build(tiny_gsdocc)(frame, truth, None, 0.5)
    assert found.keys() == expected.keys()
    for name, value in found.items():
        torch.testing.assert_close(value, expected[name], rtol=1e-3, atol=1e-5, msg=name)
    assert state.memory.frames == 1


@pytest.mark.parametrize('name', ['focal', 'depth'])
def test_what_does_not_count_is_not_there(
    tiny_gsdocc: OccupancyNetwork, truth: FrameTruth, drive: Any, name: str
) -> None:
    weights: dict[str, Any] = {name: 1.0}
    only = dataclasses.replace(NOTHING, **weights).build(tiny_gsdocc)
    assert set(only(drive.frame(0), truth, None, 0.0)[0]) == {name}


def test_rare_classes_count_more_where_asked(
    tiny_gsdocc: OccupancyNetwork, tiny: OccupancyNetwork, truth: FrameTruth, drive: Any
) -> None:
    """With and without an unused slot before the classes."""
    weights = losses.class_weights(torch.tensor(losses.FREQUENCIES['occ3d_nuscenes']))
    torch.testing.assert_close(FocalWeights().build(tiny_gsdocc).class_weights, weights[1:])
    coarse = FrameTruth(truth.labels[::2, ::2, ::2].contiguous(), truth.depth)
    frame, known = drive.frame(0), coarse.labels != IGNORE
    found, _ = dataclasses.replace(NOTHING, focal=1.0).build(tiny)(frame, coarse, None, 0.0)
    encoded = tiny.encode(frame.images, tiny.geometry(frame.calibration)).volume
    scores, _ = tiny.classify_labelled(encoded, coarse.labels, IGNORE)
    assert scores.shape == (int(known.sum()), 19)
    places = losses.distance_weights(16, 20)[..., None].expand(coarse.labels.shape)[known]
    expected = losses.focal(scores, coarse.labels[known].long() + 1, weights, places)
    torch.testing.assert_close(found['focal'], expected, rtol=1e-3, atol=1e-5)


def test_nothing_to_learn_is_refused() -> None:
    with pytest.raises(GdfusionError, match='nothing would be learned'):
        NOTHING.check(())
    GsdoccWeights().check(())
    assert GsdoccWeights(depth=0.0).wants_depth
    assert not GsdoccWeights(depth=0.0, guided=False).wants_depth
    assert not GsdoccWeights().wants_rays(())


def test_trust_in_what_is_predicted_grows() -> None:
    assert trust(0.0) < 1e-9
    assert trust(0.5) == 0.5
    assert trust(1.0) > 1 - 1e-9


def test_known_depth_is_mixed_in_and_unknown_depth_lifts_less() -> None:
    distribution = torch.tensor([0.5, 0.25, 0.25]).view(1, 3, 1, 1).expand(1, 3, 1, 2)
    mixed = guided(distribution, torch.tensor([[[2, IGNORE]]]), 0.2)
    torch.testing.assert_close(mixed[0, :, 0, 0], torch.tensor([0.1, 0.05, 0.85]))
    torch.testing.assert_close(mixed[0, :, 0, 1], torch.tensor([0.1, 0.05, 0.05]))


def test_guidance_lifts_along_lidar_and_leaves_the_depth_loss_alone(
    tiny_gsdocc: OccupancyNetwork, truth: FrameTruth, drive: Any
) -> None:
    apart, told = (GsdoccWeights(guided=which).build(tiny_gsdocc) for which in (False, True))
    frame = drive.frame(0)
    plain = apart(frame, truth, None, 0.0)[0]
    first, last = told(frame, truth, None, 0.0)[0], told(frame, truth, None, 1.0)[0]
    torch.testing.assert_close(first['depth'], plain['depth'])
    torch.testing.assert_close(last['focal'], plain['focal'])
    assert abs(float((first['focal'] - plain['focal']).detach())) > 1e-4


@pytest.mark.parametrize('merged', [False, True])
def test_a_step_lowers_the_loss_of_its_batch(
    tiny_gsdocc: OccupancyNetwork, truth: FrameTruth, drive: Any, merged: bool
) -> None:
    network: Any = copy.deepcopy(tiny_gsdocc).requires_grad_(True).train()
    if merged:
        network.decoder.head.block.merge()
    objective = GsdoccWeights().build(network)
    optimizer = torch.optim.AdamW(objective.parameters(), 1e-3)
    frames, costs = drive.frames(2), []
    for _ in range(2):
        state, total = None, torch.zeros(())
        for frame in frames:
            found, state = objective(frame, truth, state, 0.5)
            assert set(found) == {field.name for field in dataclasses.fields(FocalWeights)} - {'rare_classes'}
            total = total + sum(found.values())
        costs.append(float(total.detach()))
        optimizer.zero_grad()
        total.backward()
        idle = {name for name, weight in network.named_parameters() if weight.grad is None or not weight.grad.any()}
        assert all(name.startswith('decoder.head.block.gate.') for name in idle)  # two channels, which may be off
        optimizer.step()
    assert costs[1] < costs[0]
