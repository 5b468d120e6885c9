"""The warp in one compiled pass over the cells; the bins of a cell lie side by side in memory."""

from __future__ import annotations

import numba
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gdfusion_ros.model.geometry.camera import MIN_DEPTH, OUTSIDE
from gdfusion_ros.model.geometry.reprojection import Reprojection
from gdfusion_ros.model.ops.compiled import (
    ONE,
    TWO,
    ZERO,
    Float,
    Floats,
    Size,
    channels_last,
    inlined,
    kernel,
    row,
    share_threads,
)
from gdfusion_ros.model.ops.depth_warp.reference import camera_matrices

NOWHERE = Float(OUTSIDE)
NEAREST = Float(MIN_DEPTH)
CHAIN, INTRINSICS, POST = range(3)
SHIFT, OFFSET, FIRST, SPAN = range(4)


def depth_warp(
    history: Tensor, frustum: Tensor, reprojection: Reprojection, image_size: tuple[int, int], depths: Tensor
) -> Tensor:
    """See ``gdfusion_ros.model.ops.depth_warp.depth_warp``."""
    share_threads()
    cameras, bins, height, width = history.shape
    matrices, vectors = camera_matrices(reprojection, image_size, depths)
    warped = np.empty((cameras, height, width, bins), Float)
    _depth_warp(
        channels_last(history),
        frustum.numpy(),
        reprojection.remembered.numpy(),
        matrices.numpy(),
        vectors.numpy(),
        warped,
    )
    return torch.from_numpy(warped).permute(0, 3, 1, 2)


@inlined
def _see_bin(points: Floats, matrices: Floats, vectors: Floats, size: Size, seen: Floats) -> None:
    """Where the points (w, 3) of a bin in one line are in the history, (3, w): column, row and bin."""
    chain, intrinsics, post = matrices[CHAIN], matrices[INTRINSICS], matrices[POST]
    shift, offset, first, span = vectors[SHIFT], vectors[OFFSET], vectors[FIRST], vectors[SPAN]
    height, width, bins = size
    for i in range(len(points)):
        x, y, z = points[i, 0], points[i, 1], points[i, 2]
        px, py = row(chain, 0, x, y, z) + shift[0], row(chain, 1, x, y, z) + shift[1]
        pz = row(chain, 2, x, y, z) + shift[2]
        far = row(intrinsics, 2, px, py, pz)
        x, y = row(intrinsics, 0, px, py, pz) / far, row(intrinsics, 1, px, py, pz) / far
        # In grid_sample's coordinates, then in cells.
        gx = (row(post, 0, x, y, far) + offset[0]) / span[0] * TWO - ONE
        gy = (row(post, 1, x, y, far) + offset[1]) / span[1] * TWO - ONE
        gz = (row(post, 2, x, y, far) + offset[2] - first[2]) / span[2] * TWO - ONE
        seen[0, i] = ((NOWHERE if pz < NEAREST else gx) + ONE) / TWO * Float(width - 1)
        seen[1, i] = ((NOWHERE if pz < NEAREST else gy) + ONE) / TWO * Float(height - 1)
        seen[2, i] = ((NOWHERE if pz < NEAREST else gz) + ONE) / TWO * Float(bins - 1)


@inlined
def _sample(history: Floats, x: Float, y: Float, z: Float) -> Float:
    """One trilinear sample of (h, w, D), corners outside counting as zero, in grid_sample's order."""
    height, width, bins = history.shape
    total: Float = ZERO
    if not (x > -ONE and y > -ONE and z > -ONE and x < Float(width) and y < Float(height) and z < Float(bins)):
        return total
    left, top, near = int(np.floor(x)), int(np.floor(y)), int(np.floor(z))
    east, south, behind = x - Float(left), y - Float(top), z - Float(near)
    west, north, before = Float(left + 1) - x, Float(top + 1) - y, Float(near + 1) - z
    # Mostly all corners are inside: no look at each, the same order.
    if min(left, top, near) >= 0 and left + 1 < width and top + 1 < height and near + 1 < bins:
        upper_left, upper_right = history[top, left], history[top, left + 1]
        lower_left, lower_right = history[top + 1, left], history[top + 1, left + 1]
        total += upper_left[near] * (west * north * before)
        total += upper_right[near] * (east * north * before)
        total += lower_left[near] * (west * south * before)
        total += lower_right[near] * (east * south * before)
        total += upper_left[near + 1] * (west * north * behind)
        total += upper_right[near + 1] * (east * north * behind)
        total += lower_left[near + 1] * (west * south * behind)
        total += lower_right[near + 1] * (east * south * behind)
        return total
    for corner in range(8):
        i, j, k = left + (corner & 1), top + (corner >> 1 & 1), near + (corner >> 2)
        if 0 <= i < width and 0 <= j < height and 0 <= k < bins:
            weight = (
                (east if corner & 1 else west) * (south if corner & 2 else north) * (behind if corner & 4 else before)
            )
            total += history[j, i, k] * weight
    return total


@kernel
def _depth_warp(
    history: Floats, frustum: Floats, remembered: NDArray[np.bool_], matrices: Floats, vectors: Floats, warped: Floats
) -> None:
    cameras, height, width, bins = history.shape
    for line in numba.prange(cameras * height):
        n, y = line // height, line % height
        if not remembered[n]:
            warped[n, y] = ZERO
            continue
        seen = np.empty((3, width), Float)
        for k in range(bins):
            _see_bin(frustum[n, k, y], matrices[n], vectors[n], (height, width, bins), seen)
            for x in range(width):
                warped[n, y, x, k] = _sample(history[n], seen[0, x], seen[1, x], seen[2, x])
