"""From single messages to sets of images with poses: the part of the pipeline that the message callbacks feed."""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import cast

import numpy as np
from numpy.typing import NDArray

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.perception.cadence import KeyframeSelector
from gdfusion_ros.perception.clouds import CloudQueue
from gdfusion_ros.perception.counters import Counters
from gdfusion_ros.perception.epochs import EpochClock, Jump
from gdfusion_ros.perception.placement import Placement, UnplacedError
from gdfusion_ros.perception.preprocess import Preprocessor
from gdfusion_ros.perception.synchronizer import CameraSynchronizer
from gdfusion_ros.perception.transforms import EpochTransforms, TransformTree, Tree
from gdfusion_ros.perception.types import (
    NANOSECONDS,
    CameraImage,
    CameraModel,
    CameraSet,
    LidarCloud,
    LidarSweep,
    Pixels,
    PosedSet,
    StampedTransform,
    nanoseconds,
    stamp_text,
)
from gdfusion_ros.settings import PipelineSettings

_LONGEST_STEP = 0.2
"""A longer pause between two calls counts as this long [s]."""


class _PatientClock:
    """Time for waiting: it stands still while the callers do.

    When a busy process comes back to its callbacks, a timer may call before the messages that have arrived meanwhile
    are handed over. Nothing may be given up then for lack of a message that is already there.

    Attributes:
        now: the time of the present call, on the callers' clock [s].
        elapsed: the time that was waited so far [s].
    """

    def __init__(self) -> None:
        """It begins at 0."""
        self.now = 0.0
        self.elapsed = 0.0
        self._latest = 0.0

    def advance(self, now: float) -> None:
        """A call at ``now`` [s]; it may be for a message that arrived before the call that was handed over last."""
        self.elapsed += min(max(now - self._latest, 0.0), _LONGEST_STEP)
        self._latest = max(self._latest, now)
        self.now = now


@dataclass(frozen=True, eq=False)
class _WaitingSet:
    """A set that waits for calibration and transforms.

    Attributes:
        completed: when it was completed, on the callers' clock [s].
        deadline: when it is dropped, on the patient one [s].
        cloud_deadline: when its cloud is given up, on that one [s].
    """

    camera_set: CameraSet
    completed: float
    deadline: float
    cloud_deadline: float


