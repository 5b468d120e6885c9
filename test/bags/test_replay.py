"""Bag in, grids out: deterministic, whatever the order of the messages, and robust against what is wrong with them."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from io import BytesIO
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from gdfusion_ros.bags.grid_stream import ReplayListener, require_inputs
from gdfusion_ros.bags.messages import RosbagsFactory, typestore
from gdfusion_ros.bags.reader import RawMessage, bag_reader
from gdfusion_ros.bags.replay import ReplayResult, replay
from gdfusion_ros.bags.writer import bag_writer
from gdfusion_ros.datasets import nuscenes
from gdfusion_ros.datasets.convert import convert
from gdfusion_ros.datasets.plan import Content, plan
from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.messages import decode
from gdfusion_ros.messages.encode import exposed
from gdfusion_ros.messages.factory import Message
from gdfusion_ros.messages.images import compressed_image
from gdfusion_ros.model.interface import Frame
from gdfusion_ros.model.network import OccupancyNetwork
from gdfusion_ros.model.networks.bevdetocc import BEVDETOCC_GF
from gdfusion_ros.model.sequence import SequenceRunner
from gdfusion_ros.perception.estimator import PoseProtocol
from gdfusion_ros.perception.preprocess import normalize
from gdfusion_ros.perception.runners import torch as torch_runner
from gdfusion_ros.perception.types import Pixels, SemanticGrid
from gdfusion_ros.settings import SURROUND_CAMERAS, BevSettings, PipelineSettings, TopicSettings
from gdfusion_ros.training.examples import Examples
from gdfusion_ros.training.settings import TrainingSettings
from gdfusion_ros.training.stream import Item

SECOND = 1_000_000_000
FRONT = 1_600_000_060_464_300_000 - SECOND // 2
FRONT_STAMPS = [FRONT + index * SECOND // 2 for index in range(3)]
TF = 'tf2_msgs/msg/TFMessage'
TOPICS, SILENT = TopicSettings(), ReplayListener()

Replayed = tuple[ReplayResult, list[SemanticGrid], Path]
Run = Callable[..., Replayed]


def replayed(
    network: OccupancyNetwork,
    bag: Path,
    out: Path,
    *,
    topics: TopicSettings = TOPICS,
    protocol: PoseProtocol = 'live',
    listener: ReplayListener = SILENT,
    **settings: Any,
) -> Replayed:
    """What a replay did, the grids that it wrote, and where."""
    result = replay(bag, out, network, PipelineSettings(**settings), topics, protocol=protocol, listener=listener)
    with bag_reader(out) as reader:
        grids = [decode.semantic_grid(message, topic) for topic, _, message in reader.messages(['/occ/occupancy'])]
    return result, grids, out


@pytest.fixture
def run(tiny_network: OccupancyNetwork, tmp_path: Path) -> Run:
    """``run(bag, **options)``: the bag replayed into tmp_path / 'out', or another name below it."""
    return lambda bag, name='out', **options: replayed(tiny_network, bag, tmp_path / name, **options)


@pytest.fixture(scope='module')
def reference(tiny_network: OccupancyNetwork, scene_bag: Path, tmp_path_factory: pytest.TempPathFactory) -> Replayed:
    """The scene replayed as it is."""
    return replayed(tiny_network, scene_bag, tmp_path_factory.mktemp('replay') / 'out')


def rewrite(source: Path, target: Path, change: Callable[[RawMessage], Iterable[RawMessage]]) -> Path:
    """A copy of a bag in which every message is replaced by ``change(message)``, in the order of record times."""
    with bag_reader(source) as reader, bag_writer(target) as writer:
        messages = [changed for message in reader.raw_messages() for changed in change(message)]
        for topic, type_name in dict.fromkeys((message.topic, message.type_name) for message in messages):
            writer.add_topic(topic, type_name)
        for message in sorted(messages, key=lambda message: message.stamp):
            writer.write_serialized(message.topic, message.stamp, message.data)
    return target


def edited(message: RawMessage, edit: Callable[[Message], Message]) -> RawMessage:
    """The message with its content changed."""
    content = edit(typestore().deserialize_cdr(message.data, message.type_name))
    return message._replace(
        type_name=content.__msgtype__, data=bytes(typestore().serialize_cdr(content, content.__msgtype__))
    )


def assert_same_grids(first: list[SemanticGrid], second: list[SemanticGrid]) -> None:
    assert [grid.stamp for grid in first] == [grid.stamp for grid in second]
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one.labels, other.labels)
        assert (one.cameras, one.frames_since_reset) == (other.cameras, other.frames_since_reset)


def raw_outputs(path: Path) -> list[RawMessage]:
    with bag_reader(path) as reader:
        return list(reader.raw_messages())


def test_every_set_gives_a_grid(reference: Replayed) -> None:
    result, grids, _ = reference
    assert [grid.stamp for grid in grids] == FRONT_STAMPS
    assert [grid.frames_since_reset for grid in grids] == [1, 2, 3]
    assert {grid.frame_id for grid in grids} == {'base_link'}
    assert {grid.labels.shape for grid in grids} == {(25, 25, 4)}
    assert {grid.cameras for grid in grids} == {SURROUND_CAMERAS}
    assert {grid.stamp_spread for grid in grids} == {42_500_000}
    assert len(np.unique(np.stack([grid.labels for grid in grids]))) > 3
    counts = result.counts
    assert (counts.sets, counts.grids, counts.sets_dropped.total(), counts.resets.total()) == (3, 3, 0, 0)
    assert {camera.received for camera in counts.cameras.values()} == {3}
    assert not result.refused


def test_outputs_have_the_nodes_topics_and_the_time_of_the_last_message_needed(reference: Replayed) -> None:
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
    back_left = [stamp + 34_900_000 for stamp in FRONT_STAMPS]
    assert [stamp for topic, stamp, _ in messages if topic == '/occ/occupancy'] == back_left


def test_transforms_come_along_as_they_were(reference: Replayed, run: Run, scene_bag: Path, tmp_path: Path) -> None:
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
    reference: Replayed, run: Run, scene_bag: Path, tmp_path: Path
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


def test_sqlite3_and_single_files_give_the_same(reference: Replayed, run: Run, scene_bag: Path, tmp_path: Path) -> None:
    with bag_reader(scene_bag) as reader, bag_writer(tmp_path / 'lite', storage='sqlite3') as writer:
        for topic in reader.topics.values():
            writer.add_topic(topic.name, topic.type_name)
        for message in reader.raw_messages():
            writer.write_serialized(message.topic, message.stamp, message.data)
    assert_same_grids(reference[1], run(tmp_path / 'lite', 'lite_out')[1])
    assert_same_grids(reference[1], run(scene_bag / 'scene-0001.mcap', 'file_out')[1])


def test_raw_images_on_other_topics_give_the_same(
    reference: Replayed, run: Run, scene_bag: Path, tmp_path: Path
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
    reference: Replayed, run: Run, scene_bag: Path, tmp_path: Path
) -> None:
    def twice(message: RawMessage) -> Iterator[RawMessage]:
        yield message
        yield message._replace(stamp=message.stamp + 2 * SECOND)

    result, grids, _ = run(rewrite(scene_bag, tmp_path / 'loop', twice))
    assert_same_grids([*reference[1], *reference[1]], grids)
    assert result.counts.resets == {'time_jump': 1}


def test_a_corrupt_jpeg_costs_one_set(run: Run, scene_bag: Path, tmp_path: Path) -> None:
    def damage(image: Message) -> Message:
        image.data = image.data[:200]
        return image

    def change(message: RawMessage) -> Iterator[RawMessage]:
        hit = message.topic == '/CAM_BACK/image/compressed' and FRONT_STAMPS[1] <= message.stamp < FRONT_STAMPS[2]
        yield edited(message, damage) if hit else message

    warnings: list[str] = []
    result, grids, _ = run(
        rewrite(scene_bag, tmp_path / 'bad', change), listener=ReplayListener(warning=warnings.append)
    )
    assert [grid.stamp for grid in grids] == [FRONT_STAMPS[0], FRONT_STAMPS[2]]
    assert [grid.frames_since_reset for grid in grids] == [1, 2]
    assert result.counts.frames_refused.total() == 1
    (line,) = warnings
    assert '/CAM_BACK/image/compressed at 1600000060.489400000' in line


def second(topic: str, edit: Callable[[Message], Message]) -> Callable[[RawMessage], list[RawMessage]]:
    """Changes the messages of a topic that are of the second set."""
    return lambda message: [
        edited(message, edit)
        if message.topic == topic and FRONT_STAMPS[1] <= message.stamp < FRONT_STAMPS[2]
        else message
    ]


def set_fields(**values: Any) -> Callable[[Message], Message]:
    def edit(message: Message) -> Message:
        for name, value in values.items():
            setattr(message, name, value)
        return message

    return edit


def coded(pixels: Pixels, kind: str) -> NDArray[np.uint8]:
    stream = BytesIO()
    Image.fromarray(pixels).save(stream, kind)
    return np.frombuffer(stream.getvalue(), np.uint8)


@pytest.mark.parametrize(
    ('fields', 'reason'),
    [
        (
            {'data': coded(np.zeros((2, 1600), np.uint8), 'JPEG')},
            'the image has 1600 x 2 pixels, but its camera info says',
        ),
        (
            {'data': coded(np.zeros((5999, 3), np.uint8), 'JPEG')},
            'the image has 3 x 5999 pixels, but its camera info says',
        ),
        (
            {'data': coded(np.full((90, 160), 4095, np.uint16), 'PNG'), 'format': 'mono16; png compressed '},
            'of 12 bits at most',
        ),
        ({'data': np.arange(99, dtype=np.uint8), 'format': 'h264'}, "its format is 'h264'"),
        ({'format': '16UC1; png compressed '}, "encoding '16UC1' holds numbers"),
    ],
)
def test_an_image_that_cannot_be_used_costs_one_set(
    run: Run, scene_bag: Path, tmp_path: Path, fields: dict[str, Any], reason: str
) -> None:
    warnings: list[str] = []
    bag = rewrite(scene_bag, tmp_path / 'bad', second('/CAM_BACK/image/compressed', set_fields(**fields)))
    result, grids, _ = run(bag, listener=ReplayListener(warning=warnings.append))
    assert [grid.frames_since_reset for grid in grids] == [1, 2]
    assert result.counts.frames_refused == {'image': 1}
    [line] = warnings
    assert line.startswith('refused: /CAM_BACK/image/compressed at 1600000060.489400000: ')
    assert reason in line


@pytest.mark.parametrize('values', [{0: 1e-300}, {2: 1e39}, {4: 1e7}, {5: -1e5}, {3: 1.0}])
def test_an_implausible_camera_info_costs_nothing_but_itself(
    reference: Replayed, run: Run, scene_bag: Path, tmp_path: Path, values: dict[int, float]
) -> None:
    def spoil(info: Message) -> Message:
        k = info.k.copy()
        k[list(values)] = list(values.values())
        return set_fields(k=k, p=np.zeros(12))(info)

    warnings: list[str] = []
    bag = rewrite(scene_bag, tmp_path / 'bad', second('/CAM_BACK/camera_info', spoil))
    result, grids, _ = run(bag, listener=ReplayListener(warning=warnings.append))
    assert_same_grids(reference[1], grids)
    assert result.refused == {'/CAM_BACK/camera_info': 1}
    [line] = warnings
    assert "the intrinsic matrix K is no camera's: " in line


def cropped(*, roi: bool) -> Callable[[RawMessage], list[RawMessage]]:
    """The upper 20 of 90 rows are cut off, which CameraInfo says by its roi, or by a shifted matrix."""

    def info(message: Message) -> Message:
        if roi:
            message.roi.y_offset, message.roi.width, message.roi.height = 20, 160, 70
            return message
        k, p = message.k.copy(), message.p.copy()
        k[5], p[6] = k[5] - 20, p[6] - 20
        return set_fields(k=k, p=p, height=70)(message)

    def image(message: Message) -> Message:
        return set_fields(data=coded(np.asarray(Image.open(BytesIO(message.data)))[20:], 'PNG'))(message)

    def change(message: RawMessage) -> list[RawMessage]:
        edits = {'camera_info': info, 'compressed': image}
        part = message.topic.rpartition('/')[2]
        return [edited(message, edits[part]) if part in edits else message]

    return change


def test_a_region_of_interest_is_the_same_as_a_shifted_matrix(
    reference: Replayed, run: Run, scene_bag: Path, tmp_path: Path
) -> None:
    shifted, region = (
        run(rewrite(scene_bag, tmp_path / f'roi-{roi}', cropped(roi=roi)), f'out-{roi}')[1] for roi in (False, True)
    )
    assert_same_grids(shifted, region)
    assert not all(np.array_equal(one.labels, other.labels) for one, other in zip(reference[1], region, strict=True))


@pytest.mark.slow
def test_a_mosaic_in_a_png_gives_the_grids_of_the_raw_mosaic(run: Run, scene_bag: Path, tmp_path: Path) -> None:
    pytest.importorskip('cv2')

    def mosaic(message: Message, *, raw: bool) -> Message:
        grey = np.ascontiguousarray(np.asarray(Image.open(BytesIO(message.data)))[..., 1])
        if not raw:
            return set_fields(data=coded(grey, 'PNG'), format='bayer_gbrg8; png compressed ')(message)
        return RosbagsFactory()(
            'sensor_msgs/msg/Image',
            header=message.header,
            height=90,
            width=160,
            step=160,
            encoding='bayer_gbrg8',
            data=grey.reshape(-1),
        )

    def change(raw: bool) -> Callable[[RawMessage], list[RawMessage]]:
        return lambda message: [
            edited(message, partial(mosaic, raw=raw))._replace(
                topic=message.topic.removesuffix('/compressed') if raw else message.topic
            )
            if message.topic.endswith('/compressed')
            else message
        ]

    grids = [
        run(
            rewrite(scene_bag, tmp_path / f'raw-{raw}', change(raw)),
            f'out-{raw}',
            topics=TopicSettings(image_transport='raw' if raw else 'compressed'),
        )[1]
        for raw in (False, True)
    ]
    assert_same_grids(*grids)


def test_a_pose_beyond_all_bounds_is_refused_and_costs_nothing_more(run: Run, scene_bag: Path, tmp_path: Path) -> None:
    def far(tf: Message) -> Message:
        tf.transforms[0].transform.translation.y = 1e306
        return tf

    back = FRONT_STAMPS[1] + 25_100_000
    bag = rewrite(
        scene_bag,
        tmp_path / 'bad',
        lambda message: [edited(message, far) if message.topic == '/tf' and message.stamp == back else message],
    )
    result, grids, _ = run(bag)
    assert [grid.frames_since_reset for grid in grids] == [1, 2, 3], 'the poses before and after it place the set'
    assert result.refused == {'/tf': 1}
    assert not result.counts.resets


def test_an_unexpected_error_costs_one_set(run: Run, scene_bag: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls, warnings = count(), list[str]()

    def breaks_at_the_second(*arguments: Any) -> Any:
        if next(calls) == 1:
            raise ZeroDivisionError('division by zero')
        return normalize(*arguments)

    monkeypatch.setattr(torch_runner, 'normalize', breaks_at_the_second)
    result, grids, _ = run(scene_bag, listener=ReplayListener(warning=warnings.append))
    assert [grid.stamp for grid in grids] == [FRONT_STAMPS[0], FRONT_STAMPS[2]]
    assert result.counts.frames_refused == result.counts.resets == {'error': 1}
    [line] = warnings
    assert 'unexpected ZeroDivisionError in test_replay.py:' in line


def test_a_message_without_a_frame_is_refused_and_named_once(run: Run, scene_bag: Path, tmp_path: Path) -> None:
    def spoil(image: Message) -> Message:
        image.header.frame_id = ''
        return image

    def change(message: RawMessage) -> Iterator[RawMessage]:
        hit = message.topic == '/CAM_BACK/image/compressed' and message.stamp > FRONT_STAMPS[1]
        yield edited(message, spoil) if hit else message

    warnings: list[str] = []
    result, grids, _ = run(
        rewrite(scene_bag, tmp_path / 'bad', change), listener=ReplayListener(warning=warnings.append)
    )
    assert [grid.stamp for grid in grids] == FRONT_STAMPS[:1]
    assert result.refused == {'/CAM_BACK/image/compressed': 2}
    assert len(warnings) == 1
    assert 'no frame_id' in warnings[0]


def test_one_bad_transform_does_not_cost_the_others(run: Run, scene_bag: Path, tmp_path: Path) -> None:
    def add_bad(tf: Message) -> Message:
        bad = RosbagsFactory()('geometry_msgs/msg/TransformStamped', child_frame_id='elsewhere')
        bad.header.frame_id, bad.transform.rotation.w = 'base_link', float('nan')
        tf.transforms.insert(0, bad)
        return tf

    bag = rewrite(
        scene_bag, tmp_path / 'bad', lambda message: [edited(message, add_bad) if message.topic == '/tf' else message]
    )
    result, grids, _ = run(bag)
    assert len(grids) == 3
    assert result.refused == {'/tf': 21}


def without(*prefixes: str) -> Callable[[RawMessage], list[RawMessage]]:
    return lambda message: [] if message.topic.startswith(prefixes) else [message]


def test_missing_topics_are_named(run: Run, scene_bag: Path, tmp_path: Path) -> None:
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


def test_a_camera_that_never_came_is_masked_if_that_is_wanted(run: Run, scene_bag: Path, tmp_path: Path) -> None:
    bag = rewrite(scene_bag, tmp_path / 'less', without('/CAM_BACK/'))
    with pytest.raises(GdfusionError, match='/CAM_BACK/camera_info'):
        run(bag)
    _, grids, _ = run(bag, missing_camera='mask')
    assert [grid.stamp for grid in grids] == FRONT_STAMPS
    assert {grid.cameras for grid in grids} == {tuple(c for c in SURROUND_CAMERAS if c != 'CAM_BACK')}


def test_one_camera_is_enough_and_that_is_said(run: Run, scene_bag: Path) -> None:
    warnings: list[str] = []
    _, grids, _ = run(scene_bag, cameras=('CAM_FRONT',), listener=ReplayListener(warning=warnings.append))
    assert [grid.cameras for grid in grids] == 3 * [('CAM_FRONT',)]
    [line] = warnings
    assert 'was trained with 6 cameras and gets 1' in line


def test_without_the_cameras_places_there_is_no_grid_and_no_bag(run: Run, scene_bag: Path, tmp_path: Path) -> None:
    bag = rewrite(scene_bag, tmp_path / 'less', without('/tf_static'))
    with pytest.raises(GdfusionError) as error:
        run(bag)
    assert f'bag {bag} gives no grid: 3 camera sets, dropped: transform 3; set at ' in str(error.value)
    assert {path.name for path in tmp_path.iterdir()} == {'less'}


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
    reference: Replayed, run: Run, scene_bag: Path, tmp_path: Path
) -> None:
    def move(tf: Message) -> Message:
        tf.transforms[0].transform.translation.x += 5.0
        return tf

    second_lidar_stamp = FRONT_STAMPS[1] + 35_700_000
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


def test_the_released_protocol_needs_sample_tokens(run: Run, scene_bag: Path, tmp_path: Path) -> None:
    bag = rewrite(scene_bag, tmp_path / 'less', without('/nuscenes'))
    with pytest.raises(GdfusionError, match='no messages on /nuscenes/sample_token'):
        run(bag, protocol='released')


def test_real_images_give_a_grid_each(run: Run, shared: Path, tmp_path: Path) -> None:
    from gdfusion_ros.datasets import nuscenes
    from gdfusion_ros.datasets.convert import convert
    from gdfusion_ros.datasets.plan import plan

    job = plan(nuscenes.load(shared / 'data' / 'nuscenes_mini', None, ['scene-0103']), tmp_path)[0]
    convert(job)
    _, grids, _ = run(job.path)
    assert [grid.stamp for grid in grids] == [1_533_151_603_512_404_000, 1_533_151_604_012_404_000]


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


@pytest.fixture(scope='module')
def swept_root(nuscenes_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The synthetic dataset with LiDAR sweeps."""
    root = tmp_path_factory.mktemp('swept') / 'nuscenes'
    shutil.copytree(nuscenes_root, root)
    for sample in nuscenes.load(root, scenes=('scene-0001',)).scenes[0].samples:
        path = sample.data['LIDAR_TOP'].path
        path.parent.mkdir(parents=True, exist_ok=True)
        points = np.random.default_rng(0).uniform(-20, 20, (500, 5)).astype(np.float32)
        points[:, 4] = 7
        points.tofile(path)
    return root


