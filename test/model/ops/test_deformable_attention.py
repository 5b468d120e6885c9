"""Deformable attention by torch's own bilinear samples, and its gradients."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from gdfusion_ros.model.ops.deformable_attention import Views, reference

SIZE, HEADS, CHANNELS, POINTS, ANCHORS = (4, 6), 2, 3, 8, 4
VIEWS = Views(torch.tensor([0, 2, 2, 3]), torch.tensor([0, 0, 2]), torch.tensor([2, 0, 1]), torch.empty(0))


def arguments() -> tuple[Tensor, Tensor, Tensor, Views, Tensor]:
    torch.manual_seed(0)
    views = Views(VIEWS.starts, VIEWS.queries, VIEWS.images, 4 * torch.rand(3, ANCHORS, 2, dtype=torch.float64))
    return (
        torch.randn(3, *SIZE, HEADS * CHANNELS, dtype=torch.float64),
        torch.randn(3, HEADS, POINTS, 2, dtype=torch.float64),
        torch.randn(3, HEADS, POINTS, dtype=torch.float64).softmax(-1),
        views,
        torch.rand(3, ANCHORS, dtype=torch.float64),
    )


def test_attention_by_definition() -> None:
    values, offsets, weights, views, gains = arguments()
    found = reference.deformable_attention(values, offsets, weights, views, gains)
    expected = torch.zeros(3, HEADS, CHANNELS, dtype=torch.float64)
    for view, (query, image) in enumerate(zip(views.queries, views.images, strict=True)):
        for head in range(HEADS):
            for point in range(POINTS):
                place = views.anchors[view, point % ANCHORS] + offsets[query, head, point]
                grid = ((place + 0.5) / torch.tensor(SIZE[::-1]) * 2 - 1).view(1, 1, 1, 2)
                part = values[image, ..., head * CHANNELS : (head + 1) * CHANNELS].permute(2, 0, 1)[None]
                sample = F.grid_sample(part, grid, align_corners=False)[0, :, 0, 0]
                expected[query, head] += weights[query, head, point] * gains[view, point % ANCHORS] * sample
    expected[0] /= 2  # which has two views
    torch.testing.assert_close(found, expected.flatten(1))
    assert not found[1].any(), 'it has no view'


def test_gradients_of_values_offsets_weights_and_gains() -> None:
    values, offsets, weights, views, gains = arguments()
    inputs = tuple(tensor.requires_grad_() for tensor in (values, offsets, weights, gains))
    assert torch.autograd.gradcheck(
        lambda v, o, w, g: reference.deformable_attention(v, o, w, views, g), inputs, atol=1e-6
    )
