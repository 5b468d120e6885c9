"""The node's subscriptions: headers are read, what comes goes to the assembler, nothing is computed here."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import partial
from typing import Any

from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.subscription import Subscription

from gdfusion_ros.messages.factory import Message
from gdfusion_ros.messages.inputs import CAMERA_INFO_TYPE, input_topics
from gdfusion_ros.messages.router import MessageRouter
from gdfusion_ros.perception.assembler import FrameAssembler
from gdfusion_ros.ros import qos
from gdfusion_ros.ros.factory import message_class
from gdfusion_ros.ros.images import bridge
from gdfusion_ros.ros.parameters import Settings
from gdfusion_ros.ros.timing import arrival

_POLL_PERIOD = 0.05
"""How often waiting times are looked at [s]."""

_ASK_PERIOD = 1.0
"""How often calibration that did not come yet is looked for [s]."""


class Inputs:
    """Subscribes to the cameras, to TF, and to the LiDAR where the network looks at it.

    What is refused (an unknown encoding, a camera info without intrinsics, a pose that is no number) is named in the
    log, and the node lives on.
    """

    def __init__(self, node: Node, settings: Settings, assembler: FrameAssembler) -> None:
        """Subscribe."""
        self._node, self._assembler = node, assembler
        self._router = MessageRouter(assembler, settings.pipeline, settings.topics, bridge())
        lossless = settings.pipeline.lossless
        profiles = {
            settings.topics.tf_topic: qos.transforms(qos.EVERY_MESSAGE if lossless else qos.TRANSFORMS),
            settings.topics.tf_static_topic: qos.static_transforms(),
        }
        depth = qos.EVERY_MESSAGE if lossless else settings.node.input_depth
        sensors = qos.sensor(settings.node.input_reliability, depth)
        topics = input_topics(settings.pipeline, settings.topics, lidar=assembler.takes_clouds)
        self._subscriptions = [
            self._subscribe(topic, type_name, profiles.get(topic, sensors)) for topic, type_name in topics.items()
        ]
        self._infos = {camera: settings.topics.camera_info(camera) for camera in settings.pipeline.cameras}
        self._latched: dict[str, Subscription] = {}
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._timers = [
            node.create_timer(_POLL_PERIOD, self._poll, clock=steady),
            node.create_timer(_ASK_PERIOD, self._ask_for_calibration, clock=steady),
        ]

    def destroy(self) -> None:
        """Take the subscriptions away."""
        for timer in self._timers:
            self._node.destroy_timer(timer)
        for subscription in (*self._subscriptions, *self._latched.values()):
            self._node.destroy_subscription(subscription)

    def _subscribe(self, topic: str, type_name: str, profile: QoSProfile) -> Subscription:
        def take(message: Message, info: Mapping[str, Any]) -> None:
            self._router(topic, message, arrival(info))

        # Humble's rclpy does not tell a callback when its message arrived.
        callback = take if hasattr(Subscription, 'CallbackType') else partial(take, info={})
        return self._node.create_subscription(message_class(type_name), topic, callback, profile)

    def _poll(self) -> None:
        self._assembler.poll(time.monotonic())

    def _ask_for_calibration(self) -> None:
        """Have it said again by who said it once, latched, before the node was there.

        A second subscription does so: the first asks for nothing, and so hears everybody else, too.
        """
        for camera, topic in self._infos.items():
            if self._router.is_calibrated(camera):
                if topic in self._latched:
                    self._node.destroy_subscription(self._latched.pop(topic))
            elif topic not in self._latched and any(
                publisher.qos_profile.durability == DurabilityPolicy.TRANSIENT_LOCAL
                for publisher in self._node.get_publishers_info_by_topic(topic)
            ):
                self._latched[topic] = self._subscribe(topic, CAMERA_INFO_TYPE, qos.latched())