@pytest.fixture
def lidar_bag(swept_root: Path, tmp_path: Path) -> Path:
    """The scene with point clouds."""
    [job] = plan(nuscenes.load(swept_root, scenes=('scene-0001',)), tmp_path, Content(lidar=True))
    convert(job)
    return job.path


@pytest.fixture
def looking(tiny_network: OccupancyNetwork, monkeypatch: pytest.MonkeyPatch) -> list[Frame]:
    """The network says that it looks at LiDAR depth; the frames that it is given."""
    monkeypatch.setattr(tiny_network, 'spec', dataclasses.replace(tiny_network.spec, lidar_depth=True))
    seen: list[Frame] = []
    look = SequenceRunner.look
    monkeypatch.setattr(
        SequenceRunner, 'look', lambda runner, frame, *more: (seen.append(frame), look(runner, frame, *more))[1]
    )
    return seen


def test_clouds_become_depth_of_the_images(run: Run, lidar_bag: Path, looking: list[Frame], swept_root: Path) -> None:
    result, grids, _ = run(lidar_bag)
    assert len(grids) == len(looking) == 3
    assert (result.counts.lidar.received, result.counts.lidar.missing) == (3, 0)
    spec = dataclasses.replace(BEVDETOCC_GF, image_size=(64, 176), lidar_depth=True, frame='ego')
    examples = Examples([nuscenes.load(swept_root, scenes=('scene-0001',))], spec, TrainingSettings(), augment=False)
    for index, frame in enumerate(looking):
        assert frame.lidar_depth is not None
        assert frame.lidar_depth.shape == (6, 64, 176)
        assert (frame.lidar_depth > 0).any()
        offline = examples[Item(0, index, 0)].frame.lidar_depth
        assert offline is not None
        assert ((frame.lidar_depth - offline).abs() > 1e-2).float().mean() < 1e-4, 'training sees the same'


