"""What flows through the perception core: camera models, images, camera sets, transforms, semantic grids.

Stamps are integers in nanoseconds since the epoch of the sensors' clock, as in ``builtin_interfaces/Time``.
Transforms are (4, 4) float64 matrices; ``target_from_source`` maps a point of the source frame into the target frame.
Whenever the stamps of a stream jump back (a bag loops) its epoch counts up; (epoch, stamp) orders what a stream shows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from gdfusion_ros.perception.labels import UNKNOWN, LabelSet

if TYPE_CHECKING:
    from gdfusion_ros.perception.visibility import Visibility

Matrix = NDArray[np.float64]
Pixels = NDArray[np.uint8]

NANOSECONDS = 1_000_000_000


def nanoseconds(seconds: float) -> int:
    """Seconds as a whole number of nanoseconds."""
    return round(seconds * NANOSECONDS)


def stamp_text(stamp: int) -> str:
    """A stamp as people read it: seconds with nine decimals."""
    seconds, rest = divmod(stamp, NANOSECONDS)
    return f'{seconds}.{rest:09d}'


class StampedTransform(NamedTuple):
    """A rigid transform of TF: a point of ``child`` is rotated, then translated into ``parent``.

    ``translation`` is (x, y, z) [m], ``rotation`` the unit quaternion (x, y, z, w).
    """

    parent: str
    child: str
    stamp: int
    translation: tuple[float, float, float]
    rotation: tuple[float, float, float, float]


@dataclass(frozen=True, eq=False)
class CameraModel:
    """A rectified pinhole camera: image size [px] and the (3, 3) intrinsic matrix K of the full image [px]."""

    width: int
    height: int
    intrinsics: Matrix


@dataclass(frozen=True, eq=False)
class InputImage:
    """The network's (H, W, 3) uint8 RGB input image, and (width, height) of the full image it was made of [px]."""

    pixels: Pixels
    source: tuple[int, int]


class PendingImage(Protocol):
    """An input image that is made in the background (see preprocess.py)."""

    def start(self) -> None:
        """Begin the work, if it has not begun."""

    def cancel(self) -> None:
        """Give up work that has not begun; ``start`` or ``result`` take it up again."""

    def result(self) -> InputImage:
        """The image, as soon as it is there; raises GdfusionError where it cannot be decoded."""


@dataclass(frozen=True, eq=False)
class CameraImage:
    """One image on its way to the network. ``frame_id`` is the camera's optical frame.

    ``model`` is the calibration that was known when it came; None: the first that comes after it.
    """

    camera: str
    epoch: int
    stamp: int
    frame_id: str
    input: PendingImage
    model: CameraModel | None = None


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
class PosedCamera:
    """Where a camera was when it took its image.

    Attributes:
        model: the camera's intrinsics.
        ego_from_camera: (4, 4) its mounting (S of bevdetocc_gf.md §1), optical frame -> base frame.
        fixed_from_ego: (4, 4) the vehicle's pose at the image's stamp (E of bevdetocc_gf.md §1).
    """

    model: CameraModel
    ego_from_camera: Matrix
    fixed_from_ego: Matrix


@dataclass(frozen=True, eq=False)
class LidarCloud:
    """One cloud of the LiDAR: (n, 3) float32 ``points`` [m] in its frame ``frame_id``, all finite."""

    epoch: int
    stamp: int
    frame_id: str
    points: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class LidarSweep:
    """Where the points of a cloud were measured.

    Attributes:
        points: (n, 3) float32 in the LiDAR's frame [m].
        fixed_from_lidar: (4, 4) the LiDAR's pose at the cloud's own stamp.
    """

    points: NDArray[np.float32]
    fixed_from_lidar: Matrix


