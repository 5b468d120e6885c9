"""NumPy files of others, read with care."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.model.geometry.voxel_grid import VoxelGrid
from gdfusion_ros.perception.labels import UNKNOWN, LabelSet

_MOST_BYTES = 1 << 29
"""A larger array is no grid's. Packed in an .npz file, one that would fill the memory may take a few megabytes."""

_BEGINNINGS = (b'\x93NUMPY', b'PK')
"""Of .npy and .npz files."""


def read_npy(path: Path) -> NDArray[Any]:
    """The array of an ``.npy`` file.

    Raises:
        GdfusionError: the file is missing or damaged, or is not of that kind.
    """
    with _explained(path):
        _require_size(path.stat().st_size)
        array = np.load(path, allow_pickle=False)
    if not isinstance(array, np.ndarray):
        raise GdfusionError(f'{path} is not an .npy file; np.save writes one')
    return array


def read_npz(path: Path, names: Sequence[str], optional: Sequence[str] = ()) -> dict[str, NDArray[Any]]:
    """The named arrays of an ``.npz`` file, and those of the ``optional`` ones that it has.

    Raises:
        GdfusionError: the file is missing or damaged, is not of that kind, or lacks an array.
    """
    with _explained(path):
        file = np.load(path, allow_pickle=False)
        if isinstance(file, np.ndarray):
            raise GdfusionError(f'{path} is not an .npz file; np.savez_compressed writes one')
        with file:
            missing = [name for name in names if name not in file.files]
            if missing:
                raise GdfusionError(
                    f'{path} has no array {", ".join(missing)}; it has {_listed(file.files)}: '
                    'are these files of another benchmark?'
                )
            return {name: _member(file, name) for name in (*names, *optional) if name in file.files}


def read_one_of(path: Path, names: Sequence[str]) -> tuple[str, NDArray[Any]]:
    """The array of an ``.npy`` file, or the first of ``names`` that an ``.npz`` file has, with its name.

    Raises:
        GdfusionError: the file is missing or damaged, or has none of these.
    """
    with _explained(path):
        file = np.load(path, allow_pickle=False)
        if isinstance(file, np.ndarray):
            return 'the array', file
        with file:
            name = next((name for name in names if name in file.files), None)
            if name is None:
                raise GdfusionError(f'{path} has no array {" or ".join(names)}; it has {_listed(file.files)}')
            return name, _member(file, name)


def _member(file: Any, name: str) -> NDArray[Any]:
    """An array of an open ``.npz`` file, if it is not too large."""
    for info in file.zip.infolist():
        if info.filename.removesuffix('.npy') == name:
            _require_size(info.file_size)
    return np.asarray(file[name])


def _require_size(size: int) -> None:
    if size > _MOST_BYTES:
        raise ValueError(f'an array of {size >> 20} MB is no grid, which has {_MOST_BYTES >> 20} MB at most')


def _listed(names: Sequence[str]) -> str:
    return ', '.join(names) or 'none'


def dense_labels(path: Path, label_set: LabelSet, voxels: Sequence[int], columns: Sequence[int]) -> NDArray[np.uint8]:
    """Labels of a whole grid from an ``.npy`` file that lists the voxels that are not free, a row each.

    Args:
        path: The file, (n, columns), with the class in the last one; a later row goes before an earlier one of the same
            voxel.
        label_set: What the classes mean and how large the grid is; a stored 0 says that the voxel is to be ignored.
        voxels: The columns of the x, y and z index.
        columns: How many columns there may be.

    Returns:
        (X, Y, Z), x fastest in memory, UNKNOWN where ignored.

    Raises:
        GdfusionError: a file that cannot be read, has not these columns, a voxel outside of the grid or another class.
    """
    rows = read_npy(path)
    if rows.ndim != 2 or rows.shape[1] not in columns or rows.dtype.kind not in 'uif':
        raise GdfusionError(
            f'labels {path} are {rows.dtype} {rows.shape}, expected numbers in rows of {" or ".join(map(str, columns))}'
        )
    numbers = rows[:, [*voxels, -1]]
    highest = np.array([*(edge - 1 for edge in label_set.grid.shape), max(label.id for label in label_set.occupied)])
    if rows.dtype.kind in 'ui' and np.iinfo(rows.dtype).max < highest.max():
        raise GdfusionError(
            f'labels {path} are {rows.dtype}, which cannot hold indices up to {highest.max()}: they '
            'were cut off; save them as int16 or wider'
        )
    # Not a number is not in the range either.
    wrong = ~((numbers >= 0) & (numbers <= highest) & (numbers == np.floor(numbers))).all(axis=1)
    if wrong.any():
        raise GdfusionError(
            f'labels {path}: row {np.flatnonzero(wrong)[0]} is {rows[wrong][0].tolist()}; indices go '
            f'to {highest[:3].tolist()}, classes to {highest[3]}'
        )
    x, y, z, stored = numbers.astype(np.int64).T
    labels = np.full(label_set.grid.shape, label_set.free, np.uint8, order='F')
    labels[x, y, z] = np.where(stored == 0, UNKNOWN, stored)
    return labels


