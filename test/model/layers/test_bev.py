"""Encoders and necks of bird's-eye views: the recording, and what they are made of, in their plain form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from gdfusion_ros.model.layers.bev import (
    DOUBLED_BEV_NECK,
    BevEncoder,
    BevNeck,
    ColumnEncoder,
    ColumnNeck,
    DoubledBevNeck,
)
from gdfusion_ros.model.runtime.prepare import fuse

GATE = 1e-4


@torch.inference_mode()
@pytest.mark.parametrize('layout', [torch.contiguous_format, torch.channels_last])
def test_recorded_encoder_and_neck(recording: Callable[[str], Any], layout: torch.memory_format) -> None:
    recorded = recording('gsdocc_bev_encoder')
    encoder = BevEncoder(6, (8, 12), (2, 2), (2, 2)).eval().requires_grad_(False)
    neck = DoubledBevNeck((8, 12), 14, 7).eval().requires_grad_(False)
    recorded.load(encoder, recorded='backbone2d.')
    recorded.load(neck, DOUBLED_BEV_NECK, recorded='neck2d.')
    for form in ('as trained', 'fused'):
        levels = encoder(recorded['x'].contiguous(memory_format=layout))
        for index, level in enumerate(levels):
            assert recorded.error(f'f{index}', level) <= GATE, form
        assert recorded.error('out', neck(levels)) <= GATE, form
        fuse(nn.ModuleList([encoder, neck]))
    assert not any(isinstance(part, nn.BatchNorm2d) for part in (*encoder.modules(), *neck.modules()))


def test_neck_is_upsampling_concatenation_and_two_convolutions() -> None:
    torch.manual_seed(0)
    neck: Any = BevNeck((4, 5), 3).eval()
    fine, coarse = torch.randn(1, 4, 3, 5), torch.randn(1, 5, 2, 3)
    blown = torch.zeros(1, 5, 3, 5)
    blown[..., ::2, ::2] = coarse
    blown[..., 1, ::2] = coarse.mean(2)
    blown[..., 1::2] = (blown[..., :-2:2] + blown[..., 2::2]) / 2
    first, norm, _, second, last, _ = neck.conv
    mixed = torch.relu(norm(first(torch.cat([fine, blown], 1))))
    torch.testing.assert_close(neck([fine, coarse]), torch.relu(last(second(mixed))), rtol=1e-4, atol=1e-5)


def test_heights_are_channels_and_stages_halve_the_view() -> None:
    torch.manual_seed(0)
    encoder = ColumnEncoder(2 * 3, (4, 5), (1, 2), (1, 2)).eval()
    volume = torch.randn(1, 3, 6, 8, 2)
    with torch.no_grad():
        levels = encoder(volume)
        stacked = torch.stack([volume[0, :, ..., z] for z in range(2)])  # (Z, C, Y, X): a height's channels together
        first = encoder.layers[0](stacked.view(1, 6, 6, 8))
    assert [tuple(level.shape) for level in levels] == [(1, 4, 6, 8), (1, 5, 3, 4)]
    torch.testing.assert_close(levels[0], first)


def test_neck_adds_up_all_levels_at_the_finest_size() -> None:
    torch.manual_seed(0)
    neck: Any = ColumnNeck((4, 5), 3).eval()
    levels = [torch.randn(1, 4, 6, 8), torch.randn(1, 5, 3, 4)]
    weights = [lateral.weight[..., 0, 0] for lateral in neck.lateral]
    coarse = torch.einsum('oc,bcyx->boyx', weights[1], levels[1])
    blown = F.interpolate(coarse, size=(6, 8), mode='bilinear', align_corners=False)
    expected = torch.relu(neck.bn(torch.einsum('oc,bcyx->boyx', weights[0], levels[0]) + blown))
    torch.testing.assert_close(neck(levels), expected, rtol=1e-4, atol=1e-5)
