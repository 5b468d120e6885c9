"""Where the cameras of a set were: calibration and transforms make a CameraSet a PosedSet."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from gdfusion_ros.perception.poses import distance_between, product, turn_between
from gdfusion_ros.perception.transforms import EpochTransforms, TransformError
from gdfusion_ros.perception.types import (
    NANOSECONDS,
    CameraImage,
    CameraModel,
    CameraSet,
    GridPlace,
    LidarCloud,
    LidarSweep,
    Matrix,
    PosedCamera,
)
from gdfusion_ros.settings import PipelineSettings

_CORRECTION = 0.5
"""So far a localisation may correct itself between two images beside what the vehicle drives [m]."""

_FARTHEST_MOUNTING = 100.0
"""No camera lies farther from its vehicle [m]; millimetres that were taken for metres do."""

_STEEPEST = math.sin(math.radians(60))
"""No camera of a vehicle looks up more steeply; one whose frame has x forward and z up, as bodies have, seems to."""

_ON_ITS_HEAD = 0.5
"""Nor does what is below stand above in its image, as where z of the vehicle's frame points down: by how much."""


class UnplacedError(Exception):
    """A set cannot be placed yet (``may_heal``) or at all; ``reason`` is what it is counted by."""

    def __init__(self, reason: str, detail: str, *, may_heal: bool) -> None:
        """``detail`` is one line for people."""
        super().__init__(detail)
        self.reason = reason
        self.may_heal = may_heal


class Placement:
    """Knows the cameras' calibration and asks for poses. Not thread-safe: the owner locks.

    A masked camera is placed where it was last, or where the reference camera is if it was never there.
    """

    def __init__(
        self,
        settings: PipelineSettings,
        transforms: EpochTransforms,
        grid_frame: str,
        history_stamp: Callable[[int], int | None] | None,
    ) -> None:
        """``grid_frame`` of TF, ``history_stamp``: see FrameAssembler."""
        self._settings, self._transforms, self._grid_frame = settings, transforms, grid_frame
        self._history_stamp = history_stamp or (lambda stamp: stamp)
        self._models: dict[str, CameraModel] = {}
        self._placed: dict[str, PosedCamera] = {}

    def set_model(self, camera: str, model: CameraModel) -> None:
        """The calibration of ``camera``, from here on."""
        self._models[camera] = model

    def model(self, camera: str) -> CameraModel | None:
        """The calibration of ``camera`` now, if it is known."""
        return self._models.get(camera)

    def clear(self) -> None:
        """Forget where the cameras were; calibration stays."""
        self._placed.clear()

    def place(self, camera_set: CameraSet) -> tuple[dict[str, PosedCamera], GridPlace, Matrix]:
        """Every camera of the rig, where the grid lies, and PosedSet.history_pose.

        Raises:
            UnplacedError: calibration or a pose is missing, or the poses jump within the set.
        """
        pose = self._ego_pose(camera_set.stamp, camera_set.epoch)
        grid, history = self._grid_and_history(camera_set, pose)
        placed = {camera: self._place_camera(image) for camera, image in camera_set.images.items()}
        self._refuse_jump(camera_set, placed, pose)
        self._placed.update(placed)
        for camera in camera_set.masked:
            known = self._placed.get(camera, placed[self._settings.reference_camera])
            placed[camera] = PosedCamera(known.model, known.ego_from_camera, pose)
        return {camera: placed[camera] for camera in self._settings.cameras}, grid, history

    def place_cloud(self, cloud: LidarCloud) -> LidarSweep:
        """A cloud where the LiDAR was at its stamp.

        Raises:
            UnplacedError: a pose is missing.
        """
        pose = self._lookup(self._settings.fixed_frame, cloud.frame_id, cloud.stamp, cloud.epoch)
        return LidarSweep(cloud.points, pose)

    def _place_camera(self, image: CameraImage) -> PosedCamera:
        model = image.model or self._models.get(image.camera)
        if model is None:
            raise UnplacedError(
                'camera_info',
                f"no camera info of {image.camera}; its topic is the setting 'camera_info_topic'",
                may_heal=True,
            )
        mounting = self._lookup(self._settings.base_frame, image.frame_id, image.stamp, image.epoch)
        if (distance := distance_between(np.eye(4), mounting)) > _FARTHEST_MOUNTING:
            raise UnplacedError(
                'mounting',
                f"{image.camera} lies {distance:.3g} m from '{self._settings.base_frame}': "
                f"its frame '{image.frame_id}' is not on the vehicle, or not in metres",
                may_heal=False,
            )
        _, down, ahead = mounting[2, :3]
        if ahead > _STEEPEST or down > _ON_ITS_HEAD:
            axis, would = ('z', 'look at the sky') if ahead > _STEEPEST else ('y', 'stand on its head')
            raise UnplacedError(
                'mounting',
                f"{image.camera} would {would}: {axis} of its frame '{image.frame_id}' points up in "
                f"'{self._settings.base_frame}'. An image needs the optical frame of its camera (z forward, y down), "
                'and base_frame z up; turn the images of a camera that hangs upside down, and its frame',
                may_heal=False,
            )
        return PosedCamera(model, mounting, self._ego_pose(image.stamp, image.epoch))

    def _refuse_jump(self, camera_set: CameraSet, placed: Mapping[str, PosedCamera], pose: Matrix) -> None:
        """What no vehicle does between two images of a set is a jump of its localisation."""
        for camera, place in placed.items():
            time = abs(camera_set.images[camera].stamp - camera_set.stamp) / NANOSECONDS
            distance = distance_between(pose, place.fixed_from_ego)
            turn = math.degrees(turn_between(pose, place.fixed_from_ego))
            if distance > self._settings.max_ego_speed * time + _CORRECTION or turn > self._settings.max_ego_turn:
                raise UnplacedError(
                    'ego_jump',
                    f"the pose of '{self._settings.base_frame}' in '{self._settings.fixed_frame}' jumps by "
                    f'{distance:.1f} m and {turn:.0f} degrees in the {time:.3f} s between {camera} and '
                    f'{self._settings.reference_camera} (max_ego_speed, max_ego_turn)',
                    may_heal=False,
                )

    def _grid_and_history(self, camera_set: CameraSet, pose: Matrix) -> tuple[GridPlace, Matrix]:
        """The vehicle carries the grid at the set's stamp, a LiDAR at the stamp of the history's pose."""
        stamp = self._history_stamp(camera_set.stamp)
        if stamp is None:
            raise UnplacedError('history_pose', 'no stamp of a history pose belongs to it', may_heal=False)
        history = pose if stamp == camera_set.stamp else self._ego_pose(stamp, camera_set.epoch)
        base = self._settings.base_frame
        if self._grid_frame == base:
            return GridPlace(base, camera_set.stamp, pose), history
        mounting = self._lookup(base, self._grid_frame, stamp, camera_set.epoch)
        return GridPlace(self._grid_frame, stamp, product(history, mounting), float(mounting[2, 3])), history

    def _ego_pose(self, stamp: int, epoch: int) -> Matrix:
        return self._lookup(self._settings.fixed_frame, self._settings.base_frame, stamp, epoch)

    def _lookup(self, target: str, source: str, stamp: int, epoch: int) -> Matrix:
        try:
            return self._transforms.lookup(target, source, stamp, epoch)
        except TransformError as error:
            raise UnplacedError('transform', str(error), may_heal=error.may_heal) from error
