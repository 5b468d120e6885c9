"""From the messages of a bag to the assembler."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial

from gdfusion_ros.bags.messages import TF_STATIC_TOPIC, TF_TOPIC, TF_TYPE
from gdfusion_ros.bags.reader import BagReader
from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.messages import decode
from gdfusion_ros.messages.factory import Message
from gdfusion_ros.perception.assembler import FrameAssembler
from gdfusion_ros.settings import PipelineSettings, TopicSettings


def input_topics(pipeline: PipelineSettings, topics: TopicSettings) -> dict[str, str]:
    """Every topic that the pipeline reads -> its message type."""
    return {TF_STATIC_TOPIC: TF_TYPE, TF_TOPIC: TF_TYPE,
            **{topics.camera_info(camera): 'sensor_msgs/msg/CameraInfo' for camera in pipeline.cameras},
            **{topics.image(camera): topics.image_type for camera in pipeline.cameras}}


def require_inputs(bag: BagReader, pipeline: PipelineSettings, topics: TopicSettings) -> None:
    """Make sure that the bag has what a grid needs.

    /tf_static may be missing, and where ``missing_camera`` is mask, every camera but the reference camera.

    Raises:
        GdfusionError: names what is missing and lists what is there.
    """
    optional = {TF_STATIC_TOPIC}
    if pipeline.missing_camera == 'mask':
        for camera in set(pipeline.cameras) - {pipeline.reference_camera}:
            optional |= {topics.image(camera), topics.camera_info(camera)}
    bag.require({topic: type_name for topic, type_name in input_topics(pipeline, topics).items()
                 if topic not in optional})


class Feed:
    """Hands messages to the assembler.

    Attributes:
        refused: messages that were no valid input, by topic.
    """

    def __init__(self, assembler: FrameAssembler, pipeline: PipelineSettings, topics: TopicSettings,
                 warn: Callable[[str], object]) -> None:
        """``warn`` gets one line for the first message of each topic that is refused."""
        self.refused: Counter[str] = Counter()
        self._assembler, self._warn = assembler, warn
        self._decode_image = decode.compressed_image if topics.image_transport == 'compressed' else decode.image
        self._distorted: set[str] = set()
        self._read: dict[str, Callable[[str, Message, float], None]] = {
            TF_STATIC_TOPIC: partial(self._transforms, True), TF_TOPIC: partial(self._transforms, False)}
        for camera in pipeline.cameras:
            self._read[topics.camera_info(camera)] = partial(self._camera_info, camera)
            self._read[topics.image(camera)] = partial(self._image, camera)

    def __call__(self, topic: str, message: Message, now: float) -> None:
        """Take a message of one of the ``input_topics`` at record time ``now`` [s]."""
        try:
            self._read[topic](topic, message, now)
        except GdfusionError as error:
            self._refuse(topic, error)
        self._assembler.poll(now)

    def _refuse(self, topic: str, error: GdfusionError) -> None:
        if not self.refused[topic]:
            self._warn(f'refused: {error}')
        self.refused[topic] += 1

    def _image(self, camera: str, topic: str, message: Message, now: float) -> None:
        image = self._decode_image(message, topic)
        self._assembler.add_image(camera, image.stamp, image.frame_id, image.load, now)

    def _camera_info(self, camera: str, topic: str, message: Message, now: float) -> None:
        self._assembler.add_camera_info(camera, decode.camera_model(message, topic), now)
        if decode.has_distortion(message) and camera not in self._distorted:
            self._distorted.add(camera)
            self._warn(f'{topic}: the camera has a lens distortion, which is not taken out here: rectify its images')

    def _transforms(self, static: bool, topic: str, message: Message, now: float) -> None:
        good, errors = decode.transforms(message, topic)
        self._assembler.add_transforms(good, now, static=static)
        for error in errors:
            self._refuse(topic, error)
