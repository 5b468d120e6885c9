"""Compiled CPU forms of the gathers and scatters that torch runs slowly on a CPU.

Each has a plain torch form beside its caller that gives the same numbers on every device and under autograd; a test
compares the two. Compiled on first use and kept on disk by numba. No fused multiply-add in coordinates: see camera.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numba
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gdfusion_ros.model.camera import MIN_DEPTH, pixel_grid

if TYPE_CHECKING:
    from gdfusion_ros.model.stereo import StereoGeometry

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]

ZERO, ONE, TWO = np.float32(0), np.float32(1), np.float32(2)
INVALID_COST = np.float32(5)
OUTSIDE = np.float32(-2)
NEAREST = np.float32(MIN_DEPTH)
MOTION_LIMIT, MOTION_STEP = np.float32(20), np.float32(0.1)
LANES = 16
"""Channels that one thread of the lift owns: a cache line of float32."""

compiled = numba.njit(cache=True, parallel=True, nogil=True, error_model='numpy')
helper = numba.njit(cache=True, nogil=True, error_model='numpy', inline='never')
reduction = numba.njit(cache=True, nogil=True, fastmath=True)


def usable(*tensors: Tensor) -> bool:
    """Whether the compiled forms can take these tensors: float32 on the CPU, no gradient asked for."""
    return not torch.is_grad_enabled() and all(t.device.type == 'cpu' and t.dtype == torch.float32 for t in tensors)


def _threads() -> None:
    numba.set_num_threads(min(torch.get_num_threads(), numba.config.NUMBA_NUM_THREADS))


def _channels_last(features: Tensor) -> Floats:
    """(N, C, h, w) -> contiguous (N, h, w, C)."""
    return features.permute(0, 2, 3, 1).contiguous().numpy()


def matching_cost(current: Tensor, previous: Tensor, geometry: StereoGeometry) -> Tensor:
    """``stereo.matching_cost``: (N, D, h, w), channels_last memory."""
    _threads()
    cameras, _, height, width = current.shape
    u, v = pixel_grid(geometry.image_size, (height, width))
    chain = geometry.previous_camera_from_camera
    cost = np.empty((cameras, height, width, len(geometry.depths)), np.float32)
    _matching_cost(
        _channels_last(current), _channels_last(previous), u.numpy(), v.numpy(), geometry.depths.numpy(),
        torch.linalg.inv(geometry.post_rotation).contiguous().numpy(),
        (chain[:, :3, :3] @ torch.linalg.inv(geometry.intrinsics)).contiguous().numpy(),
        chain[:, :3, 3].contiguous().numpy(), geometry.intrinsics.contiguous().numpy(),
        geometry.post_rotation.contiguous().numpy(), geometry.post_translation.contiguous().numpy(),
        np.float32(geometry.image_size[1] - 1), np.float32(geometry.image_size[0] - 1), cost)
    return torch.from_numpy(cost).permute(0, 3, 1, 2)


@helper
def _row(matrix: Floats, row: int, x: np.float32, y: np.float32, z: np.float32) -> np.float32:
    return (matrix[row, 0] * x + matrix[row, 1] * y) + matrix[row, 2] * z


@helper
def _grid_position(u, v, depth, unpost, chain, shift, intrinsics, post, offset, last_u, last_v):  # type: ignore[no-untyped-def]
    """Where a bin of a cell is seen in the previous image, in grid_sample's coordinates."""
    u, v, depth = u - offset[0], v - offset[1], depth - offset[2]
    z = _row(unpost, 2, u, v, depth)
    x, y = _row(unpost, 0, u, v, depth) * z, _row(unpost, 1, u, v, depth) * z
    px = _row(chain, 0, x, y, z) + shift[0]
    py = _row(chain, 1, x, y, z) + shift[1]
    pz = _row(chain, 2, x, y, z) + shift[2]
    if pz < NEAREST:
        return OUTSIDE, OUTSIDE
    far = _row(intrinsics, 2, px, py, pz)
    x, y = _row(intrinsics, 0, px, py, pz) / far, _row(intrinsics, 1, px, py, pz) / far
    return ((_row(post, 0, x, y, far) + offset[0]) / last_u * TWO - ONE,
            (_row(post, 1, x, y, far) + offset[1]) / last_v * TWO - ONE)


@reduction
def _distance(a: Floats, b: Floats, camera: int, row: int, column: int, top: int, bottom: int, left: int, right: int,
              w00: np.float32, w01: np.float32, w10: np.float32, w11: np.float32) -> np.float32:
    """L1 distance between a feature and a bilinear sample of the other map."""
    total = np.float32(0)
    for c in range(a.shape[3]):
        warped = (w00 * b[camera, top, left, c] + w01 * b[camera, top, right, c]
                  + w10 * b[camera, bottom, left, c] + w11 * b[camera, bottom, right, c])
        total += abs(a[camera, row, column, c] - warped)
    return total


@reduction
def _magnitude(a: Floats, camera: int, row: int, column: int) -> np.float32:
    total = np.float32(0)
    for c in range(a.shape[3]):
        total += abs(a[camera, row, column, c])
    return total


