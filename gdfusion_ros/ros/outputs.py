"""The node's publishers."""

from __future__ import annotations

from collections.abc import Mapping

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.duration import Duration
from rclpy.lifecycle import LifecycleNode

from gdfusion_ros.messages.bev import require_classes
from gdfusion_ros.messages.encode import clear_markers, label_info
from gdfusion_ros.messages.factory import header
from gdfusion_ros.messages.outputs import LABEL_INFO_TOPIC, LABEL_INFO_TYPE, MARKERS, Output, outputs
from gdfusion_ros.perception.labels import LabelSet
from gdfusion_ros.perception.types import SemanticGrid
from gdfusion_ros.ros import qos
from gdfusion_ros.ros.factory import RclpyMessages, is_installed, message_class
from gdfusion_ros.ros.parameters import Settings
from gdfusion_ros.settings import BevSettings

LATENCY_TOPIC = 'debug/latency'
"""Stages of every frame (see timing.py) as ``diagnostic_msgs/DiagnosticArray``, values in milliseconds."""


def installed_outputs(bev: BevSettings, *, bev_updates: bool = False) -> list[Output]:
    """Every output of a grid whose message type is there: some packages need not be installed."""
    return [
        output
        for output in outputs(bev, bev_updates=bev_updates)
        if not output.optional or is_installed(output.type_name)
    ]


class Outputs:
    """Publishes grids in every form that somebody subscribes to."""

    def __init__(self, node: LifecycleNode, settings: Settings, label_set: LabelSet) -> None:
        """Create the publishers; they are silent until ``node`` is active.

        Raises:
            GdfusionError: the settings name a class that ``label_set`` does not have, or a message type is not
                installed.
        """
        require_classes(settings.bev, label_set)
        profile = qos.output(settings.node.output_durability)
        self._node = node
        self._label_set = label_set
        self._make = RclpyMessages()
        self._publishers = {
            output: node.create_lifecycle_publisher(message_class(output.type_name), f'~/{output.topic}', profile)
            for output in installed_outputs(settings.bev, bev_updates=settings.node.bev_updates)
        }
        self._label_info = node.create_lifecycle_publisher(
            message_class(LABEL_INFO_TYPE), f'~/{LABEL_INFO_TOPIC}', qos.latched()
        )
        self._latency = node.create_lifecycle_publisher(DiagnosticArray, f'~/{LATENCY_TOPIC}', qos.events())
        self._last: SemanticGrid | None = None
        self._unheard: set[Output] = set()

    def announce(self) -> None:
        """Say once what the labels mean."""
        self._label_info.publish(label_info(self._label_set, self._make))

    def publish(self, grid: SemanticGrid) -> None:
        """Publish ``grid``; a message is made only if somebody subscribes to it."""
        self._last, self._unheard = grid, set(self._publishers)
        for output in self._publishers:
            output.remember(grid)
        self.catch_up()

    def catch_up(self) -> None:
        """Publish what nobody subscribed to when the last grid came, and somebody does now.

        So latched outputs give the last grid to those who come late, whoever was there before.
        """
        if self._last is None:
            return
        for output, publisher in self._publishers.items():
            if output in self._unheard and publisher.get_subscription_count():
                self._unheard.discard(output)
                if (message := output.build(self._last, self._make)) is not None:
                    publisher.publish(message)

    def acknowledged(self) -> bool:
        """Whether all reliable subscribers have what was published; until then the next grid may replace it."""
        return all(publisher.wait_for_all_acked(Duration()) for publisher in self._publishers.values())

    def publish_latency(self, grid: SemanticGrid, stages: Mapping[str, float]) -> None:
        """Publish the seconds that the stages of ``grid`` took, if somebody subscribes."""
        if self._latency.get_subscription_count():
            values = [KeyValue(key=stage, value=f'{1000 * seconds:.3f}') for stage, seconds in stages.items()]
            self._latency.publish(
                DiagnosticArray(
                    header=header(grid.stamp, grid.frame_id, self._make),
                    status=[DiagnosticStatus(name=f'{self._node.get_name()}: latency', message='ms', values=values)],
                )
            )

    def clear(self, frame_id: str) -> None:
        """Forget the last grid, and take its markers off the displays."""
        self._last = None
        publisher = self._publishers[MARKERS]
        if publisher.get_subscription_count():
            publisher.publish(clear_markers(0, frame_id, self._make))

    def destroy(self) -> None:
        """Take the publishers away."""
        for publisher in (*self._publishers.values(), self._label_info, self._latency):
            self._node.destroy_lifecycle_publisher(publisher)
