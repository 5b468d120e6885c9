"""Whether sensors, sets, grids and memory are as they should be, judged by counts: what /diagnostics says of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from gdfusion_ros.perception.counters import Counts, StreamCounts
from gdfusion_ros.perception.types import NANOSECONDS, stamp_text
from gdfusion_ros.settings import NodeSettings, PipelineSettings, TopicSettings

OK, WARN, ERROR = range(3)
"""Levels, numbered as in diagnostic_msgs/DiagnosticStatus."""


class Status(NamedTuple):
    """One entry of diagnostics: what it is of, its level (0 ok, 1 warning, 2 error, 3 stale), what it says."""

    name: str
    level: int
    message: str
    values: Mapping[str, str]


class Moment(NamedTuple):
    """An instant.

    Attributes:
        time: on the monotonic clock, as arrivals are [s].
        stamp: on the clock that stamps are compared with [ns].
        pace: seconds of that clock in a second, since the last moment; 0 while it stands still.
    """

    time: float
    stamp: int
    pace: float


class Warned(NamedTuple):
    """A line for the log. ``matter`` tells repetitions."""

    matter: str
    text: str


@dataclass(frozen=True)
class Expected:
    """What is expected of the inputs.

    Attributes:
        image_topics: by camera.
        lidar_topic: of the clouds; None where the network looks at none.
        missing_camera, missing_lidar: what becomes of a set without one, as in PipelineSettings.
        silence: for how long a sensor may send nothing [s], on the clock of stamps.
        idle: for how long no grid may come though images do [s].
    """

    image_topics: Mapping[str, str]
    lidar_topic: str | None
    missing_camera: str
    missing_lidar: str
    silence: float
    idle: float

    @staticmethod
    def by(pipeline: PipelineSettings, topics: TopicSettings, node: NodeSettings, *, lidar: bool) -> Expected:
        """What the settings say; ``lidar``: the network looks at clouds."""
        return Expected(
            {name: topics.image(name) for name in pipeline.cameras},
            topics.lidar_topic if lidar else None,
            pipeline.missing_camera,
            pipeline.missing_lidar,
            node.camera_timeout,
            node.grid_timeout,
        )


@dataclass(frozen=True)
class _Span:
    """From the last look to this one.

    Attributes:
        counts, now: at its end.
        before, length: the counts at its begin, and how long it is [s].
        begin: since when images are expected, or no longer are [s].
        active: whether they are.
    """

    counts: Counts
    now: Moment
    before: Counts
    length: float
    begin: float
    active: bool


class Health:
    """Looks at the counts from time to time; levels are about what came since the last look."""

    def __init__(self, expected: Expected, counts: Counts, time: float) -> None:
        """Begin at ``time`` [s], as in Moment; no images are expected yet."""
        self._expected = expected
        self._counts, self._time = counts, time
        self._active, self._begin = False, time
        self._at_grid, self._grid_time = counts, time
        self._nothing_comes = False

    def activate(self, counts: Counts, time: float, *, active: bool) -> None:
        """Images are expected from ``time`` [s] on, or no longer."""
        self._active, self._at_grid = active, counts
        self._begin = self._grid_time = time

    def look(self, counts: Counts, now: Moment, queued: int) -> tuple[list[Status], list[Warned]]:
        """What is so now, and what of it is worth a line in the log; ``queued`` sets wait for the network."""
        span = _Span(counts, now, self._counts, now.time - self._time, self._begin, self._active)
        self._counts, self._time = counts, now.time
        cameras = [self._camera(name, span) for name in counts.cameras]
        clouds = [] if self._expected.lidar_topic is None else [self._lidar(self._expected.lidar_topic, span)]
        grids = self._grids(span)
        statuses = [*cameras, *clouds, _inputs(span), _sets(span, queued), grids, _memory(span)]
        return statuses, [*self._silence(cameras, now), *_losses(span, grids)]

    def _camera(self, name: str, span: _Span) -> Status:
        level = ERROR if self._expected.missing_camera == 'skip' else WARN
        level, said = self._stream('image', self._expected.image_topics[name], span.counts.cameras[name], level, span)
        return Status(name, level, said, _values(span.counts.cameras[name], span.before.cameras[name], span))

    def _lidar(self, topic: str, span: _Span) -> Status:
        """The LiDAR's clouds; that sets go without one is named even where clouds arrive."""
        counts, before, policy = span.counts.lidar, span.before.lidar, self._expected.missing_lidar
        worst = ERROR if policy == 'skip' else WARN
        level, said = self._stream('cloud', topic, counts, worst, span)
        if missing := counts.missing - before.missing:
            level = max(level, worst)
            said += f'; sets without a cloud: {missing} (missing_lidar: {policy})'
        return Status('lidar', level, said, _values(counts, before, span))

    def _stream(self, what: str, topic: str, counts: StreamCounts, worst: int, span: _Span) -> tuple[int, str]:
        """How bad it is that nothing comes on ``topic``, ``worst`` where it is, and what is said of it."""
        age = span.now.time - max(span.begin, counts.last_arrival or 0.0)
        still = span.now.time - max(span.begin, counts.last_change or 0.0)
        longest = self._longest_silence(span.now)
        if not span.active or max(age, still) <= longest:
            return OK, 'receiving' if span.active else 'not active'
        if counts.last_stamp is None:
            said = f'no {what} yet, for {age:.1f} s'
        elif age > longest:
            said = f'silent for {age:.1f} s' + ('' if span.now.pace else ', while /clock stands still')
        else:
            stamp = stamp_text(counts.last_stamp)
            said = f'{what}s arrive, but their stamp stands still at {stamp} for {still:.1f} s'
        return worst, f'{said}, on {topic}'

    def _longest_silence(self, now: Moment) -> float:
        """For how long nothing may come [s].

        While /clock stands still, all that is known is that nothing comes; otherwise time is that of the images.
        """
        return self._expected.silence / (now.pace or 1.0)

    def _silence(self, cameras: Sequence[Status], now: Moment) -> list[Warned]:
        """Name the cameras that do not deliver; when none does, the source as a whole is what is missing.

        That is said once: a bag that has ended, or was paused, is no news. The statuses go on to say it.
        """
        silent = [camera for camera in cameras if camera.level != OK]
        known, self._nothing_comes = self._nothing_comes, len(silent) == len(cameras)
        if self._nothing_comes and not known:
            stale = any('stamp' in camera.message for camera in cameras)
            why = '' if now.pace else ': /clock stands still, the bag has ended or is paused'
            return [Warned('silence', f'no camera delivers {"new " if stale else ""}images{why}')]
        if silent and not self._nothing_comes:
            said = '; '.join(f'{camera.name}: {camera.message}' for camera in silent)
            return [Warned('silence', f'{said} (missing_camera: {self._expected.missing_camera})')]
        return []

    def _grids(self, span: _Span) -> Status:
        """A watchdog: where images arrive, grids are to come of them. A pause in which none came does not count."""
        counts, now = span.counts, span.now
        arrivals = [camera.last_arrival for camera in counts.cameras.values() if camera.last_arrival is not None]
        arriving = bool(arrivals) and now.time - max(arrivals) <= self._longest_silence(now)
        if counts.grids != self._at_grid.grids or not arriving:
            self._at_grid, self._grid_time = counts, now.time
        idle = now.time - self._grid_time
        values = {'made': str(counts.grids), 'without a grid for [s]': f'{idle:.1f}'}
        if not span.active or idle <= self._expected.idle:
            return Status('grids', OK, 'as images allow' if span.active else 'not active', values)
        return _no_grid(counts, self._at_grid, idle, values)


