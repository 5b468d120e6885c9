"""Volume encoder, neck and head: the recording, and the plain forms of their tricks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gdfusion_ros.model.heads.mlp import HEAD, OccupancyHead
from gdfusion_ros.model.layers import volume as volumes
from gdfusion_ros.model.layers.volume import (
    ConvNorm3d,
    ResidualBlock3d,
    VolumeEncoder,
    VolumeNeck,
    chunks,
    rows,
    volume_of,
)

GATE = 1e-4


@torch.inference_mode()
@pytest.mark.parametrize('layout', [torch.contiguous_format, torch.channels_last_3d])
def test_recorded_encoder_neck_and_head(recording: Callable[[str], Any], layout: torch.memory_format) -> None:
    recorded = recording('encoder_head')
    encoder = VolumeEncoder(4, (4, 8, 16), (1, 2, 4), (1, 2, 2)).eval()
    neck, head = VolumeNeck((4, 8, 16), 6).eval(), OccupancyHead(nn.Conv3d, 6, 12, 19)
    recorded.load(encoder, recorded='backbone3d.')
    recorded.load(neck, recorded='neck3d.')
    recorded.load(head, HEAD, recorded='head.')
    levels = encoder(recorded['x'].contiguous(memory_format=layout))
    for index, level in enumerate(levels):
        assert recorded.error(f'f{index}', level) <= GATE
    fused = neck(levels)
    assert recorded.error('neck', fused) <= GATE
    outputs = volume_of(head.classify(head.features(fused))[:, 0], fused.shape[2:])
    assert recorded.error('logits', outputs) <= GATE
    prediction = head.predict(fused)
    assert torch.equal(prediction.labels, recorded['argmax_xyz'])
    probability = recorded['prob_xyz'].amax(-1)
    assert (prediction.confidence() / 255 - probability).abs().max() <= 0.5 / 255 + 1e-5


def randomised(module: nn.Module) -> nn.Module:
    torch.manual_seed(1)
    for child in module.modules():
        if isinstance(child, nn.BatchNorm3d):
            child.running_mean, child.running_var = (
                0.2 * torch.randn(child.num_features),
                0.5 + torch.rand(child.num_features),
            )
            nn.init.normal_(child.weight, 1, 0.1)
            nn.init.normal_(child.bias, 0, 0.1)
    return module.eval().requires_grad_(False)


def conv_norm(block: ConvNorm3d, volume: Tensor, stride: int) -> Tensor:
    bn: Any = block.bn
    y = F.conv3d(volume, block.conv.weight, stride=stride, padding=1)
    mean, variance, weight, bias = (
        value.view(1, -1, 1, 1, 1) for value in list[Tensor]([bn.running_mean, bn.running_var, bn.weight, bn.bias])
    )
    return (y - mean) / (variance + 1e-5).sqrt() * weight + bias


@pytest.mark.parametrize(('stride', 'downsample'), [(1, True), (2, True), (1, False)])
def test_residual_block_by_definition(stride: int, downsample: bool) -> None:
    block = randomised(ResidualBlock3d(4, 4, stride, downsample))
    assert isinstance(block, ResidualBlock3d)
    volume = torch.randn(1, 4, 6, 8, 4)
    kept = volume.clone()
    y = conv_norm(block.conv2, F.relu(conv_norm(block.conv1, volume, stride)), 1)
    shortcut = volume if block.downsample is None else conv_norm(block.downsample, volume, stride)
    torch.testing.assert_close(block(volume), F.relu(y + shortcut), rtol=1e-4, atol=1e-5)
    assert torch.equal(volume, kept)


def test_encoder_puts_the_shortcut_convolution_on_each_stages_first_block() -> None:
    encoder: Any = VolumeEncoder(3, (4, 8), (1, 3), (1, 2))
    assert [[block.downsample is not None for block in stage] for stage in encoder.layers] == [
        [True],
        [True, False, False],
    ]
    assert [tuple(level.shape) for level in encoder(torch.zeros(1, 3, 6, 8, 4))] == [(1, 4, 6, 8, 4), (1, 8, 3, 4, 2)]


def upsampled(volume: Tensor, size: tuple[int, int, int]) -> Tensor:
    """Linear interpolation that keeps the outermost values outermost, axis by axis."""
    for axis, count in enumerate(size, start=2):
        place = torch.linspace(0, volume.shape[axis] - 1, count, dtype=torch.float64)
        low = place.floor().long().clamp(max=max(volume.shape[axis] - 2, 0))
        high = (low + 1).clamp(max=volume.shape[axis] - 1)
        share = (place - low).view(-1, *[1] * (4 - axis))
        volume = volume.index_select(axis, low) * (1 - share) + volume.index_select(axis, high) * share
    return volume


def test_neck_is_upsampling_concatenation_and_convolution() -> None:
    neck: Any = randomised(VolumeNeck((4, 8, 16), 6))
    levels = [torch.randn(1, 4, 8, 12, 4), torch.randn(1, 8, 4, 6, 2), torch.randn(1, 16, 2, 3, 1)]
    whole = torch.cat([upsampled(level.double(), (8, 12, 4)) for level in levels], 1)
    expected = F.relu(neck.double().conv(whole))
    torch.testing.assert_close(neck.float()(levels).double(), expected, rtol=1e-4, atol=1e-5)


def test_rows_and_volume_are_two_views_of_the_same_memory() -> None:
    voxels = torch.arange(2 * 3 * 4 * 5.0).view(2 * 3 * 4, 5)
    volume = volume_of(voxels, (2, 3, 4))
    assert volume.shape == (1, 5, 2, 3, 4)
    assert volume.is_contiguous(memory_format=torch.channels_last_3d)
    assert volume[0, 1, 1, 2, 3] == voxels[(1 * 3 + 2) * 4 + 3, 1]
    assert rows(volume).data_ptr() == voxels.data_ptr()
    assert torch.equal(rows(volume), voxels)
    assert torch.equal(rows(volume.contiguous()), voxels)


def test_chunks_are_all_of_the_rows_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(volumes, 'CHUNK', 7)
    voxels = torch.randn(24, 3)
    assert [len(part) for part in chunks(voxels)] == [7, 7, 7, 3]
    assert torch.equal(torch.cat(chunks(voxels)), voxels)
