"""The network's input from images, calibration and poses (bevdetocc_gf.md §1): where all of its matrices are made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gdfusion_ros.model.depth.lidar import depth_maps, nearest_classes, seen_returns
from gdfusion_ros.model.geometry.depth_bins import DepthBins
from gdfusion_ros.model.interface import Calibration, Frame
from gdfusion_ros.model.runtime.upload import upload
from gdfusion_ros.perception.labels import UNKNOWN
from gdfusion_ros.perception.poses import inverse, product
from gdfusion_ros.perception.types import LidarSweep, Matrix


@dataclass(frozen=True, eq=False)
class RigPoses:
    """Where a camera set was taken, in the fixed frame.

    Attributes:
        fixed_from_volume: (4, 4) the frame that the network's volume lies in.
        fixed_from_camera: (N, 4, 4) each camera at its own stamp.
        history_pose: (4, 4) the vehicle's pose that places the memory of the past (see PosedSet).
    """

    fixed_from_volume: Matrix
    fixed_from_camera: Matrix
    history_pose: Matrix


@dataclass(frozen=True, eq=False)
class PostTransform:
    """Source pixel (u, v, 1) -> pixel of the network's image: (3, 3) rotation and (3,) translation [px]."""

    rotation: Matrix
    translation: Matrix


def make_frame(images: Tensor, intrinsics: Sequence[Matrix], post: Sequence[PostTransform], now: RigPoses,
               before: RigPoses | None, visible: Sequence[bool]) -> Frame:
    """The frame of one camera set; products in float64, the result float32.

    Args:
        images: (N, 3, H, W) as ``preprocess.normalize`` gives them.
        intrinsics: (3, 3) of each source image.
        post: what was done to each image.
        now: where the set was taken.
        before: where the last one of the sequence was; None at its start.
        visible: which cameras have an image.
    """
    before = before or now
    calibration = Calibration(
        intrinsics=_tensor(intrinsics),
        post_rotation=_tensor([transform.rotation for transform in post]),
        post_translation=_tensor([transform.translation for transform in post]),
        volume_from_camera=_tensor(product(inverse(now.fixed_from_volume), now.fixed_from_camera)),
        bda=torch.eye(3),
        visible=torch.tensor(visible))
    return Frame(
        images=images,
        calibration=calibration,
        previous_camera_from_camera=_tensor([
            product(inverse(then), pose)
            for then, pose in zip(before.fixed_from_camera, now.fixed_from_camera, strict=True)]),
        previous_ego_from_ego=_tensor(product(inverse(before.history_pose), now.history_pose)))


def with_lidar_depth(frame: Frame, sweep: LidarSweep, now: RigPoses, bins: DepthBins) -> Frame:
    """The frame with the depth that a sweep gives its images, the way between the sensors' stamps taken into account.

    Args:
        frame: made of ``now``.
        sweep: of about the same time.
        now: where the cameras were.
        bins: of the network: the range that counts.
    """
    return replace(frame, lidar_depth=upload(lidar_depth(frame, sweep, now, bins), frame.images.device))


def lidar_depth(frame: Frame, sweep: LidarSweep, now: RigPoses, bins: DepthBins) -> Tensor:
    """(N, H, W) on the CPU, as in Frame; arguments as above."""
    return depth_maps(*_places(frame, sweep, now), bins)


def lidar_classes(frame: Frame, sweep: LidarSweep, classes: NDArray[np.uint8], now: RigPoses, bins: DepthBins,
                  patch: int) -> Tensor:
    """(N, H / patch, W / patch) uint8 class of the nearest point in each cell of ``patch`` x ``patch`` pixels.

    UNKNOWN where there is none; ``classes`` (n,) are those of the sweep's points, other arguments as above.
    """
    seen = seen_returns(*_places(frame, sweep, now), bins)
    height, width = frame.images.shape[-2:]
    return nearest_classes(seen, torch.from_numpy(classes), (len(frame.images), height, width), patch, UNKNOWN)


def _places(frame: Frame, sweep: LidarSweep, now: RigPoses) -> tuple[Tensor, Tensor, Calibration, tuple[int, int]]:
    """The points, the way from the LiDAR at its stamp to each camera at its own, those cameras, their images' size."""
    camera_from_lidar = _tensor([product(inverse(pose), sweep.fixed_from_lidar) for pose in now.fixed_from_camera])
    height, width = frame.images.shape[-2:]
    return torch.from_numpy(sweep.points), camera_from_lidar, frame.calibration, (height, width)


def _tensor(values: Matrix | Sequence[Matrix]) -> Tensor:
    with np.errstate(over='ignore'):  # infinite then, and the estimator refuses what comes of it
        return torch.from_numpy(np.asarray(values, dtype=np.float32))
