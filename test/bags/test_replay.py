"""Bag in, grids out: deterministic, whatever the order of the messages."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest

from gdfusion_ros.bags.grid_stream import ReplayListener
from gdfusion_ros.bags.messages import RosbagsFactory
from gdfusion_ros.bags.reader import RawMessage, bag_reader
from gdfusion_ros.bags.replay import ReplayResult, replay
from gdfusion_ros.bags.writer import bag_writer
from gdfusion_ros.datasets import nuscenes
from gdfusion_ros.datasets.convert import convert
from gdfusion_ros.datasets.plan import plan
from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.messages.encode import exposed
from gdfusion_ros.messages.factory import Message
from gdfusion_ros.messages.images import compressed_image
from gdfusion_ros.model.network import OccupancyNetwork
from gdfusion_ros.perception.types import SemanticGrid
from gdfusion_ros.settings import SURROUND_CAMERAS, BevSettings, PipelineSettings, TopicSettings

SECOND = 1_000_000_000
TF = 'tf2_msgs/msg/TFMessage'
TOPICS = TopicSettings()
Replayed = tuple[ReplayResult, list[SemanticGrid], Path]
Run = Callable[..., Replayed]
Rewrite = Callable[[Path, Path, Callable[[RawMessage], Iterable[RawMessage]]], Path]
Edit = Callable[[RawMessage, Callable[[Message], Message]], RawMessage]
SameGrids = Callable[[list[SemanticGrid], list[SemanticGrid]], None]


def raw_outputs(path: Path) -> list[RawMessage]:
    with bag_reader(path) as reader:
        return list(reader.raw_messages())


def test_every_set_gives_a_grid(reference: Replayed, front_stamps: list[int]) -> None:
    result, grids, _ = reference
    assert [grid.stamp for grid in grids] == front_stamps
    assert [grid.frames_since_reset for grid in grids] == [1, 2, 3]
    assert {grid.frame_id for grid in grids} == {'base_link'}
    assert {grid.labels.shape for grid in grids} == {(25, 25, 4)}
    assert {grid.cameras for grid in grids} == {SURROUND_CAMERAS}
    assert {grid.stamp_spread for grid in grids} == {42_500_000}
    assert len(np.unique(np.stack([grid.labels for grid in grids]))) > 3
    counts = result.counts
    assert (counts.sets, counts.grids, counts.sets_dropped.total(), counts.resets.total()) == (3, 3, 0, 0)
    assert {camera.received for camera in counts.cameras.values()} == {3}
    assert not result.counts.refused


def test_outputs_have_the_nodes_topics_and_the_time_of_the_last_message_needed(
    reference: Replayed, front_stamps: list[int]
) -> None:
    _, grids, out = reference
    with bag_reader(out) as reader:
        assert {name: (topic.type_name, topic.count) for name, topic in reader.topics.items()} == {
            '/occ/bev': ('nav_msgs/msg/OccupancyGrid', 3),
            '/occ/label_info': ('std_msgs/msg/String', 1),
            '/occ/markers': ('visualization_msgs/msg/MarkerArray', 3),
            '/occ/occupancy': ('gdfusion_ros/msg/SemanticOccupancyGrid', 3),
            '/occ/points': ('sensor_msgs/msg/PointCloud2', 3),
            '/tf': (TF, 21),
            '/tf_static': (TF, 1),
        }
        assert reader.custom_data['nuscenes.scene'] == 'scene-0001'
        assert (reader.custom_data['gdfusion.bag'], reader.custom_data['gdfusion.model']) == ('scene-0001', 'tiny')
        assert reader.custom_data['gdfusion.protocol'] == 'live'
        first, *_ = messages = list(reader.messages(list(reader.topics)))
        assert first.topic == '/occ/label_info'
        assert json.loads(first.message.data)['label_set'] == 'occ3d_nuscenes'
        points = [message for topic, _, message in messages if topic == '/occ/points']
    assert [cloud.width for cloud in points] == [np.count_nonzero(exposed(grid.occupied)) for grid in grids]
    # CAM_BACK_LEFT is the last image of a set; its pose comes just before it.
    back_left = [stamp + 34_900_000 for stamp in front_stamps]
    assert [stamp for topic, stamp, _ in messages if topic == '/occ/occupancy'] == back_left


def test_transforms_come_along_as_they_were(
    reference: Replayed, run: Run, scene_bag: Path, tmp_path: Path, rewrite: Rewrite
) -> None:
    def transforms(path: Path, *names: str) -> list[tuple[int, bytes]]:
        with bag_reader(path) as reader:
            return [(message.stamp, bytes(message.data)) for message in reader.raw_messages(names)]

    with bag_reader(scene_bag) as source, bag_reader(reference[2]) as copy:
        for topic in ('/tf', '/tf_static'):
            assert source.topics[topic].qos == copy.topics[topic].qos
        stamps = [message.stamp for message in copy.raw_messages()]
    assert stamps == sorted(stamps)
    expected = transforms(scene_bag, '/tf', '/tf_static')
    assert transforms(reference[2], '/tf', '/tf_static') == expected
    renamed = rewrite(
        scene_bag,
        tmp_path / 'renamed',
        lambda message: [message._replace(topic=message.topic.replace('/tf', '/odometry/tf'))],
    )
    topics = TopicSettings(tf_topic='/odometry/tf', tf_static_topic='/odometry/tf_static')
    assert transforms(run(renamed, topics=topics)[2], '/tf', '/tf_static') == expected


def test_costs_of_the_birds_eye_view_are_settings(
    tiny_network: OccupancyNetwork, scene_bag: Path, reference: Replayed, tmp_path: Path
) -> None:
    def costs(path: Path) -> set[int]:
        with bag_reader(path) as reader:
            return {int(cost) for item in reader.messages(['/occ/bev']) for cost in np.unique(item.message.data)}

    replay(
        scene_bag,
        tmp_path / 'out',
        tiny_network,
        PipelineSettings(),
        TOPICS,
        bev=BevSettings(bev_costs=('obstacles: 40', 'ground: 7'), bev_min_height=-1.0, bev_max_height=6.0),
    )
    assert {-1, 40} <= costs(tmp_path / 'out') <= {-1, 7, 40}
    with pytest.raises(GdfusionError, match="setting 'bev_free': no class 'tram'"):
        replay(
            scene_bag, tmp_path / 'none', tiny_network, PipelineSettings(), TOPICS, bev=BevSettings(bev_free=('tram',))
        )


def test_two_replays_write_the_same_bytes(reference: Replayed, run: Run, scene_bag: Path) -> None:
    assert raw_outputs(reference[2]) == raw_outputs(run(scene_bag)[2])


def test_grids_do_not_depend_on_when_topics_are_recorded(
    reference: Replayed, run: Run, scene_bag: Path, tmp_path: Path, rewrite: Rewrite, assert_same_grids: SameGrids
) -> None:
    delays = {
        '/tf': 300_000_000,
        '/CAM_BACK/image/compressed': 90_000_000,
        '/CAM_FRONT/image/compressed': 200_000_000,
        '/CAM_FRONT_LEFT/camera_info': 130_000_000,
    }
    late = rewrite(
        scene_bag,
        tmp_path / 'late',
        lambda message: [message._replace(stamp=message.stamp + delays.get(message.topic, 0))],
    )
    assert_same_grids(reference[1], run(late)[1])


def test_sqlite3_and_single_files_give_the_same(
    reference: Replayed, run: Run, scene_bag: Path, tmp_path: Path, assert_same_grids: SameGrids
) -> None:
    with bag_reader(scene_bag) as reader, bag_writer(tmp_path / 'lite', storage='sqlite3') as writer:
        for topic in reader.topics.values():
            writer.add_topic(topic.name, topic.type_name)
        for message in reader.raw_messages():
            writer.write_serialized(message.topic, message.stamp, message.data)
    assert_same_grids(reference[1], run(tmp_path / 'lite', 'lite_out')[1])
    assert_same_grids(reference[1], run(scene_bag / 'scene-0001.mcap', 'file_out')[1])


def test_raw_images_on_other_topics_give_the_same(
    reference: Replayed,
    run: Run,
    scene_bag: Path,
    tmp_path: Path,
    rewrite: Rewrite,
    edited: Edit,
    assert_same_grids: SameGrids,
) -> None:
    make = RosbagsFactory()

    def unpack(compressed: Message) -> Message:
        pixels = compressed_image(compressed, 'image').load()
        height, width, _ = pixels.shape
        return make(
            'sensor_msgs/msg/Image',
            header=compressed.header,
            height=height,
            width=width,
            encoding='bgr8',
            step=3 * width,
            data=make.array(np.ascontiguousarray(pixels[..., ::-1]).reshape(-1)),
        )

    def change(message: RawMessage) -> Iterator[RawMessage]:
        _, camera, *rest = message.topic.split('/')
        if rest == ['image', 'compressed']:
            yield edited(message, unpack)._replace(topic=f'/rig/{camera}/raw')
        elif rest == ['camera_info']:
            yield message._replace(topic=f'/rig/{camera}/info')
        else:
            yield message

    raw = rewrite(scene_bag, tmp_path / 'raw', change)
    topics = TopicSettings(
        image_topic='/rig/{camera}/raw', camera_info_topic='/rig/{camera}/info', image_transport='raw'
    )
    assert_same_grids(reference[1], run(raw, topics=topics)[1])


def test_a_bag_that_loops_gives_the_same_grids_again(
    reference: Replayed, run: Run, scene_bag: Path, tmp_path: Path, rewrite: Rewrite, assert_same_grids: SameGrids
) -> None:
    def twice(message: RawMessage) -> Iterator[RawMessage]:
        yield message
        yield message._replace(stamp=message.stamp + 2 * SECOND)

    result, grids, _ = run(rewrite(scene_bag, tmp_path / 'loop', twice))
    assert_same_grids([*reference[1], *reference[1]], grids)
    assert result.counts.resets == {'time_jump': 1}


def test_ctrl_c_leaves_nothing(run: Run, scene_bag: Path, tmp_path: Path) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(scene_bag, listener=ReplayListener(message=stop))
    assert list(tmp_path.iterdir()) == []


def test_what_exists_is_not_overwritten(run: Run, scene_bag: Path, tmp_path: Path) -> None:
    (tmp_path / 'out').mkdir()
    with pytest.raises(GdfusionError, match='exists already'):
        run(scene_bag)


def test_tells_of_every_message(run: Run, scene_bag: Path) -> None:
    told: list[None] = []
    run(scene_bag, listener=ReplayListener(message=lambda: told.append(None)))
    with bag_reader(scene_bag) as reader:
        assert len(told) == reader.message_count - reader.count(['/nuscenes/sample_token'])


@pytest.mark.slow
def test_the_released_protocol_warps_the_memory_by_lidar_poses(
    reference: Replayed,
    run: Run,
    scene_bag: Path,
    tmp_path: Path,
    rewrite: Rewrite,
    edited: Edit,
    assert_same_grids: SameGrids,
    front_stamps: list[int],
) -> None:
    def move(tf: Message) -> Message:
        tf.transforms[0].transform.translation.x += 5.0
        return tf

    second_lidar_stamp = front_stamps[1] + 35_700_000
    moved = rewrite(
        scene_bag,
        tmp_path / 'moved',
        lambda message: [
            edited(message, move) if message.topic == '/tf' and message.stamp == second_lidar_stamp else message
        ],
    )
    assert_same_grids(reference[1], run(moved, 'live')[1])
    _, released, out = run(scene_bag, 'released', protocol='released')
    again = run(moved, 'moved_released', protocol='released')[1]
    assert_same_grids(released[:1], again[:1])
    assert not np.array_equal(released[1].labels, again[1].labels)
    with bag_reader(out) as reader:
        assert reader.custom_data['gdfusion.protocol'] == 'released'


def test_real_images_give_a_grid_each(run: Run, shared: Path, tmp_path: Path) -> None:

    job = plan(nuscenes.load(shared / 'data' / 'nuscenes_mini', None, ['scene-0103']), tmp_path)[0]
    convert(job)
    _, grids, _ = run(job.path)
    assert [grid.stamp for grid in grids] == [1_533_151_603_512_404_000, 1_533_151_604_012_404_000]
