"""What a LiDAR sweep says of the cells of the images: how far they see, and what its points are of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gdfusion_ros.datasets import lidar, lidarseg
from gdfusion_ros.datasets.nuscenes import SensorData
from gdfusion_ros.model.depth.measured import nearest_bins
from gdfusion_ros.model.objectives.interface import IGNORE
from gdfusion_ros.model.spec import NetworkSpec
from gdfusion_ros.perception.framing import RigMatrices, RigPoses
from gdfusion_ros.perception.labels import LabelSet
from gdfusion_ros.perception.lidar_maps import class_maps, depth_maps, seen_returns
from gdfusion_ros.perception.poses import product
from gdfusion_ros.perception.types import LidarSweep


@dataclass(frozen=True, eq=False)
class LabelledSweep:
    """The finite points of a sweep, and their classes where the dataset has them.

    Attributes:
        sweep: where the points were measured.
        classes: (n,) uint8 ids of the label set, IGNORE where nothing is to be learned from a point.
    """

    sweep: LidarSweep
    classes: NDArray[np.uint8] | None

    def depth_maps(self, poses: RigPoses, matrices: RigMatrices, spec: NetworkSpec) -> Tensor:
        """(N, H, W) as in Frame; ``matrices`` are made of ``poses``."""
        return torch.from_numpy(depth_maps(self.sweep, poses, matrices, spec.image_size, spec.depth))

    def cell_classes(self, poses: RigPoses, matrices: RigMatrices, spec: NetworkSpec) -> Tensor | None:
        """(N, h, w) as in FrameTruth.point_classes."""
        if self.classes is None:
            return None
        seen = seen_returns(self.sweep, poses, matrices, spec.image_size, spec.depth)
        size = len(matrices.visible), *spec.image_size
        return torch.from_numpy(class_maps(seen, self.classes, size, spec.feature_stride))


def read_sweep(data: SensorData, label_set: LabelSet, *, classes: bool) -> LabelledSweep:
    """The sweep that was measured, with its points' ``classes`` if asked and known.

    Points of others are learned as class 0, as in the release (training.md §3), unless that is free space.

    Raises:
        GdfusionError: a file cannot be read.
    """
    points = lidar.read(data.path)
    values: NDArray[np.float32] = np.stack([points[axis] for axis in 'xyz'], axis=1)
    finite = np.isfinite(values).all(1)
    pose = product(data.ego_pose.matrix(), data.calibration.pose.matrix())
    sweep = LidarSweep(values[finite], pose)
    if not classes or data.categories is None:
        return LabelledSweep(sweep, None)
    known = lidarseg.read(data.categories, len(points))[finite]
    return LabelledSweep(sweep, np.where(known == label_set.free, np.uint8(IGNORE), known))


def depth_bins(maps: Tensor | None, spec: NetworkSpec, cameras: int) -> Tensor:
    """(N, h, w) as in FrameTruth.depth, of the depth maps; IGNORE everywhere where there are none."""
    if maps is None:
        return torch.full((cameras, *spec.cells), IGNORE)
    return nearest_bins(maps, spec.feature_stride, spec.depth)
