"""What training needs of the network: where gradients flow, and that the small form of each part is the same part."""

from __future__ import annotations

import copy
import dataclasses
from itertools import product
from typing import Any

import pytest
import torch
from torch import nn

from gdfusion_ros.model.fusion.motion import MotionFusion
from gdfusion_ros.model.fusion.state import MotionState, RecurrentState
from gdfusion_ros.model.fusion.voxel import VoxelFusion
from gdfusion_ros.model.head import OccupancyHead
from gdfusion_ros.model.image import BasicBlock, ResNet
from gdfusion_ros.model.inference import fold_batch_norms
from gdfusion_ros.model.occupancy import OccupancyConfig, OccupancyNetwork
from gdfusion_ros.model.zoo import initialise


@pytest.fixture(scope='module', params=['volume', 'columns'])
def small(tiny_config: OccupancyConfig, request: pytest.FixtureRequest) -> OccupancyNetwork:
    """Basic blocks, features at an eighth of the image, and a grid of classes twice as fine as the volume."""
    config = dataclasses.replace(tiny_config, bottleneck=False, backbone_widths=(16, 20, 24), backbone_blocks=(1, 2, 1),
                                 refinement=2)
    if request.param == 'columns':
        config = dataclasses.replace(config, columns=True, lift_parts=2)
    network = OccupancyNetwork(config)
    initialise(network, 3)
    return network


@pytest.mark.slow
def test_a_network_of_basic_blocks_predicts_a_finer_grid(small: OccupancyNetwork, drive: Any) -> None:
    network = copy.deepcopy(small).eval()
    assert small.config.feature_stride == 8
    assert small.config.predicted_grid.shape == (40, 32, 8)
    assert small.config.predicted_grid.voxel_size == (0.4, 0.375, 0.5)
    with torch.inference_mode():
        state: RecurrentState | None = None
        for frame in drive.frames(3):
            prediction, state = network(frame, state)
        folded = copy.deepcopy(small).eval()
        fold_batch_norms(folded)
        expected, _ = folded(drive.frame(0))
        actual, _ = network(drive.frame(0))
    assert prediction.labels.shape == (40, 32, 8)
    torch.testing.assert_close(actual.logits, expected.logits, rtol=1e-3, atol=1e-3)


def test_basic_blocks_are_named_as_torchvision_names_them() -> None:
    keys = {key.rsplit('.', 1)[0] for key in ResNet(BasicBlock, (8, 12), (1, 2)).state_dict()}
    assert keys == {'conv1', 'bn1', *(f'layer{stage}.{part}' for stage, part in [
        *product((1,), ('0.conv1', '0.bn1', '0.conv2', '0.bn2')),
        *product((2,), ('0.conv1', '0.bn1', '0.conv2', '0.bn2', '0.downsample.0', '0.downsample.1',
                        '1.conv1', '1.bn1', '1.conv2', '1.bn2'))])}


def test_a_refined_head_gives_each_voxel_its_own_eight() -> None:
    torch.manual_seed(0)
    head = OccupancyHead(nn.Conv3d, 3, 4, 5, (2, 2, 2))
    volume = torch.randn(1, 3, 2, 3, 2)
    fine = head.predict(volume).logits
    coarse = head.classifier(head.conv(volume).relu()[0].permute(1, 2, 3, 0)).view(2, 3, 2, 8, 5)
    assert fine.shape == (4, 6, 4, 5)
    for y, x, z in product(range(4), range(6), range(4)):
        inner = (y % 2) * 4 + (x % 2) * 2 + z % 2
        torch.testing.assert_close(fine[y, x, z], coarse[y // 2, x // 2, z // 2, inner])


@pytest.mark.slow
def test_every_weight_learns_over_two_frames(small: OccupancyNetwork, drive: Any) -> None:
    network = copy.deepcopy(small).train()
    _, state = network(drive.frame(0))
    network.zero_grad()
    prediction, _ = network(drive.frame(1), state.detach())
    prediction.logits.square().mean().backward()
    idle = {name for name, weight in network.named_parameters() if weight.grad is None or not weight.grad.any()}
    assert idle <= {'head.classifier.2.bias'}


def test_a_detached_state_is_a_constant(small: OccupancyNetwork, drive: Any, tensors: Any) -> None:
    network = copy.deepcopy(small).train()
    _, state = network(drive.frame(0))
    assert any(tensor.requires_grad for tensor in tensors(state))
    assert not any(tensor.requires_grad for tensor in tensors(state.detach()))


def test_the_cost_volume_is_not_trained(small: OccupancyNetwork, drive: Any) -> None:
    """Only the layers that read it are, and the features that it compares get no gradient from it."""
    network: Any = copy.deepcopy(small).train()
    for weight in network.backbone.layer2.parameters():
        weight.data.zero_()
    network.neck.output.bias.data.normal_()
    prediction, _ = network(drive.frame(0))
    prediction.logits.square().mean().backward()
    assert not network.backbone.layer1[0].conv1.weight.grad.any()
    assert network.depth_net.cost_volume[0].weight.grad.any()


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
