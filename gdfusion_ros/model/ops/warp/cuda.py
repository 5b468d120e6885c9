"""The warp in one Triton kernel over the voxels."""

from __future__ import annotations

import triton.language as tl
from torch import Tensor

from gdfusion_ros.model.geometry.camera import to_device_of
from gdfusion_ros.model.ops.triton_parts import kernel, launch, moved, padded

BLOCK = 32


def warp(field: Tensor, offsets: Tensor | None, previous_from_current: Tensor, size: tuple[int, ...]) -> Tensor:
    """See ``gdfusion_ros.model.ops.warp.warp``."""
    voxels, channels = field.shape
    field = field.contiguous()
    warped, shifts = field.new_empty(voxels, channels), field if offsets is None else offsets.contiguous()
    launch(
        _warp,
        voxels,
        BLOCK,
        field,
        shifts,
        to_device_of(previous_from_current, field),
        warped,
        *size,
        shifted=offsets is not None,
        channels=channels,
        width=padded(channels),
    )
    return warped


@kernel
def _placed(place: tl.tensor, count: int) -> tl.tensor:
    """The lower of the two voxels round each place along an axis, and whether it is less than one voxel outside."""
    inside = (place > -1) & (place < count)
    return tl.floor(tl.where(inside, place, 0.0)).to(tl.int32), inside


@kernel
def _share(place: tl.tensor, lower: tl.tensor, upper: tl.tensor) -> tl.tensor:
    """The weight of the lower or the upper one."""
    fraction = place - lower.to(tl.float32)
    return tl.where(upper > 0, fraction, 1 - fraction)


@kernel
def _warp(
    field: tl.tensor,
    offsets: tl.tensor,
    transform: tl.tensor,
    warped: tl.tensor,
    ny: int,
    nx: int,
    nz: int,
    voxels: int,
    shifted: tl.constexpr,
    channels: tl.constexpr,
    width: tl.constexpr,
    block: tl.constexpr,
) -> None:
    v, c = tl.program_id(0) * block + tl.arange(0, block), tl.arange(0, width)
    known, channel = v < voxels, (c < channels)[None, :]
    x, y, z = v // nz % nx, v // nz // nx, v % nz
    px, py, pz = moved(transform, 0, x, y, z), moved(transform, 1, x, y, z), moved(transform, 2, x, y, z)
    if shifted:
        px += tl.load(offsets + 3 * v, known, 0.0)
        py += tl.load(offsets + 3 * v + 1, known, 0.0)
        pz += tl.load(offsets + 3 * v + 2, known, 0.0)
    x, in_x = _placed(px, nx)
    y, in_y = _placed(py, ny)
    z, in_z = _placed(pz, nz)
    seen = known & in_x & in_y & in_z
    total = tl.zeros((block, width), tl.float32)
    for corner in range(8):
        dx, dy, dz = corner & 1, corner >> 1 & 1, corner >> 2
        i, j, k = x + dx, y + dy, z + dz
        there = seen & (i >= 0) & (i < nx) & (j >= 0) & (j < ny) & (k >= 0) & (k < nz)
        weight = _share(px, x, dx) * _share(py, y, dy) * _share(pz, z, dz)
        value = tl.load(field + ((j * nx + i) * nz + k)[:, None] * channels + c[None, :], there[:, None] & channel, 0.0)
        total += tl.where(there, weight, 0.0)[:, None] * value
    tl.store(warped + v[:, None] * channels + c[None, :], total, known[:, None] & channel)
