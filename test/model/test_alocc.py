"""The ALOcc family as a whole, small: over volumes and over maps, with LiDAR, in training."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from gdfusion_ros.model.interface import Frame
from gdfusion_ros.model.network import OccupancyNetwork
from gdfusion_ros.model.networks import alocc
from gdfusion_ros.model.networks.alocc_specs import Sizes
from gdfusion_ros.model.objectives.alocc import AloccWeights, drawn_points, measured_over, trust_in_lidar
from gdfusion_ros.model.objectives.interface import IGNORE, FrameTruth, RaySupervision
from gdfusion_ros.model.runtime.prepare import prepare
from gdfusion_ros.model.sequence import SequenceRunner
from gdfusion_ros.model.spec import NetworkSpec
from gdfusion_ros.model.weights.initialise import initialise, untrained
from gdfusion_ros.model.zoo import ZOO
from gdfusion_ros.perception.labels import LABEL_SETS

KINDS: dict[str, Callable[[NetworkSpec, Sizes], OccupancyNetwork]] = {
    '3d': alocc.alocc_3d,
    '2d': alocc.alocc_2d,
    'mini': alocc.alocc_mini,
}
ALL = pytest.mark.parametrize('kind', KINDS)


def spec_of(tiny_spec: NetworkSpec, kind: str) -> NetworkSpec:
    if kind == '3d':
        return tiny_spec
    (x, y, z), (dx, dy, dz) = tiny_spec.grid.shape, tiny_spec.grid.voxel_size
    flat = dataclasses.replace(tiny_spec.grid, voxel_size=(dx, dy, z * dz), shape=(x, y, 1))
    return dataclasses.replace(tiny_spec, grid=flat, heights=z)


@pytest.fixture
def make(tiny_spec: NetworkSpec, alocc_sizes: Sizes) -> Callable[..., OccupancyNetwork]:
    """A small network of a kind, with random weights."""

    def made(kind: str, **changes: Any) -> OccupancyNetwork:
        network = KINDS[kind](dataclasses.replace(spec_of(tiny_spec, kind), **changes), alocc_sizes)
        initialise(network, 0)
        network.camera_statistics().get_buffer('running_var').fill_(300.0**2)
        return network.eval().requires_grad_(False)

    return made


def logits(network: OccupancyNetwork, frames: list[Frame]) -> list[Tensor]:
    """Of every frame of one sequence."""
    runner = SequenceRunner(network)
    return [runner.predict(frame).logits for frame in frames]


@ALL
@torch.inference_mode()
def test_a_prepared_network_gives_the_same(make: Callable[..., OccupancyNetwork], drive: Any, kind: str) -> None:
    network, frames = make(kind), drive.frames(3)
    prepared = prepare(copy.deepcopy(network), torch.device('cpu'))
    for plain, fast in zip(logits(network, frames), logits(prepared, frames), strict=True):
        assert plain.shape == (16, 20, 4, 18)
        assert plain.std() > 0
        assert (plain - fast).abs().max() <= 1e-3 * plain.std()


@pytest.mark.parametrize(('kind', 'lidar_depth'), [('3d', True), ('2d', False), ('mini', False)])
def test_nothing_waits_for_another_device(
    make: Callable[..., OccupancyNetwork],
    drive: Any,
    kind: str,
    lidar_depth: bool,
    run_without_waiting: Callable[..., SequenceRunner],
) -> None:
    frames = drive.frames(3)
    if lidar_depth:
        depth = torch.full((2, *frames[0].images.shape[2:]), 4.0)
        frames = [dataclasses.replace(frame, lidar_depth=depth) for frame in frames]
    run_without_waiting(make(kind, lidar_depth=lidar_depth), frames)


@ALL
@torch.inference_mode()
def test_the_past_counts_and_a_new_sequence_forgets_it(
    make: Callable[..., OccupancyNetwork], drive: Any, kind: str
) -> None:
    network, frames = make(kind), drive.frames(3)
    alone, after = logits(network, frames[2:])[0], logits(network, frames)[2]
    assert not torch.allclose(alone, after, atol=1e-3)
    runner = SequenceRunner(network)
    runner.predict(frames[0])
    runner.state = None
    assert torch.equal(runner.predict(frames[2]).logits, alone)


@torch.inference_mode()
def test_lidar_depth_counts_now_and_in_the_next_frame(make: Callable[..., OccupancyNetwork], drive: Any) -> None:
    network, measured = make('3d'), make('3d', lidar_depth=True)
    measured.load_state_dict(network.state_dict())
    frames = drive.frames(2)
    depth = torch.zeros(2, *network.spec.image_size)
    depth[:, ::3, ::5] = 4.0
    told = [dataclasses.replace(frames[0], lidar_depth=depth), frames[1]]
    blind, seen, ignored = logits(measured, frames), logits(measured, told), logits(network, told)
    for one, other, third in zip(logits(network, frames), blind, ignored, strict=True):
        assert torch.equal(one, other), 'without LiDAR it is the same network'
        assert torch.equal(one, third), 'a network without that input does not look at it'
    for one, other in zip(blind, seen, strict=True):
        assert not torch.allclose(one, other, atol=1e-4)


@ALL
@torch.inference_mode()
def test_untrained_most_space_is_free(make: Callable[..., OccupancyNetwork], drive: Any, kind: str) -> None:
    network = make(kind)
    untrained(network)
    prediction = SequenceRunner(prepare(network, torch.device('cpu'))).predict(drive.frame(0))
    assert prediction.labels.shape == (20, 16, 4)
    assert (prediction.labels == 17).float().mean() > 0.5


@pytest.mark.parametrize('name', [name for name in ZOO if name.startswith('alocc')])
def test_the_predicted_grid_is_that_of_the_label_set(name: str) -> None:
    spec = ZOO[name].spec
    label_set = LABEL_SETS[spec.label_set]
    assert spec.predicted_grid == label_set.grid
    assert spec.frame == label_set.frame
    assert label_set.free == (0 if 'openoccupancy' in name else spec.classes - 1)


@pytest.fixture
def truth(tiny_spec: NetworkSpec) -> FrameTruth:
    """Ground, a car and what is unknown; LiDAR in a part of the cells; what two rays an edge of a cell meet."""
    x, y, z = tiny_spec.grid.shape
    labels = torch.full((y, x, z), 17, dtype=torch.uint8)
    labels[:, :, 1], labels[4:8, 6:12, 2:5], labels[12:] = 11, 4, IGNORE
    depth = torch.full((2, 4, 6), IGNORE)
    depth[:, 2:] = torch.arange(6)
    classes = torch.full((2, 8, 12), IGNORE, dtype=torch.uint8)
    classes[:, 4:], classes[:, 2:4, 3:7] = 11, 4
    return FrameTruth(labels, depth, RaySupervision(torch.full((2, 8, 12), torch.nan), classes))


@ALL
def test_a_step_lowers_the_loss(
    make: Callable[..., OccupancyNetwork], truth: FrameTruth, drive: Any, kind: str
) -> None:
    network = make(kind).requires_grad_().train()
    objective = AloccWeights(points=400).build(network)
    with torch.no_grad():
        state = objective(drive.frame(0), truth, None, 0.2)[1]

    def loss() -> Tensor:
        torch.manual_seed(0)
        found, _ = objective(drive.frame(1), truth, state, 0.2)
        assert set(found) == {'masks', 'image_masks', 'depth'}
        return torch.stack(list(found.values())).sum()

    optimizer, first = torch.optim.SGD(objective.parameters(), 1e-4), loss()
    first.backward()
    optimizer.step()
    never = {name for name, parameter in network.named_parameters() if parameter.grad is None}
    assert not never, 'everything is learned'
    with torch.no_grad():
        assert loss() < first


def test_lidar_is_trusted_less_and_less() -> None:
    assert [trust_in_lidar(progress) for progress in (0.0, 0.25, 0.5, 0.7)] == pytest.approx([1, 0.5, 0, 0])


def test_what_is_looked_behind_is_told_while_it_lasts(
    make: Callable[..., OccupancyNetwork], truth: FrameTruth, drive: Any
) -> None:
    network: Any = make('3d', cues=())
    frame = drive.frame(0)
    geometry = network.geometry(frame.calibration)
    plain, _ = network.predict_depth(frame.images, geometry)
    with network.depth.told(partial(measured_over, bins=truth.depth, share=1.0)):
        told, _ = network.predict_depth(frame.images, geometry)
    again, _ = network.predict_depth(frame.images, geometry)
    assert torch.equal(told.supervised, plain.supervised)
    assert torch.equal(again.distribution, plain.distribution)
    assert torch.equal(told.distribution[:, :, :2], plain.distribution[:, :, :2]), 'nothing is known there'
    bins = torch.arange(12).view(-1, 1)
    assert not told.distribution[:, :, 3][:, bins < torch.arange(6)].any(), 'nothing lies before the measured surface'
    torch.testing.assert_close(told.distribution[:, torch.arange(6), 3, torch.arange(6)], torch.ones(2, 6))


def test_points_are_where_the_mask_is_unsure_and_classes_are_rare() -> None:
    torch.manual_seed(0)
    mask, rarity = torch.linspace(0, 100, 10_000), torch.ones(10_000)
    rarity[::2] = 0
    points = drawn_points(mask, rarity, 400)
    assert len(points) == 400
    drawn = points[:300]
    assert (drawn % 2 == 1).all()
    assert len(drawn.unique()) == 300
    assert mask[drawn].mean() < mask[points[300:]].mean()
    assert len(drawn_points(mask[:7], rarity[:7] + 1, 400)) == 400
