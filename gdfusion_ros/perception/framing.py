"""The network's input from images, calibration and poses (bevdetocc_gf.md §1): where all of its matrices are made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gdfusion_ros.model.geometry.depth_bins import DepthBins
from gdfusion_ros.perception.labels import UNKNOWN
from gdfusion_ros.perception.poses import inverse, product
from gdfusion_ros.perception.types import LidarSweep, Matrix

if TYPE_CHECKING:
    from torch import Tensor

    from gdfusion_ros.model.interface import Calibration, Frame

Floats = NDArray[np.float32]


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


@dataclass(frozen=True, eq=False)
class RigMatrices:
    """All matrices of a frame, float32; as in ``Calibration`` and ``Frame``, whose names they have."""

    intrinsics: Floats
    post_rotation: Floats
    post_translation: Floats
    volume_from_camera: Floats
    visible: NDArray[np.bool_]
    previous_camera_from_camera: Floats
    previous_ego_from_ego: Floats


def rig_matrices(
    intrinsics: Sequence[Matrix],
    post: Sequence[PostTransform],
    now: RigPoses,
    before: RigPoses | None,
    visible: Sequence[bool],
) -> RigMatrices:
    """The matrices of one camera set; products in float64, the result float32.

    Args:
        intrinsics: (3, 3) of each source image.
        post: what was done to each image.
        now: where the set was taken.
        before: where the last one of the sequence was; None at its start.
        visible: which cameras have an image.
    """
    before = before or now
    return RigMatrices(
        intrinsics=_floats(intrinsics),
        post_rotation=_floats([transform.rotation for transform in post]),
        post_translation=_floats([transform.translation for transform in post]),
        volume_from_camera=_floats(product(inverse(now.fixed_from_volume), now.fixed_from_camera)),
        visible=np.array(visible, bool),
        previous_camera_from_camera=_floats(
            [
                product(inverse(then), pose)
                for then, pose in zip(before.fixed_from_camera, now.fixed_from_camera, strict=True)
            ]
        ),
        previous_ego_from_ego=_floats(product(inverse(before.history_pose), now.history_pose)),
    )


def frame_of(images: Tensor, matrices: RigMatrices, lidar_depth: Tensor | None = None) -> Frame:
    """The frame with those images (N, 3, H, W), as ``preprocess.normalize`` gives them; ``lidar_depth`` as in Frame."""
    import torch

    from gdfusion_ros.model.interface import Calibration, Frame

    found = {name: torch.from_numpy(value) for name, value in vars(matrices).items()}
    previous = {name: found.pop(name) for name in list(found) if name.startswith('previous_')}
    return Frame(images, Calibration(**found, bda=torch.eye(3)), **previous, lidar_depth=lidar_depth)


def make_frame(
    images: Tensor,
    intrinsics: Sequence[Matrix],
    post: Sequence[PostTransform],
    now: RigPoses,
    before: RigPoses | None,
    visible: Sequence[bool],
) -> Frame:
    """The frame of one camera set: ``rig_matrices`` and images."""
    return frame_of(images, rig_matrices(intrinsics, post, now, before, visible))


def lidar_depth(frame: Frame, sweep: LidarSweep, now: RigPoses, bins: DepthBins) -> Tensor:
    """The depth that a sweep gives the images of a frame: (N, H, W) on the CPU, as in Frame.

    Args:
        frame: made of ``now``.
        sweep: of about the same time.
        now: where the cameras were.
        bins: of the network: the range that counts.
    """
    from gdfusion_ros.model.depth.lidar import depth_maps

    return depth_maps(*_places(frame, sweep, now), bins)


def lidar_classes(
    frame: Frame, sweep: LidarSweep, classes: NDArray[np.uint8], now: RigPoses, bins: DepthBins, patch: int
) -> Tensor:
    """(N, H / patch, W / patch) uint8 class of the nearest point in each cell of ``patch`` x ``patch`` pixels.

    UNKNOWN where there is none; ``classes`` (n,) are those of the sweep's points, other arguments as above.
    """
    import torch

    from gdfusion_ros.model.depth.lidar import nearest_classes, seen_returns

    seen = seen_returns(*_places(frame, sweep, now), bins)
    height, width = frame.images.shape[-2:]
    return nearest_classes(seen, torch.from_numpy(classes), (len(frame.images), height, width), patch, UNKNOWN)


def _places(frame: Frame, sweep: LidarSweep, now: RigPoses) -> tuple[Tensor, Tensor, Calibration, tuple[int, int]]:
    """The points, the way from the LiDAR at its stamp to each camera at its own, those cameras, their images' size."""
    import torch

    height, width = frame.images.shape[-2:]
    camera_from_lidar = _floats([product(inverse(pose), sweep.fixed_from_lidar) for pose in now.fixed_from_camera])
    return torch.from_numpy(sweep.points), torch.from_numpy(camera_from_lidar), frame.calibration, (height, width)


def _floats(values: Matrix | Sequence[Matrix]) -> Floats:
    with np.errstate(over='ignore'):  # infinite then, and the estimator refuses what comes of it
        return np.asarray(values, dtype=np.float32)
