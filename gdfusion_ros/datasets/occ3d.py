"""Occ3D-nuScenes labels: ``gts/<scene name>/<sample token>/labels.npz`` below the dataset's folder.

Arrays are (200, 200, 16), index [x][y][z], in the ego frame at LIDAR_TOP's stamp, from (-40, -40, -1) m in steps of
0.4 m (Occ3D: Tian et al., NeurIPS 2023).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gdfusion_ros.datasets.arrays import labels_of, read_npz, require_mostly_free
from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.perception.labels import OCC3D_NUSCENES, UNKNOWN
from gdfusion_ros.perception.types import SemanticGrid

FOLDER = 'gts'
SOURCE = 'ground truth'
"""What a grid of labels names as the model that made it."""


@dataclass(frozen=True, eq=False)
class Occ3DLabels:
    """Labels of one key frame: ``semantics`` (X, Y, Z) uint8, and bool masks of what LiDAR and cameras observe."""

    semantics: NDArray[np.uint8]
    mask_lidar: NDArray[np.bool_]
    mask_camera: NDArray[np.bool_]


def label_path(root: Path, scene: str, sample_token: str) -> Path:
    """Where the labels of a key frame lie below the dataset's folder ``root``."""
    return path_in(root / FOLDER, scene, sample_token)


def path_in(folder: Path, scene: str, sample_token: str) -> Path:
    """Where the labels of a key frame lie below the labels' own ``folder``."""
    return folder / scene / sample_token / 'labels.npz'


def read(path: Path) -> Occ3DLabels:
    """The labels in an ``.npz`` file.

    Raises:
        GdfusionError: the file is missing or damaged, or an array is missing, of another shape or out of range.
    """
    arrays = _arrays(path, masks=True)
    return Occ3DLabels(
        _semantics(arrays, path, unknown=False),
        arrays['mask_lidar'].astype(np.bool_),
        arrays['mask_camera'].astype(np.bool_),
    )


def read_grid(path: Path, stamp: int, frame_id: str) -> SemanticGrid:
    """The labels in an ``.npz`` file as a grid at LIDAR_TOP's ``stamp`` [ns]; UNKNOWN where the file has 255.

    Its confidence is 255 where cameras observe it, else 0. The masks may be missing, as in files of other tools; the
    grid has no confidence then.

    Raises:
        GdfusionError: the file is missing or damaged, or an array is of another shape or out of range.
    """
    arrays = _arrays(path, masks=False)
    semantics, observed = _semantics(arrays, path, unknown=True), arrays.get('mask_camera')
    confidence = None if observed is None else np.where(observed, np.uint8(255), np.uint8(0))
    return SemanticGrid.of_labels(stamp, frame_id, semantics, OCC3D_NUSCENES, SOURCE, confidence)


def _arrays(path: Path, *, masks: bool) -> dict[str, NDArray[np.uint8]]:
    """``semantics`` and the two masks, which must be there if ``masks`` says so."""
    names = ('mask_lidar', 'mask_camera')
    found = read_npz(path, ('semantics', *names)) if masks else read_npz(path, ('semantics',), names)
    return {
        name: labels_of(array, OCC3D_NUSCENES.grid, f'labels {path}: {name}', flags=name in names)
        for name, array in found.items()
    }


def _semantics(arrays: dict[str, NDArray[np.uint8]], path: Path, *, unknown: bool) -> NDArray[np.uint8]:
    semantics, free = arrays['semantics'], OCC3D_NUSCENES.free
    highest = semantics.max(where=semantics != UNKNOWN, initial=0) if unknown else semantics.max()
    if highest > free:
        raise GdfusionError(f'labels {path}: there is a class {highest}; Occ3D has 0 to {free}: number the classes so')
    require_mostly_free(semantics, free, f'labels {path}')
    return semantics


def write(path: Path, labels: Occ3DLabels) -> None:
    """Write an ``.npz`` file as Occ3D's are; folders are made. The same labels give the same bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(
        path,
        semantics=labels.semantics,
        mask_lidar=labels.mask_lidar.astype(np.uint8),
        mask_camera=labels.mask_camera.astype(np.uint8),
    )
