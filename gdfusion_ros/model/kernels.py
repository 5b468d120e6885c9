"""Compiled CPU forms of the gathers and scatters that torch runs slowly on a CPU.

Each has a plain torch form beside its caller that gives the same numbers on every device and under autograd; a test
compares the two. Only the places of the points (locate, renumber) have none: whatever the device, they are found here.
Compiled on first use and kept on disk by numba.

No operation may be reordered or fused (numba's fastmath): the compiler would choose differently from one process to the
next, and grids would not repeat bit for bit. See camera.py, too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numba
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from gdfusion_ros.model.camera import MIN_DEPTH, OUTSIDE, pixel_grid
from gdfusion_ros.model.grid import VoxelGrid
from gdfusion_ros.model.small_matrices import inverse, product

if TYPE_CHECKING:
    from gdfusion_ros.model.stereo import StereoGeometry

F = TypeVar('F', bound=Callable[..., Any])
Float = np.float32
Floats = NDArray[np.float32]
Ints = NDArray[np.int32]
Triple = tuple[Float, Float, Float]
Size = tuple[int, int, int]

ZERO, ONE, TWO, THREE = Float(0), Float(1), Float(2), Float(3)
INVALID_COST = Float(5)
NOT_SEEN = Float(OUTSIDE)
NOWHERE = -1
"""Voxel index of a point outside the grid."""
NEAREST = Float(MIN_DEPTH)
MOTION_LIMIT, MOTION_STEP = Float(20), Float(0.1)
UNPOST, CHAIN, INTRINSICS, POST = range(4)
SHIFT, OFFSET, PREVIOUS_OFFSET, LAST = range(4)
LANES = 16
"""Channels that are added up side by side, and that one thread of the lift owns: a cache line of float32."""


def _compiled(function: F) -> F:
    """A kernel whose outermost loop runs on all of torch's threads."""
    return cast(F, numba.njit(cache=True, nogil=True, parallel=True, error_model='numpy')(function))


def _inlined(function: F) -> F:
    """A part of a kernel. Only whole kernels are kept on disk: parts from there could not be inlined into a new one."""
    return cast(F, numba.njit(nogil=True, error_model='numpy', forceinline=True)(function))


def usable(*tensors: Tensor) -> bool:
    """Whether the compiled forms can take these tensors: float32 on the CPU, no gradient asked for."""
    return not torch.is_grad_enabled() and all(t.device.type == 'cpu' and t.dtype == torch.float32 for t in tensors)


def _share_threads() -> None:
    """Compiled loops take as many threads as torch does, and leave torch as many as it had.

    Numba's first call takes OpenMP's setting, which is torch's too, for itself: a process that was told to take one
    thread would go on with all of them, and round otherwise than before.
    """
    threads = torch.get_num_threads()
    numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
    if torch.get_num_threads() != threads:
        torch.set_num_threads(threads)


def _channels_last(features: Tensor) -> Floats:
    """(N, C, h, w) -> contiguous (N, h, w, C)."""
    return cast(Floats, features.permute(0, 2, 3, 1).contiguous().numpy())


# ---- cost volume (stereo.py) ----


def matching_cost(current: Tensor, previous: Tensor, geometry: StereoGeometry) -> Tensor:
    """``stereo.matching_cost``: (N, D, h, w), the bins of a cell side by side in memory."""
    _share_threads()
    cameras, channels, height, width = current.shape
    u, v = pixel_grid(geometry.image_size, (height, width))
    chain = geometry.previous_camera_from_camera
    last = torch.tensor([geometry.image_size[1] - 1, geometry.image_size[0] - 1, 0.0]).expand(cameras, 3)
    matrices = torch.stack([inverse(geometry.post_rotation), product(chain[:, :3, :3], inverse(geometry.intrinsics)),
                            geometry.intrinsics, geometry.previous_post_rotation], 1)
    vectors = torch.stack([chain[:, :3, 3], geometry.post_translation, geometry.previous_post_translation, last], 1)
    cost = np.empty((cameras, height, width, len(geometry.depths)), Float)
    _matching_cost(_in_lanes(current), _in_lanes(previous), (u.numpy(), v.numpy(), geometry.depths.numpy()),
                   matrices.numpy(), vectors.numpy(), divmod(channels - 4, LANES), cost)
    return torch.from_numpy(cost).permute(0, 3, 1, 2)