@compiled
def _matching_cost(current, previous, us, vs, depths, unpost, chain, shift, intrinsics, post, offset,  # type: ignore[no-untyped-def]
                   last_u, last_v, cost):
    cameras, height, width, channels = current.shape
    for line in numba.prange(cameras * height):
        n, row = line // height, line % height
        for column in range(width):
            unseen = _magnitude(current, n, row, column) + INVALID_COST
            for k in range(len(depths)):
                gx, gy = _grid_position(us[column], vs[row], depths[k], unpost[n], chain[n], shift[n], intrinsics[n],
                                        post[n], offset[n], last_u, last_v)
                cost[n, row, column, k] = _bin_cost(current, previous, n, row, column, gx, gy, unseen)


@helper
def _bin_cost(current, previous, n, row, column, gx, gy, unseen):  # type: ignore[no-untyped-def]
    """Cost of one bin whose point is seen at (gx, gy); ``unseen`` is the cost of a point outside the image."""
    _, height, width, channels = current.shape
    x = (gx + ONE) * (np.float32(width - 1) / TWO)
    y = (gy + ONE) * (np.float32(height - 1) / TWO)
    if not (x > -ONE and y > -ONE and x < np.float32(width) and y < np.float32(height)):
        return unseen
    left, top = int(np.floor(x)), int(np.floor(y))
    fx, fy = x - np.float32(left), y - np.float32(top)
    # A corner outside the map weighs nothing; its index only has to be a valid one.
    west = ONE - fx if left >= 0 else ZERO
    east = fx if left + 1 < width else ZERO
    north = ONE - fy if top >= 0 else ZERO
    south = fy if top + 1 < height else ZERO
    right, bottom = min(left + 1, width - 1), min(top + 1, height - 1)
    left, top = max(left, 0), max(top, 0)
    w00, w01, w10, w11 = north * west, north * east, south * west, south * east
    distance = _distance(current, previous, n, row, column, top, bottom, left, right, w00, w01, w10, w11)
    c = channels - 4
    tested = (w00 * previous[n, top, left, c] + w01 * previous[n, top, right, c]
              + w10 * previous[n, bottom, left, c] + w11 * previous[n, bottom, right, c])
    return distance + INVALID_COST if tested == ZERO else distance


def lift(geometry: Tensor, context: Tensor, voxels: Tensor, count: int) -> Tensor:
    """``Lift.forward`` as rows (count, C). Each thread owns some channels of every voxel: no race, a fixed order."""
    _threads()
    volume = torch.zeros(count, context.shape[1])
    _lift(_channels_last(geometry), _channels_last(context), voxels.permute(0, 2, 3, 1).contiguous().numpy(),
          volume.numpy())
    return volume


