"""Deformable attention as a graph for other runtimes: gathers and sums by row."""

from __future__ import annotations

from torch import Tensor

from gdfusion_ros.model.ops.deformable_attention.reference import Views, samples
from gdfusion_ros.model.ops.scatter import summed_by_row


def deformable_attention(values: Tensor, offsets: Tensor, weights: Tensor, views: Views, gains: Tensor) -> Tensor:
    """See ``gdfusion_ros.model.ops.deformable_attention.deformable_attention``."""
    channels, heads, queries = values.shape[-1], weights.shape[1], len(weights)
    rows, shares = samples(values, offsets, weights, views, gains)
    sampled = (values.reshape(-1, channels // heads)[rows] * shares[..., None]).sum((2, 3)).flatten(1)
    sums = summed_by_row(sampled, views.queries, queries)
    counts = summed_by_row(sampled.new_ones(sampled.shape[0], 1), views.queries, queries)
    return sums / counts.clamp(min=1)
