"""Deformable attention in plain torch, on any device, differentiable."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
import torch.nn.functional as F
from torch import Tensor

from gdfusion_ros.model.geometry.bilinear import bilinear_corners
from gdfusion_ros.model.geometry.camera import to_device_of
from gdfusion_ros.model.runtime.upload import upload


@dataclass(frozen=True, eq=False)
class Views:
    """Which query looks where: V views, query by query.

    Attributes:
        starts: (Q + 1,) int64, the first view of each query, and V.
        queries, images: (V,) int64, whose the view is, and of which map.
        anchors: (V, A, 2) x, y that is looked round [cells; the middle of the first one is 0, 0].
    """

    starts: Tensor
    queries: Tensor
    images: Tensor
    anchors: Tensor

    def to(self, device: torch.device) -> Views:
        """The same on another device."""
        return Views(*(upload(getattr(self, each.name), device) for each in fields(self)))


def deformable_attention(values: Tensor, offsets: Tensor, weights: Tensor, views: Views, gains: Tensor) -> Tensor:
    """See ``gdfusion_ros.model.ops.deformable_attention.deformable_attention``."""
    channels, (heads, points) = values.shape[-1], weights.shape[1:]
    rows, shares = samples(values, offsets, weights, views, gains)
    sampled = F.embedding_bag(
        rows.view(-1, 4 * points),
        values.reshape(-1, channels // heads),
        mode='sum',
        per_sample_weights=shares.view(-1, 4 * points),
    ).view(-1, channels)
    view = torch.arange(len(sampled), device=values.device)
    return F.embedding_bag(view, sampled, views.starts, mode='mean', include_last_offset=True)


def samples(values: Tensor, offsets: Tensor, weights: Tensor, views: Views, gains: Tensor) -> tuple[Tensor, Tensor]:
    """What each head of each view sums up: rows of (N h w heads, C / heads) and their shares, (V, heads, P, 4) each."""
    _, height, width, _ = values.shape
    heads, points = weights.shape[1:]
    anchor = to_device_of(torch.arange(points), values) % gains.shape[1]
    places = views.anchors[:, None, anchor] + offsets[views.queries]
    corners, shares = bilinear_corners(places, (height, width))
    shares = shares * (weights[views.queries] * gains[:, None, anchor])[..., None]
    head = to_device_of(torch.arange(heads), values).view(-1, 1, 1)
    return (views.images.view(-1, 1, 1, 1) * (height * width) + corners) * heads + head, shares
