"""Encoder, pyramid and multi-scale head of FB-Occ: the recording, and the head as it is defined."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from gdfusion_ros.model.heads.multiscale import MULTISCALE_HEAD, MultiscaleHead
from gdfusion_ros.model.layers import volume as volumes
from gdfusion_ros.model.layers.volume_pyramid import (
    ProjectedEncoder,
    VolumePyramid,
    projected_encoder_table,
    volume_pyramid_table,
)
from gdfusion_ros.model.runtime.prepare import fuse

GATE = 1e-4
CHANNELS, BLOCKS = (4, 8, 16), (2, 2, 2)


@pytest.fixture
def parts(recording: Callable[[str], Any]) -> tuple[Any, nn.ModuleList]:
    recorded = recording('fbocc_encoder_head')
    encoder, neck = ProjectedEncoder(5, CHANNELS, BLOCKS, (1, 2, 2)), VolumePyramid(CHANNELS, 8)
    head = MultiscaleHead(8, 4, 2, 19, 3)
    recorded.load(encoder, projected_encoder_table(BLOCKS), recorded='backbone3d.')
    recorded.load(neck, volume_pyramid_table(3), recorded='neck3d.')
    recorded.load(head, MULTISCALE_HEAD, recorded='head.')
    return recorded, nn.ModuleList([encoder, neck, head]).eval()


@torch.inference_mode()
@pytest.mark.parametrize('fused', [False, True])
@pytest.mark.parametrize('layout', [torch.contiguous_format, torch.channels_last_3d])
def test_recorded_encoder_pyramid_and_head(
    parts: tuple[Any, nn.ModuleList], layout: torch.memory_format, fused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(volumes, 'CHUNK', 8 * 6 * 4 * 3)  # of the 8 rows of y, 3 at a time
    recorded, modules = parts
    if fused:
        fuse(modules)
    encoder, neck, head = modules
    levels = encoder(recorded['x'].contiguous(memory_format=layout))
    for index, level in enumerate(levels):
        assert recorded.error(f'f{index}', level) <= GATE
    levels = neck(levels)
    for index, level in enumerate(levels):
        assert recorded.error(f'n{index}', level) <= GATE
    prediction = head.predict(levels)  # type: ignore[operator]
    expected = recorded['logits'][0, 1:].permute(1, 2, 3, 0)
    assert (prediction.logits - expected).abs().max() / expected.std() <= GATE
    assert torch.equal(prediction.labels, expected.argmax(-1).to(torch.uint8).transpose(0, 1))
    torch.testing.assert_close(head.classifier(head.features(levels)), recorded['logits'])  # type: ignore[operator]


def test_head_by_definition(parts: tuple[Any, nn.ModuleList]) -> None:
    recorded, modules = parts
    head: Any = copy.deepcopy(modules[2]).double()
    levels = [recorded[f'n{index}'].double() for index in range(3)]
    size = (16, 12, 8)
    refined = head.refine(levels[0])
    grids = [
        refined,
        *(
            F.interpolate(conv(level), size=size, mode='trilinear', align_corners=False)
            for conv, level in zip(head.levels, levels, strict=True)
        ),
    ]
    weights = head.weigh(refined).softmax(1)
    blended = sum(weights[:, index : index + 1] * grid for index, grid in enumerate(grids))
    expected = head.classifier(F.relu(head.norm(head.mix(blended))))
    torch.testing.assert_close(head.classifier(head.features(levels)), expected)
