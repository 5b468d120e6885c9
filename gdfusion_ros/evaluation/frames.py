"""Key frames with labels, and how the vehicle moved between them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from gdfusion_ros.datasets.labels import LIDAR
from gdfusion_ros.perception.labels import LabelSet
from gdfusion_ros.perception.poses import inverse, product
from gdfusion_ros.perception.transforms import TransformTree
from gdfusion_ros.perception.types import Matrix, SemanticGrid

FrameAt = tuple[str, int]
"""A TF frame at a stamp [ns]."""


@dataclass(frozen=True, eq=False)
class Drive:
    """A scene.

    Attributes:
        token: of the scene; empty where it is not known. Names do not tell: all made datasets use the same.
        stamps: the LiDAR's at all key frames [ns], in time order.
        transforms: of the vehicle, its LiDAR and the fixed frame, over the whole scene.
        fixed_frame: TF frame in which the vehicle moves.
    """

    token: str
    stamps: tuple[int, ...]
    transforms: TransformTree
    fixed_frame: str

    def motion(self, target: FrameAt, source: FrameAt) -> Matrix:
        """(4, 4) target_from_source of two frames, each at its own stamp.

        Raises:
            TransformError: one of them is not known at its stamp.
        """
        return product(inverse(self._fixed_from(*target)), self._fixed_from(*source))

    def lidar_places(self, frame_id: str, stamp: int) -> NDArray[np.float64]:
        """(n, 3) places of the LiDAR at all key frames, in the frame ``frame_id`` at ``stamp`` [ns].

        Raises:
            TransformError: the frame or the LiDAR is not known at one of the stamps.
        """
        return product(self._lidar_in_fixed, inverse(self._fixed_from(frame_id, stamp)).T)[:, :3]

    @cached_property
    def _lidar_in_fixed(self) -> NDArray[np.float64]:
        """(n, 4) homogeneous places of the LiDAR in the fixed frame."""
        return np.stack([self._fixed_from(LIDAR, stamp)[:, 3] for stamp in self.stamps])

    def _fixed_from(self, frame_id: str, stamp: int) -> Matrix:
        return self.transforms.lookup(self.fixed_frame, frame_id, stamp)


@dataclass(frozen=True, eq=False)
class KeyFrame:
    """A key frame with labels.

    Attributes:
        token: of the nuScenes sample; empty where it is not known.
        stamp: the LiDAR's [ns], which is that of the labels.
        camera_stamp: the reference camera's [ns], which is that of predictions; None where it is not known.
        drive: the scene that it is from.
        read: gives the labels, with the camera mask as confidence 255 or 0 where there is one; raises GdfusionError
            where they are not in order.
    """

    token: str
    stamp: int
    camera_stamp: int | None
    drive: Drive
    read: Callable[[], SemanticGrid]


@dataclass(frozen=True, eq=False)
class Truth:
    """The key frames that have labels of one label set, and how many have none."""

    label_set: LabelSet
    frames: tuple[KeyFrame, ...]
    unlabelled: int