def without_clouds(message: RawMessage) -> Iterable[RawMessage]:
    return () if message.topic == '/LIDAR_TOP/points' and message.stamp > FRONT + SECOND // 4 else (message,)


def test_sets_without_a_cloud_are_skipped_or_seen_by_the_cameras_alone(
    run: Run, lidar_bag: Path, tmp_path: Path, looking: list[Frame]
) -> None:
    bag = rewrite(lidar_bag, tmp_path / 'silent', without_clouds)
    result, grids, _ = run(bag)
    assert [grid.stamp for grid in grids] == FRONT_STAMPS[:1]
    assert dict(result.counts.sets_dropped) == {'lidar': 2}
    looking.clear()
    result, grids, _ = run(bag, 'alone', missing_lidar='camera_only')
    assert [grid.stamp for grid in grids] == FRONT_STAMPS
    assert [frame.lidar_depth is None for frame in looking] == [False, True, True]
    assert result.counts.lidar.missing == 2


def test_a_bag_without_clouds_is_refused_at_once_unless_the_cameras_may_do(
    run: Run, scene_bag: Path, looking: list[Frame]
) -> None:
    with pytest.raises(GdfusionError, match='/LIDAR_TOP/points'):
        run(scene_bag)
    _, grids, _ = run(scene_bag, 'alone', missing_lidar='camera_only')
    assert [frame.lidar_depth for frame in looking] == [None] * len(grids) == [None] * 3


def test_a_damaged_cloud_costs_its_set_only(run: Run, lidar_bag: Path, tmp_path: Path, looking: list[Frame]) -> None:
    def damage(message: RawMessage) -> Iterable[RawMessage]:
        second = (
            message.topic == '/LIDAR_TOP/points'
            and message.stamp > FRONT + SECOND // 4
            and message.stamp < FRONT + 3 * SECOND // 4
        )

        def cut(cloud: Message) -> Message:
            cloud.fields = cloud.fields[1:]
            return cloud

        return (edited(message, cut) if second else message,)

    lines: list[str] = []
    bag = rewrite(lidar_bag, tmp_path / 'damaged', damage)
    result, grids, _ = run(bag, listener=ReplayListener(warning=lines.append))
    assert [grid.stamp for grid in grids] == [FRONT_STAMPS[0], FRONT_STAMPS[2]]
    assert result.refused == {'/LIDAR_TOP/points': 1}
    assert any('the cloud has no x; its fields are y, z, intensity, ring' in line for line in lines)
