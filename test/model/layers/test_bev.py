"""Encoder and neck of columns: what they are made of, in their plain form."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F

from gdfusion_ros.model.layers.bev import ColumnEncoder, ColumnNeck


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
