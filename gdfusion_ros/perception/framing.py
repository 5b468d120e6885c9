"""The network's input from images, calibration and poses (bevdetocc_gf.md §1): where all of its matrices are made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gdfusion_ros.perception.poses import inverse, product
from gdfusion_ros.perception.types import Matrix

if TYPE_CHECKING:
    from torch import Tensor

    from gdfusion_ros.model.interface import Frame

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


def frame_of(images: Tensor, matrices: RigMatrices) -> Frame:
    """The frame with those images (N, 3, H, W), as ``preprocess.normalize`` gives them."""
    import torch

    from gdfusion_ros.model.interface import Calibration, Frame

    found = {name: torch.from_numpy(value) for name, value in vars(matrices).items()}
    previous = {name: found.pop(name) for name in list(found) if name.startswith('previous_')}
    return Frame(images, Calibration(**found, bda=torch.eye(3)), **previous)


def _floats(values: Matrix | Sequence[Matrix]) -> Floats:
    with np.errstate(over='ignore'):  # infinite then, and the estimator refuses what comes of it
        return np.asarray(values, dtype=np.float32)
