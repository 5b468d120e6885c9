"""One grid in a file of its own: labels of Occ3D-nuScenes, or a prediction as its benchmark takes them."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from gdfusion_ros.datasets import occ3d
from gdfusion_ros.datasets.arrays import read_npz, require_shape
from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.perception.labels import OCC3D_NUSCENES
from gdfusion_ros.perception.types import SemanticGrid
from gdfusion_ros.settings import PipelineSettings

_LABELS, _PREDICTION = 'semantics', 'arr_0'
_FRAME = PipelineSettings().base_frame


def read_grid(path: Path) -> SemanticGrid:
    """The grid of an ``.npz`` file, which has no stamp (0): by its arrays labels or a prediction of that file's name.

    Raises:
        GdfusionError: the file cannot be read, or is neither.
    """
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if f'{_LABELS}.npy' in archive.namelist():
                return occ3d.semantic_grid(occ3d.read(path), 0, _FRAME)
    labels, = read_npz(path, [_PREDICTION])
    grid = OCC3D_NUSCENES.grid
    require_shape(labels, grid, f'prediction {path}')
    if labels.max() > OCC3D_NUSCENES.free:
        raise GdfusionError(f'prediction {path}: there is a class {labels.max()}; Occ3D has 0 to {OCC3D_NUSCENES.free}')
    return SemanticGrid(0, _FRAME, grid.lower, grid.voxel_size, np.asfortranarray(labels, np.uint8), None,
                        OCC3D_NUSCENES, path.name, 0, (), 0)
