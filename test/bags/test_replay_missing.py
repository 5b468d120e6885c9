"""Bags that lack what a replay needs: named at once, or done without where that is wanted."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from gdfusion_ros.bags.grid_stream import ReplayListener, grid_stream, require_inputs
from gdfusion_ros.bags.reader import LeftOut, RawMessage, bag_reader
from gdfusion_ros.bags.replay import ReplayResult
from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.model.network import OccupancyNetwork
from gdfusion_ros.perception.types import SemanticGrid
from gdfusion_ros.settings import SURROUND_CAMERAS, PipelineSettings, TopicSettings

TF = 'tf2_msgs/msg/TFMessage'
Replayed = tuple[ReplayResult, list[SemanticGrid], Path]
Run = Callable[..., Replayed]
Rewrite = Callable[[Path, Path, Callable[[RawMessage], Iterable[RawMessage]]], Path]


def without(*prefixes: str) -> Callable[[RawMessage], list[RawMessage]]:
    return lambda message: [] if message.topic.startswith(prefixes) else [message]


def test_missing_topics_are_named(run: Run, scene_bag: Path, tmp_path: Path, rewrite: Rewrite) -> None:
    bag = rewrite(scene_bag, tmp_path / 'less', without('/CAM_BACK/image', '/tf', '/CAM_FRONT/camera_info'))
    with pytest.raises(GdfusionError) as error:
        run(bag)
    missing, _, there = str(error.value).partition('; it has ')
    assert missing == (
        f'bag {bag} has no messages on /CAM_FRONT/camera_info (sensor_msgs/msg/CameraInfo), '
        f'/CAM_BACK/image/compressed (sensor_msgs/msg/CompressedImage), /tf ({TF})'
    )
    assert '/CAM_FRONT/image/compressed (sensor_msgs/msg/CompressedImage, 3)' in there
    assert not (tmp_path / 'out').exists()


def test_a_camera_that_never_came_is_masked_if_that_is_wanted(
    run: Run, scene_bag: Path, tmp_path: Path, rewrite: Rewrite, front_stamps: list[int]
) -> None:
    bag = rewrite(scene_bag, tmp_path / 'less', without('/CAM_BACK/'))
    with pytest.raises(GdfusionError, match='/CAM_BACK/camera_info'):
        run(bag)
    _, grids, _ = run(bag, missing_camera='mask')
    assert [grid.stamp for grid in grids] == front_stamps
    assert {grid.cameras for grid in grids} == {tuple(c for c in SURROUND_CAMERAS if c != 'CAM_BACK')}


def test_one_camera_is_enough_and_that_is_said(run: Run, scene_bag: Path) -> None:
    warnings: list[str] = []
    _, grids, _ = run(scene_bag, cameras=('CAM_FRONT',), listener=ReplayListener(warning=warnings.append))
    assert [grid.cameras for grid in grids] == 3 * [('CAM_FRONT',)]
    [line] = warnings
    assert 'was trained with 6 cameras and gets 1' in line


def test_messages_that_are_left_out_are_said(built_network: OccupancyNetwork, scene_bag: Path) -> None:
    warnings: list[str] = []
    with bag_reader(scene_bag) as bag:
        bag.left_out += [LeftOut('/static', TF, 2, 'no schema'), LeftOut('/else', TF, 9, 'protobuf')]
        bag.not_read = ['s_1.mcap: not listed']
        topics, listener = TopicSettings(tf_static_topic='/static'), ReplayListener(warning=warnings.append)
        with (
            grid_stream(bag, built_network, PipelineSettings(), topics, listener=listener) as stream,
            pytest.raises(GdfusionError, match=r'no grid: .*; 2 messages on /static are left out \(no schema\); '),
        ):
            list(stream)
    assert warnings == ['not read: s_1.mcap: not listed', '2 messages on /static are left out (no schema)']


def test_without_the_cameras_places_there_is_no_grid_and_no_bag(
    run: Run, scene_bag: Path, tmp_path: Path, rewrite: Rewrite
) -> None:
    bag = rewrite(scene_bag, tmp_path / 'less', without('/tf_static'))
    with pytest.raises(GdfusionError) as error:
        run(bag)
    assert f'bag {bag} gives no grid: 3 camera sets, dropped: transform 3; set at ' in str(error.value)
    assert {path.name for path in tmp_path.iterdir()} == {'less'}


def test_the_released_protocol_needs_sample_tokens(run: Run, scene_bag: Path, tmp_path: Path, rewrite: Rewrite) -> None:
    bag = rewrite(scene_bag, tmp_path / 'less', without('/nuscenes'))
    with pytest.raises(GdfusionError, match='no messages on /nuscenes/sample_token'):
        run(bag, protocol='released')


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
            require_inputs(
                bag, PipelineSettings(cameras=rig, reference_camera='CAM_ROOF', missing_camera='mask'), TopicSettings()
            )
