"""From sets of images with poses to semantic grids: owns the network's state and the rules of its reset."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import numpy as np

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.perception.counters import Counters
from gdfusion_ros.perception.framing import PostTransform, RigMatrices, RigPoses, rig_matrices
from gdfusion_ros.perception.image_size import require_size
from gdfusion_ros.perception.labels import LABEL_SETS
from gdfusion_ros.perception.poses import distance_between, inverse, product, turn_between
from gdfusion_ros.perception.preprocess import ResizeCrop
from gdfusion_ros.perception.runners import Network, OutOfDeviceMemoryError, Remembered, Seen, runner_of
from gdfusion_ros.perception.types import GridPose, Matrix, Pixels, PosedSet, SemanticGrid, nanoseconds, stamp_text
from gdfusion_ros.perception.visibility import CameraView, Visibility, only_observed
from gdfusion_ros.settings import PipelineSettings

PoseProtocol = Literal['live', 'released']


@dataclass(frozen=True, eq=False)
class _Place:
    """When and where a set was taken."""

    epoch: int
    stamp: int
    poses: RigPoses


class OccupancyEstimator:
    """Runs the network on one PosedSet after the other. ``process`` belongs to one thread.

    The memory is reset when the epoch changes ('time_jump'), the time since the last frame is longer than
    ``max_frame_gap`` ('frame_gap'), the vehicle has moved by more than ``max_ego_jump`` ('ego_jump') or turned by
    more than ``max_ego_turn`` since ('ego_turn'), it would no longer be finite ('not_finite'), an error that nobody
    expected leaves it in doubt ('error'), and by ``reset``.

    Attributes:
        latency: seconds that the last frame spent in each stage: 'pixels' (waiting for images that are not decoded
            yet), 'frame' (matrices, normalisation), 'network', 'grid' (to the CPU, in the message's order).
    """

    def __init__(
        self,
        network: Network,
        settings: PipelineSettings,
        *,
        protocol: PoseProtocol = 'live',
        counters: Counters | None = None,
    ) -> None:
        """``network`` is made by ``gdfusion_ros.model.runtime.backends.load_backend``.

        ``protocol``: 'live' computes with the poses in float64; 'released' rounds the cameras' to float32 first, as
        the authors' data is (bevdetocc_gf.md §1). Both give float32 at the end.

        Raises:
            GdfusionError: the network needs another number of cameras than the settings name.
        """
        network.spec.require_cameras(settings.cameras)
        self.latency: dict[str, float] = {}
        self._network = network
        self._runner = runner_of(network)
        self._settings = settings
        self._pose_type = np.float32 if protocol == 'released' else np.float64
        self._counters = counters or Counters(settings.cameras)
        self._previous: _Place | None = None
        self._frames = 0
        self._lock = threading.Lock()
        self._requested: tuple[str, int] | None = None

    @property
    def memory(self) -> Remembered | None:
        """What is remembered of the sequence, in the form of whatever computes it; None where that is nothing."""
        remembered: Remembered | None = self._runner.state
        return remembered

    def process(self, posed: PosedSet) -> SemanticGrid:
        """The grid of one set.

        Raises:
            GdfusionError: an image cannot be decoded or has another size than its camera info says, or the GPU is out
                of memory. That set is refused and counted; the memory stays as it was.
            GdfusionError: the new memory is not finite. That set is refused and counted, and the memory is reset; it is
                after every error that nobody expected, too (see faults.py).
        """
        self.latency.clear()
        try:
            return self._process(posed)
        except GdfusionError:
            raise
        except Exception:
            self._forget('error', f'set at {stamp_text(posed.camera_set.stamp)}: an error that nobody expected')
            raise

    def _process(self, posed: PosedSet) -> SemanticGrid:
        with self._stage('pixels'):
            pixels = self._pixels(posed)
        with self._refusal_out_of_memory(posed):
            with self._stage('frame'):
                place = self._place(posed)
                self._forget_if_due(place, posed.generation)
                lidar = None if posed.sweep is None else (posed.sweep, place.poses)
                frame = self._runner.frame(pixels, self._matrices(posed, place.poses), lidar)
            with self._stage('network'):
                seen, state = self._runner.see(frame)
                self._require_finite(posed, state)
            with self._stage('grid'):
                grid = self._grid(posed, seen)
        self._runner.state, self._previous = state, place
        self._frames += 1
        self._counters.grid_made()
        return grid

    def reset(self, reason: str, generation: int) -> None:
        """Forget the past: the next set of at least this ``generation`` (see PosedSet) is a first one.

        May be called from any thread, while a set of the past is being computed; counted by ``reason``.
        """
        with self._lock:
            self._requested = reason, generation

    @contextmanager
    def _stage(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.latency[name] = time.perf_counter() - start

    @contextmanager
    def _refusal_out_of_memory(self, posed: PosedSet) -> Iterator[None]:
        try:
            yield
        except OutOfDeviceMemoryError as error:
            detail = (
                f'set at {stamp_text(posed.camera_set.stamp)}: {self._network.device} is out of memory; '
                'free it, or run a smaller model'
            )
            self._counters.frame_refused('gpu_memory', detail)
            raise GdfusionError(detail) from error

    def _require_finite(self, posed: PosedSet, state: Remembered) -> None:
        """Refuse a set that would spoil the memory for ever: what is not a number never gets out of it again."""
        if state.is_finite():
            return
        detail = (
            f'set at {stamp_text(posed.camera_set.stamp)}: the memory would no longer be finite; look at the '
            'calibration and the poses of this set'
        )
        self._counters.frame_refused('not_finite', detail)
        self._forget('not_finite', detail)
        raise GdfusionError(detail)

    def _forget(self, reason: str, detail: str) -> None:
        self._runner.state, self._previous, self._frames = None, None, 0
        self._counters.memory_reset(reason, detail)

    def _pixels(self, posed: PosedSet) -> list[Pixels]:
        """(H, W, 3) uint8 RGB of each camera of the rig, black where it is masked."""
        height, width = self._network.spec.image_size
        pixels = []
        for camera, place in posed.cameras.items():
            image = posed.camera_set.images.get(camera)
            if image is None:
                pixels.append(np.zeros((height, width, 3), np.uint8))
                continue
            try:
                ready = image.input.result()
            except GdfusionError as error:
                self._counters.frame_refused('image', str(error))
                raise
            try:
                require_size(ready.source, (place.model.width, place.model.height))
            except GdfusionError as error:
                detail = f'{camera} at {stamp_text(image.stamp)}: {error}'
                self._counters.frame_refused('image', detail)
                raise GdfusionError(detail) from error
            pixels.append(ready.pixels)
        return pixels

    def _place(self, posed: PosedSet) -> _Place:
        def rounded(pose: Matrix) -> Matrix:
            return pose.astype(self._pose_type).astype(np.float64)

        cameras = [
            product(rounded(place.fixed_from_ego), rounded(place.ego_from_camera)) for place in posed.cameras.values()
        ]
        poses = RigPoses(rounded(posed.grid.fixed_from_grid), np.stack(cameras), posed.history_pose)
        return _Place(posed.camera_set.epoch, posed.camera_set.stamp, poses)

    def _forget_if_due(self, place: _Place, generation: int) -> None:
        reason = ''
        with self._lock:
            if self._requested is not None and generation >= self._requested[1]:
                reason, self._requested = self._requested[0], None
        if not reason and self._previous is not None:
            reason = self._break(self._previous, place)
        if reason:
            self._forget(reason, f'memory starts anew with the set at {stamp_text(place.stamp)}: {reason}')

    def _break(self, previous: _Place, place: _Place) -> str:
        """Why ``place`` does not continue ``previous``; empty if it does."""
        if place.epoch != previous.epoch:
            return 'time_jump'
        if place.stamp - previous.stamp > nanoseconds(self._settings.max_frame_gap):
            return 'frame_gap'
        poses = previous.poses.history_pose, place.poses.history_pose
        if distance_between(*poses) > self._settings.max_ego_jump:
            return 'ego_jump'
        return 'ego_turn' if math.degrees(turn_between(*poses)) > self._settings.max_ego_turn else ''

    def _matrices(self, posed: PosedSet, poses: RigPoses) -> RigMatrices:
        """Of the network's input."""
        height, width = self._network.spec.image_size
        models = [place.model for place in posed.cameras.values()]
        crops = [ResizeCrop((model.width, model.height), (width, height)) for model in models]
        return rig_matrices(
            [model.intrinsics for model in models],
            [PostTransform(crop.post_rotation(), crop.post_translation()) for crop in crops],
            poses,
            None if self._previous is None else self._previous.poses,
            [camera in posed.camera_set.images for camera in posed.cameras],
        )

    def _grid(self, posed: PosedSet, seen: Seen) -> SemanticGrid:
        voxels, label_set = self._network.spec.predicted_grid, LABEL_SETS[self._network.spec.label_set]
        labels = seen.labels()
        grid = SemanticGrid(
            stamp=posed.grid.stamp,
            frame_id=posed.grid.frame_id,
            origin=voxels.lower,
            voxel_size=voxels.voxel_size,
            labels=labels,
            confidence=seen.confidence() if self._settings.confidence else None,
            label_set=label_set,
            model=self._network.title,
            frames_since_reset=self._frames + 1,
            cameras=tuple(posed.camera_set.images),
            stamp_spread=posed.camera_set.spread,
            height=posed.grid.height,
            visibility=Visibility(labels != label_set.free, voxels, _views(posed)),
            pose=GridPose(self._settings.fixed_frame, posed.grid.fixed_from_grid),
        )
        return only_observed(grid) if self._settings.unobserved == 'unknown' else grid


def _views(posed: PosedSet) -> list[CameraView]:
    """What the images of a set show; a masked camera has none."""
    grid_from_fixed = inverse(posed.grid.fixed_from_grid)
    places = [posed.cameras[camera] for camera in posed.camera_set.images]
    return [
        CameraView(
            product(grid_from_fixed, place.fixed_from_ego, place.ego_from_camera),
            place.model.intrinsics,
            place.model.width,
            place.model.height,
        )
        for place in places
    ]
