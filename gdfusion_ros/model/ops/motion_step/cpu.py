"""The step in one compiled pass over the voxels."""

from __future__ import annotations

from typing import cast

import numba
import torch
from torch import Tensor

from gdfusion_ros.model.ops.compiled import (
    TWO,
    ZERO,
    Float,
    Floats,
    Size,
    Triple,
    inlined,
    kernel,
    moved,
    share_threads,
)
from gdfusion_ros.model.ops.motion_step import reference

LIMIT, STEP_SIZE = Float(reference.LIMIT), Float(reference.STEP_SIZE)


def motion_step(
    offsets: Tensor, history: Tensor, previous_from_current: Tensor, size: tuple[int, ...], axes: int = 3
) -> Tensor:
    """See ``reference.motion_step``."""
    share_threads()
    fused = torch.empty_like(offsets)
    _motion_step(
        offsets.numpy(), history.numpy(), previous_from_current.numpy(), cast(Size, size), Float(axes), fused.numpy()
    )
    return fused


@inlined
def _component(
    history: Floats, corners: tuple[int, ...], fractions: Triple, i: int
) -> tuple[Float, Float, Float, Float]:
    """Trilinear sample of component i and its derivatives along x, y, z; corners in the order xyz = 000, 001, …, 111.

    Interpolated along z, then y, then x: the differences on the way are the derivatives.
    """
    fx, fy, fz = fractions
    z00 = history[corners[1], i] - history[corners[0], i]
    z01 = history[corners[3], i] - history[corners[2], i]
    z10 = history[corners[5], i] - history[corners[4], i]
    z11 = history[corners[7], i] - history[corners[6], i]
    s00, s01 = history[corners[0], i] + fz * z00, history[corners[2], i] + fz * z01
    s10, s11 = history[corners[4], i] + fz * z10, history[corners[6], i] + fz * z11
    s0, s1 = s00 + fy * (s01 - s00), s10 + fy * (s11 - s10)
    z0, z1 = z00 + fy * (z01 - z00), z10 + fy * (z11 - z10)
    y0, y1 = s01 - s00, s11 - s10
    return s0 + fx * (s1 - s0), s1 - s0, y0 + fx * (y1 - y0), z0 + fx * (z1 - z0)


@inlined
def _stepped(offset: Float, gradient: Float, axes: Float) -> Float:
    return offset - STEP_SIZE * min(max(gradient / axes, -LIMIT), LIMIT)


@inlined
def _step_voxel(offset: Floats, history: Floats, size: Size, position: Triple, axes: Float, fused: Floats) -> None:
    """One gradient step of one voxel that samples inside the grid."""
    ny, nx, nz = size
    px, py, pz = position
    x, y, z = int(px), int(py), int(pz)
    x1, y1, z1 = min(x + 1, nx - 1), min(y + 1, ny - 1), min(z + 1, nz - 1)
    a, b, c, d = (y * nx + x) * nz, (y1 * nx + x) * nz, (y * nx + x1) * nz, (y1 * nx + x1) * nz
    corners = (a + z, a + z1, b + z, b + z1, c + z, c + z1, d + z, d + z1)
    fractions = (px - Float(x), py - Float(y), pz - Float(z))
    s0, x0, y0, z0 = _component(history, corners, fractions, 0)
    s1, x1_, y1_, z1_ = _component(history, corners, fractions, 1)
    s2, x2, y2, z2 = _component(history, corners, fractions, 2)
    d0, d1, d2 = TWO * (s0 - offset[0]), TWO * (s1 - offset[1]), TWO * (s2 - offset[2])
    fused[0] = _stepped(offset[0], x0 * d0 + x1_ * d1 + x2 * d2 - d0, axes)
    fused[1] = _stepped(offset[1], y0 * d0 + y1_ * d1 + y2 * d2 - d1, axes)
    fused[2] = _stepped(offset[2], z0 * d0 + z1_ * d1 + z2 * d2 - d2, axes)


@kernel
def _motion_step(offsets: Floats, history: Floats, transform: Floats, size: Size, axes: Float, fused: Floats) -> None:
    ny, nx, nz = size
    for y in numba.prange(ny):
        for x in range(nx):
            for z in range(nz):
                voxel = (y * nx + x) * nz + z
                px, py, pz = moved(transform, x, y, z)
                px, py, pz = px + offsets[voxel, 0], py + offsets[voxel, 1], pz + offsets[voxel, 2]
                if (
                    px >= ZERO
                    and py >= ZERO
                    and pz >= ZERO
                    and px <= Float(nx - 1)
                    and py <= Float(ny - 1)
                    and pz <= Float(nz - 1)
                ):
                    _step_voxel(offsets[voxel], history, size, (px, py, pz), axes, fused[voxel])
                else:
                    fused[voxel] = offsets[voxel]
