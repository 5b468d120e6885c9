"""What a ray meets in a grid, and what it passes on its way.

Amanatides and Woo, "A fast voxel traversal algorithm for ray tracing", 1987.

Compiled, for other compiled code. Points and directions are measured in voxels, from the grid's lower corner; a
distance is in lengths of the direction.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from gdfusion_ros.model.ops.compiled import inlined

Bools = NDArray[np.bool_]
Triple = tuple[float, float, float]


@inlined
def _slab(lower: float, upper: float, origin: float, direction: float) -> tuple[float, float]:
    """Where a ray enters and leaves the space between two planes across an axis; an empty interval where it misses."""
    if direction == 0.0:
        return (-np.inf, np.inf) if lower <= origin < upper else (np.inf, -np.inf)
    near, far = (lower - origin) / direction, (upper - origin) / direction
    return (near, far) if near < far else (far, near)


@inlined
def cross_box(lower: Triple, upper: Triple, origin: Triple, direction: Triple) -> tuple[float, float, int]:
    """Where a ray enters and leaves a box, and the axis of the face that it enters by (-1: it starts inside)."""
    enter, leave, face = 0.0, np.inf, -1
    for axis in range(3):
        near, far = _slab(lower[axis], upper[axis], origin[axis], direction[axis])
        if near > enter:
            enter, face = near, axis
        leave = min(leave, far)
    return enter, leave, face


@inlined
def first_voxel(
    solid: Bools, origin: Triple, direction: Triple, from_inside: bool
) -> tuple[int, int, int, int, float, float]:
    """The first voxel of the (X, Y, Z) bool ``solid`` on a ray.

    With ``from_inside`` that may be the voxel in which the ray starts; otherwise it is one that the ray enters.

    Returns:
        Its index x, y, z, x = -1 where there is none; the axis of the face that is hit, -1 in a voxel that the ray
        starts in; the distances at which the ray enters and leaves it.
    """
    size_x, size_y, size_z = solid.shape
    enter, leave, face = cross_box((0.0, 0.0, 0.0), (float(size_x), float(size_y), float(size_z)), origin, direction)
    if enter >= leave:
        return -1, 0, 0, -1, np.inf, np.inf
    x, step_x, next_x, stride_x = _march(size_x, origin[0], direction[0], enter)
    y, step_y, next_y, stride_y = _march(size_y, origin[1], direction[1], enter)
    z, step_z, next_z, stride_z = _march(size_z, origin[2], direction[2], enter)
    while not solid[x, y, z] or (face < 0 and not from_inside):
        if next_x < next_y and next_x < next_z:
            x, enter, next_x, face = x + step_x, next_x, next_x + stride_x, 0
        elif next_y < next_z:
            y, enter, next_y, face = y + step_y, next_y, next_y + stride_y, 1
        else:
            z, enter, next_z, face = z + step_z, next_z, next_z + stride_z, 2
        if not (0 <= x < size_x and 0 <= y < size_y and 0 <= z < size_z):
            return -1, 0, 0, -1, np.inf, np.inf
    return x, y, z, face, enter, min(next_x, next_y, next_z)


@inlined
def mark_passed(solid: Bools, origin: Triple, direction: Triple, passed: Bools) -> None:
    """Set in the (X, Y, Z) bool ``passed`` what a ray passes, up to and with the first voxel of ``solid``.

    The voxel in which a ray starts does not end it: a sensor is never within what it sees.
    """
    size_x, size_y, size_z = solid.shape
    enter, ends = 0.0, False
    if not (0 <= origin[0] < size_x and 0 <= origin[1] < size_y and 0 <= origin[2] < size_z):
        upper = (float(size_x), float(size_y), float(size_z))
        enter, leave, face = cross_box((0.0, 0.0, 0.0), upper, origin, direction)
        if enter >= leave:
            return
        ends = face >= 0
    x, step_x, next_x, stride_x = _march(size_x, origin[0], direction[0], enter)
    y, step_y, next_y, stride_y = _march(size_y, origin[1], direction[1], enter)
    z, step_z, next_z, stride_z = _march(size_z, origin[2], direction[2], enter)
    while True:
        # Without a sign, numba does not ask at every step whether to count from the end.
        voxel = np.uintp(x), np.uintp(y), np.uintp(z)
        passed[voxel] = True
        if solid[voxel] and ends:
            return
        ends = True
        if next_x <= next_y and next_x <= next_z:
            x, next_x = x + step_x, next_x + stride_x
            if not 0 <= x < size_x:
                return
        elif next_y <= next_z:
            y, next_y = y + step_y, next_y + stride_y
            if not 0 <= y < size_y:
                return
        else:
            z, next_z = z + step_z, next_z + stride_z
            if not 0 <= z < size_z:
                return


@inlined
def _march(size: int, origin: float, direction: float, enter: float) -> tuple[int, int, float, float]:
    """Along one axis: first voxel, step, distance to the next face, distance between faces."""
    voxel = min(max(math.floor(origin + enter * direction), 0), size - 1)
    if direction == 0.0:
        return voxel, 0, np.inf, np.inf
    step = 1 if direction > 0 else -1
    return voxel, step, (voxel + (step > 0) - origin) / direction, step / direction
