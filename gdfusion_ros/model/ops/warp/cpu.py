"""The warp in one compiled pass over the voxels."""

from __future__ import annotations

from typing import cast

import numba
import numpy as np
import torch
from torch import Tensor

from gdfusion_ros.model.ops.compiled import (
    ONE,
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


def warp(field: Tensor, offsets: Tensor | None, previous_from_current: Tensor, size: tuple[int, ...]) -> Tensor:
    """See ``reference.warp``."""
    share_threads()
    warped = torch.empty_like(field)
    shifts = torch.empty(0, 3) if offsets is None else offsets
    _warp(field.numpy(), shifts.numpy(), previous_from_current.numpy(), cast(Size, size), warped.numpy())
    return warped


@inlined
def _sample_within(field: Floats, size: Size, lowest: Size, fractions: Triple, sample: Floats) -> None:
    """The same where all corners are inside: as the sums are added in one pass, each channel is written once."""
    _, nx, nz = size
    x, y, z = lowest
    fx, fy, fz = fractions
    gx, gy, gz = ONE - fx, ONE - fy, ONE - fz
    first = (y * nx + x) * nz + z
    v0, v1, v2, v3 = field[first], field[first + nz], field[first + nx * nz], field[first + nx * nz + nz]
    v4, v5, v6, v7 = (
        field[first + 1],
        field[first + nz + 1],
        field[first + nx * nz + 1],
        field[first + nx * nz + nz + 1],
    )
    w0, w1, w2, w3 = gx * gy * gz, fx * gy * gz, gx * fy * gz, fx * fy * gz
    w4, w5, w6, w7 = gx * gy * fz, fx * gy * fz, gx * fy * fz, fx * fy * fz
    for c in range(len(sample)):
        near = ZERO + w0 * v0[c] + w1 * v1[c] + w2 * v2[c] + w3 * v3[c]
        sample[c] = near + w4 * v4[c] + w5 * v5[c] + w6 * v6[c] + w7 * v7[c]


@inlined
def _sample(field: Floats, size: Size, position: Triple, sample: Floats) -> None:
    """One trilinear sample of all channels, corners outside counting as zero."""
    ny, nx, nz = size
    px, py, pz = position
    sample[:] = ZERO
    if not (px > -ONE and py > -ONE and pz > -ONE and px < Float(nx) and py < Float(ny) and pz < Float(nz)):
        return
    x, y, z = int(np.floor(px)), int(np.floor(py)), int(np.floor(pz))
    fx, fy, fz = px - Float(x), py - Float(y), pz - Float(z)
    if min(x, y, z) >= 0 and x + 1 < nx and y + 1 < ny and z + 1 < nz:
        _sample_within(field, (ny, nx, nz), (x, y, z), (fx, fy, fz), sample)
        return
    for corner in range(8):
        i, j, k = x + (corner & 1), y + (corner >> 1 & 1), z + (corner >> 2)
        if 0 <= i < nx and 0 <= j < ny and 0 <= k < nz:
            weight = (
                (fx if corner & 1 else ONE - fx) * (fy if corner & 2 else ONE - fy) * (fz if corner & 4 else ONE - fz)
            )
            value = field[(j * nx + i) * nz + k]
            for c in range(len(sample)):
                sample[c] += weight * value[c]


@kernel
def _warp(field: Floats, offsets: Floats, transform: Floats, size: Size, warped: Floats) -> None:
    ny, nx, nz = size
    shifted = len(offsets) > 0
    for y in numba.prange(ny):
        for x in range(nx):
            for z in range(nz):
                voxel = (y * nx + x) * nz + z
                px, py, pz = moved(transform, x, y, z)
                if shifted:
                    px, py, pz = px + offsets[voxel, 0], py + offsets[voxel, 1], pz + offsets[voxel, 2]
                _sample(field, size, (px, py, pz), warped[voxel])
