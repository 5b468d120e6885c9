"""The node's subscriptions: headers are read, images and transforms go to the assembler, nothing is computed here."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.node import Node
from rclpy.subscription import Subscription

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.messages import decode
from gdfusion_ros.messages.factory import Message
from gdfusion_ros.perception.assembler import FrameAssembler
from gdfusion_ros.ros import qos
from gdfusion_ros.ros.factory import message_class
from gdfusion_ros.ros.images import bridge
from gdfusion_ros.ros.log import Log
from gdfusion_ros.ros.parameters import Settings
from gdfusion_ros.ros.timing import arrival
from gdfusion_ros.ros.transforms import Tf2Transforms

_POLL_PERIOD = 0.05
"""How often waiting times are looked at [s]."""


class Inputs:
    """Subscribes to the cameras and to TF, and feeds the assembler.

    What is refused (unknown encoding, empty intrinsics, a pose that is no number) is named in the log, and the node
    lives on.
    """

    def __init__(self, node: Node, settings: Settings, assembler: FrameAssembler, tf2: Tf2Transforms | None,
                 log: Log) -> None:
        """Subscribe; to TF only if ``tf2`` does not do so itself."""
        self._node, self._assembler, self._tf2, self._log = node, assembler, tf2, log
        self._read_image = (decode.compressed_image if settings.topics.image_transport == 'compressed'
                            else partial(decode.image, fallback=bridge()))
        self._distorted: set[str] = set()
        camera_qos = qos.camera(settings.node.input_reliability, settings.node.input_depth)
        topics, image_class = settings.topics, message_class(settings.topics.image_type)
        info_class, tf_class = message_class('sensor_msgs/msg/CameraInfo'), message_class('tf2_msgs/msg/TFMessage')
        self._subscriptions: list[Subscription] = []
        for camera in settings.pipeline.cameras:
            self._subscribe(info_class, topics.camera_info(camera), partial(self._camera_info, camera), camera_qos)
            self._subscribe(image_class, topics.image(camera), partial(self._image, camera), camera_qos)
        self.topics = [topics.image(camera) for camera in settings.pipeline.cameras]
        if tf2 is not None:
            tf2.listen(self._poll)
        else:
            self._subscribe(tf_class, '/tf', partial(self._transforms, False), qos.transforms())
            self._subscribe(tf_class, '/tf_static', partial(self._transforms, True), qos.static_transforms())
        self._timer = node.create_timer(_POLL_PERIOD, self._poll, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def destroy(self) -> None:
        """Take the subscriptions away."""
        self._node.destroy_timer(self._timer)
        if self._tf2 is not None:
            self._tf2.destroy()
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)

    def _poll(self) -> None:
        self._assembler.poll(time.monotonic())

    def _subscribe(self, kind: Any, topic: str, read: Callable[[str, Message, dict[str, Any]], None],
                   profile: Any) -> None:
        def callback(message: Message, info: dict[str, Any]) -> None:
            try:
                read(topic, message, info)
            except GdfusionError as error:
                self._log.warning(topic, f'refused: {error}')

        self._subscriptions.append(self._node.create_subscription(kind, topic, callback, profile))

    def _image(self, camera: str, topic: str, message: Message, info: dict[str, Any]) -> None:
        image = self._read_image(message, topic)
        self._assembler.add_image(camera, image.stamp, image.frame_id, image.load, arrival(info))

    def _camera_info(self, camera: str, topic: str, message: Message, info: dict[str, Any]) -> None:
        self._assembler.add_camera_info(camera, decode.camera_model(message, topic), arrival(info))
        if decode.has_distortion(message) and camera not in self._distorted:
            self._distorted.add(camera)
            self._log.warning(f'{topic} distortion', f'{topic}: the camera has a lens distortion, which is not taken '
                              'out here: rectify its images (image_proc does)')

    def _transforms(self, static: bool, topic: str, message: Message, info: dict[str, Any]) -> None:
        good, refused = decode.transforms(message, topic)
        for error in refused:
            self._log.warning(topic, f'refused: {error}')
        self._assembler.add_transforms(good, arrival(info), static=static)
