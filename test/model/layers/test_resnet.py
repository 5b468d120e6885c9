"""Image encoder, written out by the names of its weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from gdfusion_ros.model.layers.fpn import FeaturePyramid
from gdfusion_ros.model.layers.resnet import ImageFeatures


def conv_norm(state: Mapping[str, Tensor], conv: str, bn: str, x: Tensor, stride: int = 1) -> Tensor:
    weight = state[f'{conv}.weight']
    x = F.conv2d(x, weight, stride=stride, padding=weight.shape[-1] // 2)
    return F.batch_norm(
        x, state[f'{bn}.running_mean'], state[f'{bn}.running_var'], state[f'{bn}.weight'], state[f'{bn}.bias'], eps=1e-5
    )


def resnet50(state: Mapping[str, Tensor], x: Tensor) -> list[Tensor]:
    """Outputs of the four stages."""
    x = F.max_pool2d(F.relu(conv_norm(state, 'conv1', 'bn1', x, 2)), 3, 2, 1)
    stages = []
    for stage, blocks in enumerate((3, 4, 6, 3), start=1):
        for block in range(blocks):
            name, stride = f'layer{stage}.{block}', 2 if stage > 1 and block == 0 else 1
            y = F.relu(conv_norm(state, f'{name}.conv1', f'{name}.bn1', x))
            y = F.relu(conv_norm(state, f'{name}.conv2', f'{name}.bn2', y, stride))
            y = conv_norm(state, f'{name}.conv3', f'{name}.bn3', y)
            if block == 0:
                x = conv_norm(state, f'{name}.downsample.0', f'{name}.downsample.1', x, stride)
            x = F.relu(x + y)
        stages.append(x)
    return stages


@torch.inference_mode()
def test_backbone_is_a_resnet_50(tiny: Any) -> None:
    images = torch.randn(1, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    first, _, third, fourth = resnet50(tiny.images.backbone.state_dict(), images)
    features = tiny.images.backbone(images)
    assert [tuple(level.shape) for level in features] == [(1, 256, 16, 24), (1, 1024, 4, 6), (1, 2048, 2, 3)]
    for actual, expected in zip(features, (first, third, fourth), strict=True):
        torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-4)


@torch.inference_mode()
@pytest.mark.parametrize('deep', [(2, 3), (3, 4)], ids=['half', 'half, rounded up'])
def test_pyramid_adds_the_nearest_deep_cell(deep: tuple[int, int]) -> None:
    torch.manual_seed(0)
    pyramid = FeaturePyramid(6, 10, 4)
    middle = torch.randn(2, 6, 2 * deep[0] - deep[0] % 2, 2 * deep[1])
    levels = ImageFeatures(torch.empty(0), middle, torch.randn(2, 10, *deep))
    summed = F.conv2d(levels.middle, pyramid.lateral_middle.weight, pyramid.lateral_middle.bias)
    for row in range(summed.shape[2]):
        for column in range(summed.shape[3]):
            cell = levels.deep[:, :, row * deep[0] // summed.shape[2], column * deep[1] // summed.shape[3]]
            summed[:, :, row, column] += F.linear(
                cell, pyramid.lateral_deep.weight.flatten(1), pyramid.lateral_deep.bias
            )
    expected = F.conv2d(summed, pyramid.output.weight, pyramid.output.bias, padding=1)
    torch.testing.assert_close(pyramid(levels), expected, rtol=1e-4, atol=1e-5)
