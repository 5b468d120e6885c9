"""One grid in a file of its own: labels of Occ3D (nuScenes, Waymo), or a prediction as its benchmark takes them."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gdfusion_ros.datasets import occ3d, waymo
from gdfusion_ros.datasets.arrays import as_numbered, labels_of, read_one_of, require_free
from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.perception.labels import OCC3D_NUSCENES, UNKNOWN, LabelSet
from gdfusion_ros.perception.types import SemanticGrid
from gdfusion_ros.settings import PipelineSettings

_LABELS = 'semantics'
_PREDICTIONS = ('arr_0', 'pred', _LABELS)
"""Names of a prediction: that of np.savez_compressed(path, labels), and those that other tools give it."""

_FRAME = PipelineSettings().base_frame


def read_grid(path: Path) -> SemanticGrid:
    """The grid of an ``.npz`` file, which has no stamp (0): by its arrays labels or a prediction of that file's name.

    Raises:
        GdfusionError: the file cannot be read, or is neither.
    """
    arrays = _names(path)
    if set(waymo.MASKS) <= arrays:
        return waymo.read_grid(path, 0, _FRAME)
    if _LABELS in arrays:
        return occ3d.read_grid(path, 0, _FRAME)
    return SemanticGrid.of_labels(0, _FRAME, read_prediction(path, OCC3D_NUSCENES), OCC3D_NUSCENES, path.name)


def _names(path: Path) -> set[str]:
    """Of the arrays in an ``.npz`` file; none where it is no such file."""
    if not zipfile.is_zipfile(path):
        return set()
    with zipfile.ZipFile(path) as archive:
        return {name.removesuffix('.npy') for name in archive.namelist()}


def read_prediction(path: Path, label_set: LabelSet) -> NDArray[np.uint8]:
    """Labels (X, Y, Z) of a file of the Occ3D benchmark (``.npz``, or ``.npy``), in the grid of ``label_set``.

    Raises:
        GdfusionError: a damaged file, another shape or type, a class that the label set does not have, no free voxel.
    """
    name, array = read_one_of(path, _PREDICTIONS)
    labels = as_numbered(labels_of(array, label_set.grid, f'prediction {path}: {name}'), label_set)
    highest = labels.max(where=labels != UNKNOWN, initial=0)
    if highest > label_set.ids[-1]:
        raise GdfusionError(
            f'prediction {path}: there is a class {highest}; {label_set.name} has '
            f'{label_set.ids[0]} to {label_set.ids[-1]}: number the classes so'
        )
    require_free(labels, label_set.free, f'prediction {path}')
    return labels
