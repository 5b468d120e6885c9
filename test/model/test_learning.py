"""What training needs of the network: where gradients flow, and that the small form of each part is the same part."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
import torch
from torch import nn

from gdfusion_ros.model.heads.mlp import OccupancyHead
from gdfusion_ros.model.layers.resnet import BasicBlock, ResNet
from gdfusion_ros.model.network import OccupancyNetwork
from gdfusion_ros.model.runtime.prepare import fuse
from gdfusion_ros.model.sequence import SequenceRunner
from gdfusion_ros.model.spec import NetworkSpec
from gdfusion_ros.model.temporal.motion import MotionFusion, MotionState
from gdfusion_ros.model.temporal.voxel import VoxelFusion
from gdfusion_ros.model.weights.initialise import initialise

Build = Callable[[NetworkSpec], OccupancyNetwork]


@pytest.fixture(scope='module', params=['volume', 'columns'])
def small(
    tiny_spec: NetworkSpec, build_tiny: Build, build_nano: Build, request: pytest.FixtureRequest
) -> OccupancyNetwork:
    """Of the second, the grid of classes is twice as fine as the volume."""
    network = (
        build_tiny(tiny_spec) if request.param == 'volume' else build_nano(dataclasses.replace(tiny_spec, refinement=2))
    )
    initialise(network, 3)
    return network


@pytest.mark.slow
def test_a_network_of_columns_predicts_a_finer_grid(tiny_spec: NetworkSpec, build_nano: Build, drive: Any) -> None:
    network = build_nano(dataclasses.replace(tiny_spec, refinement=2)).eval()
    initialise(network, 3)
    assert network.spec.feature_stride == 8
    assert network.spec.predicted_grid.shape == (40, 32, 8)
    assert network.spec.predicted_grid.voxel_size == (0.4, 0.375, 0.5)
    folded = copy.deepcopy(network)
    fuse(folded)
    with torch.inference_mode():
        runner, quick = SequenceRunner(network), SequenceRunner(folded)
        for frame in drive.frames(3):
            expected, actual = runner.predict(frame), quick.predict(frame)
            assert expected.labels.shape == (40, 32, 8)
            torch.testing.assert_close(actual.logits, expected.logits, rtol=1e-3, atol=1e-3)


def test_basic_blocks_are_named_as_torchvision_names_them() -> None:
    keys = {key.rsplit('.', 1)[0] for key in ResNet(BasicBlock, (8, 12), (1, 2)).state_dict()}
    blocks = [
        f'{block}.{part}' for block in ('layer1.0', 'layer2.0', 'layer2.1') for part in ('conv1', 'bn1', 'conv2', 'bn2')
    ]
    assert keys == {'conv1', 'bn1', *blocks, 'layer2.0.downsample.0', 'layer2.0.downsample.1'}


def test_a_refined_head_gives_each_voxel_its_own_eight() -> None:
    torch.manual_seed(0)
    head = OccupancyHead(nn.Conv3d, 3, 4, 5, (2, 2, 2))
    volume = torch.randn(1, 3, 2, 3, 2)
    fine = head.predict(volume).logits
    coarse = head.classifier(head.conv(volume).relu()[0].permute(1, 2, 3, 0)).view(2, 3, 2, 8, 5)
    assert fine.shape == (4, 6, 4, 4), 'without the unused slot'
    for y, x, z in product(range(4), range(6), range(4)):
        inner = (y % 2) * 4 + (x % 2) * 2 + z % 2
        torch.testing.assert_close(fine[y, x, z], coarse[y // 2, x // 2, z // 2, inner, 1:])


@pytest.mark.slow
def test_every_weight_learns_over_two_frames(small: OccupancyNetwork, drive: Any, look: Any) -> None:
    network = copy.deepcopy(small).train()
    _, state = look(network, drive.frame(0))
    network.zero_grad()
    prediction, _ = look(network, drive.frame(1), state.detach())
    prediction.logits.square().mean().backward()
    idle = {name for name, weight in network.named_parameters() if weight.grad is None or not weight.grad.any()}
    assert idle <= {'decoder.head.classifier.2.bias'}


def test_a_detached_state_is_a_constant(small: OccupancyNetwork, drive: Any, look: Any, tensors: Any) -> None:
    network = copy.deepcopy(small).train()
    _, state = look(network, drive.frame(0))
    assert any(tensor.requires_grad for tensor in tensors(state))
    assert not any(tensor.requires_grad for tensor in tensors(state.detach()))


def test_the_cost_volume_is_not_trained(small: OccupancyNetwork, drive: Any, look: Any) -> None:
    """Only the layers that read it are, and the features that it compares get no gradient from it."""
    network: Any = copy.deepcopy(small).train()
    for weight in network.images.backbone.layer2.parameters():
        weight.data.zero_()
    network.images.neck.output.bias.data.normal_()
    prediction, _ = look(network, drive.frame(0))
    prediction.logits.square().mean().backward()
    assert not network.images.backbone.layer1[0].conv1.weight.grad.any()
    assert network.depth.net.cost_volume[0].weight.grad.any()


def test_motion_passes_the_gradient_straight_through() -> None:
    torch.manual_seed(1)
    fusion, volume = MotionFusion(4), torch.randn(1, 4, 3, 4, 2)
    upstream = torch.randn(24, 3)
    gradients = []
    for state in (None, MotionState(torch.randn(24, 3))):
        offsets, _ = fusion(volume, torch.eye(4), state)
        fusion.zero_grad()
        offsets.backward(upstream)
        assert fusion.offset.weight.grad is not None
        gradients.append(fusion.offset.weight.grad.clone())
    assert gradients[0].any()
    assert torch.equal(*gradients)


def test_learning_and_constant_forms_of_the_voxel_fusion_agree() -> None:
    torch.manual_seed(2)
    fusion = VoxelFusion(6)
    now, then = torch.randn(3000, 6), torch.randn(3000, 6)
    for _ in range(200):
        learned = fusion.merged(now, then, 4)
    fusion.eval()
    torch.testing.assert_close(fusion.merged(now, then, 4), learned, rtol=5e-3, atol=5e-3)


def test_voxel_fusion_learns_the_statistics_of_both_inputs_together() -> None:
    torch.manual_seed(3)
    fusion: Any = VoxelFusion(4)
    fusion.time_embedding[2].weight.data.zero_()
    fusion.time_embedding[2].bias.data.zero_()
    now, then = torch.randn(50, 4) + 2, torch.randn(50, 4) - 3
    conv, norm = fusion.align[0], fusion.align[1]
    norm.momentum = 1.0
    fusion.merged(now, then, 1)
    both = torch.cat([now, then]) @ conv.weight.flatten(1).t() + conv.bias
    torch.testing.assert_close(norm.running_mean, both.mean(0))
    torch.testing.assert_close(norm.running_var, both.var(0))
