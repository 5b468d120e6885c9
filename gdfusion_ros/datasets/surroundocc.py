"""SurroundOcc labels: ``samples/<name of the LIDAR_TOP file>.npy`` below the folder of the labels (nuscenes_occ).

Rows [x, y, z, class] of the voxels that are not free, (200, 200, 16) of 0.5 m in the frame of LIDAR_TOP; class 0 means
that the voxel is to be ignored (SurroundOcc: Wei et al., ICCV 2023; docs/data.md of its release).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gdfusion_ros.datasets.arrays import dense_labels
from gdfusion_ros.datasets.nuscenes import SensorData
from gdfusion_ros.perception.labels import SURROUNDOCC_NUSCENES


def label_path(folder: Path, lidar: SensorData) -> Path:
    """Where the labels of the key frame of a LIDAR_TOP measurement lie below the folder of the labels."""
    return folder / 'samples' / f'{lidar.path.name}.npy'


def read(path: Path) -> NDArray[np.uint8]:
    """(200, 200, 16) labels of SURROUNDOCC_NUSCENES, UNKNOWN where they are to be ignored.

    Raises:
        GdfusionError: the file cannot be read, or has other rows or values.
    """
    return dense_labels(path, SURROUNDOCC_NUSCENES, (0, 1, 2), columns=(4,))
