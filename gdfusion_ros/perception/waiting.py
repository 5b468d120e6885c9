"""Sets of images that wait for calibration, transforms and the LiDAR's cloud, until they have their place."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

from gdfusion_ros.perception.clouds import CloudQueue
from gdfusion_ros.perception.counters import Counters
from gdfusion_ros.perception.placement import Placement, UnplacedError
from gdfusion_ros.perception.types import CameraSet, LidarCloud, LidarSweep, PosedSet, stamp_text
from gdfusion_ros.settings import PipelineSettings

_LONGEST_STEP = 0.2
"""A longer pause between two calls counts as this long [s]."""


class PatientClock:
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
        self._last_image = math.inf

    def advance(self, now: float) -> None:
        """A call at ``now`` [s]; it may be for a message that arrived before the call that was handed over last."""
        self.elapsed += min(max(now - self._latest, 0.0), _LONGEST_STEP)
        self._latest = max(self._latest, now)
        self.now = now

    def image_came(self) -> None:
        """An image was handed over in the present call."""
        self._last_image = self.elapsed

    def falls_silent(self, timeout: float) -> bool:
        """Whether no image has come for ``timeout`` [s]; said once, and again after another image."""
        silent = self._last_image + timeout <= self.elapsed
        if silent:
            self.forget_images()
        return silent

    def forget_images(self) -> None:
        """None has come."""
        self._last_image = math.inf


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


class WaitingSets:
    """Gives sets their poses, oldest first, and drops what waits too long. Not thread-safe: the owner locks.

    Attributes:
        generation: how often everything was forgotten; sets of an older one are of the past.
        placement: where sensors are and were.
        clouds: of the LiDAR; None where sets are not given its points.
    """

    def __init__(
        self,
        settings: PipelineSettings,
        placement: Placement,
        clouds: CloudQueue | None,
        counters: Counters,
        clock: PatientClock,
    ) -> None:
        """``counters`` learn which sets are dropped; ``clock`` is that of the waiting times."""
        self.generation = 0
        self.placement, self.clouds = placement, clouds
        self._settings, self._counters, self._clock = settings, counters, clock
        self._waiting: deque[_WaitingSet] = deque()
        self._ready: deque[PosedSet] = deque()

    def __len__(self) -> int:
        """How many can be taken."""
        return len(self._ready)

    def add(self, camera_set: CameraSet) -> None:
        """A set waits from now on."""
        elapsed, patience = self._clock.elapsed, self._settings.tf_timeout
        for_clouds = patience if self._settings.lossless else self._settings.lidar_patience
        self._waiting.append(_WaitingSet(camera_set, self._clock.now, elapsed + patience, elapsed + for_clouds))

    def add_cloud(self, cloud: LidarCloud) -> None:
        """A cloud that sets may take."""
        assert self.clouds is not None, 'nobody asked for clouds'
        self.clouds.add(cloud)

    def take(self) -> PosedSet | None:
        """The next set, oldest first; None if there is none."""
        return self._ready.popleft() if self._ready else None

    def place(self, *, patient: bool = True) -> None:
        """Place the oldest sets as far as that can be done; drop those that have waited too long."""
        while self._waiting:
            waiting = self._waiting[0]
            may_wait = patient and self._clock.elapsed < waiting.deadline
            try:
                posed = self._pose(waiting, may_wait=may_wait)
            except UnplacedError as error:
                if may_wait and error.may_heal:
                    return
                in_vain = patient and error.may_heal
                waited = f'; waited {self._settings.tf_timeout:g} s for it (tf_timeout)' if in_vain else ''
                detail = f'set at {stamp_text(waiting.camera_set.stamp)}: {error}{waited}'
                self.give_up(waiting.camera_set, error.reason, detail)
            else:
                self._make_ready(posed)
            self._waiting.popleft()

    def give_up(self, camera_set: CameraSet, reason: str, detail: str = '') -> None:
        """A set comes to nothing, for that reason; ``detail`` is one line for people."""
        for image in camera_set.images.values():
            image.input.cancel()
        self._counters.set_dropped(reason, detail)

    def forget_clouds(self) -> None:
        """Those that have come belong to no set."""
        if self.clouds is not None:
            self.clouds.clear()

    def clear(self) -> None:
        """Forget all sets and clouds."""
        self.generation += 1
        self.placement.clear()
        self.forget_clouds()
        self._waiting.clear()
        self._ready.clear()

    def _make_ready(self, posed: PosedSet) -> None:
        while self._ready and not self._settings.lossless:
            self.give_up(self._ready.popleft().camera_set, 'superseded')
        self._ready.append(posed)

    def _pose(self, waiting: _WaitingSet, *, may_wait: bool) -> PosedSet:
        cameras, grid, history = self.placement.place(waiting.camera_set)
        sweep = None if self.clouds is None else self._sweep(waiting, self.clouds, may_wait=may_wait)
        return PosedSet(
            waiting.camera_set,
            cameras,
            grid,
            history,
            waiting.completed,
            max(waiting.completed, self._clock.now),
            self.generation,
            sweep,
        )

    def _sweep(self, waiting: _WaitingSet, clouds: CloudQueue, *, may_wait: bool) -> LidarSweep | None:
        """What the LiDAR measured at the time of a set; None where ``missing_lidar`` lets it go without."""
        patient = may_wait and self._clock.elapsed < waiting.cloud_deadline
        try:
            return self.placement.place_cloud(clouds.match(waiting.camera_set, patient=patient))
        except UnplacedError as error:
            if may_wait and error.may_heal:
                raise
            self._counters.cloud_missing(f'set at {stamp_text(waiting.camera_set.stamp)}: {error}')
            if self._settings.missing_lidar == 'skip':
                raise
            return None