@dataclass(frozen=True, eq=False)
class GridPlace:
    """The frame that a grid lies in, at one instant.

    Attributes:
        frame_id: of TF: the vehicle's, or the LiDAR's.
        stamp: when; the set's, but for the released protocol, which takes the LiDAR at its own stamp.
        fixed_from_grid: (4, 4) its pose then.
        height: of its origin above the vehicle's [m].
    """

    frame_id: str
    stamp: int
    fixed_from_grid: Matrix
    height: float = 0.0


@dataclass(frozen=True, eq=False)
class PosedSet:
    """A camera set with the poses that place it: all that the network needs of one instant.

    Attributes:
        camera_set: the images.
        cameras: one entry for each camera of the rig, in its order, the masked ones too (see FrameAssembler).
        grid: where the grid lies.
        history_pose: (4, 4) the vehicle's pose that places the memory of the past; the same but for the released
            protocol, which takes it at the LiDAR's stamp (bevdetocc_gf.md §12).
        sweep: what the LiDAR measured; None where the network does not ask, or goes without.
        completed: when the set's last image arrived, or a missing one was given up [s].
        placed: when the last of its transforms had arrived [s]. Both are on the clock of FrameAssembler's caller.
        generation: FrameAssembler.generation when it was made.
    """

    camera_set: CameraSet
    cameras: Mapping[str, PosedCamera]
    grid: GridPlace
    history_pose: Matrix
    completed: float
    placed: float
    generation: int = 0
    sweep: LidarSweep | None = None


@dataclass(frozen=True, eq=False)
class GridPose:
    """Where a grid lies in the TF frame ``fixed_frame`` that the vehicle drives in: (4, 4) ``fixed_from_grid``."""

    fixed_frame: str
    fixed_from_grid: Matrix


@dataclass(frozen=True, eq=False)
class SemanticGrid:
    """A voxel grid of classes in the frame ``frame_id`` at ``stamp`` (see GridPlace).

    ``labels`` and ``confidence`` are (X, Y, Z) uint8, index ``[x][y][z]``, laid out in memory with x fastest (Fortran
    order), which is the order of SemanticOccupancyGrid.labels. ``origin`` is the minimum corner of voxel (0, 0, 0)
    and ``voxel_size`` the edge lengths, both [m] along x, y, z. ``height`` is that of the frame's origin above the
    vehicle's [m]. ``visibility`` and ``pose`` are known of grids that were just computed, not of those in messages. The
    others are as in the message; ``stamp_spread`` is in nanoseconds.
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
    height: float = 0.0
    visibility: Visibility | None = None
    pose: GridPose | None = None

    @classmethod
    def of_labels(
        cls,
        stamp: int,
        frame_id: str,
        labels: NDArray[np.uint8],
        label_set: LabelSet,
        source: str,
        confidence: NDArray[np.uint8] | None = None,
    ) -> SemanticGrid:
        """A grid that no camera set stands behind, on the voxels of its label set.

        Args:
            stamp: of the grid [ns].
            frame_id: its TF frame.
            labels: (X, Y, Z), in any memory order.
            label_set: what they mean.
            source: who says so, instead of a model.
            confidence: (X, Y, Z), in any memory order.
        """
        return cls(
            stamp=stamp,
            frame_id=frame_id,
            origin=label_set.grid.lower,
            voxel_size=label_set.grid.voxel_size,
            labels=np.asfortranarray(labels),
            confidence=None if confidence is None else np.asfortranarray(confidence),
            label_set=label_set,
            model=source,
            frames_since_reset=0,
            cameras=(),
            stamp_spread=0,
        )

    @property
    def observed(self) -> NDArray[np.bool_]:
        """(X, Y, Z) whether a camera saw a voxel; where nobody knows, whether its label is another than UNKNOWN."""
        return self.labels != UNKNOWN if self.visibility is None else self.visibility.observed

    @property
    def occupied(self) -> NDArray[np.bool_]:
        """(X, Y, Z) whether a voxel is neither free nor unknown."""
        chosen: NDArray[np.bool_] = (self.labels != self.label_set.free) & (self.labels != UNKNOWN)
        return chosen
