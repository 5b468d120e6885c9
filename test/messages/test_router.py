"""What the pipeline reads, and what it refuses, on the way from messages to the assembler."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gdfusion_ros.bags.messages import RosbagsFactory
from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.messages.factory import Message, header
from gdfusion_ros.messages.inputs import input_topics
from gdfusion_ros.messages.router import MessageRouter
from gdfusion_ros.perception.assembler import FrameAssembler
from gdfusion_ros.perception.counters import Counters, Counts
from gdfusion_ros.perception.preprocess import Preprocessor
from gdfusion_ros.perception.types import Pixels
from gdfusion_ros.settings import PipelineSettings, TopicSettings

TOPIC = '/CAM_FRONT/camera_info'


def test_topics_follow_the_settings() -> None:
    pipeline = PipelineSettings(cameras=('left', 'right'), reference_camera='left')
    topics = TopicSettings(image_topic='/rig/{camera}/color', camera_info_topic='/{camera}/info', image_transport='raw')
    assert input_topics(pipeline, topics) == {
        '/tf_static': 'tf2_msgs/msg/TFMessage',
        '/tf': 'tf2_msgs/msg/TFMessage',
        '/left/info': 'sensor_msgs/msg/CameraInfo',
        '/right/info': 'sensor_msgs/msg/CameraInfo',
        '/rig/left/color': 'sensor_msgs/msg/Image',
        '/rig/right/color': 'sensor_msgs/msg/Image',
    }


@pytest.fixture
def warnings() -> list[str]:
    return []


@pytest.fixture
def feed(warnings: list[str]) -> MessageRouter:
    settings = PipelineSettings()
    counters = Counters(settings.cameras, lambda _, line: warnings.append(line))
    assembler = FrameAssembler(settings, Preprocessor((64, 176)), counters=counters)
    return MessageRouter(assembler, settings, TopicSettings())


def feed_counts(feed: MessageRouter) -> Counts:
    return feed._assembler.counters.snapshot()


def camera_info(**fields: object) -> Message:
    make = RosbagsFactory()
    return make(
        'sensor_msgs/msg/CameraInfo',
        **{
            'header': header(5, 'CAM_FRONT', make),
            'width': 160,
            'height': 90,
            'k': np.array([126.0, 0, 80, 0, 126, 45, 0, 0, 1]),
            **fields,
        },
    )


def test_lens_distortion_is_named_once(feed: MessageRouter, warnings: list[str]) -> None:
    feed(TOPIC, camera_info(), 0.0)
    assert warnings == []
    for _ in range(2):
        feed(TOPIC, camera_info(d=np.array([0.1, 0, 0, 0, 0])), 0.0)
    (line,) = warnings
    assert line.startswith(f'{TOPIC}: the camera has a lens distortion')
    assert not feed_counts(feed).refused
    feed(TOPIC, camera_info(k=np.zeros(9)), 0.0)
    assert feed_counts(feed).remarks == {TOPIC: line}, 'refusals do not hide it'
    feed(TOPIC, camera_info(), 0.0)
    assert feed_counts(feed).remarks == {}


@pytest.mark.parametrize('transport', ['compressed', 'raw'])
def test_images_are_judged_by_the_camera_info_before_them(warnings: list[str], transport: str) -> None:
    settings, topics = PipelineSettings(), TopicSettings(image_transport=transport)
    loads: list[Callable[[], Pixels]] = []
    assembler: Any = SimpleNamespace(
        takes_clouds=False,
        add_image=lambda camera, stamp, frame, load, now: loads.append(load),
        add_camera_info=lambda camera, model, now: None,
        counters=Counters((), lambda _, line: warnings.append(line)),
    )
    feed = MessageRouter(assembler, settings, topics)
    make, stream = RosbagsFactory(), BytesIO()
    Image.new('RGB', (80, 45)).save(stream, 'JPEG')
    message = (
        make(
            'sensor_msgs/msg/CompressedImage',
            header=header(5, 'CAM_FRONT', make),
            format='jpeg',
            data=np.frombuffer(stream.getvalue(), np.uint8),
        )
        if transport == 'compressed'
        else make(
            'sensor_msgs/msg/Image',
            header=header(5, 'CAM_FRONT', make),
            width=80,
            height=45,
            step=240,
            encoding='rgb8',
            data=np.zeros(80 * 45 * 3, np.uint8),
        )
    )
    feed(topics.image('CAM_FRONT'), message, 0.0)
    feed(TOPIC, camera_info(), 0.0)
    feed(topics.image('CAM_FRONT'), message, 0.0)
    feed(TOPIC, camera_info(binning_x=2, binning_y=2), 0.0)
    feed(topics.image('CAM_FRONT'), message, 0.0)
    assert loads[0]().shape == loads[2]().shape == (45, 80, 3)
    with pytest.raises(GdfusionError, match='the image has 80 x 45 pixels, but its camera info says 160 x 90'):
        loads[1]()
    assert warnings == []


def test_empty_intrinsics_are_refused(feed: MessageRouter, warnings: list[str]) -> None:
    for _ in range(3):
        feed(TOPIC, camera_info(k=np.zeros(9)), 0.0)
    assert feed_counts(feed).refused == {TOPIC: 3}
    assert len(warnings) == 3
    assert warnings[0].startswith(f'refused: {TOPIC} at 0.000000005: the intrinsic matrix K is empty')


def test_two_cameras_in_one_frame_are_refused(feed: MessageRouter, warnings: list[str]) -> None:
    make = RosbagsFactory()
    for camera, stamp in (('CAM_FRONT', 5), ('CAM_BACK', 6), ('CAM_FRONT', 7)):
        feed(
            f'/{camera}/image/compressed',
            make('sensor_msgs/msg/CompressedImage', header=header(stamp, 'camera', make)),
            0.0,
        )
    first, second = warnings
    assert "/CAM_BACK/image/compressed at 0.000000006: frame_id 'camera' is the frame of CAM_FRONT" in first
    assert "/CAM_FRONT/image/compressed at 0.000000007: frame_id 'camera' is the frame of CAM_BACK" in second


def test_a_camera_info_in_another_frame_than_its_images_is_named(feed: MessageRouter, warnings: list[str]) -> None:
    make = RosbagsFactory()
    feed(TOPIC, camera_info(), 0.0)
    feed(
        '/CAM_FRONT/image/compressed',
        make('sensor_msgs/msg/CompressedImage', header=header(5, '/CAM_FRONT', make)),
        0.0,
    )
    feed(TOPIC, camera_info(), 0.0)
    assert warnings == []
    feed(TOPIC, camera_info(header=header(6, 'CAM_BACK', make)), 0.0)
    (line,) = warnings
    assert line == f"{TOPIC}: frame_id 'CAM_BACK' is not that of the images, 'CAM_FRONT': is it another camera's?"
