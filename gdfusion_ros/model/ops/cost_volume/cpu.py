"""The cost in one compiled pass over the cells: no warped feature is ever written down."""

from __future__ import annotations

import numba
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from gdfusion_ros.model.geometry.camera import MIN_DEPTH, OUTSIDE, pixel_grid
from gdfusion_ros.model.geometry.reprojection import Reprojection
from gdfusion_ros.model.ops.compiled import (
    ONE,
    TWO,
    ZERO,
    Float,
    Floats,
    channels_last,
    inlined,
    kernel,
    row,
    share_threads,
)
from gdfusion_ros.model.ops.cost_volume import reference

INVALID_COST = Float(reference.INVALID_COST)
NOT_SEEN = Float(OUTSIDE)
NEAREST = Float(MIN_DEPTH)
UNPOST, CHAIN, INTRINSICS, POST = range(4)
OFFSET, SHIFT, PREVIOUS_OFFSET, LAST = range(4)
LANES = 16
"""Channels that are added up side by side: a cache line of float32."""
UNSEEN = np.uint32(65535)
"""In place of a cell, greater than any: none."""
Cells = NDArray[np.uint32]


def matching_cost(
    current: Tensor, previous: Tensor, reprojection: Reprojection, image_size: tuple[int, int], depths: Tensor
) -> Tensor:
    """(N, D, h, w), the bins of a cell side by side in memory; see ``cost_volume``."""
    share_threads()
    cameras, channels, height, width = current.shape
    u, v = pixel_grid(image_size, (height, width))
    matrices, vectors = reference.camera_matrices(reprojection, image_size, current)
    cost = np.empty((cameras, height, width, len(depths)), Float)
    now = _in_lanes(current)
    then = now if previous is current else _in_lanes(previous)
    _matching_cost(
        now,
        then,
        reprojection.remembered.numpy(),
        (u.numpy(), v.numpy(), depths.numpy()),
        matrices.numpy(),
        vectors.numpy(),
        divmod(channels + reference.TESTED_CHANNEL, LANES),
        cost,
    )
    return torch.from_numpy(cost).permute(0, 3, 1, 2)


def _in_lanes(features: Tensor) -> Floats:
    """(N, C, h, w) -> contiguous (N, h, w, C / LANES, LANES); zeros fill the channels up, which changes no distance."""
    missing = -features.shape[1] % LANES
    rows = channels_last(functional.pad(features, (0, 0, 0, 0, 0, missing)) if missing else features)
    return rows.reshape(*rows.shape[:3], -1, LANES)


@inlined
def _see_bins(u: Float, v: Float, depths: Floats, matrices: Floats, vectors: Floats, seen: Floats) -> None:
    """Where one camera's bins at pixel (u, v) are seen in the previous image: (2, D) in grid_sample's coordinates."""
    unpost, chain, intrinsics, post = matrices[UNPOST], matrices[CHAIN], matrices[INTRINSICS], matrices[POST]
    shift, offset, last = vectors[SHIFT], vectors[OFFSET], vectors[LAST]
    previous = vectors[PREVIOUS_OFFSET]
    u, v = u - offset[0], v - offset[1]
    for k in range(len(depths)):
        depth = depths[k] - offset[2]
        z = row(unpost, 2, u, v, depth)
        x, y = row(unpost, 0, u, v, depth) * z, row(unpost, 1, u, v, depth) * z
        px, py = row(chain, 0, x, y, z) + shift[0], row(chain, 1, x, y, z) + shift[1]
        pz = row(chain, 2, x, y, z) + shift[2]
        far = row(intrinsics, 2, px, py, pz)
        x, y = row(intrinsics, 0, px, py, pz) / far, row(intrinsics, 1, px, py, pz) / far
        gx = (row(post, 0, x, y, far) + previous[0]) / last[0] * TWO - ONE
        gy = (row(post, 1, x, y, far) + previous[1]) / last[1] * TWO - ONE
        seen[0, k] = NOT_SEEN if pz < NEAREST else gx
        seen[1, k] = NOT_SEEN if pz < NEAREST else gy


@inlined
def _total(lanes: Floats) -> Float:
    """Sum of LANES values, always in the same order."""
    half = LANES // 2
    while half > 0:
        for i in range(half):
            lanes[i] += lanes[i + half]
        half //= 2
    total: Float = lanes[0]
    return total


