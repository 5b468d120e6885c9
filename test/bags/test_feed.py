"""What the pipeline reads of a bag."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gdfusion_ros.bags.feed import Feed, input_topics, require_inputs
from gdfusion_ros.bags.messages import RosbagsFactory
from gdfusion_ros.bags.reader import bag_reader
from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.messages.factory import Message, header
from gdfusion_ros.perception.assembler import FrameAssembler
from gdfusion_ros.perception.preprocess import Preprocessor
from gdfusion_ros.settings import PipelineSettings, TopicSettings

TOPIC = '/CAM_FRONT/camera_info'


def test_topics_follow_the_settings() -> None:
    pipeline = PipelineSettings(cameras=('left', 'right'), reference_camera='left')
    topics = TopicSettings(image_topic='/rig/{camera}/color', camera_info_topic='/{camera}/info', image_transport='raw')
    assert input_topics(pipeline, topics) == {
        '/tf_static': 'tf2_msgs/msg/TFMessage', '/tf': 'tf2_msgs/msg/TFMessage',
        '/left/info': 'sensor_msgs/msg/CameraInfo', '/right/info': 'sensor_msgs/msg/CameraInfo',
        '/rig/left/color': 'sensor_msgs/msg/Image', '/rig/right/color': 'sensor_msgs/msg/Image'}


def test_the_wrong_transport_is_explained(scene_bag: Path) -> None:
    with bag_reader(scene_bag) as bag:
        require_inputs(bag, PipelineSettings(), TopicSettings())
        with pytest.raises(GdfusionError) as error:
            require_inputs(bag, PipelineSettings(), TopicSettings(image_transport='raw'))
    assert 'has no messages on /CAM_FRONT_LEFT/image (sensor_msgs/msg/Image), ' in str(error.value)
    assert '/CAM_FRONT_LEFT/image/compressed (sensor_msgs/msg/CompressedImage, 3)' in str(error.value)


def test_the_reference_camera_is_needed_even_where_others_are_masked(scene_bag: Path) -> None:
    rig = ('CAM_FRONT', 'CAM_ROOF')
    with bag_reader(scene_bag) as bag:
        require_inputs(bag, PipelineSettings(cameras=rig, missing_camera='mask'), TopicSettings())
        with pytest.raises(GdfusionError, match='/CAM_ROOF/camera_info'):
            require_inputs(bag, PipelineSettings(cameras=rig, reference_camera='CAM_ROOF', missing_camera='mask'),
                           TopicSettings())


@pytest.fixture
def warnings() -> list[str]:
    return []


@pytest.fixture
def feed(warnings: list[str]) -> Feed:
    settings = PipelineSettings()
    return Feed(FrameAssembler(settings, Preprocessor((64, 176))), settings, TopicSettings(), warnings.append)


def camera_info(**fields: object) -> Message:
    make = RosbagsFactory()
    return make('sensor_msgs/msg/CameraInfo', header=header(5, 'CAM_FRONT', make),
                **{'width': 160, 'height': 90, 'k': np.array([126.0, 0, 80, 0, 126, 45, 0, 0, 1]), **fields})


def test_lens_distortion_is_named_once(feed: Feed, warnings: list[str]) -> None:
    feed(TOPIC, camera_info(), 0.0)
    assert warnings == []
    for _ in range(2):
        feed(TOPIC, camera_info(d=np.array([0.1, 0, 0, 0, 0])), 0.0)
    line, = warnings
    assert line.startswith(f'{TOPIC}: the camera has a lens distortion')
    assert not feed.refused


def test_empty_intrinsics_are_refused(feed: Feed, warnings: list[str]) -> None:
    for _ in range(3):
        feed(TOPIC, camera_info(k=np.zeros(9)), 0.0)
    assert feed.refused == {TOPIC: 3}
    assert len(warnings) == 1
    assert warnings[0].startswith(f'refused: {TOPIC} at 0.000000005: the intrinsic matrix K is empty')
