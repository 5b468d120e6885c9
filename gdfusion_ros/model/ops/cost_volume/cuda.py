"""The cost in one Triton kernel over the bins of all cells: no warped feature is ever written down."""

from __future__ import annotations

import torch
import triton.language as tl
from torch import Tensor

from gdfusion_ros.model.geometry.camera import MIN_DEPTH, OUTSIDE, pixel_grid, to_device_of
from gdfusion_ros.model.geometry.reprojection import Reprojection
from gdfusion_ros.model.ops.cost_volume import reference
from gdfusion_ros.model.ops.triton_parts import channels_last, divided, kernel, launch, row

BLOCK, LANES = 64, 32


def matching_cost(
    current: Tensor, previous: Tensor, reprojection: Reprojection, image_size: tuple[int, int], depths: Tensor
) -> Tensor:
    """(N, D, h, w), the bins of a cell side by side in memory; see ``cost_volume``."""
    cameras, channels, height, width = current.shape
    previous = torch.where(reprojection.remembered.view(-1, 1, 1, 1), previous, current)
    matrices, vectors = reference.camera_matrices(reprojection, image_size, current)
    u, v = (to_device_of(axis, current) for axis in pixel_grid(image_size, (height, width)))
    cost = current.new_empty(cameras, height, width, len(depths))
    launch(
        _matching_cost,
        cost.numel(),
        BLOCK,
        channels_last(current),
        channels_last(previous),
        u,
        v,
        depths,
        matrices,
        vectors,
        cost,
        height,
        width,
        len(depths),
        channels=channels,
        lanes=LANES,
        tested=reference.TESTED_CHANNEL,
        invalid=reference.INVALID_COST,
        nearest=MIN_DEPTH,
        outside=OUTSIDE,
    )
    return cost.permute(0, 3, 1, 2)


@kernel
def _corner(place: tl.tensor, count: int, upper: tl.constexpr) -> tuple[tl.tensor, ...]:
    """The lower or the upper of the two cells round each place along an axis, and its weight: 0 outside the map."""
    seen = (place > -1) & (place < count)
    lower = tl.floor(tl.where(seen, place, 0.0))
    cell, fraction = lower.to(tl.int32) + upper, place - lower
    weight = fraction if upper else 1 - fraction
    return tl.minimum(tl.maximum(cell, 0), count - 1), tl.where(seen & (cell >= 0) & (cell < count), weight, 0.0)


@kernel
def _see_bin(
    matrix: tl.tensor,
    vector: tl.tensor,
    u: tl.tensor,
    v: tl.tensor,
    depth: tl.tensor,
    nearest: tl.constexpr,
    outside: tl.constexpr,
) -> tuple[tl.tensor, ...]:
    """Where bins at pixels (u, v) are seen in the previous image, in grid_sample's coordinates.

    ``matrix`` and ``vector`` point to those of each bin's camera, in the order in which they are applied.
    """
    u, v, depth = u - tl.load(vector), v - tl.load(vector + 1), depth - tl.load(vector + 2)
    z = row(matrix + 6, u, v, depth)
    x, y = row(matrix, u, v, depth) * z, row(matrix + 3, u, v, depth) * z
    px, py = row(matrix + 9, x, y, z) + tl.load(vector + 3), row(matrix + 12, x, y, z) + tl.load(vector + 4)
    pz = row(matrix + 15, x, y, z) + tl.load(vector + 5)
    far = row(matrix + 24, px, py, pz)
    x, y = divided(row(matrix + 18, px, py, pz), far), divided(row(matrix + 21, px, py, pz), far)
    gx = divided(row(matrix + 27, x, y, far) + tl.load(vector + 6), tl.load(vector + 9)) * 2 - 1
    gy = divided(row(matrix + 30, x, y, far) + tl.load(vector + 7), tl.load(vector + 10)) * 2 - 1
    behind = pz < nearest
    return tl.where(behind, outside, gx), tl.where(behind, outside, gy)


@kernel
def _matching_cost(
    current: tl.tensor,
    previous: tl.tensor,
    us: tl.tensor,
    vs: tl.tensor,
    depths: tl.tensor,
    matrices: tl.tensor,
    vectors: tl.tensor,
    cost: tl.tensor,
    height: int,
    width: int,
    bins: int,
    count: int,
    channels: tl.constexpr,
    lanes: tl.constexpr,
    tested: tl.constexpr,
    invalid: tl.constexpr,
    nearest: tl.constexpr,
    outside: tl.constexpr,
    block: tl.constexpr,
) -> None:
    place = tl.program_id(0) * block + tl.arange(0, block)
    known = place < count
    cell = tl.where(known, place // bins, 0)
    camera = cell // width // height
    gx, gy = _see_bin(
        matrices + 36 * camera,
        vectors + 12 * camera,
        tl.load(us + cell % width),
        tl.load(vs + cell // width % height),
        tl.load(depths + place % bins),
        nearest,
        outside,
    )
    x, y = (gx + 1) * ((width - 1) * 0.5), (gy + 1) * ((height - 1) * 0.5)
    left, west = _corner(x, width, False)
    right, east = _corner(x, width, True)
    top, north = _corner(y, height, False)
    bottom, south = _corner(y, height, True)
    line = camera * height
    a, b = ((line + top) * width + left) * channels, ((line + top) * width + right) * channels
    c, d = ((line + bottom) * width + left) * channels, ((line + bottom) * width + right) * channels
    wa, wb, wc, wd = north * west, north * east, south * west, south * east
    distance = tl.zeros((block, lanes), tl.float32)
    for begin in range(0, channels, lanes):
        lane = (begin + tl.arange(0, lanes))[None, :]
        there = known[:, None] & (lane < channels)
        warped = (
            wa[:, None] * tl.load(previous + a[:, None] + lane, there, 0.0)
            + wb[:, None] * tl.load(previous + b[:, None] + lane, there, 0.0)
            + wc[:, None] * tl.load(previous + c[:, None] + lane, there, 0.0)
            + wd[:, None] * tl.load(previous + d[:, None] + lane, there, 0.0)
        )
        distance += tl.abs(tl.load(current + cell[:, None] * channels + lane, there, 0.0) - warped)
    channel = previous + channels + tested
    value = (
        wa * tl.load(channel + a) + wb * tl.load(channel + b) + wc * tl.load(channel + c) + wd * tl.load(channel + d)
    )
    tl.store(cost + place, tl.sum(distance, 1) + tl.where(value == 0, invalid, 0.0), known)