@compiled
def _lift(geometry: Floats, context: Floats, voxels: Ints, volume: Floats) -> None:
    cameras, height, width, bins = geometry.shape
    channels = context.shape[3]
    for lane in numba.prange((channels + LANES - 1) // LANES):
        first, last = lane * LANES, min(channels, (lane + 1) * LANES)
        for n in range(cameras):
            for row in range(height):
                for column in range(width):
                    for k in range(bins):
                        voxel = voxels[n, row, column, k]
                        if voxel >= 0:
                            weight = geometry[n, row, column, k]
                            for c in range(first, last):
                                volume[voxel, c] += weight * context[n, row, column, c]


def motion_step(offsets: Tensor, history: Tensor, previous_from_current: Tensor, size: tuple[int, ...]) -> Tensor:
    """``motion.gradient_step``."""
    _threads()
    fused = torch.empty_like(offsets)
    _motion_step(offsets.numpy(), history.numpy(), previous_from_current.numpy(), size, fused.numpy())
    return fused


@helper
def _position(r, x, y, z):  # type: ignore[no-untyped-def]
    """R p of voxel (x, y, z)."""
    x, y, z = np.float32(x), np.float32(y), np.float32(z)
    return _row(r, 0, x, y, z) + r[0, 3], _row(r, 1, x, y, z) + r[1, 3], _row(r, 2, x, y, z) + r[2, 3]


@compiled
def _motion_step(offsets, history, r, size, fused):  # type: ignore[no-untyped-def]
    ny, nx, nz = size
    for y in numba.prange(ny):
        for x in range(nx):
            for z in range(nz):
                voxel = (y * nx + x) * nz + z
                px, py, pz = _position(r, x, y, z)
                px, py, pz = px + offsets[voxel, 0], py + offsets[voxel, 1], pz + offsets[voxel, 2]
                inside = (px >= ZERO and py >= ZERO and pz >= ZERO and px <= np.float32(nx - 1)
                          and py <= np.float32(ny - 1) and pz <= np.float32(nz - 1))
                if inside:
                    _step_voxel(offsets, history, nx, ny, nz, px, py, pz, voxel, fused)
                else:
                    for i in range(3):
                        fused[voxel, i] = offsets[voxel, i]


@helper
def _step_voxel(offsets, history, nx, ny, nz, px, py, pz, voxel, fused):  # type: ignore[no-untyped-def]
    """One gradient step of one voxel: differences of the eight corners along each axis give sample and Jacobian."""
    x, y, z = int(px), int(py), int(pz)
    fx, fy, fz = px - np.float32(x), py - np.float32(y), pz - np.float32(z)
    x1, y1, z1 = min(x + 1, nx - 1), min(y + 1, ny - 1), min(z + 1, nz - 1)
    v000, v001 = (y * nx + x) * nz + z, (y * nx + x) * nz + z1
    v010, v011 = (y1 * nx + x) * nz + z, (y1 * nx + x) * nz + z1
    v100, v101 = (y * nx + x1) * nz + z, (y * nx + x1) * nz + z1
    v110, v111 = (y1 * nx + x1) * nz + z, (y1 * nx + x1) * nz + z1
    gx, gy, gz = ZERO, ZERO, ZERO
    d0, d1, d2 = ZERO, ZERO, ZERO
    for i in range(3):
        # Along z, then along y, then along x; the differences on the way are the derivatives.
        s00 = history[v000, i] + fz * (history[v001, i] - history[v000, i])
        s01 = history[v010, i] + fz * (history[v011, i] - history[v010, i])
        s10 = history[v100, i] + fz * (history[v101, i] - history[v100, i])
        s11 = history[v110, i] + fz * (history[v111, i] - history[v110, i])
        z00, z01 = history[v001, i] - history[v000, i], history[v011, i] - history[v010, i]
        z10, z11 = history[v101, i] - history[v100, i], history[v111, i] - history[v110, i]
        s0, s1 = s00 + fy * (s01 - s00), s10 + fy * (s11 - s10)
        slope_z0, slope_z1 = z00 + fy * (z01 - z00), z10 + fy * (z11 - z10)
        delta = TWO * (s0 + fx * (s1 - s0) - offsets[voxel, i])
        gx += (s1 - s0) * delta
        gy += ((s01 - s00) + fx * ((s11 - s10) - (s01 - s00))) * delta
        gz += (slope_z0 + fx * (slope_z1 - slope_z0)) * delta
        if i == 0:
            d0 = delta
        elif i == 1:
            d1 = delta
        else:
            d2 = delta
    third = np.float32(3)
    fused[voxel, 0] = offsets[voxel, 0] - MOTION_STEP * min(max((gx - d0) / third, -MOTION_LIMIT), MOTION_LIMIT)
    fused[voxel, 1] = offsets[voxel, 1] - MOTION_STEP * min(max((gy - d1) / third, -MOTION_LIMIT), MOTION_LIMIT)
    fused[voxel, 2] = offsets[voxel, 2] - MOTION_STEP * min(max((gz - d2) / third, -MOTION_LIMIT), MOTION_LIMIT)


def warp(field: Tensor, offsets: Tensor | None, previous_from_current: Tensor, size: tuple[int, ...]) -> Tensor:
    """``voxel.warp`` at R p + M: (Y X Z, C)."""
    _threads()
    warped = torch.empty_like(field)
    moved = torch.zeros(1, 3) if offsets is None else offsets
    _warp(field.numpy(), moved.numpy(), offsets is not None, previous_from_current.numpy(), size, warped.numpy())
    return warped


@compiled
def _warp(field, offsets, moved, r, size, warped):  # type: ignore[no-untyped-def]
    ny, nx, nz = size
    for y in numba.prange(ny):
        for x in range(nx):
            for z in range(nz):
                voxel = (y * nx + x) * nz + z
                px, py, pz = _position(r, x, y, z)
                if moved:
                    px, py, pz = px + offsets[voxel, 0], py + offsets[voxel, 1], pz + offsets[voxel, 2]
                _sample(field, nx, ny, nz, px, py, pz, voxel, warped)


@helper
def _sample(field, nx, ny, nz, px, py, pz, voxel, warped):  # type: ignore[no-untyped-def]
    """One trilinear sample of all channels, corners outside counting as zero."""
    channels = field.shape[1]
    for c in range(channels):
        warped[voxel, c] = ZERO
    outside = not (px > -ONE and py > -ONE and pz > -ONE and px < np.float32(nx) and py < np.float32(ny)
                   and pz < np.float32(nz))
    if outside:
        return
    x, y, z = int(np.floor(px)), int(np.floor(py)), int(np.floor(pz))
    fx, fy, fz = px - np.float32(x), py - np.float32(y), pz - np.float32(z)
    for corner in range(8):
        i, j, k = x + (corner & 1), y + ((corner >> 1) & 1), z + (corner >> 2)
        if 0 <= i < nx and 0 <= j < ny and 0 <= k < nz:
            weight = ((fx if corner & 1 else ONE - fx) * (fy if corner & 2 else ONE - fy)
                      * (fz if corner & 4 else ONE - fz))
            source = (j * nx + i) * nz + k
            for c in range(channels):
                warped[voxel, c] += weight * field[source, c]