def _in_lanes(features: Tensor) -> Floats:
    """(N, C, h, w) -> contiguous (N, h, w, C / LANES, LANES); zeros fill the channels up, which changes no distance."""
    missing = -features.shape[1] % LANES
    rows = _channels_last(functional.pad(features, (0, 0, 0, 0, 0, missing)) if missing else features)
    return rows.reshape(*rows.shape[:3], -1, LANES)


@_inlined
def _row(matrix: Floats, row: int, x: Float, y: Float, z: Float) -> Float:
    product: Float = (matrix[row, 0] * x + matrix[row, 1] * y) + matrix[row, 2] * z
    return product


@_inlined
def _see_bins(u: Float, v: Float, depths: Floats, matrices: Floats, vectors: Floats, seen: Floats) -> None:
    """Where one camera's bins at pixel (u, v) are seen in the previous image: (2, D) in grid_sample's coordinates."""
    unpost, chain, intrinsics, post = matrices[UNPOST], matrices[CHAIN], matrices[INTRINSICS], matrices[POST]
    shift, offset, last = vectors[SHIFT], vectors[OFFSET], vectors[LAST]
    previous = vectors[PREVIOUS_OFFSET]
    u, v = u - offset[0], v - offset[1]
    for k in range(len(depths)):
        depth = depths[k] - offset[2]
        z = _row(unpost, 2, u, v, depth)
        x, y = _row(unpost, 0, u, v, depth) * z, _row(unpost, 1, u, v, depth) * z
        px, py = _row(chain, 0, x, y, z) + shift[0], _row(chain, 1, x, y, z) + shift[1]
        pz = _row(chain, 2, x, y, z) + shift[2]
        far = _row(intrinsics, 2, px, py, pz)
        x, y = _row(intrinsics, 0, px, py, pz) / far, _row(intrinsics, 1, px, py, pz) / far
        gx = (_row(post, 0, x, y, far) + previous[0]) / last[0] * TWO - ONE
        gy = (_row(post, 1, x, y, far) + previous[1]) / last[1] * TWO - ONE
        seen[0, k] = NOT_SEEN if pz < NEAREST else gx
        seen[1, k] = NOT_SEEN if pz < NEAREST else gy


@_inlined
def _total(lanes: Floats) -> Float:
    """Sum of LANES values, always in the same order."""
    half = LANES // 2
    while half > 0:
        for i in range(half):
            lanes[i] += lanes[i + half]
        half //= 2
    total: Float = lanes[0]
    return total


@_inlined
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


@_inlined
def _magnitude(feature: Floats, lanes: Floats) -> Float:
    for lane in range(LANES):
        lanes[lane] = ZERO
    for i in range(len(feature)):
        for lane in range(LANES):
            lanes[lane] += abs(feature[i, lane])
    return _total(lanes)