def as_numbered(labels: NDArray[np.uint8], label_set: LabelSet) -> NDArray[np.uint8]:
    """Labels of a file with the one id that free space has here (``LabelSet.free_in_files``)."""
    return np.where(np.isin(labels, list(label_set.free_in_files)), np.uint8(label_set.free), labels)


def labels_of(array: NDArray[Any], grid: VoxelGrid, place: str, *, flags: bool = False) -> NDArray[np.uint8]:
    """An array of whole numbers with the voxels of ``grid``, as bytes; axes of one element before them are dropped.

    Args:
        array: As it was read.
        grid: How many voxels there are to be.
        place: Named in errors.
        flags: Truth values will do.

    Raises:
        GdfusionError: another shape or type, or a number that no label set has.
    """
    voxels = array[(0,) * (array.ndim - 3)] if array.shape[:-3] == (1,) * (array.ndim - 3) else array
    if voxels.shape != grid.shape or voxels.dtype.kind not in ('biu' if flags else 'iu'):
        raise GdfusionError(
            f'{place} is {array.dtype} {array.shape}, expected uint8 {grid.shape} or other whole '
            'numbers, with the axes x, y, z'
        )
    lowest, highest = int(voxels.min()), int(voxels.max())
    if lowest < 0 or highest > UNKNOWN:
        raise GdfusionError(f'{place} has numbers from {lowest} to {highest}; labels go from 0 to {UNKNOWN}')
    return voxels.astype(np.uint8)


def require_free(labels: NDArray[np.uint8], free: int, place: str) -> None:
    """Make sure that the classes are numbered as they should: no street is full to the sky.

    OpenOcc v2 of the CVPR 2024 challenge, for one, has 16 for free, and many tools have 0.

    Raises:
        GdfusionError: names ``place``; no voxel is ``free``.
    """
    if not (labels == free).any():
        raise GdfusionError(
            f'{place}: no voxel is free ({free} here); the classes are numbered otherwise: renumber them'
        )


def require_mostly_free(labels: NDArray[np.uint8], free: int, place: str) -> None:
    """The same of a label file, which is of a real street: no other class fills half of it.

    Raises:
        GdfusionError: names ``place``; no voxel is ``free``, or most are of another class.
    """
    require_free(labels, free, place)
    count = np.bincount(labels.ravel(order='K'), minlength=UNKNOWN + 1)
    count[[free, UNKNOWN]] = 0
    if 2 * count.max() > labels.size:
        raise GdfusionError(
            f'{place}: {100 * count.max() // labels.size} % of the voxels are of class {count.argmax()}, as if that '
            f'were free, which is {free} here; the classes are numbered otherwise: renumber them'
        )


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Whatever numpy and zipfile make of damaged bytes (they raise a dozen types) as one clear line."""
    if path.exists() and not path.is_file():  # of a pipe, a reader would wait for ever
        raise GdfusionError(f'{path} cannot be read: it is no file')
    try:
        yield
    except GdfusionError:
        raise
    except OSError as error:
        raise GdfusionError(f'{path} cannot be read: {error.strerror or error}') from error
    except Exception as error:
        reason = ' '.join(str(error).split()) or type(error).__name__
        if path.is_file() and not _is_numpy(path):
            reason = 'it is neither an .npy nor an .npz file'
        if 'allow_pickle' in reason:
            reason = 'it holds Python objects, which are not loaded, as they could run code; save arrays of numbers'
        raise GdfusionError(f'{path} cannot be read: {reason}') from error


def _is_numpy(path: Path) -> bool:
    """Whether the file begins like one of NumPy's, as far as it can be read."""
    try:
        with path.open('rb') as file:
            return file.read(6).startswith(_BEGINNINGS)
    except OSError:
        return True
