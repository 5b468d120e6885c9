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
def _sample(field: Floats, size: Size, position: Triple, sample: Floats) -> None:
    """One trilinear sample of all channels, corners outside counting as zero."""
    ny, nx, nz = size
    px, py, pz = position
    sample[:] = ZERO
    if not (px > -ONE and py > -ONE and pz > -ONE and px < Float(nx) and py < Float(ny) and pz < Float(nz)):
        return
    x, y, z = int(np.floor(px)), int(np.floor(py)), int(np.floor(pz))
    fx, fy, fz = px - Float(x), py - Float(y), pz - Float(z)
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
