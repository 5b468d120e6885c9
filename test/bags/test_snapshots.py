from __future__ import annotations

import dataclasses
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gdfusion_ros.bags.messages import GRID_TYPE, RosbagsFactory
from gdfusion_ros.bags.reader import bag_reader
from gdfusion_ros.bags.snapshots import Sources, bag_snapshots
from gdfusion_ros.bags.writer import bag_writer
from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.messages import encode
from gdfusion_ros.messages.factory import header
from gdfusion_ros.messages.outputs import GROUND_TRUTH_TOPIC
from gdfusion_ros.perception.labels import OCC3D_NUSCENES
from gdfusion_ros.perception.types import Pixels, SemanticGrid
from gdfusion_ros.settings import TopicSettings
from gdfusion_ros.visualization.snapshot import Parts, Snapshot

TOPIC, SECOND, MS = '/occ/occupancy', 1_000_000_000, 1_000_000
CAMERAS = ('CAM_FRONT', 'CAM_BACK')
MAKE = RosbagsFactory()
TRUTH = 11


def grid_of(stamp: int, label: int) -> SemanticGrid:
    return SemanticGrid(
        stamp,
        'base_link',
        (0.0, 0.0, 0.0),
        (1.0, 1.0, 1.0),
        np.full((2, 3, 4), label, np.uint8, order='F'),
        None,
        OCC3D_NUSCENES,
        'made',
        1,
        CAMERAS,
        40 * MS,
    )


def write_grids(path: Path, grids: list[SemanticGrid], topic: str = TOPIC) -> Path:
    with bag_writer(path) as bag:
        bag.add_topic(topic, GRID_TYPE)
        for number, grid in enumerate(grids):
            bag.write(topic, number, encode.occupancy(grid, MAKE))
    return path