def _values(counts: StreamCounts, before: StreamCounts, span: _Span) -> dict[str, str]:
    """The numbers of a sensor's stream."""
    arrival, stamp = counts.last_arrival, counts.last_stamp
    return {
        'rate [Hz]': f'{(counts.received - before.received) / span.length:.2f}',
        'received': str(counts.received),
        'age by arrival [s]': 'none' if arrival is None else f'{span.now.time - arrival:.2f}',
        'age by stamp [s]': 'none' if stamp is None else f'{(span.now.stamp - stamp) / NANOSECONDS:.2f}',
        'sets without it': str(counts.missing),
        **_reasons('dropped', counts.dropped),
    }


def _inputs(span: _Span) -> Status:
    """What is wrong with messages: with those that are taken; what was refused, which clocks jumped of late."""
    counts, before = span.counts, span.before
    fresh = (counts.refused - before.refused) + (counts.jumps - before.jumps)
    wrong = [*counts.remarks.values(), *(counts.last[name] for name in fresh)]
    values = {
        **_reasons('refused', counts.refused),
        **_reasons('jumps of the clock', counts.jumps),
        **{f'last: {name}': line for name, line in counts.last.items()},
        **{f'remark: {topic}': line for topic, line in counts.remarks.items()},
    }
    return Status('inputs', WARN if wrong else OK, '; '.join(wrong) or 'nothing is refused', values)


