"""What becomes of the head's scores."""

from __future__ import annotations

import copy
import math
from itertools import product
from typing import Any

import pytest
import torch
from torch import nn

from gdfusion_ros.model.heads.mlp import OccupancyHead
from gdfusion_ros.model.interface import Prediction
from gdfusion_ros.model.layers import volume as volumes

SIZE = (3, 4, 2)  # Y, X, Z


@pytest.fixture
def head() -> OccupancyHead:
    torch.manual_seed(0)
    return OccupancyHead(nn.Conv3d, 5, 7, 19).requires_grad_(False)


@pytest.mark.parametrize('chunk', [5, 1000])
def test_scores_voxel_by_voxel(head: OccupancyHead, monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    monkeypatch.setattr(volumes, 'CHUNK', chunk)
    volume = torch.randn(1, 5, *SIZE)
    logits = head.predict(volume).logits
    exact: Any = copy.deepcopy(head).double()
    features = exact.conv(volume.double()).relu()
    first, _, second = exact.classifier
    for y, x, z in product(*map(range, SIZE)):
        hidden = torch.log1p(torch.exp(first.weight @ features[0, :, y, x, z] + first.bias))
        scores = (second.weight @ hidden + second.bias)[1:]
        torch.testing.assert_close(logits[y, x, z].double(), scores, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(('conv', 'size', 'inner'), [(nn.Conv3d, SIZE, (2, 2, 2)), (nn.Conv2d, SIZE[:2], (2, 2, 4))])
def test_voxels_within_are_classified_in_the_order_of_their_labels(
    conv: type[nn.Conv2d | nn.Conv3d], size: tuple[int, ...], inner: tuple[int, int, int]
) -> None:
    head = OccupancyHead(conv, 5, 7, 4, inner).requires_grad_(False)
    volume = torch.randn(1, 5, *size)
    prediction = head.predict(volume)
    labels = prediction.logits.argmax(-1).to(torch.uint8)
    assert labels.shape == (6, 8, 4)
    assert torch.equal(prediction.labels, labels.transpose(0, 1))
    cells = head.features(volume)
    assert torch.equal(head.classify(cells)[..., 1:].argmax(-1).to(torch.uint8), head.within(labels))
    assert head.classify(cells[:0]).shape == (0, math.prod(inner), 4)


@pytest.mark.parametrize(('conv', 'size'), [(nn.Conv3d, SIZE), (nn.Conv2d, SIZE[:2])])
def test_learning_and_running_heads_give_the_same(conv: type[nn.Conv2d | nn.Conv3d], size: tuple[int, ...]) -> None:
    head = OccupancyHead(conv, 5, 7, 19, (2, 1, 2))
    volume = torch.randn(1, 5, *size)
    learning = head.predict(volume)
    with torch.inference_mode():
        running = head.predict(volume)
    torch.testing.assert_close(running.logits, learning.logits)
    assert torch.equal(running.labels, learning.labels)


def test_labels_leave_out_the_unused_slot_and_run_along_x_first(head: OccupancyHead) -> None:
    torch.manual_seed(1)
    prediction = head.predict(3 * torch.randn(1, 5, *SIZE))
    labels, logits = prediction.labels, prediction.logits
    assert labels.shape == (4, 3, 2)
    assert labels.dtype == torch.uint8
    for y, x, z in product(*map(range, SIZE)):
        scores = logits[y, x, z].tolist()
        assert int(labels[x, y, z]) == scores.index(max(scores))
    assert len(labels.unique()) > 1


def test_the_unused_slot_never_wins(head: OccupancyHead) -> None:
    bias = head.classifier[2].get_parameter('bias')
    bias[0], bias[18] = 1e6, 1e3
    assert (head.predict(torch.randn(1, 5, *SIZE)).labels == 17).all()


@pytest.mark.parametrize('first', [0, 5])
def test_confidence_is_the_probability_of_the_label(first: int) -> None:
    """Also of a head that chooses among fewer classes than it has scores for."""
    logits = 3 * torch.randn(*SIZE, 18, generator=torch.Generator().manual_seed(2))
    labels = (logits[..., first:].argmax(-1) + first).to(torch.uint8).transpose(0, 1)
    confidence = Prediction(labels, logits[:, None, :, None, :, None]).confidence()
    assert confidence.dtype == torch.uint8
    for y, x, z in product(*map(range, SIZE)):
        powers = [math.exp(value) for value in logits[y, x, z].tolist()]
        assert abs(int(confidence[x, y, z]) - 255 * powers[labels[x, y, z]] / sum(powers)) <= 0.51
