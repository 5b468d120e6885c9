"""NumPy files of others, read with care."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.model.grid import VoxelGrid
from gdfusion_ros.perception.labels import UNKNOWN, LabelSet


def read_npy(path: Path) -> NDArray[Any]:
    """The array of an ``.npy`` file.

    Raises:
        GdfusionError: the file is missing or damaged, or is not of that kind.
    """
    with _explained(path):
        array = np.load(path, allow_pickle=False)
    if not isinstance(array, np.ndarray):
        raise GdfusionError(f'{path} is not an .npy file')
    return array


def read_npz(path: Path, names: Sequence[str]) -> list[NDArray[Any]]:
    """The named arrays of an ``.npz`` file.

    Raises:
        GdfusionError: the file is missing or damaged, is not of that kind, or lacks an array.
    """
    with _explained(path):
        file = np.load(path, allow_pickle=False)
        if isinstance(file, np.ndarray):
            raise GdfusionError(f'{path} is not an .npz file')
        with file:
            missing = [name for name in names if name not in file.files]
            if missing:
                there = ', '.join(file.files) or 'none'
                raise GdfusionError(f'{path} has no array {", ".join(missing)}; it has {there}')
            return [np.asarray(file[name]) for name in names]


def dense_labels(path: Path, label_set: LabelSet, voxels: Sequence[int], classes: int) -> NDArray[np.uint8]:
    """Labels of a whole grid from an ``.npy`` file that lists the voxels that are not free, a row each.

    Args:
        path: The file, (n, columns); a later row goes before an earlier one of the same voxel.
        label_set: What the classes mean and how large the grid is; a stored 0 says that the voxel is to be ignored.
        voxels: The columns of the x, y and z index.
        classes: The column of the class; negative ones count from the last.

    Returns:
        (X, Y, Z), x fastest in memory, UNKNOWN where ignored.

    Raises:
        GdfusionError: a file that cannot be read, has not these columns, a voxel outside of the grid or another class.
    """
    rows = read_npy(path)
    if rows.ndim != 2 or rows.shape[1] < len(voxels) + 1 or rows.dtype.kind not in 'uif':
        raise GdfusionError(f'labels {path} are {rows.dtype} {rows.shape}, expected numbers in rows of '
                            f'{len(voxels) + 1} or more')
    numbers = rows[:, [*voxels, classes]]
    highest = np.array([*label_set.grid.shape, len(label_set.classes)]) - 1
    # Not a number is not in the range either.
    wrong = ~((numbers >= 0) & (numbers <= highest) & (numbers == np.floor(numbers))).all(axis=1)
    if wrong.any():
        raise GdfusionError(f'labels {path}: row {np.flatnonzero(wrong)[0]} is {rows[wrong][0].tolist()}; indices go '
                            f'to {highest[:3].tolist()}, classes to {highest[3]}')
    x, y, z, stored = numbers.astype(np.int64).T
    labels = np.full(label_set.grid.shape, label_set.free, np.uint8, order='F')
    labels[x, y, z] = np.where(stored == 0, UNKNOWN, stored)
    return labels


def require_shape(array: NDArray[Any], grid: VoxelGrid, place: str) -> None:
    """Make sure that an array has the voxels of ``grid`` as bytes.

    Raises:
        GdfusionError: names ``place``.
    """
    if array.shape != grid.shape or array.dtype not in (np.uint8, np.bool_):
        raise GdfusionError(f'{place} is {array.dtype} {array.shape}, expected uint8 {grid.shape}')


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Whatever numpy and zipfile make of damaged bytes (they raise a dozen types) as one clear line."""
    try:
        yield
    except GdfusionError:
        raise
    except Exception as error:
        reason = ' '.join(str(error).split()) or type(error).__name__
        raise GdfusionError(f'{path} cannot be read: {reason}') from error
