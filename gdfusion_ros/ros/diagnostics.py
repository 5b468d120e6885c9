"""What the node tells of itself on /diagnostics."""

from __future__ import annotations

import os
import queue
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.clock import Clock, ROSClock
from rclpy.clock_type import ClockType
from rclpy.node import Node

from gdfusion_ros.errors import LONGEST
from gdfusion_ros.messages.diagnostics import DIAGNOSTICS_TOPIC, Status
from gdfusion_ros.messages.diagnostics import statuses as plain
from gdfusion_ros.names import printable
from gdfusion_ros.perception.assembler import FrameAssembler
from gdfusion_ros.perception.counters import Counts, StreamCounts
from gdfusion_ros.perception.types import NANOSECONDS, stamp_text
from gdfusion_ros.ros import qos
from gdfusion_ros.ros.log import Log
from gdfusion_ros.ros.pace import Pace
from gdfusion_ros.ros.parameters import Settings
from gdfusion_ros.ros.timing import STAGES

if TYPE_CHECKING:
    import torch

OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR


@dataclass(frozen=True)
class NetworkFacts:
    """What is known of the network that runs: its title, whether it is untrained, where it runs."""

    title: str
    untrained: bool
    device: torch.device | str


class _Stream(NamedTuple):
    """A sensor's stream: its name, what comes on which topic, and how bad it is when nothing does."""

    name: str
    what: str
    topic: str
    level: bytes


@dataclass
class _Watch:
    """What it was like before, to tell what is new.

    Attributes:
        counts, time: at the last message, and when that was [s].
        begin: since when images are expected, or no longer are [s].
        at_grid, grid_time: the counts when a grid was seen last, or images came again, and when that was [s].
        pace, clock_pace: of the node's clock, and what it was at the last look.
        active: whether images are expected.
        nothing_comes: whether no camera delivered.
    """

    counts: Counts
    time: float
    begin: float
    at_grid: Counts
    grid_time: float
    pace: Pace
    clock_pace: float = 1.0
    active: bool = False
    nothing_comes: bool = False

    @staticmethod
    def begun(counts: Counts, clock: ROSClock) -> _Watch:
        """From now on, nothing was before."""
        now = time.monotonic()
        return _Watch(counts, now, now, counts, now, Pace(clock, now))

    def look(self, now: float) -> None:
        """See how fast the node's time goes by."""
        self.clock_pace = self.pace.look(now)

    def activate(self, counts: Counts, *, active: bool) -> None:
        """Images are expected from now on, or no longer."""
        self.active, self.at_grid = active, counts
        self.begin = self.grid_time = time.monotonic()