def _sets(span: _Span, queued: int) -> Status:
    counts = span.counts
    values = {
        'made': str(counts.sets),
        'queued': str(queued),
        'grids': str(counts.grids),
        **_reasons('dropped', counts.sets_dropped),
        **_reasons('refused', counts.frames_refused),
    }
    fresh = _fresh_drop(span)
    return Status('sets', WARN if fresh else OK, fresh or 'no losses', values)


def _memory(span: _Span) -> Status:
    resets = span.counts.resets - span.before.resets
    said = 'reset: ' + ', '.join(resets) if resets else 'kept'
    values = {'resets': str(span.counts.resets.total()), **_reasons('reset', span.counts.resets)}
    return Status('recurrent memory', OK, said, values)


def _losses(span: _Span, grids: Status) -> list[Warned]:
    """What the log says of sets, grids and memory. Sets that were refused are in it already."""
    warnings = []
    if (fresh := _fresh_drop(span)) and span.counts.frames_refused == span.before.frames_refused:
        warnings.append(Warned('set dropped', fresh))
    if grids.level != OK:
        warnings.append(Warned('no grid', grids.message))
    if span.counts.resets - span.before.resets:
        warnings.append(Warned('memory', span.counts.last_reset))
    return warnings


def _fresh_drop(span: _Span) -> str:
    return span.counts.last_drop if span.counts.last_drop != span.before.last_drop else ''


def _no_grid(counts: Counts, since: Counts, idle: float, values: Mapping[str, str]) -> Status:
    """That no grid came for ``idle`` seconds, and what became of the images and sets ``since`` then."""
    images = {name: camera.received - since.cameras[name].received for name, camera in counts.cameras.items()}
    lost: dict[str, str] = {}
    for name, camera in counts.cameras.items():
        lost |= _reasons(f'dropped from {name}', camera.dropped - since.cameras[name].dropped)
    lost |= _reasons('sets dropped', counts.sets_dropped - since.sets_dropped)
    lost |= _reasons('sets refused', counts.frames_refused - since.frames_refused)
    lost |= _reasons('messages refused', counts.refused - since.refused)
    reasons = ', '.join(f'{what}: {count}' for what, count in lost.items()) or 'nothing was dropped'
    came = {f'images of {name} since': str(count) for name, count in images.items()}
    return Status(
        'grids',
        ERROR,
        f'no grid for {idle:.1f} s though images arrive: {sum(images.values())} images, '
        f'{counts.sets - since.sets} sets; {reasons}',
        {**values, **came, **lost},
    )


def _reasons(what: str, counts: Counter[str]) -> dict[str, str]:
    return {f'{what}: {reason}': str(count) for reason, count in sorted(counts.items())}
