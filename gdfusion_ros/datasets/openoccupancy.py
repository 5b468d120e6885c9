"""OpenOccupancy labels: ``scene_<scene token>/occupancy/<token of the LIDAR_TOP data>.npy`` below their folder.

Rows [z, y, x, class] or [z, y, x, vx, vy, vz, class] of the voxels that are not free, (512, 512, 40) of 0.2 m in the
frame of LIDAR_TOP; class 0 is noise, which is to be ignored (OpenOccupancy: Wang et al., ICCV 2023).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gdfusion_ros.datasets.arrays import dense_labels
from gdfusion_ros.datasets.nuscenes import Scene, SensorData
from gdfusion_ros.perception.labels import OPENOCCUPANCY_NUSCENES


def label_path(folder: Path, scene: Scene, lidar: SensorData) -> Path:
    """Where the labels of the key frame of a LIDAR_TOP measurement lie below the folder of the labels."""
    return folder / f'scene_{scene.token}' / 'occupancy' / f'{lidar.token}.npy'


def read(path: Path) -> NDArray[np.uint8]:
    """(512, 512, 40) labels of OPENOCCUPANCY_NUSCENES, UNKNOWN where they are to be ignored.

    Raises:
        GdfusionError: the file cannot be read, or has other rows or values.
    """
    return dense_labels(path, OPENOCCUPANCY_NUSCENES, (2, 1, 0), columns=(4, 7))
