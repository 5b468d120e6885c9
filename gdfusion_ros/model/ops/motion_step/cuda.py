"""The step in one Triton kernel over the voxels."""

from __future__ import annotations

import torch
import triton.language as tl
from torch import Tensor

from gdfusion_ros.model.geometry.camera import to_device_of
from gdfusion_ros.model.ops.motion_step import reference
from gdfusion_ros.model.ops.triton_parts import divided, kernel, launch, moved

BLOCK = 128


def motion_step(
    offsets: Tensor, history: Tensor, previous_from_current: Tensor, size: tuple[int, ...], axes: int = 3
) -> Tensor:
    """See ``gdfusion_ros.model.ops.motion_step.motion_step``."""
    offsets, history = offsets.contiguous(), history.contiguous()
    fused = torch.empty_like(offsets)
    launch(
        _motion_step,
        len(offsets),
        BLOCK,
        offsets,
        history,
        to_device_of(previous_from_current, offsets),
        fused,
        *size,
        axes=axes,
        limit=reference.LIMIT,
        step=reference.STEP_SIZE,
    )
    return fused


@kernel
def _lowest(place: tl.tensor, count: int, inside: tl.tensor) -> tuple[tl.tensor, ...]:
    """Of each place along an axis: the voxel below it, the next one, and how far it lies from the former."""
    lower = tl.where(inside, place, 0.0).to(tl.int32)
    return lower, tl.minimum(lower + 1, count - 1), place - lower.to(tl.float32)


@kernel
def _component(
    history: tl.tensor,
    a: tl.tensor,
    b: tl.tensor,
    c: tl.tensor,
    d: tl.tensor,
    z: tl.tensor,
    z1: tl.tensor,
    fx: tl.tensor,
    fy: tl.tensor,
    fz: tl.tensor,
    inside: tl.tensor,
) -> tuple[tl.tensor, ...]:
    """Trilinear sample of a component and its derivatives along x, y, z, interpolated along z, then y, then x.

    The columns of voxels round each place begin at ``a`` (x, y), ``b`` (x, y + 1), ``c`` (x + 1, y), ``d``.
    """
    a0, b0 = tl.load(history + 3 * (a + z), inside, 0.0), tl.load(history + 3 * (b + z), inside, 0.0)
    c0, d0 = tl.load(history + 3 * (c + z), inside, 0.0), tl.load(history + 3 * (d + z), inside, 0.0)
    za = tl.load(history + 3 * (a + z1), inside, 0.0) - a0
    zb = tl.load(history + 3 * (b + z1), inside, 0.0) - b0
    zc = tl.load(history + 3 * (c + z1), inside, 0.0) - c0
    zd = tl.load(history + 3 * (d + z1), inside, 0.0) - d0
    sa, sb, sc, sd = a0 + fz * za, b0 + fz * zb, c0 + fz * zc, d0 + fz * zd
    s0, s1 = sa + fy * (sb - sa), sc + fy * (sd - sc)
    z0, z1_ = za + fy * (zb - za), zc + fy * (zd - zc)
    y0, y1 = sb - sa, sd - sc
    return s0 + fx * (s1 - s0), s1 - s0, y0 + fx * (y1 - y0), z0 + fx * (z1_ - z0)


@kernel
def _stepped(
    offset: tl.tensor,
    gradient: tl.tensor,
    inside: tl.tensor,
    axes: tl.constexpr,
    limit: tl.constexpr,
    step: tl.constexpr,
) -> tl.tensor:
    bounded = tl.minimum(tl.maximum(divided(gradient, tl.full(gradient.shape, axes, tl.float32)), -limit), limit)
    return tl.where(inside, offset - step * bounded, offset)


@kernel
def _motion_step(
    offsets: tl.tensor,
    history: tl.tensor,
    transform: tl.tensor,
    fused: tl.tensor,
    ny: int,
    nx: int,
    nz: int,
    voxels: int,
    axes: tl.constexpr,
    limit: tl.constexpr,
    step: tl.constexpr,
    block: tl.constexpr,
) -> None:
    v = tl.program_id(0) * block + tl.arange(0, block)
    known = v < voxels
    x, y, z = v // nz % nx, v // nz // nx, v % nz
    ox, oy, oz = (
        tl.load(offsets + 3 * v, known, 0.0),
        tl.load(offsets + 3 * v + 1, known, 0.0),
        tl.load(offsets + 3 * v + 2, known, 0.0),
    )
    px, py, pz = (
        moved(transform, 0, x, y, z) + ox,
        moved(transform, 1, x, y, z) + oy,
        moved(transform, 2, x, y, z) + oz,
    )
    inside = known & (px >= 0) & (px <= nx - 1) & (py >= 0) & (py <= ny - 1) & (pz >= 0) & (pz <= nz - 1)
    x0, x1, fx = _lowest(px, nx, inside)
    y0, y1, fy = _lowest(py, ny, inside)
    z0, z1, fz = _lowest(pz, nz, inside)
    a, b, c, d = (y0 * nx + x0) * nz, (y1 * nx + x0) * nz, (y0 * nx + x1) * nz, (y1 * nx + x1) * nz
    sx, xx, yx, zx = _component(history, a, b, c, d, z0, z1, fx, fy, fz, inside)
    sy, xy, yy, zy = _component(history + 1, a, b, c, d, z0, z1, fx, fy, fz, inside)
    sz, xz, yz, zz = _component(history + 2, a, b, c, d, z0, z1, fx, fy, fz, inside)
    dx, dy, dz = 2 * (sx - ox), 2 * (sy - oy), 2 * (sz - oz)
    tl.store(fused + 3 * v, _stepped(ox, xx * dx + xy * dy + xz * dz - dx, inside, axes, limit, step), known)
    tl.store(fused + 3 * v + 1, _stepped(oy, yx * dx + yy * dy + yz * dz - dy, inside, axes, limit, step), known)
    tl.store(fused + 3 * v + 2, _stepped(oz, zx * dx + zy * dy + zz * dz - dz, inside, axes, limit, step), known)