@_inlined
def _bin_cost(feature: Floats, other: Floats, gx: Float, gy: Float, unseen: Float, tested: tuple[int, int],
              lanes: Floats) -> Float:
    """Cost of one bin that is seen at (gx, gy) of the other map; ``unseen``: of one outside it.

    ``tested`` is where the channel of the zero test lies in a feature.
    """
    height, width = other.shape[:2]
    x = (gx + ONE) * (Float(width - 1) / TWO)
    y = (gy + ONE) * (Float(height - 1) / TWO)
    if not (x > -ONE and y > -ONE and x < Float(width) and y < Float(height)):
        return unseen
    left, top = int(np.floor(x)), int(np.floor(y))
    fx, fy = x - Float(left), y - Float(top)
    # A corner outside the map weighs nothing; its index only has to be a valid one.
    west = ONE - fx if left >= 0 else ZERO
    east = fx if left + 1 < width else ZERO
    north = ONE - fy if top >= 0 else ZERO
    south = fy if top + 1 < height else ZERO
    right, bottom = min(left + 1, width - 1), min(top + 1, height - 1)
    left, top = max(left, 0), max(top, 0)
    a, b, c, d = other[top, left], other[top, right], other[bottom, left], other[bottom, right]
    wa, wb, wc, wd = north * west, north * east, south * west, south * east
    distance = _distance(feature, (a, b, c, d), (wa, wb, wc, wd), lanes)
    i, j = tested
    value = wa * a[i, j] + wb * b[i, j] + wc * c[i, j] + wd * d[i, j]
    return distance + INVALID_COST if value == ZERO else distance


@_compiled
def _matching_cost(current: Floats, previous: Floats, axes: tuple[Floats, Floats, Floats], matrices: Floats,
                   vectors: Floats, tested: tuple[int, int], cost: Floats) -> None:
    cameras, height, width = current.shape[:3]
    us, vs, depths = axes
    for line in numba.prange(cameras * height):
        n, row = line // height, line % height
        seen, lanes = np.empty((2, len(depths)), Float), np.empty(LANES, Float)
        for column in range(width):
            feature = current[n, row, column]
            unseen = _magnitude(feature, lanes) + INVALID_COST
            _see_bins(us[column], vs[row], depths, matrices[n], vectors[n], seen)
            for k in range(len(depths)):
                cost[n, row, column, k] = _bin_cost(feature, previous[n], seen[0, k], seen[1, k], unseen, tested, lanes)


# ---- lift (lift.py) ----


def locate(points: Tensor, matrices: Tensor, shifts: Tensor, bda: Tensor, visible: Tensor, grid: VoxelGrid,
           parts: int) -> Tensor:
    """``Lift.voxels``: (N, D, h, w) int32.

    Args:
        points: (N, D, h, w, 3).
        matrices, shifts: (N, 3, 3) and (N, 3) points -> ego frame.
        bda: (3, 3) the ego frame's augmentation.
        visible: (N,) bool.
        grid: the volume.
        parts: along the edge of a voxel.
    """
    _share_threads()
    voxels = torch.empty(points.shape[:-1], dtype=torch.int32)
    fine = grid.refined(parts)
    _locate(points.flatten(1, 3).numpy(), matrices.numpy(), shifts.numpy(), bda.numpy(), visible.numpy(),
            (np.array(fine.lower, Float), np.array(fine.voxel_size, Float)), fine.shape, parts,
            voxels.flatten(1).numpy())
    return voxels