class FrameAssembler:
    """Collects images, calibration and transforms, and the LiDAR's clouds if asked, until they make a PosedSet.

    Every method but ``wait`` returns at once and all may be called from any thread: images are decoded in the
    preprocessor's pool, and nothing waits for a transform. ``now`` [s] is the caller's clock, for waiting times only:
    the monotonic clock live, the record time when a bag is read. As long as no waiting time runs out, the sets depend
    on the messages alone, in whatever order they arrive between topics.

    Attributes:
        counters: of what comes and what is lost.
        generation: how often everything was forgotten; sets of an older one are of the past.
        takes_clouds: whether sets are given the LiDAR's points.
    """

    def __init__(self, settings: PipelineSettings, preprocessor: Preprocessor, *,
                 make_tree: Callable[[int], Tree] = TransformTree,
                 grid_frame: str = '', history_stamp: Callable[[int], int | None] | None = None,
                 takes_clouds: bool = False, counters: Counters | None = None) -> None:
        """``make_tree`` makes a tree that keeps a span [ns] of transforms.

        ``grid_frame`` of TF is the one that the network's grid lies in: the vehicle's, unless another is named.

        ``history_stamp`` gives the stamp of PosedSet.history_pose for the stamp of a set (the released protocol's
        LiDAR stamp), None where there is none: that set is dropped. Without it, the set's own stamp is taken.

        With ``takes_clouds`` each set is given the LiDAR's points of its time.
        """
        self.takes_clouds = takes_clouds
        self.counters = counters or Counters(settings.cameras)
        self.generation = 0
        self._settings = settings
        self._preprocessor = preprocessor
        self._clock = EpochClock(nanoseconds(settings.time_jump_back), self._jumped_alone)
        self._transforms = EpochTransforms(self._clock, settings.base_frame,
                                           partial(make_tree, nanoseconds(settings.tf_history)))
        self._placement = Placement(settings, self._transforms, grid_frame or settings.base_frame, history_stamp)
        self._synchronizer = CameraSynchronizer(settings, self.counters)
        self._clouds = CloudQueue(settings, self.counters)
        self._selector = KeyframeSelector(nanoseconds(settings.keyframe_interval))
        self._waiting: deque[_WaitingSet] = deque()
        self._ready: deque[PosedSet] = deque()
        self._time = _PatientClock()
        self._last_image = math.inf
        self._condition = threading.Condition()

    def add_camera_info(self, camera: str, model: CameraModel, now: float) -> None:
        """The calibration of ``camera``, from here on."""
        with self._condition:
            self._time.advance(now)
            self._placement.set_model(camera, model)
            self._place_waiting()

    def add_image(self, camera: str, stamp: int, frame_id: str, load: Callable[[], Pixels], now: float) -> None:
        """An image that ``load`` decodes to (h, w, 3) uint8 RGB; called in another thread, and only if it is needed.

        ``load`` raises GdfusionError for an image that cannot be decoded: its set is then refused by the estimator.

        Raises:
            GdfusionError: the rig has no such camera.
        """
        if camera not in self._settings.cameras:
            raise GdfusionError(f"there is no camera '{camera}'; setting 'cameras' has "
                                f'{", ".join(self._settings.cameras)}')
        with self._condition:
            self.counters.image_received(camera, stamp, now)
            self._time.advance(now)
            self._last_image = self._time.elapsed
            epoch = self._clock.observe(('image', camera), stamp,
                                        leads=camera == self._settings.reference_camera)
            image = CameraImage(camera, epoch, stamp, frame_id, self._preprocessor.image(load))
            if self._selector.wants(epoch, stamp + nanoseconds(self._settings.sync_tolerance)):
                image.input.start()
            self._accept(self._synchronizer.add(image))

    def add_cloud(self, stamp: int, frame_id: str, points: NDArray[np.float32], now: float) -> None:
        """A cloud of the LiDAR: (n, 3) float32 ``points`` [m] in ``frame_id``, all finite. Only if ``takes_clouds``."""
        with self._condition:
            self.counters.cloud_received(stamp, now)
            self._time.advance(now)
            epoch = self._clock.observe(('cloud', 'the LiDAR'), stamp, leads=False)
            self._clouds.add(LidarCloud(epoch, stamp, frame_id, points))
            self._place_waiting()

    def add_transforms(self, transforms: Iterable[StampedTransform], now: float, *, static: bool) -> None:
        """Transforms of /tf, or of /tf_static with ``static``."""
        with self._condition:
            self._time.advance(now)
            for transform in transforms:
                if static:
                    self._transforms.set_static(transform)
                else:
                    self._transforms.set(transform)
            self._place_waiting()

    def poll(self, now: float) -> None:
        """Let waiting times run out, and look again for transforms; call it ten times a second."""
        with self._condition:
            self._time.advance(now)
            if self._last_image + self._settings.silence_timeout <= self._time.elapsed:
                self._last_image = math.inf
                self._accept(self._synchronizer.flush())
            self._place_waiting()

    def flush(self) -> None:
        """Nothing more will come (the bag is at its end): close every set that waits."""
        with self._condition:
            self._accept(self._synchronizer.flush())
            self._place_waiting(patient=False)

    def take(self) -> PosedSet | None:
        """The next set, oldest first; None if there is none."""
        with self._condition:
            return self._ready.popleft() if self._ready else None

    def wait(self, timeout: float) -> bool:
        """Block up to ``timeout`` [s] until there is a set to take; whether there is one."""
        with self._condition:
            return self._condition.wait_for(lambda: bool(self._ready), timeout)

    @property
    def queued(self) -> int:
        """How many sets can be taken; with ``lossless`` that grows while they come faster than they are taken."""
        return len(self._ready)

    def clear(self) -> None:
        """Forget all images, sets and timed transforms; calibration and static transforms stay."""
        with self._condition:
            self.generation += 1
            self._clock.clear()
            self._transforms.clear()
            self._synchronizer.clear()
            self._selector = KeyframeSelector(nanoseconds(self._settings.keyframe_interval))
            self._placement.clear()
            self._clouds.clear()
            self._waiting.clear()
            self._ready.clear()
            self._last_image = math.inf

    def _jumped_alone(self, jump: Jump) -> None:
        """Name a stream whose clock is wrong; what it showed with another clock would hide what it shows now."""
        kind, name = cast(tuple[str, str], jump.stream)
        stream, direction = f'{kind}s of {name}', 'ahead' if jump.ahead else 'back'
        self.counters.stream_jumped(
            stream, f'the clock of the {stream} jumped {direction} by '
            f'{abs(jump.after - jump.before) / NANOSECONDS:.3f} s to '
            f'{stamp_text(jump.after)}, and no other: it is wrong')
        if jump.leads or jump.ahead:
            return
        if kind == 'image':
            self._synchronizer.restart(name)
        elif kind == 'cloud':
            self._clouds.clear()
        else:
            self._transforms.forget(name)

    def _accept(self, sets: Sequence[CameraSet]) -> None:
        """Have the key frames among new sets placed."""
        for camera_set in sets:
            if not self._selector.choose(camera_set.epoch, camera_set.stamp):
                self._give_up(camera_set, 'between_keyframes')
                continue
            for image in camera_set.images.values():
                image.input.start()
            deadline = self._time.elapsed + self._settings.tf_timeout
            patience = self._settings.tf_timeout if self._settings.lossless else self._settings.lidar_patience
            self._waiting.append(_WaitingSet(camera_set, self._time.now, deadline, self._time.elapsed + patience))
        if sets:
            self._place_waiting()

    def _place_waiting(self, *, patient: bool = True) -> None:
        """Place the oldest sets as far as that can be done; drop those that have waited too long."""
        while self._waiting:
            waiting = self._waiting[0]
            may_wait = patient and self._time.elapsed < waiting.deadline
            try:
                posed = self._pose(waiting, may_wait=may_wait)
            except UnplacedError as error:
                if may_wait and error.may_heal:
                    return
                self._give_up(waiting.camera_set, error.reason,
                              f'set at {stamp_text(waiting.camera_set.stamp)}: {error}')
            else:
                self._make_ready(posed)
            self._waiting.popleft()

    def _make_ready(self, posed: PosedSet) -> None:
        while self._ready and not self._settings.lossless:
            self._give_up(self._ready.popleft().camera_set, 'superseded')
        self._ready.append(posed)
        self._condition.notify_all()

    def _give_up(self, camera_set: CameraSet, reason: str, detail: str = '') -> None:
        for image in camera_set.images.values():
            image.input.cancel()
        self.counters.set_dropped(reason, detail)

    def _pose(self, waiting: _WaitingSet, *, may_wait: bool) -> PosedSet:
        cameras, grid, history = self._placement.place(waiting.camera_set)
        sweep = self._sweep(waiting, may_wait=may_wait) if self.takes_clouds else None
        return PosedSet(waiting.camera_set, cameras, grid, history, waiting.completed,
                        max(waiting.completed, self._time.now), self.generation, sweep)

    def _sweep(self, waiting: _WaitingSet, *, may_wait: bool) -> LidarSweep | None:
        """What the LiDAR measured at the time of a set; None where ``missing_lidar`` lets it go without."""
        patient = may_wait and self._time.elapsed < waiting.cloud_deadline
        try:
            return self._placement.place_cloud(self._clouds.match(waiting.camera_set, patient=patient))
        except UnplacedError as error:
            if may_wait and error.may_heal:
                raise
            self.counters.cloud_missing(f'set at {stamp_text(waiting.camera_set.stamp)}: {error}')
            if self._settings.missing_lidar == 'skip':
                raise
            return None
