"""Occ3D-nuScenes labels: ``gts/<scene name>/<sample token>/labels.npz`` below the dataset's folder.

Arrays are (200, 200, 16), index [x][y][z], in the ego frame at LIDAR_TOP's stamp, from (-40, -40, -1) m in steps of
0.4 m (Occ3D: Tian et al., NeurIPS 2023).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gdfusion_ros.datasets.arrays import read_npz, require_shape
from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.perception.labels import OCC3D_NUSCENES
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
    names = ('semantics', 'mask_lidar', 'mask_camera')
    semantics, lidar, camera = arrays = read_npz(path, names)
    for name, array in zip(names, arrays, strict=True):
        require_shape(array, OCC3D_NUSCENES.grid, f'labels {path}: {name}')
    if semantics.max() > OCC3D_NUSCENES.free:
        raise GdfusionError(f'labels {path}: there is a class {semantics.max()}; Occ3D has 0 to {OCC3D_NUSCENES.free}')
    return Occ3DLabels(semantics.astype(np.uint8), lidar.astype(np.bool_), camera.astype(np.bool_))


def write(path: Path, labels: Occ3DLabels) -> None:
    """Write an ``.npz`` file as Occ3D's are; folders are made. The same labels give the same bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, semantics=labels.semantics, mask_lidar=labels.mask_lidar.astype(np.uint8),
                        mask_camera=labels.mask_camera.astype(np.uint8))


def semantic_grid(labels: Occ3DLabels, stamp: int, frame_id: str) -> SemanticGrid:
    """The labels as a grid at LIDAR_TOP's ``stamp`` [ns]; its confidence is 255 where cameras observe it, else 0."""
    confidence = np.where(labels.mask_camera, np.uint8(255), np.uint8(0))
    place = OCC3D_NUSCENES.grid
    return SemanticGrid(stamp, frame_id, place.lower, place.voxel_size, np.asfortranarray(labels.semantics),
                        np.asfortranarray(confidence), OCC3D_NUSCENES, SOURCE, 0, (), 0)