class Diagnostics:
    """Publishes the counts, and names what is wrong: a silent camera, sets that come to nothing, missing transforms.

    Everything is counted since the node was configured; rates and levels are those of the time since the last message.

    Attributes:
        statuses: What was published last.
    """

    def __init__(
        self, node: Node, settings: Settings, network: NetworkFacts, assembler: FrameAssembler, log: Log
    ) -> None:
        """Create the publisher and the timer."""
        self._node, self._settings, self._network = node, settings, network
        self._assembler, self._log = assembler, log
        self._watch = _Watch.begun(assembler.counters.snapshot(), node.get_clock())
        self._frames: queue.SimpleQueue[Mapping[str, float]] = queue.SimpleQueue()
        self.statuses: tuple[Status, ...] = ()
        self._publisher = node.create_publisher(DiagnosticArray, DIAGNOSTICS_TOPIC, qos.events())
        self._timer = node.create_timer(
            settings.node.diagnostics_period, self._publish, clock=Clock(clock_type=ClockType.STEADY_TIME)
        )

    def activate(self, *, active: bool) -> None:
        """Images are expected from now on, or no longer."""
        self._watch.activate(self._assembler.counters.snapshot(), active=active)

    def frame_done(self, stages: Mapping[str, float]) -> None:
        """A frame took these seconds in STAGES. Called by the worker."""
        self._frames.put(stages)

    def summary(self) -> str:
        """What was done since the node was configured, in one line."""
        counts = self._assembler.counters.snapshot()
        losses = ', '.join(f'{count} {reason}' for reason, count in sorted(counts.lost.items()))
        return (
            f'{counts.images} images, {counts.sets} sets, {counts.grids} grids; sets without a grid: {losses or "none"}'
        )

    def destroy(self) -> None:
        """Take publisher and timer away."""
        self._node.destroy_timer(self._timer)
        self._node.destroy_publisher(self._publisher)

    def _publish(self) -> None:
        now, counts = time.monotonic(), self._assembler.counters.snapshot()
        self._watch.look(now)
        frames = [self._frames.get() for _ in range(self._frames.qsize())]
        cameras = [self._camera(name, counts, now) for name in counts.cameras]
        self._log_silence(dict(zip(counts.cameras, cameras, strict=True)))
        clouds = [self._lidar(counts, now)] if self._assembler.takes_clouds else []
        statuses = [
            self._network_status(),
            *cameras,
            *clouds,
            self._inputs(counts),
            self._sets(counts),
            self._grids(counts, now),
            self._memory(counts),
            self._latency(frames),
        ]
        self._watch.counts, self._watch.time = counts, now
        self.statuses = plain(statuses)
        array = DiagnosticArray(status=statuses)
        array.header.stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(array)

    def _network_status(self) -> DiagnosticStatus:
        values = {'device': self._network.device, 'process memory [MB]': _resident_bytes() // 10**6}
        if not isinstance(self._network.device, str) and self._network.device.type == 'cuda':
            import torch

            values['device memory [MB]'] = torch.cuda.memory_allocated(self._network.device) // 10**6
        if self._network.untrained:
            return self._status('network', WARN, f'{self._network.title}: the grids mean nothing', values)
        return self._status('network', OK, self._network.title, values)

    def _camera(self, name: str, counts: Counts, now: float) -> DiagnosticStatus:
        level = ERROR if self._settings.pipeline.missing_camera == 'skip' else WARN
        return self._stream(
            _Stream(name, 'image', self._settings.topics.image(name), level),
            counts.cameras[name],
            self._watch.counts.cameras[name],
            now,
        )

    def _lidar(self, counts: Counts, now: float) -> DiagnosticStatus:
        """The LiDAR's clouds; that sets go without one is named even where clouds arrive."""
        policy, topic = self._settings.pipeline.missing_lidar, self._settings.topics.lidar_topic
        level = ERROR if policy == 'skip' else WARN
        status = self._stream(_Stream('lidar', 'cloud', topic, level), counts.lidar, self._watch.counts.lidar, now)
        if missing := counts.lidar.missing - self._watch.counts.lidar.missing:
            status.level = max(status.level, level)
            status.message += f'; {missing} sets without a cloud (missing_lidar: {policy})'
        return status

    def _stream(self, stream: _Stream, counts: StreamCounts, before: StreamCounts, now: float) -> DiagnosticStatus:
        age = now - max(self._watch.begin, counts.last_arrival or 0.0)
        still = now - max(self._watch.begin, counts.last_change or 0.0)
        rate = (counts.received - before.received) / (now - self._watch.time)
        values = {
            'rate [Hz]': f'{rate:.2f}',
            'received': counts.received,
            'age by arrival [s]': 'none' if counts.last_arrival is None else f'{now - counts.last_arrival:.2f}',
            'age by stamp [s]': 'none' if counts.last_stamp is None else f'{self._age(counts.last_stamp):.2f}',
            'sets without it': counts.missing,
            **_reasons('dropped', counts.dropped),
        }
        timeout = self._longest_silence
        if not self._watch.active or max(age, still) <= timeout:
            return self._status(stream.name, OK, 'receiving' if self._watch.active else 'not active', values)
        if counts.last_stamp is None:
            said = f'no {stream.what} yet, for {age:.1f} s'
        elif age > timeout:
            said = f'silent for {age:.1f} s' + ('' if self._watch.clock_pace else ', while /clock stands still')
        else:
            said = (
                f'{stream.what}s arrive, but their stamp stands still at {stamp_text(counts.last_stamp)} for '
                f'{still:.1f} s'
            )
        return self._status(stream.name, stream.level, f'{said}, on {stream.topic}', values)

    @property
    def _longest_silence(self) -> float:
        """For how long nothing may come [s].

        While /clock stands still, all that is known is that nothing comes; otherwise time is that of the images.
        """
        return self._settings.node.camera_timeout / (self._watch.clock_pace or 1.0)

    def _age(self, stamp: int) -> float:
        """How far a stamp [ns] lies behind the node's clock [s]."""
        return float((self._node.get_clock().now().nanoseconds - stamp) / NANOSECONDS)

    def _log_silence(self, cameras: Mapping[str, DiagnosticStatus]) -> None:
        """Name the cameras that do not deliver; when none does, the source as a whole is what is missing.

        That is said once: a bag that has ended, or was paused, is no news. /diagnostics goes on to say it.
        """
        silent = [name for name, status in cameras.items() if status.level != OK]
        known, self._watch.nothing_comes = self._watch.nothing_comes, len(silent) == len(cameras)
        if self._watch.nothing_comes and not known:
            stale = any('stamp' in status.message for status in cameras.values())
            self._log.warning(
                'silence',
                f'no camera delivers {"new " if stale else ""}images'
                + ('' if self._watch.clock_pace else ': /clock stands still, the bag has ended or is paused'),
            )
        elif silent and not self._watch.nothing_comes:
            said = '; '.join(f'{name}: {cameras[name].message}' for name in silent)
            self._log.warning('silence', f'{said} (missing_camera: {self._settings.pipeline.missing_camera})')

    def _inputs(self, counts: Counts) -> DiagnosticStatus:
        """What is wrong with messages: with those that are taken; what was refused, which clocks jumped of late."""
        fresh = (counts.refused - self._watch.counts.refused) + (counts.jumps - self._watch.counts.jumps)
        wrong = [*counts.remarks.values(), *(counts.last[name] for name in fresh)]
        values = {
            **_reasons('refused', counts.refused),
            **_reasons('jumps of the clock', counts.jumps),
            **{f'last: {name}': line for name, line in counts.last.items()},
            **{f'remark: {topic}': line for topic, line in counts.remarks.items()},
        }
        return self._status('inputs', WARN if wrong else OK, '; '.join(wrong) or 'nothing is refused', values)

    def _grids(self, counts: Counts, now: float) -> DiagnosticStatus:
        """A watchdog: where images arrive, grids are to come of them. A pause in which none came does not count."""
        watch = self._watch
        arrivals = [camera.last_arrival for camera in counts.cameras.values() if camera.last_arrival is not None]
        arriving = bool(arrivals) and now - max(arrivals) <= self._longest_silence
        if counts.grids != watch.at_grid.grids or not arriving:
            watch.at_grid, watch.grid_time = counts, now
        idle, since = now - watch.grid_time, watch.at_grid
        values = {'made': counts.grids, 'without a grid for [s]': f'{idle:.1f}'}
        if not watch.active or idle <= self._settings.node.grid_timeout:
            return self._status('grids', OK, 'as images allow' if watch.active else 'not active', values)
        images = {name: camera.received - since.cameras[name].received for name, camera in counts.cameras.items()}
        lost = {
            f'dropped from {name}: {reason}': count
            for name, camera in counts.cameras.items()
            for reason, count in (camera.dropped - since.cameras[name].dropped).items()
        }
        lost |= _reasons('sets dropped', counts.sets_dropped - since.sets_dropped)
        lost |= _reasons('sets refused', counts.frames_refused - since.frames_refused)
        lost |= _reasons('messages refused', counts.refused - since.refused)
        said = (
            f'no grid for {idle:.1f} s though images arrive: {sum(images.values())} images, '
            f'{counts.sets - since.sets} sets; '
            + (', '.join(f'{what}: {count}' for what, count in lost.items()) or 'nothing was dropped')
        )
        self._log.warning('no grid', said)
        return self._status(
            'grids',
            ERROR,
            said,
            {**values, **{f'images of {name} since': count for name, count in images.items()}, **lost},
        )

    def _sets(self, counts: Counts) -> DiagnosticStatus:
        values = {
            'made': counts.sets,
            'queued': self._assembler.queued,
            'grids': counts.grids,
            **_reasons('dropped', counts.sets_dropped),
            **_reasons('refused', counts.frames_refused),
        }
        before = self._watch.counts
        fresh = counts.last_drop if counts.last_drop != before.last_drop else ''
        if fresh and counts.frames_refused == before.frames_refused:  # what was refused is in the log already
            self._log.warning('set dropped', fresh)
        return self._status('sets', WARN if fresh else OK, fresh or 'no losses', values)

    def _memory(self, counts: Counts) -> DiagnosticStatus:
        resets = counts.resets - self._watch.counts.resets
        said = 'reset: ' + ', '.join(resets) if resets else 'kept'
        if resets:
            self._log.warning('memory', counts.last_reset)
        return self._status(
            'recurrent memory', OK, said, {'resets': counts.resets.total(), **_reasons('reset', counts.resets)}
        )

    def _latency(self, frames: list[Mapping[str, float]]) -> DiagnosticStatus:
        if not frames:
            return self._status('latency', OK, 'no frame', {})
        values = {
            f'{stage} [ms]': f'{1000 * sum(frame[stage] for frame in frames) / len(frames):.1f}' for stage in STAGES
        }
        longest = max(sum(frame.values()) for frame in frames)
        return self._status(
            'latency',
            OK,
            f'{len(frames)} frames, the longest took {1000 * longest:.0f} ms from the last image to the published grid',
            values,
        )

    def _status(self, name: str, level: bytes, message: str, values: Mapping[str, object]) -> DiagnosticStatus:
        shown = [KeyValue(key=key, value=printable(str(value), LONGEST)) for key, value in values.items()]
        return DiagnosticStatus(
            name=f'{self._node.get_name()}: {name}',
            level=level,
            hardware_id='',
            values=shown,
            message=printable(message, LONGEST),
        )


def _reasons(what: str, counts: Counter[str]) -> dict[str, int]:
    return {f'{what}: {reason}': count for reason, count in sorted(counts.items())}


def _resident_bytes() -> int:
    """Memory of this process that is in RAM (proc(5), statm)."""
    return int(Path('/proc/self/statm').read_text().split()[1]) * os.sysconf('SC_PAGE_SIZE')
