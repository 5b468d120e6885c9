"""The warp in one Triton kernel over the bins of all cells, which lie side by side in memory."""

from __future__ import annotations

import torch
import triton.language as tl
from torch import Tensor

from gdfusion_ros.model.geometry.camera import MIN_DEPTH, OUTSIDE
from gdfusion_ros.model.geometry.reprojection import Reprojection
from gdfusion_ros.model.ops.depth_warp.reference import camera_matrices
from gdfusion_ros.model.ops.triton_parts import channels_last, divided, kernel, launch, row

BLOCK = 128


def depth_warp(
    history: Tensor, frustum: Tensor, reprojection: Reprojection, image_size: tuple[int, int], depths: Tensor
) -> Tensor:
    """See ``gdfusion_ros.model.ops.depth_warp.depth_warp``."""
    cameras, bins, height, width = history.shape
    matrices, vectors = camera_matrices(reprojection, image_size, depths)
    warped = history.new_empty(cameras, height, width, bins)
    launch(
        _depth_warp,
        warped.numel(),
        BLOCK,
        channels_last(history),
        frustum.contiguous(),
        reprojection.remembered.to(torch.uint8),
        matrices,
        vectors,
        warped,
        height,
        width,
        bins,
        nearest=MIN_DEPTH,
        outside=OUTSIDE,
    )
    return warped.permute(0, 3, 1, 2)


@kernel
def _see(
    point: tl.tensor,
    remembered: tl.tensor,
    matrix: tl.tensor,
    vector: tl.tensor,
    nearest: tl.constexpr,
    outside: tl.constexpr,
) -> tuple[tl.tensor, ...]:
    """Where points are in the history along columns, rows and bins, in grid_sample's coordinates.

    The arguments point to each point, and to what is known of its camera in the order in which it is applied.
    """
    x, y, z = tl.load(point), tl.load(point + 1), tl.load(point + 2)
    px, py = row(matrix, x, y, z) + tl.load(vector), row(matrix + 3, x, y, z) + tl.load(vector + 1)
    pz = row(matrix + 6, x, y, z) + tl.load(vector + 2)
    far = row(matrix + 15, px, py, pz)
    x, y = divided(row(matrix + 9, px, py, pz), far), divided(row(matrix + 12, px, py, pz), far)
    gx = divided(row(matrix + 18, x, y, far) + tl.load(vector + 3), tl.load(vector + 9)) * 2 - 1
    gy = divided(row(matrix + 21, x, y, far) + tl.load(vector + 4), tl.load(vector + 10)) * 2 - 1
    gz = divided(row(matrix + 24, x, y, far) + tl.load(vector + 5) - tl.load(vector + 8), tl.load(vector + 11)) * 2 - 1
    nowhere = (pz < nearest) | (tl.load(remembered) == 0)
    return tl.where(nowhere, outside, gx), tl.where(nowhere, outside, gy), tl.where(nowhere, outside, gz)


@kernel
def _cells(place: tl.tensor, count: int) -> tuple[tl.tensor, ...]:
    """Along an axis, the lower of the two cells round each place, the weights of both, and whether it is near any."""
    place = (place + 1) * 0.5 * (count - 1.0)
    near = (place > -1) & (place < count)
    place = tl.where(near, place, 0.0)
    lower = tl.floor(place)
    return lower.to(tl.int32), (lower + 1) - place, place - lower, near


@kernel
def _depth_warp(
    history: tl.tensor,
    frustum: tl.tensor,
    remembered: tl.tensor,
    matrices: tl.tensor,
    vectors: tl.tensor,
    warped: tl.tensor,
    height: int,
    width: int,
    bins: int,
    count: int,
    nearest: tl.constexpr,
    outside: tl.constexpr,
    block: tl.constexpr,
) -> None:
    place = tl.program_id(0) * block + tl.arange(0, block)
    known = place < count
    cell, k = tl.where(known, place // bins, 0), place % bins
    x, y, n = cell % width, cell // width % height, cell // width // height
    point = frustum + (((n * bins + k) * height + y) * width + x) * 3
    gx, gy, gz = _see(point, remembered + n, matrices + 27 * n, vectors + 12 * n, nearest, outside)
    left, west, east, in_x = _cells(gx, width)
    top, north, south, in_y = _cells(gy, height)
    lower, before, behind, in_z = _cells(gz, bins)
    total = tl.zeros((block,), tl.float32)
    for corner in range(8):
        dx, dy, dz = corner & 1, corner >> 1 & 1, corner >> 2
        i, j, b = left + dx, top + dy, lower + dz
        there = known & in_x & in_y & in_z & (i >= 0) & (i < width) & (j >= 0) & (j < height) & (b >= 0) & (b < bins)
        weight = tl.where(dx > 0, east, west) * tl.where(dy > 0, south, north) * tl.where(dz > 0, behind, before)
        value = tl.load(history + (((n * height + j) * width + i) * bins + b), there, 0.0)
        total += tl.where(there, value * weight, 0.0)
    tl.store(warped + place, total, known)
