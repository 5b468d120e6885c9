"""What the node tells of itself on /diagnostics."""

from __future__ import annotations

import os
import queue
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.node import Node

from gdfusion_ros.errors import LONGEST
from gdfusion_ros.messages.diagnostics import DIAGNOSTICS_TOPIC
from gdfusion_ros.names import printable
from gdfusion_ros.perception.assembler import FrameAssembler
from gdfusion_ros.perception.health import OK, WARN, Expected, Health, Moment, Status
from gdfusion_ros.ros import qos
from gdfusion_ros.ros.log import Log
from gdfusion_ros.ros.pace import Pace
from gdfusion_ros.ros.parameters import Settings
from gdfusion_ros.ros.timing import STAGES

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class NetworkFacts:
    """What is known of the network that runs: its title, whether it is untrained, where it runs."""

    title: str
    untrained: bool
    device: torch.device | str

    def status(self) -> Status:
        """That it runs, and what it holds."""
        values = {'device': str(self.device), 'process memory [MB]': str(_resident_bytes() // 10**6)}
        if not isinstance(self.device, str) and self.device.type == 'cuda':
            import torch

            values['device memory [MB]'] = str(torch.cuda.memory_allocated(self.device) // 10**6)
        if self.untrained:
            return Status('network', WARN, f'{self.title}: the grids mean nothing', values)
        return Status('network', OK, self.title, values)


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
        self._node, self._network, self._assembler, self._log = node, network, assembler, log
        expected = Expected.by(settings.pipeline, settings.topics, settings.node, lidar=assembler.takes_clouds)
        now = time.monotonic()
        self._health = Health(expected, assembler.counters.snapshot(), now)
        self._pace = Pace(node.get_clock(), now)
        self._frames: queue.SimpleQueue[Mapping[str, float]] = queue.SimpleQueue()
        self.statuses: tuple[Status, ...] = ()
        self._publisher = node.create_publisher(DiagnosticArray, DIAGNOSTICS_TOPIC, qos.events())
        self._timer = node.create_timer(
            settings.node.diagnostics_period, self._publish, clock=Clock(clock_type=ClockType.STEADY_TIME)
        )

    def activate(self, *, active: bool) -> None:
        """Images are expected from now on, or no longer."""
        self._health.activate(self._assembler.counters.snapshot(), time.monotonic(), active=active)

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
        monotonic, now = time.monotonic(), self._node.get_clock().now()
        moment = Moment(monotonic, now.nanoseconds, self._pace.look(monotonic))
        counts = self._assembler.counters.snapshot()
        frames = [self._frames.get() for _ in range(self._frames.qsize())]
        found, warnings = self._health.look(counts, moment, self._assembler.queued)
        for warned in warnings:
            self._log.warning(*warned)
        self.statuses = self._named([self._network.status(), *found, _latency(frames)])
        array = DiagnosticArray(status=[_message(status) for status in self.statuses])
        array.header.stamp = now.to_msg()
        self._publisher.publish(array)

    def _named(self, found: Iterable[Status]) -> tuple[Status, ...]:
        """By the node's name, in text that can be shown: much of it quotes others."""
        return tuple(
            Status(
                f'{self._node.get_name()}: {status.name}',
                status.level,
                printable(status.message, LONGEST),
                {key: printable(value, LONGEST) for key, value in status.values.items()},
            )
            for status in found
        )


def _latency(frames: list[Mapping[str, float]]) -> Status:
    if not frames:
        return Status('latency', OK, 'no frame', {})
    longest = max(sum(frame.values()) for frame in frames)
    return Status(
        'latency',
        OK,
        f'{len(frames)} frames, the longest took {1000 * longest:.0f} ms from the last image to the published grid',
        {f'{stage} [ms]': f'{1000 * sum(frame[stage] for frame in frames) / len(frames):.1f}' for stage in STAGES},
    )


def _message(status: Status) -> DiagnosticStatus:
    return DiagnosticStatus(
        name=status.name,
        level=bytes([status.level]),
        message=status.message,
        values=[KeyValue(key=key, value=value) for key, value in status.values.items()],
    )


def _resident_bytes() -> int:
    """Memory of this process that is in RAM (proc(5), statm)."""
    return int(Path('/proc/self/statm').read_text().split()[1]) * os.sysconf('SC_PAGE_SIZE')
