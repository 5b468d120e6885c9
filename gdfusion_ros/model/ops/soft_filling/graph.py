"""Soft filling as a graph for other runtimes: nothing is sorted, and points that fill nothing are added to no voxel."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from gdfusion_ros.model.ops.scatter import summed_by_row
from gdfusion_ros.model.ops.soft_filling.reference import CORNERS, PlacedPoints, lowest_voxels, shares


def soft_filling(
    context: Tensor, shape: tuple[int, int, int], filling: Sequence[tuple[Tensor, PlacedPoints]]
) -> Tensor:
    """See ``gdfusion_ros.model.ops.soft_filling.soft_filling``."""
    x, y, z = shape
    volume = context.new_zeros(y, x, z, context.shape[1])
    for weights, placed in filling:
        rows = lowest_voxels(placed.places, shape).flatten()
        share = shares(placed.places.flatten(0, 3)).unflatten(0, placed.places.shape[:-1])
        for corner, (dx, dy, dz) in enumerate(CORNERS):
            weight = weights.permute(0, 2, 3, 1) * share[..., corner]
            filled = (weight[..., None] * context.permute(0, 2, 3, 1)[..., None, :]).flatten(0, 3)
            lowest = summed_by_row(filled, rows, (y + 1) * (x + 1) * (z + 1)).view(y + 1, x + 1, z + 1, -1)
            volume = volume + lowest[1 - dy : y + 1 - dy, 1 - dx : x + 1 - dx, 1 - dz : z + 1 - dz]
    return volume.flatten(0, 2)
