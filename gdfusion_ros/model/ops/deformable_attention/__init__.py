"""Deformable attention: every query samples a few places of feature maps (Zhu et al., ICLR 2021; fbocc.md §3, §4)."""

from __future__ import annotations

from torch import Tensor

from gdfusion_ros.model.ops.backends import select
from gdfusion_ros.model.ops.deformable_attention import cpu, reference
from gdfusion_ros.model.ops.deformable_attention.reference import Views

__all__ = ['Views', 'deformable_attention']


def deformable_attention(values: Tensor, offsets: Tensor, weights: Tensor, views: Views, gains: Tensor) -> Tensor:
    """Weighted sums of bilinear samples, the mean over each query's views: (Q, C), 0 where it has none.

    Point p of P is seen from anchor p modulo A. Samples are 0 outside of the maps.

    Args:
        values: (N, h, w, C) maps, the channels head by head.
        offsets: (Q, heads, P, 2) x, y from the anchor [cells].
        weights: (Q, heads, P).
        views: which query looks where.
        gains: (V, A) that the weights of the points at each anchor are multiplied with.
    """
    attended = select(reference.deformable_attention, cpu.deformable_attention, values, offsets, weights, gains)
    return attended(values, offsets, weights, views, gains)
