"""Sets of images that belong together, by a reference camera and a tolerance."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from gdfusion_ros.perception.cadence import Cadence
from gdfusion_ros.perception.counters import Counters
from gdfusion_ros.perception.types import NANOSECONDS, CameraImage, CameraSet, nanoseconds, stamp_text
from gdfusion_ros.settings import PipelineSettings


class _Key(NamedTuple):
    """The order of images: all of a later epoch come after all of an earlier one."""

    epoch: int
    stamp: int


class _Window(NamedTuple):
    """Where the images of one reference image's set may lie, ``first`` and ``last`` included."""

    reference: _Key
    first: _Key
    last: _Key


@dataclass
class _Track:
    """One camera's stream.

    Attributes:
        waiting: images that no set has used or passed over yet.
        newest: key of the newest image.
        epoch_start: stamp of the first image in the newest one's epoch.
        last: the newest image that is not waiting any more.
        missed: end of the window of the last set that was closed without this camera.
    """

    waiting: deque[CameraImage] = field(default_factory=deque)
    newest: _Key | None = None
    epoch_start: int = 0
    last: CameraImage | None = None
    missed: _Key | None = None

    def append(self, image: CameraImage) -> None:
        if self.newest is None or self.newest.epoch != image.epoch:
            self.epoch_start = image.stamp
        self.newest = _key(image)
        self.waiting.append(image)

    def pop(self) -> CameraImage:
        self.last = self.waiting.popleft()
        return self.last

    def time_past(self, key: _Key) -> int:
        """How far the stream has run on past ``key`` [ns]; in a newer epoch, how far it has run in that one."""
        if self.newest is None:
            return 0
        return self.newest.stamp - (key.stamp if self.newest.epoch == key.epoch else self.epoch_start)


