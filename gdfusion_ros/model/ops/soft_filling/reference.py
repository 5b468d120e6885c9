"""Soft filling in plain torch, on any device, differentiable in context, weights and places."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import torch
import torch.nn.functional as F
from torch import Tensor

from gdfusion_ros.model.geometry.camera import to_device_of
from gdfusion_ros.model.ops.voxel_index import NOWHERE
from gdfusion_ros.model.runtime.upload import upload

CORNERS = tuple(product((0, 1), repeat=3))
"""(dx, dy, dz) from the lowest of the eight voxels round a point to each of them."""


@dataclass(frozen=True, eq=False)
class PlacedPoints:
    """Points of the cells, by the lowest of the eight voxels round them.

    The lowest voxel of a point may lie one below the grid along each axis: rows are those of a grid that is one voxel
    larger, in the order y, x, z, its lower corner one voxel lower.

    Attributes:
        places: (N, h, w, P, 3) along x, y, z, in voxels from the grid's lower corner.
        points: int64 indices into the N h w P points, sorted by row and, within a row, in order; behind the last row
            there may be those that fill nothing.
        starts: (rows + 1,) int64: the points of row r are ``points[starts[r]:starts[r + 1]]``.
    """

    places: Tensor
    points: Tensor
    starts: Tensor

    def to(self, device: torch.device) -> PlacedPoints:
        """The same on another device."""
        return PlacedPoints(*(upload(tensor, device) for tensor in (self.places, self.points, self.starts)))


def lowest_voxels(places: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """(N, h, w, P) int32 rows of the lowest voxels as ``PlacedPoints`` counts them; NOWHERE of what fills nothing."""
    counts = to_device_of(torch.tensor(shape, dtype=places.dtype), places)
    inside = ((places >= -1) & (places < counts)).all(-1)
    x, y, z = (torch.where(inside, axis, 0).floor().to(torch.int32) + 1 for axis in places.unbind(-1))
    return torch.where(inside, (y * (shape[0] + 1) + x) * (shape[2] + 1) + z, NOWHERE)


def shares(places: Tensor) -> Tensor:
    """(n, 3) places -> (n, 8) shares of the voxels at CORNERS; they sum up to 1."""
    fraction = places - places.floor()
    pair = torch.stack([1 - fraction, fraction])
    return torch.stack([pair[dx, :, 0] * pair[dy, :, 1] * pair[dz, :, 2] for dx, dy, dz in CORNERS], -1)


def soft_filling(
    context: Tensor, shape: tuple[int, int, int], filling: Sequence[tuple[Tensor, PlacedPoints]]
) -> Tensor:
    """See ``gdfusion_ros.model.ops.soft_filling.soft_filling``."""
    x, y, z = shape
    features = context.permute(0, 2, 3, 1).reshape(-1, context.shape[1])
    volume = context.new_zeros(y, x, z, context.shape[1])
    for weights, placed in filling:
        weight = weights.permute(0, 2, 3, 1).flatten()[placed.points]
        share = shares(placed.places.flatten(0, 3)[placed.points])
        starts = F.pad(placed.starts, (0, 1), value=len(placed.points))  # one row more: of those that fill nothing
        for corner, (dx, dy, dz) in enumerate(CORNERS):
            sums = F.embedding_bag(
                placed.points // weights.shape[1],
                features,
                starts,
                mode='sum',
                per_sample_weights=weight * share[:, corner],
                include_last_offset=True,
            )
            lowest = sums[:-1].view(y + 1, x + 1, z + 1, -1)
            volume = volume + lowest[1 - dy : y + 1 - dy, 1 - dx : x + 1 - dx, 1 - dz : z + 1 - dz]
    return volume.flatten(0, 2)
