"""From single messages to sets of images with poses: the part of the pipeline that the message callbacks feed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import cast

import numpy as np
from numpy.typing import NDArray

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.perception.cadence import KeyframeSelector
from gdfusion_ros.perception.clouds import CloudQueue
from gdfusion_ros.perception.counters import Counters
from gdfusion_ros.perception.epochs import EpochClock, Jump
from gdfusion_ros.perception.placement import Placement
from gdfusion_ros.perception.preprocess import Preprocessor
from gdfusion_ros.perception.synchronizer import CameraSynchronizer
from gdfusion_ros.perception.transforms import EpochTransforms, TransformTree, Tree
from gdfusion_ros.perception.types import (
    NANOSECONDS,
    CameraImage,
    CameraModel,
    CameraSet,
    LidarCloud,
    Pixels,
    PosedSet,
    StampedTransform,
    nanoseconds,
    stamp_text,
)
from gdfusion_ros.perception.waiting import PatientClock, WaitingSets
from gdfusion_ros.settings import PipelineSettings


class FrameAssembler:
    """Collects images, calibration and transforms, and the LiDAR's clouds if asked, until they make a PosedSet.

    Every method but ``wait`` returns at once and all may be called from any thread: images are decoded in the
    preprocessor's pool, and nothing waits for a transform. ``now`` [s] is the caller's clock, for waiting times only:
    the monotonic clock live, the record time when a bag is read. As long as no waiting time runs out, the sets depend
    on the messages alone, in whatever order they arrive between topics.

    Attributes:
        counters: of what comes and what is lost.
    """

    def __init__(
        self,
        settings: PipelineSettings,
        preprocessor: Preprocessor,
        *,
        make_tree: Callable[[int], Tree] = TransformTree,
        grid_frame: str = '',
        history_stamp: Callable[[int], int | None] | None = None,
        takes_clouds: bool = False,
        counters: Counters | None = None,
    ) -> None:
        """``make_tree`` makes a tree that keeps a span [ns] of transforms.

        ``grid_frame`` of TF is the one that the network's grid lies in: the vehicle's, unless another is named.

        ``history_stamp`` gives the stamp of PosedSet.history_pose for the stamp of a set (the released protocol's
        LiDAR stamp), None where there is none: that set is dropped. Without it, the set's own stamp is taken.

        With ``takes_clouds`` each set is given the LiDAR's points of its time.
        """
        self.counters = counters or Counters(settings.cameras)
        self._settings = settings
        self._preprocessor = preprocessor
        self._clock = EpochClock(nanoseconds(settings.time_jump_back), self._jumped_alone)
        self._transforms = EpochTransforms(
            self._clock, settings.base_frame, partial(make_tree, nanoseconds(settings.tf_history))
        )
        self._synchronizer = CameraSynchronizer(settings, self.counters)
        self._selector = KeyframeSelector(nanoseconds(settings.keyframe_interval))
        self._time = PatientClock()
        self._sets = WaitingSets(
            settings,
            Placement(settings, self._transforms, grid_frame or settings.base_frame, history_stamp),
            CloudQueue(settings, self.counters) if takes_clouds else None,
            self.counters,
            self._time,
        )
        self._condition = threading.Condition()

    @property
    def takes_clouds(self) -> bool:
        """Whether sets are given the LiDAR's points."""
        return self._sets.clouds is not None

    @property
    def generation(self) -> int:
        """How often everything was forgotten; sets of an older one are of the past."""
        return self._sets.generation

    def add_camera_info(self, camera: str, model: CameraModel, now: float) -> None:
        """The calibration of the images of ``camera`` that come from here on, and of all that had none."""
        with self._condition:
            self._time.advance(now)
            self._sets.placement.set_model(camera, model)
            self._place_waiting()

    def add_image(self, camera: str, stamp: int, frame_id: str, load: Callable[[], Pixels], now: float) -> None:
        """An image that ``load`` decodes to (h, w, 3) uint8 RGB; called in another thread, and only if it is needed.

        ``load`` raises GdfusionError for an image that cannot be decoded: its set is then refused by the estimator.

        Raises:
            GdfusionError: the rig has no such camera.
        """
        if camera not in self._settings.cameras:
            raise GdfusionError(
                f"there is no camera '{camera}'; setting 'cameras' has {', '.join(self._settings.cameras)}"
            )
        with self._condition:
            self.counters.image_received(camera, stamp, now)
            self._time.advance(now)
            self._time.image_came()
            epoch = self._clock.observe(('image', camera), stamp, leads=camera == self._settings.reference_camera)
            model = self._sets.placement.model(camera)
            image = CameraImage(camera, epoch, stamp, frame_id, self._preprocessor.image(load), model)
            if self._selector.wants(epoch, stamp + nanoseconds(self._settings.sync_tolerance)):
                image.input.start()
            self._accept(self._synchronizer.add(image))

    def add_cloud(self, stamp: int, frame_id: str, points: NDArray[np.float32], now: float) -> None:
        """A cloud of the LiDAR: (n, 3) float32 ``points`` [m] in ``frame_id``, all finite. Only if ``takes_clouds``."""
        with self._condition:
            self.counters.cloud_received(stamp, now)
            self._time.advance(now)
            epoch = self._clock.observe(('cloud', 'the LiDAR'), stamp, leads=False)
            self._sets.add_cloud(LidarCloud(epoch, stamp, frame_id, points))
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
            if self._time.falls_silent(self._settings.silence_timeout):
                self._accept(self._synchronizer.flush())
            self._place_waiting()

    def flush(self) -> None:
        """Nothing more will come (the bag is at its end): close every set that waits."""
        with self._condition:
            self._accept(self._synchronizer.end())
            self._place_waiting(patient=False)

    def take(self) -> PosedSet | None:
        """The next set, oldest first; None if there is none."""
        with self._condition:
            return self._sets.take()

    def wait(self, timeout: float) -> bool:
        """Block up to ``timeout`` [s] until there is a set to take; whether there is one."""
        with self._condition:
            return self._condition.wait_for(lambda: bool(self._sets), timeout)

    @property
    def queued(self) -> int:
        """How many sets can be taken; with ``lossless`` that grows while they come faster than they are taken."""
        return len(self._sets)

    def clear(self) -> None:
        """Forget all images, sets and timed transforms; calibration and static transforms stay."""
        with self._condition:
            self._clock.clear()
            self._transforms.clear()
            self._synchronizer.clear()
            self._selector = KeyframeSelector(nanoseconds(self._settings.keyframe_interval))
            self._sets.clear()
            self._time.forget_images()

    def _jumped_alone(self, jump: Jump) -> None:
        """Name a stream whose clock is wrong; what it showed with another clock would hide what it shows now."""
        kind, name = cast(tuple[str, str], jump.stream)
        stream, direction = f'{kind}s of {name}', 'ahead' if jump.ahead else 'back'
        self.counters.stream_jumped(
            stream,
            f'the clock of the {stream} jumped {direction} by {abs(jump.after - jump.before) / NANOSECONDS:.3f} s to '
            f'{stamp_text(jump.after)}, and no other: it is wrong',
        )
        if not jump.leaves_newer:
            return
        if kind == 'image':
            self._synchronizer.restart(name)
        elif kind == 'cloud':
            self._sets.forget_clouds()
        elif jump.ahead or not jump.returned:  # else the wrong ones lie in a tree of their own
            self._transforms.forget(name)

    def _accept(self, sets: Sequence[CameraSet]) -> None:
        """Have the key frames among new sets placed."""
        for camera_set in sets:
            if not self._selector.choose(camera_set.epoch, camera_set.stamp):
                self._sets.give_up(camera_set, 'between_keyframes')
                continue
            for image in camera_set.images.values():
                image.input.start()
            self._sets.add(camera_set)
        if sets:
            self._place_waiting()

    def _place_waiting(self, *, patient: bool = True) -> None:
        self._sets.place(patient=patient)
        if self._sets:
            self._condition.notify_all()
