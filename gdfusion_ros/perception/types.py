"""What flows through the perception core: camera models, images, camera sets, semantic grids.

Stamps are integers in nanoseconds since the epoch of the sensors' clock, as in ``builtin_interfaces/Time``.
Transforms are (4, 4) float64 matrices; ``target_from_source`` maps a point of the source frame into the target frame.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gdfusion_ros.perception.labels import LabelSet

Matrix = NDArray[np.float64]
Pixels = NDArray[np.uint8]

NANOSECONDS = 1_000_000_000


@dataclass(frozen=True, eq=False)
class CameraModel:
    """A rectified pinhole camera: image size [px] and the (3, 3) intrinsic matrix K of the full image [px]."""

    width: int
    height: int
    intrinsics: Matrix


@dataclass(frozen=True, eq=False)
class CameraImage:
    """One image on its way to the network.

    ``pixels`` is the network's (H, W, 3) uint8 RGB input image, made in the background from the full image as soon as
    it arrives (see preprocess.py); asking it for its result raises GdfusionError where the image cannot be decoded.
    """

    camera: str
    stamp: int
    frame_id: str
    model: CameraModel
    pixels: Future[Pixels]


@dataclass(frozen=True, eq=False)
class CameraSet:
    """Images of one instant, one a camera.

    ``stamp`` is the reference camera's. ``images`` has the rig's order; a camera in ``masked`` is absent from it, one
    in ``held`` is there with its last image. ``epoch`` counts how often the stream's time has jumped back.
    """

    stamp: int
    epoch: int
    images: Mapping[str, CameraImage]
    held: tuple[str, ...] = ()
    masked: tuple[str, ...] = ()

    @property
    def spread(self) -> int:
        """Latest minus earliest stamp of the images [ns]."""
        stamps = [image.stamp for image in self.images.values()]
        return max(stamps) - min(stamps)


@dataclass(frozen=True, eq=False)
class SemanticGrid:
    """A voxel grid of classes in the ego frame at ``stamp`` (the reference camera's).

    ``labels`` and ``confidence`` are (X, Y, Z) uint8, index [x][y][z], laid out in memory with x fastest (Fortran
    order), which is the order of SemanticOccupancyGrid.labels. ``origin`` is the minimum corner of voxel (0, 0, 0)
    and ``voxel_size`` the edge lengths, both [m] along x, y, z.
    """

    stamp: int
    frame_id: str
    origin: tuple[float, float, float]
    voxel_size: tuple[float, float, float]
    labels: NDArray[np.uint8]
    confidence: NDArray[np.uint8] | None
    label_set: LabelSet
    model: str
    frames_since_reset: int
    cameras: tuple[str, ...]
    stamp_spread: int