@inlined
def _distance(feature: Floats, corners: tuple[Floats, ...], weights: tuple[Float, ...], lanes: Floats) -> Float:
    """L1 distance between a feature (C / LANES, LANES) and the weighted sum of four others.

    One sum a lane: the compiler may keep them in vector registers without changing the order of any.
    """
    a, b, c, d = corners
    wa, wb, wc, wd = weights
    for lane in range(LANES):
        lanes[lane] = ZERO
    for i in range(len(feature)):
        for lane in range(LANES):
            warped = wa * a[i, lane] + wb * b[i, lane] + wc * c[i, lane] + wd * d[i, lane]
            lanes[lane] += abs(feature[i, lane] - warped)
    return _total(lanes)


@inlined
def _magnitude(feature: Floats, lanes: Floats) -> Float:
    for lane in range(LANES):
        lanes[lane] = ZERO
    for i in range(len(feature)):
        for lane in range(LANES):
            lanes[lane] += abs(feature[i, lane])
    return _total(lanes)


@inlined
def _corner_weights(seen: Floats, size: int, lower: Floats, upper: Floats) -> None:
    """How much the cells below and above each place weigh along one axis; a cell outside the map weighs nothing."""
    half, last = Float(size - 1) / TWO, Float(size - 1)
    for k in range(len(seen)):
        place = (seen[k] + ONE) * half
        below = np.floor(place)
        lower[k] = ONE - (place - below) if below >= ZERO else ZERO
        upper[k] = place - below if below < last else ZERO


@inlined
def _corner_cells(seen: Floats, size: int, lower: Cells, upper: Cells) -> None:
    """Which cells those are; UNSEEN for a place that is farther than one cell from the map."""
    half, last, end = Float(size - 1) / TWO, Float(size - 1), Float(size)
    for k in range(len(seen)):
        place = (seen[k] + ONE) * half
        near = place > -ONE and place < end
        below = np.floor(place) if near else ZERO
        # A cell outside the map weighs nothing; its index only has to be a valid one.
        lower[k] = np.uint32(max(below, ZERO) if near else Float(UNSEEN))
        upper[k] = np.uint32(min(below + ONE, last))


@inlined
def _bin_cost(
    feature: Floats, corners: tuple[Floats, ...], weights: tuple[Float, ...], tested: tuple[int, int], lanes: Floats
) -> Float:
    """Cost of one bin from the features of the four cells around it in the other map, and their weights.

    ``tested`` is where the channel of the zero test lies in a feature.
    """
    a, b, c, d = corners
    wa, wb, wc, wd = weights
    i, j = tested
    distance = _distance(feature, corners, weights, lanes)
    value = wa * a[i, j] + wb * b[i, j] + wc * c[i, j] + wd * d[i, j]
    return distance + INVALID_COST if value == ZERO else distance


@kernel
def _matching_cost(
    current: Floats,
    previous: Floats,
    remembered: NDArray[np.bool_],
    axes: tuple[Floats, Floats, Floats],
    matrices: Floats,
    vectors: Floats,
    tested: tuple[int, int],
    cost: Floats,
) -> None:
    cameras, height, width = current.shape[:3]
    us, vs, depths = axes
    # What all bins of a cell need is computed in loops of its own, which the compiler makes vectors of.
    for line in numba.prange(cameras * height):
        n, y = line // height, line % height
        other = previous[n] if remembered[n] else current[n]
        seen, lanes = np.empty((2, len(depths)), Float), np.empty(LANES, Float)
        weights, cells = np.empty((4, len(depths)), Float), np.empty((4, len(depths)), np.uint32)
        for x in range(width):
            feature = current[n, y, x]
            unseen = _magnitude(feature, lanes) + INVALID_COST
            _see_bins(us[x], vs[y], depths, matrices[n], vectors[n], seen)
            _corner_weights(seen[0], width, weights[0], weights[1])
            _corner_weights(seen[1], height, weights[2], weights[3])
            _corner_cells(seen[0], width, cells[0], cells[1])
            _corner_cells(seen[1], height, cells[2], cells[3])
            for k in range(len(depths)):
                left, right, top, bottom = cells[0, k], cells[1, k], cells[2, k], cells[3, k]
                west, east, north, south = weights[0, k], weights[1, k], weights[2, k], weights[3, k]
                if max(left, top) == UNSEEN:
                    cost[n, y, x, k] = unseen
                else:
                    cost[n, y, x, k] = _bin_cost(
                        feature,
                        (other[top, left], other[top, right], other[bottom, left], other[bottom, right]),
                        (north * west, north * east, south * west, south * east),
                        tested,
                        lanes,
                    )
