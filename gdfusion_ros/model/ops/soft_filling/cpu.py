"""Soft filling in one compiled pass over the voxels: each gathers from the points round it and is written once."""

from __future__ import annotations

from collections.abc import Sequence

import numba
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gdfusion_ros.model.ops.compiled import (
    ONE,
    ZERO,
    Float,
    Floats,
    Ints,
    Size,
    channels_last,
    inlined,
    kernel,
    share_threads,
)
from gdfusion_ros.model.ops.soft_filling.reference import PlacedPoints
from gdfusion_ros.model.ops.voxel_index import NOWHERE


def lowest_voxels(places: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """See ``reference.lowest_voxels``."""
    share_threads()
    rows = torch.empty(places.shape[:-1], dtype=torch.int32)
    _lowest_voxels(places.reshape(-1, 3).numpy(), shape, rows.flatten().numpy())
    return rows


@kernel
def _lowest_voxels(places: Floats, shape: Size, rows: NDArray[np.int32]) -> None:
    for i in numba.prange(len(places)):
        x, y, z = places[i, 0], places[i, 1], places[i, 2]
        if x >= -ONE and y >= -ONE and z >= -ONE and x < shape[0] and y < shape[1] and z < shape[2]:
            cx, cy, cz = int(np.floor(x)) + 1, int(np.floor(y)) + 1, int(np.floor(z)) + 1
            rows[i] = (cy * (shape[0] + 1) + cx) * (shape[2] + 1) + cz
        else:
            rows[i] = NOWHERE


def soft_filling(
    context: Tensor, shape: tuple[int, int, int], filling: Sequence[tuple[Tensor, PlacedPoints]]
) -> Tensor:
    """See ``gdfusion_ros.model.ops.soft_filling.soft_filling``."""
    share_threads()
    sums = torch.empty(shape[0] * shape[1] * shape[2], context.shape[1])
    _soft_filling(
        channels_last(context).reshape(-1, context.shape[1]),
        shape,
        tuple(channels_last(weights).reshape(-1, weights.shape[1]) for weights, _ in filling),
        tuple(placed.places.reshape(-1, 3).numpy() for _, placed in filling),
        tuple(placed.points.numpy() for _, placed in filling),
        tuple(placed.starts.numpy() for _, placed in filling),
        sums.numpy(),
    )
    return sums


@inlined
def _add(
    context: Floats, weights: Floats, places: Floats, points: Ints, corner: tuple[int, int, int], sums: Floats
) -> None:
    """What those points give to the voxel at that corner of the eight round them."""
    dx, dy, dz = corner
    for point in points:
        x, y, z = places[point, 0], places[point, 1], places[point, 2]
        fx, fy, fz = x - Float(np.floor(x)), y - Float(np.floor(y)), z - Float(np.floor(z))
        share = (fx if dx else ONE - fx) * (fy if dy else ONE - fy) * (fz if dz else ONE - fz)
        cell = point // weights.shape[1]
        weight = weights[cell, point - cell * weights.shape[1]] * share
        for c in range(len(sums)):
            sums[c] += weight * context[cell, c]


@kernel
def _soft_filling(
    context: Floats,
    shape: Size,
    weights: tuple[Floats, ...],
    places: tuple[Floats, ...],
    points: tuple[Ints, ...],
    starts: tuple[Ints, ...],
    sums: Floats,
) -> None:
    nx, ny, nz = shape
    for y in numba.prange(ny):
        for x in range(nx):
            for z in range(nz):
                voxel = sums[(y * nx + x) * nz + z]
                voxel[:] = ZERO
                for i in range(len(weights)):
                    for corner in range(8):
                        dx, dy, dz = corner >> 2, corner >> 1 & 1, corner & 1
                        row = ((y + 1 - dy) * (nx + 1) + x + 1 - dx) * (nz + 1) + z + 1 - dz
                        first, end = starts[i][row], starts[i][row + 1]
                        _add(context, weights[i], places[i], points[i][first:end], (dx, dy, dz), voxel)