class CameraSynchronizer:
    """Makes camera sets of single images.

    Every image of the reference camera, at t, opens a set. Each other camera gives the first of its images from t less
    the tolerance (or half the reference camera's period, if that is shorter) to t plus the tolerance. A camera is
    missing in the set when it has shown an image later than that, when all cameras that are there have run on by
    ``sync_patience`` (not if ``lossless``), when a queue is full, or when the owner knows that nothing will come
    (``flush``). What then happens, ``missing_camera`` decides.

    The sets come out in order, and but for patience and full queues they depend on each camera's images alone, not on
    how the cameras' images arrive among each other. Images are ordered by (epoch, stamp), so at the seam of a bag's
    loop nothing is lost and nothing mixed. Not thread-safe: the owner locks.
    """

    def __init__(self, settings: PipelineSettings, counters: Counters) -> None:
        """``counters`` learn what becomes of every image and set."""
        self._settings = settings
        self._counters = counters
        self._tolerance = nanoseconds(settings.sync_tolerance)
        self._patience = None if settings.lossless else nanoseconds(settings.sync_patience)
        self.clear()

    def clear(self) -> None:
        """Forget all images."""
        self._tracks = {camera: _Track() for camera in self._settings.cameras}
        self._reference = self._tracks[self._settings.reference_camera]
        self._cadence = Cadence()
        self._open: _Window | None = None

    def restart(self, camera: str) -> None:
        """Forget the images of one camera: its clock has jumped, and what it shows next is not older than they."""
        track = self._tracks[camera]
        while track.waiting:
            self._drop(track.pop(), 'clock_jump')
        track.newest = track.last = None

    def add(self, image: CameraImage) -> list[CameraSet]:
        """Take the next image of a camera; the sets that are thereby made."""
        track = self._tracks[image.camera]
        if track.newest is not None and _key(image) <= track.newest:
            self._drop(image, 'duplicate' if _key(image) == track.newest else 'out_of_order')
            return []
        track.append(image)
        sets = self._advance()
        while len(track.waiting) > self._settings.queue_size:
            if self._reference.waiting:
                sets += self._advance(forced=1, full=True)
            else:
                self._drop(track.pop(), 'queue_full')
        return sets

    def flush(self) -> list[CameraSet]:
        """Close all sets that wait for an image."""
        return self._advance(forced=len(self._reference.waiting))

    def end(self) -> list[CameraSet]:
        """Nothing more will come: close all sets; the images that are left over go into none."""
        sets = self.flush()
        for track in self._tracks.values():
            while track.waiting:
                self._drop(track.pop(), 'unmatched')
        return sets

    def _advance(self, forced: int = 0, *, full: bool = False) -> list[CameraSet]:
        """Close the oldest sets as far as they are decided, and ``forced`` ones that are not (a queue is ``full``)."""
        sets = []
        while self._reference.waiting:
            window = self._open = self._open or self._next_window()
            images = self._match(window)
            decided = self._is_decided(window, images)
            if not decided:
                if forced == 0:
                    break
                forced -= 1
            made = self._close(window, images, full=full and not decided)
            if made is not None:
                sets.append(made)
        return sets

    def _next_window(self) -> _Window:
        reference = _key(self._reference.waiting[0])
        self._cadence.observe(*reference)
        half = self._cadence.half_period()
        before = self._tolerance if half is None else min(self._tolerance, half)
        return _Window(
            reference,
            _Key(reference.epoch, reference.stamp - before),
            _Key(reference.epoch, reference.stamp + self._tolerance),
        )

    def _match(self, window: _Window) -> dict[str, CameraImage]:
        """The images of the window's set so far; what is older is passed over."""
        images = {self._settings.reference_camera: self._reference.waiting[0]}
        for camera, track in self._tracks.items():
            if track is self._reference:
                continue
            while track.waiting and _key(track.waiting[0]) < window.first:
                image = track.pop()
                late = track.missed is not None and _key(image) <= track.missed
                self._drop(image, 'late' if late else 'unmatched')
            if track.waiting and _key(track.waiting[0]) <= window.last:
                images[camera] = track.waiting[0]
        return images

    def _is_decided(self, window: _Window, images: Mapping[str, CameraImage]) -> bool:
        if all(camera in images or track.waiting for camera, track in self._tracks.items()):
            return True
        return self._patience is not None and all(
            self._tracks[camera].time_past(window.reference) >= self._patience for camera in images
        )

    def _close(self, window: _Window, images: Mapping[str, CameraImage], *, full: bool) -> CameraSet | None:
        """End the oldest set: with the images that there are, by the policy of ``missing_camera``, or not at all."""
        self._open = None
        policy = self._settings.missing_camera
        missing = [camera for camera in self._tracks if camera not in images]
        found = dict(images)
        for camera in missing:
            self._counters.camera_missing(camera)
            self._tracks[camera].missed = window.last
            held = self._held(camera, window) if policy == 'hold' else None
            if held is not None:
                found[camera] = held
        detail = '' if not missing else self._describe(window, missing, full=full)
        for camera in images:
            self._tracks[camera].pop()
        if len(found) < len(self._tracks) and policy != 'mask':
            for image in images.values():
                self._drop(image, 'incomplete')
            self._counters.set_dropped('incomplete', detail)
            return None
        self._counters.set_made()
        return CameraSet(
            window.reference.stamp,
            window.reference.epoch,
            {camera: found[camera] for camera in self._tracks if camera in found},
            held=tuple(camera for camera in missing if camera in found),
            masked=tuple(camera for camera in missing if camera not in found),
        )

    def _held(self, camera: str, window: _Window) -> CameraImage | None:
        last = self._tracks[camera].last
        if last is None or last.epoch != window.reference.epoch:
            return None
        return last if window.reference.stamp - last.stamp <= nanoseconds(self._settings.max_hold) else None

    def _describe(self, window: _Window, missing: list[str], *, full: bool) -> str:
        """Which images a set lacks, and how far off the nearest ones are."""
        stamp = window.reference.stamp
        parts = []
        for camera in missing:
            track = self._tracks[camera]
            near = [
                image.stamp - stamp
                for image in (track.last, *list(track.waiting)[:1])
                if image is not None and image.epoch == window.reference.epoch
            ]
            offset = f'{min(near, key=abs) / NANOSECONDS:+.3f} s' if near else 'none'
            parts.append(f'{camera} (nearest: {offset})')
        late = f', and no more than queue_size ({self._settings.queue_size}) images wait for one' if full else ''
        return (
            f'set at {stamp_text(stamp)}: no image within {self._settings.sync_tolerance} s of '
            f'{self._settings.reference_camera} from {", ".join(parts)}{late}; sync_tolerance and missing_camera say '
            'what is done about it'
        )

    def _drop(self, image: CameraImage, reason: str) -> None:
        image.input.cancel()
        self._counters.image_dropped(image.camera, reason)


def _key(image: CameraImage) -> _Key:
    return _Key(image.epoch, image.stamp)