@pytest.fixture(scope='module')
def grids(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Grids of class 0, 1, 2 at 1, 2 and 3 s."""
    path = tmp_path_factory.mktemp('bags') / 'grids'
    return write_grids(path, [grid_of((label + 1) * SECOND, label) for label in range(3)])


def png(value: int) -> Pixels:
    file = BytesIO()
    Image.new('RGB', (4, 3), (value, 0, 0)).save(file, 'PNG')
    return np.frombuffer(file.getvalue(), np.uint8)


@pytest.fixture(scope='module')
def drive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """CAM_FRONT compressed, brightness = its tenth of a second; CAM_BACK raw, only at 2.03 s; labels at 2.05 s."""
    path = tmp_path_factory.mktemp('bags') / 'drive'
    with bag_writer(path) as bag:
        bag.add_topic('/CAM_FRONT/image/compressed', 'sensor_msgs/msg/CompressedImage')
        bag.add_topic('/CAM_BACK/image', 'sensor_msgs/msg/Image')
        bag.add_topic(GROUND_TRUTH_TOPIC, GRID_TYPE)
        for tenth in range(10, 31):
            bag.write(
                '/CAM_FRONT/image/compressed',
                tenth,
                MAKE(
                    'sensor_msgs/msg/CompressedImage',
                    header=header(tenth * 100 * MS, 'CAM_FRONT', MAKE),
                    format='png',
                    data=png(tenth),
                ),
            )
        bag.write(
            '/CAM_BACK/image',
            40,
            MAKE(
                'sensor_msgs/msg/Image',
                header=header(2 * SECOND + 30 * MS, 'CAM_BACK', MAKE),
                height=3,
                width=4,
                step=12,
                encoding='rgb8',
                data=np.full(36, 7, np.uint8),
            ),
        )
        labels = dataclasses.replace(grid_of(2 * SECOND + 50 * MS, TRUTH), cameras=(), stamp_spread=0)
        bag.write(GROUND_TRUTH_TOPIC, 41, encode.occupancy(labels, MAKE))
    return path


def read(sources: Sources) -> list[Snapshot]:
    with bag_snapshots(sources) as frames:
        return [frames[index] for index in range(len(frames))]


def test_frames_are_in_the_order_of_the_recording(grids: Path) -> None:
    with bag_snapshots(Sources(grids, TOPIC)) as frames:
        assert frames.stamps == [SECOND, 2 * SECOND, 3 * SECOND]
        assert frames.parts == Parts(truth=False, images=False)
        assert [int(frames[index].grid.labels.max()) for index in (2, 0, 1)] == [2, 0, 1]


@pytest.mark.parametrize(('stamp', 'index'), [(0, 0), (1_600 * MS, 1), (2_400 * MS, 1), (2_600 * MS, 2)])
def test_grid_nearest_to_a_stamp(grids: Path, stamp: int, index: int) -> None:
    with bag_snapshots(Sources(grids, TOPIC)) as frames:
        assert frames.nearest(stamp) == index


def test_images_and_truth_of_a_grid_are_those_of_its_time(grids: Path, drive: Path) -> None:
    frames = read(Sources(grids, TOPIC, images=(drive,)))
    assert [frame.images.keys() for frame in frames] == [{'CAM_FRONT'}, set(CAMERAS), {'CAM_FRONT'}]
    assert (frames[1].images['CAM_FRONT'][..., 0] == 20).all()
    assert (frames[1].images['CAM_BACK'] == 7).all()
    assert [frame.truth is not None for frame in frames] == [False, True, False]
    assert frames[1].truth is not None
    assert (frames[1].truth.labels == TRUTH).all()


def test_images_beyond_the_spread_do_not_belong_to_the_grid(drive: Path, tmp_path: Path) -> None:
    close = dataclasses.replace(grid_of(2 * SECOND, 0), stamp_spread=29 * MS)
    (frame,) = read(Sources(write_grids(tmp_path / 'grids', [close]), TOPIC, images=(drive,)))
    assert frame.images.keys() == {'CAM_FRONT'}


def test_truth_can_be_shown_by_itself_with_the_images_of_its_time(drive: Path) -> None:
    (frame,) = read(Sources(drive, GROUND_TRUTH_TOPIC))
    assert frame.truth is None
    assert frame.images.keys() == set(CAMERAS)


def test_truth_comes_from_the_bag_that_is_named(grids: Path, drive: Path, tmp_path: Path) -> None:
    other = write_grids(tmp_path / 'truth', [grid_of(SECOND + 99 * MS, 4)], GROUND_TRUTH_TOPIC)
    frames = read(Sources(grids, TOPIC, images=(drive,), truth=other))
    assert [None if frame.truth is None else int(frame.truth.labels.max()) for frame in frames] == [4, None, None]


def test_several_bags_of_images_are_searched(grids: Path, drive: Path, tmp_path: Path) -> None:
    with bag_writer(tmp_path / 'other') as bag:
        bag.add_topic('/CAM_BACK/image/compressed', 'sensor_msgs/msg/CompressedImage')
        bag.write(
            '/CAM_BACK/image/compressed',
            0,
            MAKE('sensor_msgs/msg/CompressedImage', header=header(SECOND, 'CAM_BACK', MAKE), format='png', data=png(9)),
        )
    frames = read(Sources(grids, TOPIC, images=(tmp_path / 'other', drive)))
    assert (frames[0].images['CAM_BACK'][..., 0] == 9).all()


def test_images_may_be_on_other_topics(grids: Path, drive: Path, tmp_path: Path) -> None:
    with bag_reader(drive) as reader, bag_writer(tmp_path / 'rig') as writer:
        for topic in reader.topics.values():
            writer.add_topic(f'/rig{topic.name}', topic.type_name)
        for message in reader.raw_messages():
            writer.write_serialized(f'/rig{message.topic}', message.stamp, message.data)
    sources = Sources(grids, TOPIC, images=(tmp_path / 'rig',))
    with pytest.raises(
        GdfusionError, match=r'no camera image on /\{camera\}/image \(setting image_topic\) within 0.1 s'
    ):
        read(sources)
    named = read(dataclasses.replace(sources, topics=TopicSettings(image_topic='/rig/{camera}/image')))
    usual = read(Sources(grids, TOPIC, images=(drive,)))
    assert [frame.images.keys() for frame in named] == [frame.images.keys() for frame in usual]


def test_an_image_that_cannot_be_read_costs_itself(grids: Path, tmp_path: Path) -> None:
    with bag_writer(tmp_path / 'torn') as bag:
        bag.add_topic('/CAM_FRONT/image/compressed', 'sensor_msgs/msg/CompressedImage')
        for second, data in enumerate([png(1), png(2)[:50], png(3)[:50]], 1):
            image = MAKE(
                'sensor_msgs/msg/CompressedImage',
                header=header(second * SECOND, 'CAM_FRONT', MAKE),
                format='png',
                data=data,
            )
            bag.write('/CAM_FRONT/image/compressed', second, image)
    told: list[str] = []
    with bag_snapshots(Sources(grids, TOPIC, images=(tmp_path / 'torn',)), told.append) as frames:
        assert [set(frames[index].images) for index in range(3)] == [{'CAM_FRONT'}, set(), set()]
        assert frames.with_images(1)[1] == {}
    [line] = told
    assert line.startswith('/CAM_FRONT/image/compressed at 2.000000000')
    assert line.endswith('; its grid is shown without it, as any other of CAM_FRONT that cannot be read')


@pytest.mark.parametrize(
    ('role', 'said'),
    [
        ('images', r'no camera image on .* within 0.1 s of a grid'),
        ('truth', 'no ground truth on /ground_truth/occupancy within 0.1 s'),
    ],
)
def test_bags_that_were_named_and_have_nothing_are_refused(grids: Path, role: str, said: str) -> None:
    sources = Sources(grids, TOPIC, **({'images': (grids,)} if role == 'images' else {'truth': grids}))
    with pytest.raises(GdfusionError, match=said):
        read(sources)


def test_bag_without_grids_says_what_it_has(drive: Path) -> None:
    with pytest.raises(GdfusionError, match=rf'no messages on {TOPIC} .*/CAM_BACK/image '):
        read(Sources(drive, TOPIC))