@_compiled
def _locate(points: Floats, matrices: Floats, shifts: Floats, bda: Floats, visible: NDArray[np.bool_],
            place: tuple[Floats, Floats], shape: Size, parts: int, voxels: Ints) -> None:
    lower, size = place
    for n in numba.prange(len(points)):
        matrix, shift = matrices[n], shifts[n]
        for i in range(points.shape[1]):
            x, y, z = points[n, i, 0], points[n, i, 1], points[n, i, 2]
            ex, ey = _row(matrix, 0, x, y, z) + shift[0], _row(matrix, 1, x, y, z) + shift[1]
            ez = _row(matrix, 2, x, y, z) + shift[2]
            # A true division and truncation toward zero: points up to one voxel below the lower bounds land in index 0
            # [QUIRK 5].
            vx = (_row(bda, 0, ex, ey, ez) - lower[0]) / size[0]
            vy = (_row(bda, 1, ex, ey, ez) - lower[1]) / size[1]
            vz = (_row(bda, 2, ex, ey, ez) - lower[2]) / size[2]
            inside = vx > -ONE and vy > -ONE and vz > -ONE and vx < shape[0] and vy < shape[1] and vz < shape[2]
            if visible[n] and inside:
                cx, cy, cz = int(vx), int(vy), int(vz)
                voxel = (cy // parts * (shape[0] // parts) + cx // parts) * (shape[2] // parts) + cz // parts
                part = (cy % parts * parts + cx % parts) * parts + cz % parts
                voxels[n, i] = voxel * parts ** 3 + part
            else:
                voxels[n, i] = NOWHERE


def renumber(voxels: Tensor, count: int, parts: int) -> tuple[Tensor, Tensor]:
    """Rows of parts, those of voxels without any points left out; and (n,) which voxels have points.

    Args:
        voxels: as ``locate`` gives them.
        count: of the voxels.
        parts: in a voxel.
    """
    rows, numbers = torch.empty_like(voxels), np.zeros(count, np.int32)
    occupied = np.empty(count, np.int64)
    reached = _renumber(voxels.flatten().numpy(), parts, numbers, occupied, rows.flatten().numpy())
    return rows, torch.from_numpy(occupied[:reached])


@numba.njit(cache=True, nogil=True)
def _renumber(voxels, parts, numbers, occupied, rows):  # type: ignore[no-untyped-def]
    """Fills ``rows`` and the beginning of ``occupied``; returns how many voxels have points."""
    for i in range(len(voxels)):
        if voxels[i] >= 0:
            numbers[voxels[i] // parts] = 1
    reached = 0
    for voxel in range(len(numbers)):
        if numbers[voxel] > 0:
            numbers[voxel], occupied[reached] = reached, voxel
            reached += 1
    for i in range(len(voxels)):
        rows[i] = numbers[voxels[i] // parts] * parts + voxels[i] % parts if voxels[i] >= 0 else NOWHERE
    return reached


def lift(geometry: Tensor, context: Tensor, voxels: Tensor, count: int) -> Tensor:
    """``Lift.forward`` as rows (count, C). Each thread owns some channels of every voxel: no race, a fixed order."""
    _share_threads()
    volume = torch.zeros(count, context.shape[1])
    _lift(_channels_last(geometry), _channels_last(context), voxels.permute(0, 2, 3, 1).contiguous().numpy(),
          volume.numpy())
    return volume


@_compiled
def _lift(geometry: Floats, context: Floats, voxels: Ints, volume: Floats) -> None:
    cameras, height, width, bins = geometry.shape
    channels = context.shape[3]
    for lane in numba.prange((channels + LANES - 1) // LANES):
        first, last = lane * LANES, min(channels, (lane + 1) * LANES)
        for cell in range(cameras * height * width):
            n, row, column = cell // (height * width), cell // width % height, cell % width
            for k in range(bins):
                voxel = voxels[n, row, column, k]
                if voxel >= 0:
                    weight = geometry[n, row, column, k]
                    for c in range(first, last):
                        volume[voxel, c] += weight * context[n, row, column, c]


# ---- motion and warp (fusion/motion.py, fusion/voxel.py) ----


@_inlined
def _position(transform: Floats, x: int, y: int, z: int) -> Triple:
    """R p of voxel (x, y, z)."""
    fx, fy, fz = Float(x), Float(y), Float(z)
    return (_row(transform, 0, fx, fy, fz) + transform[0, 3], _row(transform, 1, fx, fy, fz) + transform[1, 3],
            _row(transform, 2, fx, fy, fz) + transform[2, 3])


def motion_step(offsets: Tensor, history: Tensor, previous_from_current: Tensor, size: tuple[int, ...]) -> Tensor:
    """``motion.gradient_step``."""
    _share_threads()
    fused = torch.empty_like(offsets)
    _motion_step(offsets.numpy(), history.numpy(), previous_from_current.numpy(), cast(Size, size), fused.numpy())
    return fused


@_inlined
def _component(history: Floats, corners: tuple[int, ...], fractions: Triple,
               i: int) -> tuple[Float, Float, Float, Float]:
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


@_inlined
def _stepped(offset: Float, gradient: Float) -> Float:
    return offset - MOTION_STEP * min(max(gradient / THREE, -MOTION_LIMIT), MOTION_LIMIT)


@_inlined
def _step_voxel(offset: Floats, history: Floats, size: Size, position: Triple, fused: Floats) -> None:
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
    fused[0] = _stepped(offset[0], x0 * d0 + x1_ * d1 + x2 * d2 - d0)
    fused[1] = _stepped(offset[1], y0 * d0 + y1_ * d1 + y2 * d2 - d1)
    fused[2] = _stepped(offset[2], z0 * d0 + z1_ * d1 + z2 * d2 - d2)


@_compiled
def _motion_step(offsets: Floats, history: Floats, transform: Floats, size: Size, fused: Floats) -> None:
    ny, nx, nz = size
    for y in numba.prange(ny):
        for x in range(nx):
            for z in range(nz):
                voxel = (y * nx + x) * nz + z
                px, py, pz = _position(transform, x, y, z)
                px, py, pz = px + offsets[voxel, 0], py + offsets[voxel, 1], pz + offsets[voxel, 2]
                if (px >= ZERO and py >= ZERO and pz >= ZERO
                        and px <= Float(nx - 1) and py <= Float(ny - 1) and pz <= Float(nz - 1)):
                    _step_voxel(offsets[voxel], history, size, (px, py, pz), fused[voxel])
                else:
                    fused[voxel] = offsets[voxel]


def warp(field: Tensor, offsets: Tensor | None, previous_from_current: Tensor, size: tuple[int, ...]) -> Tensor:
    """``voxel.warp`` at R p + M: (Y X Z, C)."""
    _share_threads()
    warped = torch.empty_like(field)
    moved = torch.empty(0, 3) if offsets is None else offsets
    _warp(field.numpy(), moved.numpy(), previous_from_current.numpy(), cast(Size, size), warped.numpy())
    return warped


@_inlined
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
            weight = ((fx if corner & 1 else ONE - fx) * (fy if corner & 2 else ONE - fy)
                      * (fz if corner & 4 else ONE - fz))
            value = field[(j * nx + i) * nz + k]
            for c in range(len(sample)):
                sample[c] += weight * value[c]


@_compiled
def _warp(field: Floats, offsets: Floats, transform: Floats, size: Size, warped: Floats) -> None:
    ny, nx, nz = size
    moved = len(offsets) > 0
    for y in numba.prange(ny):
        for x in range(nx):
            for z in range(nz):
                voxel = (y * nx + x) * nz + z
                px, py, pz = _position(transform, x, y, z)
                if moved:
                    px, py, pz = px + offsets[voxel, 0], py + offsets[voxel, 1], pz + offsets[voxel, 2]
                _sample(field, size, (px, py, pz), warped[voxel])


# ---- classes (head.py) ----


def best(scores: Tensor) -> Tensor:
    """(n, m, K) -> (n, m) uint8: place of the highest score behind the unused slot; of equal ones the first."""
    _share_threads()
    labels = torch.empty(scores.shape[:2], dtype=torch.uint8)
    _best(scores.numpy(), labels.numpy())
    return labels


@_compiled
def _best(scores: Floats, labels: NDArray[np.uint8]) -> None:
    cells, voxels, classes = scores.shape
    for cell in numba.prange(cells):
        for voxel in range(voxels):
            highest, label = scores[cell, voxel, 1], 1
            for k in range(2, classes):
                if scores[cell, voxel, k] > highest:
                    highest, label = scores[cell, voxel, k], k
            labels[cell, voxel] = label - 1
