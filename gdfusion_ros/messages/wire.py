"""The order of a voxel grid on the wire: the one place where [x][y][z] arrays and flat sequences are converted.

Voxel (x, y, z) of a grid of (X, Y, Z) voxels is element ``x + X * (y + Y * z)`` of the sequence.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar('T', bound=np.generic)


def to_wire(values: NDArray[T]) -> NDArray[T]:
    """(X, Y, Z) -> (X * Y * Z,), x fastest; a view of an array that lies in Fortran order, else a copy."""
    return values.reshape(-1, order='F')


def from_wire(sequence: NDArray[np.uint8], shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    """(X * Y * Z,), x fastest -> (X, Y, Z), always a view."""
    return sequence.reshape(shape, order='F')
