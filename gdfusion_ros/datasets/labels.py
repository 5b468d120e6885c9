"""The labels of a dataset's key frames as semantic grids, whatever their format."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gdfusion_ros.datasets import occ3d, openoccupancy, surroundocc
from gdfusion_ros.datasets.nuscenes import Sample, Scene, SensorData
from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.perception.labels import OCC3D_NUSCENES, OPENOCCUPANCY_NUSCENES, SURROUNDOCC_NUSCENES, LabelSet
from gdfusion_ros.perception.types import SemanticGrid
from gdfusion_ros.settings import PipelineSettings

LIDAR = 'LIDAR_TOP'
"""Channel and TF frame of the LiDAR whose stamps the samples have."""

FRAME_IDS = {'ego': PipelineSettings().base_frame, 'lidar': PipelineSettings().lidar_frame}
"""TF frame of a label set's ``frame``."""


@dataclass(frozen=True)
class LabelFormat:
    """How the labels of a label set are stored.

    Attributes:
        label_set: their classes, grid and frame.
        folder: where they are below the dataset's folder, if they are there.
        path: file of a sample's labels below the folder of the labels.
        read: the grid in that file, of a LiDAR stamp [ns]; raises GdfusionError where it is not in order.
    """

    label_set: LabelSet
    folder: str
    path: Callable[[Path, Scene, Sample], Path]
    read: Callable[[Path, int], SemanticGrid]


def _read_occ3d(path: Path, stamp: int) -> SemanticGrid:
    return occ3d.read_grid(path, stamp, FRAME_IDS['ego'])


def _reader(label_set: LabelSet, read: Callable[[Path], NDArray[np.uint8]]) -> Callable[[Path, int], SemanticGrid]:
    def grid(path: Path, stamp: int) -> SemanticGrid:
        return SemanticGrid.of_labels(stamp, FRAME_IDS[label_set.frame], read(path), label_set, occ3d.SOURCE)

    return grid


def _lidar(scene: Scene, sample: Sample) -> SensorData:
    if LIDAR not in sample.data:
        raise GdfusionError(f'{scene.name}: sample {sample.token} has no {LIDAR}, after which its labels are named')
    return sample.data[LIDAR]


FORMATS = {
    label_format.label_set.name: label_format
    for label_format in (
        LabelFormat(
            OCC3D_NUSCENES,
            occ3d.FOLDER,
            lambda folder, scene, sample: occ3d.path_in(folder, scene.name, sample.token),
            _read_occ3d,
        ),
        LabelFormat(
            SURROUNDOCC_NUSCENES,
            'gts_surroundocc',
            lambda folder, scene, sample: surroundocc.label_path(folder, _lidar(scene, sample)),
            _reader(SURROUNDOCC_NUSCENES, surroundocc.read),
        ),
        LabelFormat(
            OPENOCCUPANCY_NUSCENES,
            'nuScenes-Occupancy-v0.1',
            lambda folder, scene, sample: openoccupancy.label_path(folder, scene, _lidar(scene, sample)),
            _reader(OPENOCCUPANCY_NUSCENES, openoccupancy.read),
        ),
    )
}
"""By the name of the label set."""
