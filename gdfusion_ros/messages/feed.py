"""From input messages to the assembler, the same for the live node and for bags."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.messages import decode, images
from gdfusion_ros.messages.camera_info import camera_model, remarks
from gdfusion_ros.messages.factory import Message
from gdfusion_ros.perception.assembler import FrameAssembler
from gdfusion_ros.perception.image_size import Size
from gdfusion_ros.perception.types import stamp_text
from gdfusion_ros.settings import PipelineSettings, TopicSettings


class Feed:
    """Hands messages to the assembler. What is no valid input is refused and counted, and the stream goes on."""

    def __init__(self, assembler: FrameAssembler, pipeline: PipelineSettings, topics: TopicSettings,
                 warn: Callable[[str, str], object],
                 fallback: images.Fallback | None = None) -> None:
        """``warn`` gets a topic and one line for everything that is refused; ``fallback``: see images.image."""
        self._assembler, self._warn = assembler, warn
        self._decode_image = (images.compressed_image if topics.image_transport == 'compressed'
                              else partial(images.image, fallback=fallback))
        self._sizes: dict[str, Size] = {}
        self._remarked: set[tuple[str, str]] = set()
        self._read: dict[str, Callable[[str, Message, float], None]] = {
            topics.tf_static_topic: partial(self._transforms, True), topics.tf_topic: partial(self._transforms, False)}
        self._frames = {pipeline.base_frame: 'base_frame', pipeline.fixed_frame: 'fixed_frame'}
        for camera in pipeline.cameras:
            self._read[topics.camera_info(camera)] = partial(self._camera_info, camera)
            self._read[topics.image(camera)] = partial(self._image, camera)

    def __call__(self, topic: str, message: Message, now: float) -> None:
        """Take a message of one of the ``input_topics`` that came at ``now`` [s] on the assembler's clock."""
        try:
            self._read[topic](topic, message, now)
        except GdfusionError as error:
            self._refuse(topic, error)

    def _refuse(self, topic: str, error: GdfusionError) -> None:
        self._assembler.counters.message_refused(topic, str(error))
        self._warn(topic, f'refused: {error}')

    def _image(self, camera: str, topic: str, message: Message, now: float) -> None:
        image = self._decode_image(message, topic, self._sizes.get(camera))
        self._refuse_identity(image, topic)
        self._assembler.add_image(camera, image.stamp, image.frame_id, image.load, now)

    def _refuse_identity(self, image: images.EncodedImage, topic: str) -> None:
        """A camera does not lie in the vehicle's origin, looking at the sky: nobody has said where it is."""
        if image.frame_id in self._frames:
            raise GdfusionError(f"{topic} at {stamp_text(image.stamp)}: frame_id '{image.frame_id}' is the "
                                f'{self._frames[image.frame_id]}, not a camera: the driver has to give the optical '
                                'frame, which TF places')

    def _camera_info(self, camera: str, topic: str, message: Message, now: float) -> None:
        model = camera_model(message, topic)
        self._sizes[camera] = (model.width, model.height)
        self._assembler.add_camera_info(camera, model, now)
        for remark in remarks(message, model):
            if (topic, remark) not in self._remarked:
                self._remarked.add((topic, remark))
                line = f'{topic}: {remark}'
                self._assembler.counters.remarked(topic, line)
                self._warn(line, line)

    def _transforms(self, static: bool, topic: str, message: Message, now: float) -> None:
        good, errors = decode.transforms(message, topic)
        self._assembler.add_transforms(good, now, static=static)
        for error in errors:
            self._refuse(topic, error)
