"""GSD-Occ's head: the recording, in both forms and both ways to compute."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from gdfusion_ros.model.heads.decoupled import DECOUPLED_HEAD, DecoupledDecoder, DecoupledHead, Raising
from gdfusion_ros.model.interface import by_voxel
from gdfusion_ros.model.layers.bev import BevEncoder, DoubledBevNeck
from gdfusion_ros.model.probe import BLIND, Pass
from gdfusion_ros.model.runtime.prepare import fuse
from gdfusion_ros.model.temporal.flattened import ViewAndVolume

GATE = 1e-4


@pytest.fixture
def head(recording: Callable[[str], Any]) -> DecoupledHead:
    """The recorded one."""
    head = DecoupledHead(16, 80, 2, 18).eval().requires_grad_(False)
    recording('gsdocc_head').load(head, DECOUPLED_HEAD)
    return head


@pytest.mark.parametrize('fused', [False, True])
def test_recorded_head(head: DecoupledHead, recording: Callable[[str], Any], form: str, fused: bool) -> None:
    recorded = recording('gsdocc_head')
    if fused:
        fuse(head)
        assert not any(isinstance(part, (nn.BatchNorm2d, nn.BatchNorm3d)) for part in head.modules())
    lifted = recorded['lifted'].contiguous(memory_format=torch.channels_last_3d)
    prediction = head.predict(head(recorded['bev'], recorded['history'], lifted))
    assert recorded.error('logits', prediction.logits.permute(3, 0, 1, 2)[None]) <= GATE
    labels = recorded['logits'][0].argmax(0).permute(1, 0, 2)
    assert (prediction.labels == labels).float().mean() > 0.999
    assert prediction.labels.shape == (12, 10, 4)


def test_scores_stand_voxel_by_voxel(head: DecoupledHead) -> None:
    torch.manual_seed(0)
    volume = torch.randn(1, 8, 4, 6, 3)
    scores = by_voxel(head.predict(volume).scores)
    assert scores.shape == (4, 6, 3, 18)
    torch.testing.assert_close(scores.permute(3, 0, 1, 2)[None], head.classifier(head.conv(volume)))


@pytest.fixture
def decoder(head: DecoupledHead) -> DecoupledDecoder:
    return DecoupledDecoder(BevEncoder(16, (8, 12), (1, 1), (2, 2)), DoubledBevNeck((8, 12), 8, 16), head).eval()


def test_labelled_voxels_have_the_scores_of_the_whole_grid(decoder: DecoupledDecoder) -> None:
    torch.manual_seed(0)
    volume, labels = torch.randn(1, 8, 4, 6, 3), torch.full((4, 6, 3), 255, dtype=torch.uint8)
    labels[1, 2, 0], labels[3, 5, 2] = 0, 17
    run = Pass(BLIND, torch.device('cpu'), False)
    scores, found = decoder.classify_labelled(volume, labels, 255, run)
    assert found.tolist() == [0, 17]
    whole = by_voxel(decoder(volume, run).scores)
    torch.testing.assert_close(scores, torch.stack([whole[1, 2, 0], whole[3, 5, 2]]))


@torch.inference_mode()
def test_free_space_can_be_made_likely_whatever_the_weights(decoder: DecoupledDecoder) -> None:
    torch.manual_seed(0)
    seen = ViewAndVolume(torch.randn(1, 16, 8, 12), torch.randn(1, 80, 8, 12, 2))
    run = Pass(BLIND, torch.device('cpu'), False)
    decoder.favour_free(1e3)
    prediction = decoder(decoder.encode(seen, run), run)
    assert prediction.labels.shape == (24, 16, 4)
    assert (prediction.labels == 17).float().mean() > 0.9


def test_a_raised_view_is_features_of_columns_times_gates_of_voxels() -> None:
    torch.manual_seed(0)
    raising = Raising(3, 4, 5, 2).eval()
    view, volume = torch.randn(1, 3, 4, 6), torch.randn(1, 5, 4, 6, 2)
    kept = copy.deepcopy(volume)
    gates, features = raising.geometry(view).sigmoid(), raising.semantics(view)
    expected = volume + torch.einsum('bcyx,bzyx->bcyxz', features, gates)
    torch.testing.assert_close(raising(view, volume), expected)
    assert torch.equal(volume, kept)
