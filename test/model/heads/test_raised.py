"""A map that is raised and asked: against the convolution and the queries one after the other."""

from __future__ import annotations

import math

import torch
from torch import nn

from gdfusion_ros.model.heads.query import QueryHead
from gdfusion_ros.model.heads.raised import RaisedDecoder
from gdfusion_ros.model.layers.bev import BevEncoder, BevNeck
from gdfusion_ros.model.probe import BLIND, Pass

RUN = Pass(BLIND, torch.device('cpu'), autocast=False)
HEIGHTS, CHANNELS = 5, 12


def decoder(inner: tuple[int, int, int] = (1, 1, HEIGHTS)) -> RaisedDecoder:
    torch.manual_seed(0)
    return RaisedDecoder(
        BevEncoder(8, (8, 12), (1, 1), (1, 2)),
        BevNeck((8, 12), 10),
        nn.Conv2d(10, CHANNELS * math.prod(inner), 3, padding=1),
        QueryHead(CHANNELS, 7),
        inner,
    ).eval()


def test_raised_then_asked() -> None:
    raised, view = decoder(), torch.randn(1, 8, 6, 4)
    with torch.no_grad():
        encoded = raised.encode(view, RUN)
        volume = raised.raise_up(encoded).view(1, CHANNELS, HEIGHTS, 6, 4).permute(0, 1, 3, 4, 2)
        expected, found = raised.head.predict(volume), raised(encoded, RUN)
    torch.testing.assert_close(found.logits, expected.logits, rtol=1e-4, atol=1e-5)
    assert torch.equal(found.labels, expected.labels)
    assert found.labels.shape == (4, 6, HEIGHTS)


def test_labelled_voxels_have_the_scores_of_all() -> None:
    raised, labels = decoder(), torch.full((6, 4, HEIGHTS), 255)
    labels[2, 3, 1], labels[5, 0, 4] = 4, 0
    with torch.no_grad():
        encoded = raised.encode(torch.randn(1, 8, 6, 4), RUN)
        scores, known = raised.classify_labelled(encoded, labels, 255, RUN)
        everywhere = raised(encoded, RUN).logits
    assert known.tolist() == [4, 0]
    torch.testing.assert_close(scores[:, 1:], torch.stack([everywhere[2, 3, 1], everywhere[5, 0, 4]]))


def test_free_space_can_be_favoured() -> None:
    raised = decoder()
    raised.favour_free(100.0)
    with torch.no_grad():
        labels = raised(raised.encode(torch.randn(1, 8, 6, 4), RUN), RUN).labels
    assert (labels == 5).float().mean() > 0.9


def test_voxels_smaller_than_the_cells_of_the_map() -> None:
    raised, view = decoder((2, 3, HEIGHTS)), torch.randn(1, 8, 6, 4)
    labels = torch.full((12, 12, HEIGHTS), 255)
    labels[5, 7, 3] = 2
    with torch.no_grad():
        encoded = raised.encode(view, RUN)
        features = raised.raise_up(encoded).view(CHANNELS, 2, 3, HEIGHTS, 6, 4)
        volume = features.permute(0, 4, 1, 5, 2, 3).reshape(1, CHANNELS, 12, 12, HEIGHTS)
        expected, found = raised.head.predict(volume), raised(encoded, RUN)
        scores, known = raised.classify_labelled(encoded, labels, 255, RUN)
    torch.testing.assert_close(found.logits, expected.logits, rtol=1e-4, atol=1e-5)
    assert torch.equal(found.labels, expected.labels)
    assert known.tolist() == [2]
    torch.testing.assert_close(scores[0, 1:], found.logits[5, 7, 3])
