"""From input messages to the assembler, the same for the live node and for bags."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.messages import decode, images
from gdfusion_ros.messages.camera_info import camera_model, remarks
from gdfusion_ros.messages.clouds import cloud
from gdfusion_ros.messages.factory import Message
from gdfusion_ros.perception.assembler import FrameAssembler
from gdfusion_ros.perception.image_size import Size
from gdfusion_ros.perception.types import stamp_text
from gdfusion_ros.settings import PipelineSettings, TopicSettings


class MessageRouter:
    """Hands messages to the assembler.

    What is no valid input is refused, which the assembler's counters are told, and the stream goes on.
    """

    def __init__(
        self,
        assembler: FrameAssembler,
        pipeline: PipelineSettings,
        topics: TopicSettings,
        fallback: images.Fallback | None = None,
    ) -> None:
        """``fallback``: see images.image."""
        self._assembler = assembler
        self._decode_image = (
            images.compressed_image
            if topics.image_transport == 'compressed'
            else partial(images.image, fallback=fallback)
        )
        self._sizes: dict[str, Size] = {}
        self._read: dict[str, Callable[[str, Message, float], None]] = {
            topics.tf_static_topic: partial(self._transforms, True),
            topics.tf_topic: partial(self._transforms, False),
        }
        if assembler.takes_clouds:
            self._read[topics.lidar_topic] = self._cloud
        self._frames = {pipeline.base_frame: 'base_frame', pipeline.fixed_frame: 'fixed_frame'}
        self._camera_frames: dict[str, str] = {}
        for camera in pipeline.cameras:
            self._read[topics.camera_info(camera)] = partial(self._camera_info, camera)
            self._read[topics.image(camera)] = partial(self._image, camera)

    def __call__(self, topic: str, message: Message, now: float) -> None:
        """Take a message of one of the ``input_topics`` that came at ``now`` [s] on the assembler's clock."""
        try:
            self._read[topic](topic, message, now)
        except GdfusionError as error:
            self._assembler.counters.message_refused(topic, str(error))

    def is_calibrated(self, camera: str) -> bool:
        """Whether a CameraInfo of ``camera`` has come that can be used."""
        return camera in self._sizes

    def _image(self, camera: str, topic: str, message: Message, now: float) -> None:
        image = self._decode_image(message, topic, self._sizes.get(camera))
        self._refuse_frame(camera, image, topic)
        self._assembler.add_image(camera, image.stamp, image.frame_id, image.load, now)

    def _refuse_frame(self, camera: str, image: images.EncodedImage, topic: str) -> None:
        """A camera lies neither in the vehicle's origin, looking at the sky, nor where another one is."""
        frame = image.frame_id
        owner = self._frames.get(frame, '')
        if not owner:
            self._camera_frames[camera] = frame
            owner = next(
                (
                    f'frame of {other}'
                    for other, known in self._camera_frames.items()
                    if known == frame and other != camera
                ),
                '',
            )
        if owner:
            raise GdfusionError(
                f"{topic} at {stamp_text(image.stamp)}: frame_id '{frame}' is the {owner}, not of this "
                'camera: the driver has to give the optical frame, which TF places'
            )

    def _camera_info(self, camera: str, topic: str, message: Message, now: float) -> None:
        model = camera_model(message, topic)
        self._sizes[camera] = (model.width, model.height)
        self._assembler.add_camera_info(camera, model, now)
        found = remarks(message, model)
        frame, of_images = str(message.header.frame_id).lstrip('/'), self._camera_frames.get(camera)
        if frame and of_images and frame != of_images:
            found.append(f"frame_id '{frame}' is not that of the images, '{of_images}': is it another camera's?")
        self._assembler.counters.remarked(topic, f'{topic}: {"; ".join(found)}' if found else '')

    def _cloud(self, topic: str, message: Message, now: float) -> None:
        self._assembler.add_cloud(*cloud(message, topic), now)

    def _transforms(self, static: bool, topic: str, message: Message, now: float) -> None:
        good, errors = decode.transforms(message, topic)
        self._assembler.add_transforms(good, now, static=static)
        for error in errors:
            self._assembler.counters.message_refused(topic, str(error))
