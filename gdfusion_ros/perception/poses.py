"""Arithmetic of rigid transforms.

Without BLAS, so that poses have the same bits on every processor: see model/geometry/small_matrices.py.
"""

from __future__ import annotations

import math
from functools import reduce
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from gdfusion_ros.perception.types import Matrix

Vector = tuple[float, float, float]
Quaternion = tuple[float, float, float, float]
Real = TypeVar('Real', np.float32, np.float64)


def pose_matrix(translation: Vector, rotation: Quaternion) -> Matrix:
    """(4, 4) matrix that rotates by a quaternion (x, y, z, w) of any length but zero, then translates."""
    x, y, z, w = rotation
    scale = 2.0 / (x * x + y * y + z * z + w * w)
    xs, ys, zs = x * scale, y * scale, z * scale
    return np.array(
        [
            [1.0 - (y * ys + z * zs), x * ys - w * zs, x * zs + w * ys, translation[0]],
            [x * ys + w * zs, 1.0 - (x * xs + z * zs), y * zs - w * xs, translation[1]],
            [x * zs - w * ys, y * zs + w * xs, 1.0 - (x * xs + y * ys), translation[2]],
            [0.0, 0.0, 0.0, 1.0],
        ]
    )


def quaternion(transform: Matrix) -> Quaternion:
    """The unit quaternion (x, y, z, w), w >= 0, of the rotation of a rigid (4, 4) transform.

    By its largest part, so that nothing small is divided by (Shepperd 1978).
    """
    r, trace = transform, float(transform[0, 0] + transform[1, 1] + transform[2, 2])
    squares = [1 + 2 * float(r[axis, axis]) - trace for axis in range(3)] + [1 + trace]
    largest = squares.index(max(squares))
    x, y, z = (float(r[k, j] - r[j, k]) for j, k in ((1, 2), (2, 0), (0, 1)))
    if largest == 3:
        parts = [x, y, z, squares[3]]
    else:
        i, j, k = largest, (largest + 1) % 3, (largest + 2) % 3
        parts = [0.0] * 3 + [(x, y, z)[i]]
        parts[i], parts[j], parts[k] = squares[i], float(r[j, i] + r[i, j]), float(r[k, i] + r[i, k])
    scale = math.copysign(1.0, parts[3]) / math.hypot(*parts)
    qx, qy, qz, qw = (part * scale for part in parts)
    return qx, qy, qz, qw


def inverse(transform: Matrix) -> Matrix:
    """Inverse of a rigid (4, 4) transform."""
    rotation = transform[:3, :3].T
    result = np.eye(4)
    result[:3, :3] = rotation
    result[:3, 3:] = -_product(rotation, transform[:3, 3:])
    return result


def product(*matrices: NDArray[Real]) -> NDArray[Real]:
    """Of two or more, from the left: ``product(a_from_b, b_from_c)`` is a_from_c. Stacks of matrices are broadcast."""
    return reduce(_product, matrices)


def _product(left: NDArray[Real], right: NDArray[Real]) -> NDArray[Real]:
    """Of matrices (…, m, n) and (…, n, k); every element is ((l0 r0 + l1 r1) + l2 r2) + …"""
    result = left[..., :1] * right[..., :1, :]
    for k in range(1, left.shape[-1]):
        result = result + left[..., k : k + 1] * right[..., k : k + 1, :]
    return result


def distance_between(first: Matrix, second: Matrix) -> float:
    """Distance [m] between the origins of two (4, 4) poses in the same frame."""
    return math.dist(first[:3, 3], second[:3, 3])


def turn_between(first: Matrix, second: Matrix) -> float:
    """Angle [rad], 0 to pi, by which the second of two (4, 4) poses in the same frame is turned against the first."""
    cosine = (float(np.sum(first[:3, :3] * second[:3, :3])) - 1) / 2
    return math.acos(min(max(cosine, -1.0), 1.0))


def interpolate_vectors(start: Vector, end: Vector, ratio: float) -> Vector:
    """Linear interpolation, 0 gives ``start``, 1 gives ``end``."""
    rest = 1.0 - ratio
    return (rest * start[0] + ratio * end[0], rest * start[1] + ratio * end[1], rest * start[2] + ratio * end[2])


def slerp(start: Quaternion, end: Quaternion, ratio: float) -> Quaternion:
    """Spherical interpolation along the shorter way, as tf2 does it; quaternions too close to tell give ``start``."""
    dot = sum(a * b for a, b in zip(start, end, strict=True))
    length = math.sqrt(sum(a * a for a in start) * sum(b * b for b in end))
    angle = math.acos(min(1.0, abs(dot) / length))
    if angle == 0.0:
        return start
    from_start = math.sin((1.0 - ratio) * angle) / math.sin(angle)
    from_end = math.sin(ratio * angle) / math.sin(angle)
    if dot < 0.0:
        from_end = -from_end
    x, y, z, w = (a * from_start + b * from_end for a, b in zip(start, end, strict=True))
    return x, y, z, w
