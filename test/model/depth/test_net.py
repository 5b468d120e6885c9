"""Depth network: the recordings of the whole of it, and its parts written out."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from gdfusion_ros.model.depth.ground import ground_bins
from gdfusion_ros.model.depth.net import (
    COST_VOLUME,
    DEPTH_NET,
    TWO_HEADS,
    CameraGate,
    DepthChannels,
    DepthNet,
    camera_vector,
)
from gdfusion_ros.model.geometry.camera import camera_points
from gdfusion_ros.model.geometry.reprojection import Reprojection
from gdfusion_ros.model.geometry.small_matrices import inverse
from gdfusion_ros.model.interface import Calibration, Frame
from gdfusion_ros.model.ops.cost_volume import cost_volume
from gdfusion_ros.model.temporal.geometry import GeometryFusion, GeometryState
from gdfusion_ros.perception.framing import PostTransform, RigPoses, frame_of, rig_matrices

GATE = 1e-4
IMAGE = (64, 96)
DEPTHS = torch.arange(1, 9, 0.5)


@pytest.mark.parametrize('stereo', [True, False])
def test_recorded_steps(recording: Callable[[str], Any], form: str, stereo: bool) -> None:
    """Cost volume, depth net and geometry fusion together: the released code has them in one module."""
    recorded = recording('depth_net_stereo' if stereo else 'depth_net_nostereo')
    net, fusion = DepthNet(DepthChannels(16, 16, 8, 8), 16, stereo=stereo).eval(), GeometryFusion(IMAGE, DEPTHS)
    recorded.load(net, {**DEPTH_NET, **COST_VOLUME, **TWO_HEADS})
    recorded.load(fusion, {'history_gate.': 'depth_his_fusion_post_layer.gate_net.', 'blend_gate.': 'gate_net.'})
    state: GeometryState | None = None
    then: Calibration | None = None
    for step in range(4):
        frame = recorded.frame(str(step))
        now, vectors = frame.calibration, camera_vector(frame.calibration)
        assert recorded.error(f'mlp_input{step}', vectors[None]) <= GATE
        if recorded[f'start{step}']:
            state = then = None
        cost = recorded_cost(recorded, step, frame) if stereo else None
        depth = net(recorded[f'x{step}'][0], cost, vectors)
        points = camera_points(IMAGE, (4, 6), DEPTHS, inverse(now.post_rotation), now.post_translation)
        geometry, state = fusion(
            depth.logits, depth.probability, points, Reprojection.between(now, frame.previous(then)), state
        )
        then = now
        for name, value in (
            ('depth_pred', depth.probability),
            ('context', depth.context),
            ('geometry', geometry),
            ('hist', state.logits),
        ):
            assert recorded.error(f'{name}{step}', value[None]) <= GATE


def recorded_cost(recorded: Any, step: int, frame: Frame) -> Tensor:
    """The cost volume, which has to be the recorded one."""
    current, previous = (
        recorded[f'cv_{which}{step}'].contiguous(memory_format=torch.channels_last) for which in ('curr', 'prev')
    )
    # What the recording matches at a start it has prepared itself.
    reprojection = Reprojection.between(frame.calibration, frame.previous(frame.calibration))
    cost = cost_volume(current, previous, reprojection, IMAGE, DEPTHS)
    if recorded[f'start{step}']:  # all bins alike: the recorded spread is nothing but rounding
        torch.testing.assert_close(cost, recorded[f'cost_softmax{step}'], rtol=1e-5, atol=0)
    else:
        assert recorded.error(f'cost_softmax{step}', cost) <= GATE
    return cost


def test_ground_is_met_where_a_level_camera_sees_it() -> None:
    height, focal, horizon = 1.5, 40.0, 23.0
    forward = np.array([[0, 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, height], [0, 0, 0, 1.0]])
    halved = PostTransform(np.diag([0.5, 0.5, 1.0]), np.array([0.0, -4.0, 0.0]))
    frame = frame_of(
        torch.zeros(1, 3, *IMAGE),
        rig_matrices(
            [np.array([[focal, 0, 47.5], [0, focal, horizon], [0, 0, 1]])],
            [halved],
            RigPoses(np.eye(4), forward[None], np.eye(4)),
            None,
            [True],
        ),
    )
    ground = ground_bins(frame.calibration, IMAGE, (8, 12), DEPTHS)[0]
    assert (ground == ground[..., :1]).all(), 'a row sees the same depth everywhere'
    for row, bins in zip(torch.linspace(0, IMAGE[0] - 1, 8), ground[:, :, 0].unbind(1), strict=True):
        below = (row + 4) / 0.5 - horizon
        depth = height * focal / below if below > 0 else torch.inf
        if DEPTHS[0] <= depth <= DEPTHS[-1]:
            assert bins.sum() == pytest.approx(1, abs=1e-5)
            assert float(bins @ DEPTHS) == pytest.approx(float(depth), abs=1e-4)
            assert (bins > 0).sum() <= 2
        elif not DEPTHS[0] - 0.5 < depth < DEPTHS[-1] + 0.5:
            assert not bins.any()


def test_the_depth_network_can_be_told_the_ground(drive: Any) -> None:
    net, frame = DepthNet(DepthChannels(16, 16, 8, 8), 16, ground=True).eval(), drive.frame(0)
    cameras = len(frame.images)
    features, cost = torch.rand(cameras, 16, 4, 6), torch.rand(cameras, 16, 16, 24)
    vectors = camera_vector(frame.calibration)
    here, there = (net(features, cost, vectors, torch.full((cameras, 16, 4, 6), value)) for value in (0.0, 1.0))
    assert not torch.equal(here.probability, there.probability)
    assert torch.equal(here.context, there.context)


def test_camera_vector_entry_by_entry(drive: Any) -> None:
    calibration = drive.frame(2).calibration
    rotation = torch.tensor([[0.06, 0.01, 0], [-0.02, 0.05, 0], [0, 0, 1]]).repeat(2, 1, 1)
    bda = torch.tensor([[0.9, -0.1, 0], [0.2, 1.1, 0], [0, 0, 0.95]])
    vector = camera_vector(dataclasses.replace(calibration, post_rotation=rotation, bda=bda))
    k, t, e = calibration.intrinsics[1], calibration.post_translation[1], calibration.volume_from_camera[1]
    expected = [
        k[0, 0],
        k[1, 1],
        k[0, 2],
        k[1, 2],
        0.06,
        0.01,
        t[0],
        -0.02,
        0.05,
        t[1],
        0.9,
        -0.1,
        0.2,
        1.1,
        0.95,
        *e[0],
        *e[1],
        *e[2],
    ]
    assert torch.equal(vector[1], torch.tensor([float(value) for value in expected]))


def norm(net: DepthNet, name: str, x: Tensor) -> Tensor:
    """Batch normalisation called ``name``, by its formula."""
    bn: Any = net.get_submodule(name)
    mean, variance, weight, bias = (
        value.view(1, -1, 1, 1) for value in list[Tensor]([bn.running_mean, bn.running_var, bn.weight, bn.bias])
    )
    return (x - mean) / (variance + 1e-5).sqrt() * weight + bias


def block(net: DepthNet, name: str, x: Tensor, shortcut: Tensor) -> Tensor:
    weights: Any = net.get_submodule(name)
    y = F.relu(norm(net, f'{name}.bn1', F.conv2d(x, weights.conv1.weight, padding=1)))
    return F.relu(norm(net, f'{name}.bn2', F.conv2d(y, weights.conv2.weight, padding=1)) + shortcut)


def pyramid(net: DepthNet, x: Tensor) -> Tensor:
    trunk: Any = net.get_submodule('trunk.3')
    parts = []
    for index, dilation in enumerate((0, 6, 12, 18)):
        weight = trunk.branches[index].conv.weight
        y = F.conv2d(x, weight, padding=dilation, dilation=max(dilation, 1))
        parts.append(F.relu(norm(net, f'trunk.3.branches.{index}.bn', y)))
    pooled = F.relu(norm(net, 'trunk.3.pooled.2', F.conv2d(x.mean((2, 3), keepdim=True), trunk.pooled[1].weight)))
    parts.append(pooled.expand_as(parts[0]))
    return F.relu(norm(net, 'trunk.3.bn', F.conv2d(torch.cat(parts, 1), trunk.conv.weight)))


def gated(net: DepthNet, gate: CameraGate, frame: Frame) -> Tensor:
    bn: Any = net.bn
    vector = camera_vector(frame.calibration).double()
    vector = (vector - bn.running_mean) / (bn.running_var + 1e-5).sqrt() * bn.weight + bn.bias
    embedding = F.linear(F.relu(F.linear(vector, gate.fc1.weight, gate.fc1.bias)), gate.fc2.weight, gate.fc2.bias)
    hidden = F.relu(F.linear(embedding, gate.reduce.weight.flatten(1), gate.reduce.bias))
    return torch.sigmoid(F.linear(hidden, gate.expand.weight.flatten(1), gate.expand.bias))[..., None, None]


@torch.no_grad()
def test_depth_net_by_definition(tiny: Any, drive: Any) -> None:
    net, frame = tiny.depth.net, drive.frame(1)
    torch.manual_seed(0)
    features, cost = torch.randn(2, 16, 4, 6), torch.randn(2, 12, 16, 24).softmax(1)
    seen = net(features, cost, camera_vector(frame.calibration))

    net = net.double()
    x = F.relu(norm(net, 'reduce.1', F.conv2d(features.double(), net.reduce[0].weight, net.reduce[0].bias, padding=1)))
    context = F.conv2d(x * gated(net, net.context_gate, frame), net.context.weight, net.context.bias)
    y = cost.double()
    for index in (0, 2):
        conv = net.cost_volume[index]
        y = norm(net, f'cost_volume.{index + 1}', F.conv2d(y, conv.weight, conv.bias, stride=2, padding=1))
    y = torch.cat([x * gated(net, net.depth_gate, frame), y], 1)
    y = block(net, 'trunk.0', y, F.conv2d(y, net.trunk[0].downsample.weight, net.trunk[0].downsample.bias))
    y = block(net, 'trunk.1', y, y)
    y = block(net, 'trunk.2', y, y)
    y = pyramid(net, y)
    first, second = (F.conv2d(y, head.weight, head.bias) for head in (net.probability_head, net.logits_head))
    for actual, expected in ((seen.context, context), (seen.probability, first.softmax(1)), (seen.logits, second)):
        torch.testing.assert_close(actual.double(), expected, rtol=1e-3, atol=1e-4)
    assert not torch.allclose(seen.logits.softmax(1), seen.probability)
