"""nuScenes to bags: what is in them equals the files and the tables."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import yaml
from mcap.reader import make_reader
from PIL import Image
from rosbags.highlevel import AnyReader
from rosbags.interfaces import ConnectionExtRosbag2, QosDurability
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from gdfusion_ros.datasets import nuscenes
from gdfusion_ros.datasets.convert import convert
from gdfusion_ros.datasets.nuscenes_rows import Pose
from gdfusion_ros.datasets.plan import IMAGES, Content, absences, plan
from gdfusion_ros.errors import GdfusionError

IMAGES_ONLY = Content()
EVERYTHING = Content(sweeps=True, lidar=True, annotations=True, labels=True)
CAMERAS = ('CAM_FRONT_LEFT', 'CAM_FRONT', 'CAM_FRONT_RIGHT', 'CAM_BACK_LEFT', 'CAM_BACK', 'CAM_BACK_RIGHT')


class Bag:
    """A bag as plain rosbags reads it: no code of ours between the test and the bytes."""

    def __init__(self, path: Path) -> None:
        with AnyReader([path], default_typestore=get_typestore(Stores.ROS2_JAZZY)) as reader:
            self.topics = {c.topic: c for c in reader.connections}
            self.messages: list[tuple[str, int, Any]] = [
                (c.topic, stamp, reader.deserialize(data, c.msgtype)) for c, stamp, data in reader.messages()
            ]

    def on(self, topic: str) -> list[tuple[int, Any]]:
        return [(stamp, message) for name, stamp, message in self.messages if name == topic]


def converted(root: Path, out: Path, content: Content = IMAGES_ONLY, **options: Any) -> nuscenes.Dataset:
    dataset = nuscenes.load(root, sweeps=content.sweeps, annotations=content.annotations)
    for job in plan(dataset, out, content):
        convert(job, **options)
    return dataset


def header_stamp(message: Any) -> int:
    return int(message.header.stamp.sec) * 10**9 + int(message.header.stamp.nanosec)


def assert_pose(transform: Any, pose: Pose) -> None:
    t, q = transform.transform.translation, transform.transform.rotation
    np.testing.assert_allclose((t.x, t.y, t.z), pose.translation, rtol=0, atol=1e-6)
    np.testing.assert_allclose((q.x, q.y, q.z, q.w), pose.rotation, rtol=0, atol=1e-6)
    assert np.linalg.norm((q.x, q.y, q.z, q.w)) == pytest.approx(1, abs=1e-12)


def measured(scene: nuscenes.Scene, channel: str) -> list[nuscenes.SensorData]:
    """What a sensor measured, in time order."""
    found = [
        *(sample.data[channel] for sample in scene.samples),
        *(data for data in scene.sweeps if data.calibration.channel == channel),
    ]
    return sorted(found, key=lambda data: data.stamp)


def assert_holds(bag: Bag, scene: nuscenes.Scene) -> None:
    for camera in CAMERAS:
        images, infos = bag.on(f'/{camera}/image/compressed'), bag.on(f'/{camera}/camera_info')
        for data, (stamp, image), (info_stamp, info) in zip(measured(scene, camera), images, infos, strict=True):
            assert stamp == info_stamp == header_stamp(image) == header_stamp(info) == data.stamp
            assert image.data.tobytes() == data.path.read_bytes()
            assert (image.format, image.header.frame_id, info.header.frame_id) == ('jpeg', camera, camera)
            assert_camera_info(info, data)
    assert [(stamp, message.data) for stamp, message in bag.on('/nuscenes/sample_token')] == [
        (sample.stamp, sample.token) for sample in scene.samples
    ]
    assert_transforms(bag, scene)


def assert_camera_info(info: Any, data: nuscenes.SensorData) -> None:
    assert (info.width, info.height, info.distortion_model) == (data.width, data.height, 'plumb_bob')
    np.testing.assert_array_equal(info.k, data.calibration.intrinsics)
    np.testing.assert_array_equal(info.p.reshape(3, 4)[:, :3].ravel(), data.calibration.intrinsics)
    np.testing.assert_array_equal(info.p.reshape(3, 4)[:, 3], np.zeros(3))
    np.testing.assert_array_equal(info.r, np.eye(3).ravel())
    np.testing.assert_array_equal(info.d, np.zeros(5))


def assert_transforms(bag: Bag, scene: nuscenes.Scene) -> None:
    topic, first, static = bag.messages[0]
    assert topic == '/tf_static'
    assert first == min(stamp for _, stamp, _ in bag.messages)
    assert len(bag.on('/tf_static')) == 1
    ext = bag.topics['/tf_static'].ext
    assert isinstance(ext, ConnectionExtRosbag2)
    (qos,) = ext.offered_qos_profiles
    assert (qos.durability, qos.depth) == (QosDurability.TRANSIENT_LOCAL, 1)
    calibrations = {c: data.calibration for c, data in scene.samples[0].data.items()}
    assert {t.child_frame_id for t in static.transforms} == set(calibrations) == {*CAMERAS, 'LIDAR_TOP'}
    for transform in static.transforms:
        assert transform.header.frame_id == 'base_link'
        assert_pose(transform, calibrations[transform.child_frame_id].pose)

    poses = {data.stamp: data.ego_pose for channel in calibrations for data in measured(scene, channel)}
    assert {stamp for topic, stamp, _ in bag.messages if topic != '/tf_static'} <= set(poses)
    assert len(bag.on('/tf')) == len(poses)
    for stamp, message in bag.on('/tf'):
        (transform,) = message.transforms
        assert (transform.header.frame_id, transform.child_frame_id) == ('map', 'base_link')
        assert header_stamp(transform) == stamp
        assert_pose(transform, poses[stamp])


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
@pytest.mark.parametrize('bag_format', ['jazzy', 'humble'])
def test_bag_equals_the_tables_and_files(nuscenes_root: Path, tmp_path: Path, storage: str, bag_format: str) -> None:
    dataset = converted(nuscenes_root, tmp_path, storage=storage, bag_format=bag_format)
    for scene in dataset.scenes:
        assert_holds(Bag(tmp_path / scene.name), scene)
    assert {folder.name for folder in tmp_path.iterdir()} == {'scene-0001', 'scene-0002'}


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
@pytest.mark.parametrize('bag_format', ['jazzy', 'humble'])
def test_real_bag_equals_the_tables_and_files(shared: Path, tmp_path: Path, storage: str, bag_format: str) -> None:
    dataset = converted(shared / 'data' / 'nuscenes_mini', tmp_path, EVERYTHING, storage=storage, bag_format=bag_format)
    assert [len(scene.samples) for scene in dataset.scenes] == [2, 1]
    for scene in dataset.scenes:
        bag = Bag(tmp_path / scene.name)
        assert_holds(bag, scene)
        assert_clouds(bag, scene)
        assert_boxes(bag, scene)


@pytest.mark.slow
@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_bag_has_everything_that_the_dataset_has(nuscenes_complete: Path, tmp_path: Path, storage: str) -> None:
    dataset = converted(nuscenes_complete, tmp_path, EVERYTHING, storage=storage)
    for scene in dataset.scenes:
        bag = Bag(tmp_path / scene.name)
        assert len(measured(scene, 'CAM_FRONT')) == len(measured(scene, 'LIDAR_TOP')) == 6
        assert_holds(bag, scene)
        assert_clouds(bag, scene)
        assert_boxes(bag, scene)
        assert_labels(bag, scene, nuscenes_complete)


def assert_clouds(bag: Bag, scene: nuscenes.Scene) -> None:
    there = [data for data in measured(scene, 'LIDAR_TOP') if data.path.is_file()]
    for data, (stamp, cloud) in zip(there, bag.on('/LIDAR_TOP/points'), strict=True):
        assert stamp == header_stamp(cloud) == data.stamp
        assert cloud.header.frame_id == 'LIDAR_TOP'
        expected = np.fromfile(data.path, np.float32).reshape(-1, 5)
        assert (cloud.height, cloud.width, cloud.is_dense, cloud.is_bigendian) == (1, len(expected), True, False)
        assert cloud.row_step == cloud.data.size == cloud.point_step * len(expected)
        rows = cloud.data.reshape(-1, cloud.point_step)
        types = {7: np.float32, 4: np.uint16}
        for field, column in zip(cloud.fields, expected.T, strict=True):
            size = np.dtype(types[field.datatype]).itemsize
            values = (
                np.ascontiguousarray(rows[:, field.offset : field.offset + size]).view(types[field.datatype]).ravel()
            )
            np.testing.assert_array_equal(values, column)
        assert [field.name for field in cloud.fields] == ['x', 'y', 'z', 'intensity', 'ring']


def assert_boxes(bag: Bag, scene: nuscenes.Scene) -> None:
    ids: dict[str, tuple[str, int]] = {}
    for sample, (stamp, message) in zip(scene.samples, bag.on('/nuscenes/annotations'), strict=True):
        first, *markers = message.markers
        assert (stamp, first.action) == (sample.stamp, 3)
        for box, marker in zip(sample.boxes, markers, strict=True):
            assert (marker.type, marker.action, marker.lifetime.sec, marker.lifetime.nanosec) == (1, 0, 0, 0)
            assert (header_stamp(marker), marker.header.frame_id) == (sample.stamp, 'map')
            position, size = marker.pose.position, marker.scale
            np.testing.assert_allclose((position.x, position.y, position.z), box.pose.translation, atol=1e-6)
            assert (size.y, size.x, size.z) == box.size
            assert ids.setdefault(box.instance, (marker.ns, marker.id)) == (marker.ns, marker.id)
    assert len(set(ids.values())) == len(ids)


def assert_labels(bag: Bag, scene: nuscenes.Scene, root: Path) -> None:
    grids = bag.on('/ground_truth/occupancy')
    for sample, (stamp, grid) in zip(scene.samples, grids, strict=True):
        with np.load(root / 'gts' / scene.name / sample.token / 'labels.npz') as arrays:
            semantics, mask = arrays['semantics'], arrays['mask_camera']
        assert stamp == header_stamp(grid) == sample.stamp
        assert (grid.header.frame_id, grid.label_set, grid.model) == ('base_link', 'occ3d_nuscenes', 'ground truth')
        x, y, z = 17, 150, 9
        index = x + 200 * (y + 200 * z)
        assert grid.labels[index] == semantics[x, y, z]
        np.testing.assert_array_equal(grid.labels.reshape(16, 200, 200).T, semantics)
        np.testing.assert_array_equal(grid.confidence.reshape(16, 200, 200).T, 255 * mask)
    for sample, (stamp, message) in zip(scene.samples, bag.on('/ground_truth/markers'), strict=True):
        assert {header_stamp(marker) for marker in message.markers} == {stamp} == {sample.stamp}
        assert any(marker.points for marker in message.markers)


@pytest.mark.parametrize('compression', ['none', 'message', 'file', 'storage'])
def test_compressed_bags_hold_the_same(nuscenes_complete: Path, tmp_path: Path, compression: str) -> None:
    scene = converted(nuscenes_complete, tmp_path, compression=compression).scenes[0]
    assert_holds(Bag(tmp_path / scene.name), scene)


def test_sqlite_does_not_compress_by_itself(nuscenes_root: Path, tmp_path: Path) -> None:
    with pytest.raises(GdfusionError, match='choose message or file'):
        converted(nuscenes_root, tmp_path / 'out', storage='sqlite3', compression='storage')
    assert not (tmp_path / 'out').exists()


def test_sweeps_are_only_in_the_bag_where_asked_for(nuscenes_complete: Path, tmp_path: Path) -> None:
    scene = nuscenes.load(nuscenes_complete, sweeps=True, annotations=True).scenes[0]
    key_frames = replace(scene, sweeps=())
    dataset = nuscenes.Dataset(nuscenes_complete, 'v1.0-test', (scene,))
    convert(plan(dataset, tmp_path)[0])
    bag = Bag(tmp_path / scene.name)
    assert_holds(bag, key_frames)
    assert not {'/LIDAR_TOP/points', '/nuscenes/annotations', '/ground_truth/occupancy'} & set(bag.topics)


def test_absent_files_are_counted(nuscenes_root: Path, tmp_path: Path) -> None:
    dataset = nuscenes.load(nuscenes_root, sweeps=True)
    jobs = plan(dataset, tmp_path, EVERYTHING)
    assert list(absences(dataset, jobs)) == [
        'sweep images: 6 of 6 are missing or empty',
        'LiDAR files: 6 of 6 are missing or empty',
        'label files: 6 of 6 are missing or empty',
        'annotations: the tables have none of these scenes',
        'not in the dataset, not needed: maps, CAN bus, radar',
    ]
    convert(jobs[0])
    bag = Bag(tmp_path / 'scene-0001')
    assert_transforms(bag, dataset.scenes[0])
    assert len(bag.on('/CAM_FRONT/image/compressed')) == 3


def test_key_frames_that_the_tables_lack_are_told(nuscenes_root: Path, tmp_path: Path) -> None:
    root = tmp_path / 'nuscenes'
    shutil.copytree(nuscenes_root, root)
    edit_rows(root, 'scene', lambda rows: rows[0].update(nbr_samples=40, description='half a letter: \ud800'))
    edit_rows(root, 'scene', lambda rows: rows.append({'token': 'more', 'name': 'scene-0900', 'nbr_samples': 0}))
    edit_rows(
        root,
        'sample_data',
        lambda rows: rows.remove(next(row for row in rows if 'CAM_BACK/' in row['filename'] and row['is_key_frame'])),
    )
    dataset = nuscenes.load(root)
    jobs = plan(dataset, tmp_path)
    told = [line for line in absences(dataset, jobs) if line.startswith('scene-')]
    count = len(dataset.scenes[0].samples)
    assert told == [
        f'scene-0001: {40 - count} of 40 key frames that scene.json counts are not in sample.json',
        f'scene-0001: sample_data.json has no image of CAM_BACK in 1 of {count} key frames',
        'scene-0900: the tables have no image of it, so that it gets no bag',
    ]
    convert(jobs[0])
    metadata = yaml.safe_load((tmp_path / 'scene-0001' / 'metadata.yaml').read_text())
    custom_data = metadata['rosbag2_bagfile_information']['custom_data']
    assert custom_data['nuscenes.description'] == 'half a letter: \\ud800'


def edit_rows(root: Path, table: str, change: Callable[[list[dict[str, Any]]], object]) -> None:
    path = root / 'v1.0-test' / f'{table}.json'
    rows = json.loads(path.read_text())
    change(rows)
    path.write_text(json.dumps(rows))


@pytest.mark.parametrize(
    ('name', 'content', 'said'),
    [
        ('samples/CAM_BACK/1600000060489400.jpg', b'<html>', 'no whole JPEG file'),
        ('samples/CAM_BACK/1600000060489400.jpg', b'\xff\xd8\xff\xe0' + bytes(3000), 'no whole JPEG file'),
        ('samples/LIDAR_TOP/1600000060500000.jpg', bytes(39), 'has 39 bytes, expected 20 a point'),
        ('samples/LIDAR_TOP/1600000060500000.jpg', np.full(5, np.nan, np.float32).tobytes(), 'is no ring'),
        # Four values a point, as KITTI has them.
        ('samples/LIDAR_TOP/1600000060500000.jpg', np.arange(0.5, 20.5, dtype=np.float32).tobytes(), 'is no ring'),
        ('gts/scene-0001/sample-scene-0001-1/labels.npz', b'PK', 'cannot be read'),
    ],
)
def test_damaged_files_are_named(nuscenes_complete: Path, tmp_path: Path, name: str, content: bytes, said: str) -> None:
    root = tmp_path / 'nuscenes'
    shutil.copytree(nuscenes_complete, root)
    assert (root / name).is_file()
    (root / name).write_bytes(content)
    with pytest.raises(GdfusionError, match=f'{name}.*{said}'):
        converted(root, tmp_path / 'out', EVERYTHING)
    assert not (tmp_path / 'out').exists()


def test_messages_are_in_time_order_and_poses_come_first(nuscenes_root: Path, tmp_path: Path) -> None:
    converted(nuscenes_root, tmp_path)
    messages = Bag(tmp_path / 'scene-0001').messages
    stamps = [stamp for _, stamp, _ in messages]
    assert stamps == sorted(stamps)
    posed = set()
    for topic, stamp, _ in messages:
        posed |= {stamp} if topic == '/tf' else set()
        assert topic == '/tf_static' or stamp in posed


@pytest.mark.slow
def test_the_mcap_library_reads_the_same(nuscenes_complete: Path, tmp_path: Path) -> None:
    scene = converted(nuscenes_complete, tmp_path, EVERYTHING).scenes[0]
    files = {data.stamp: data.path.read_bytes() for camera in CAMERAS for data in measured(scene, camera)}
    store, found, order = get_typestore(Stores.EMPTY), {}, []
    with (tmp_path / 'scene-0001' / 'scene-0001.mcap').open('rb') as file:
        for schema, channel, message in make_reader(file, validate_crcs=True).iter_messages(log_time_order=False):
            assert schema is not None
            order.append((channel.topic, message.log_time))
            # Decoded with nothing but the definitions in the file.
            if schema.name not in store.types:
                store.register(get_types_from_msg(schema.data.decode(), schema.name))
            decoded: Any = store.deserialize_cdr(message.data, schema.name)
            if schema.name == 'sensor_msgs/msg/CompressedImage':
                found[message.log_time] = decoded.data.tobytes()
    assert found == files
    assert len(order) == len(Bag(tmp_path / 'scene-0001').messages)
    assert order[0][0] == '/tf_static'
    assert [stamp for _, stamp in order] == sorted(stamp for _, stamp in order)


def test_scene_is_described_in_the_metadata(nuscenes_root: Path, tmp_path: Path) -> None:
    scene = converted(nuscenes_root, tmp_path).scenes[1]
    metadata = yaml.safe_load((tmp_path / 'scene-0002' / 'metadata.yaml').read_text())['rosbag2_bagfile_information']
    about = metadata['custom_data']
    assert metadata['version'] == 9
    assert (about['nuscenes.scene'], about['nuscenes.version']) == ('scene-0002', 'v1.0-test')
    assert (about['nuscenes.scene_token'], about['nuscenes.location']) == (scene.token, 'nowhere')


def test_humble_gets_its_own_metadata(nuscenes_root: Path, tmp_path: Path) -> None:
    converted(nuscenes_root, tmp_path, bag_format='humble')
    metadata = yaml.safe_load((tmp_path / 'scene-0002' / 'metadata.yaml').read_text())['rosbag2_bagfile_information']
    assert metadata['version'] == 8
    topics = {t['topic_metadata']['name']: t['topic_metadata'] for t in metadata['topics_with_message_count']}
    assert yaml.safe_load(topics['/tf_static']['offered_qos_profiles'])[0]['durability'] == 1


def test_tells_the_size_of_every_image(nuscenes_root: Path, tmp_path: Path) -> None:
    job = plan(nuscenes.load(nuscenes_root), tmp_path)[0]
    sizes: list[int] = []
    convert(job, on_file=sizes.append)
    assert (len(sizes), sum(sizes)) == (job.images, job.size) == (18, job.size)


@pytest.fixture
def spoiled(nuscenes_root: Path, tmp_path: Path) -> Path:
    """A copy that lacks one image, has an empty one, and none at all of scene-0002."""
    root = tmp_path / 'nuscenes'
    shutil.copytree(nuscenes_root, root)
    (root / 'samples/CAM_BACK/1600000060489400.jpg').unlink()
    (root / 'samples/CAM_FRONT/1600000060964300.jpg').write_bytes(b'')
    for image in root.glob('samples/*/16000001*.jpg'):
        image.unlink()
    return root


def test_missing_images_are_counted_and_named(spoiled: Path, tmp_path: Path) -> None:
    with pytest.raises(GdfusionError) as error:
        plan(nuscenes.load(spoiled), tmp_path / 'out')
    text = str(error.value)
    assert '20 of 36 images are missing or empty' in text
    assert 'samples/CAM_BACK/1600000060489400.jpg' in text
    assert text.count('.jpg') == 3
    assert not (tmp_path / 'out').exists()


def test_missing_images_can_be_skipped(spoiled: Path, tmp_path: Path) -> None:
    jobs = plan(nuscenes.load(spoiled), tmp_path / 'out', skip_missing=True)
    assert [(job.scene.name, len(job.missing(IMAGES)), job.images) for job in jobs] == [('scene-0001', 2, 16)]
    convert(jobs[0])
    bag = Bag(tmp_path / 'out' / 'scene-0001')
    counts = {camera: len(bag.on(f'/{camera}/image/compressed')) for camera in CAMERAS}
    assert counts == {**dict.fromkeys(CAMERAS, 3), 'CAM_BACK': 2, 'CAM_FRONT': 2}
    assert len(bag.on('/CAM_BACK/camera_info')) == 2
    assert len(bag.on('/tf')) == 21


def test_a_dataset_without_any_image_is_refused(spoiled: Path, tmp_path: Path) -> None:
    with pytest.raises(GdfusionError, match='no image of the chosen scenes'):
        plan(nuscenes.load(spoiled, None, ['scene-0002']), tmp_path / 'out', skip_missing=True)


def test_nothing_is_overwritten(nuscenes_root: Path, tmp_path: Path) -> None:
    (tmp_path / 'scene-0002').mkdir()
    with pytest.raises(GdfusionError, match='scene-0002 exists already, not overwriting'):
        plan(nuscenes.load(nuscenes_root), tmp_path)
    assert not (tmp_path / 'scene-0001').exists()


def test_a_stop_in_the_middle_leaves_nothing(nuscenes_root: Path, tmp_path: Path) -> None:
    def stop(size: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert(plan(nuscenes.load(nuscenes_root), tmp_path / 'a' / 'b')[0], on_file=stop)
    assert list(tmp_path.iterdir()) == []


def test_an_image_that_vanishes_is_named(spoiled: Path, tmp_path: Path) -> None:
    job = plan(nuscenes.load(spoiled), tmp_path / 'out', skip_missing=True)[0]
    (spoiled / 'samples/CAM_FRONT/1600000059964300.jpg').unlink(missing_ok=True)
    gone = job.scene.samples[2].data['CAM_BACK_LEFT'].path
    gone.unlink()
    with pytest.raises(GdfusionError, match='cannot be read: No such file'):
        convert(job)
    assert not (tmp_path / 'out').exists()


def test_a_sensor_that_moved_is_refused(nuscenes_root: Path, tmp_path: Path) -> None:
    root = tmp_path / 'nuscenes'
    shutil.copytree(nuscenes_root, root)
    path = root / 'v1.0-test' / 'sample_data.json'
    rows = json.loads(path.read_text())
    row = next(row for row in rows if row['filename'].startswith('samples/CAM_BACK/'))
    row['calibrated_sensor_token'] = 'calibration-scene-0001-other'
    path.write_text(json.dumps(rows))
    path = root / 'v1.0-test' / 'calibrated_sensor.json'
    rows = json.loads(path.read_text())
    row = next(row for row in rows if row['token'] == 'calibration-scene-0001-CAM_BACK')
    path.write_text(json.dumps([*rows, {**row, 'token': 'calibration-scene-0001-other', 'translation': [0, 0, 0]}]))
    with pytest.raises(GdfusionError, match='CAM_BACK has several calibrations'):
        convert(plan(nuscenes.load(root), tmp_path / 'out')[0])


def edit(root: Path, table: str, change: Callable[[dict[str, Any]], object]) -> None:
    path = root / 'v1.0-test' / f'{table}.json'
    rows = json.loads(path.read_text())
    for row in rows:
        change(row)
    path.write_text(json.dumps(rows))


def test_the_distortion_goes_into_the_camera_info(nuscenes_root: Path, tmp_path: Path) -> None:
    root = shutil.copytree(nuscenes_root, tmp_path / 'data')
    edit(
        root,
        'calibrated_sensor',
        lambda row: row.update(camera_distortion=[-0.3, 0.1, 0.01, 0.02, 0] if row['camera_intrinsic'] else []),
    )
    convert(plan(nuscenes.load(root), tmp_path)[0])
    for _, info in Bag(tmp_path / 'scene-0001').on('/CAM_FRONT/camera_info'):
        assert (info.distortion_model, info.d.tolist()) == ('plumb_bob', [-0.3, 0.1, 0.01, 0.02, 0])


def test_png_images_are_converted(nuscenes_root: Path, tmp_path: Path) -> None:
    root = shutil.copytree(nuscenes_root, tmp_path / 'data')
    for path in root.glob('samples/*/*.jpg'):
        Image.open(path).save(path.with_suffix('.png'))
        path.unlink()
    edit(root, 'sample_data', lambda row: row.update(filename=row['filename'].replace('.jpg', '.png')))
    dataset = nuscenes.load(root)
    convert(plan(dataset, tmp_path)[0])
    images = [image for _, image in Bag(tmp_path / 'scene-0001').on('/CAM_BACK/image/compressed')]
    assert [image.format for image in images] == ['png'] * 3
    assert bytes(images[0].data) == dataset.scenes[0].samples[0].data['CAM_BACK'].path.read_bytes()


def test_a_size_that_is_not_the_images_is_said_before_anything_is_written(nuscenes_root: Path, tmp_path: Path) -> None:
    root = shutil.copytree(nuscenes_root, tmp_path / 'data')
    edit(root, 'sample_data', lambda row: row.update(width=1600, height=900) if row['width'] else None)
    with pytest.raises(GdfusionError, match=r'has 160 x 90 pixels, its row scene-.* says 1600 x 900; correct'):
        plan(nuscenes.load(root), tmp_path / 'bags')


def test_one_image_of_another_size_is_said_too(nuscenes_root: Path, tmp_path: Path) -> None:
    root = shutil.copytree(nuscenes_root, tmp_path / 'data')
    dataset = nuscenes.load(root)
    path = dataset.scenes[0].samples[2].data['CAM_BACK'].path
    Image.new('RGB', (80, 90)).save(path)
    with pytest.raises(GdfusionError, match='has 80 x 90 pixels'):
        convert(plan(dataset, tmp_path)[0])
    assert not (tmp_path / 'scene-0001').exists()


@pytest.mark.parametrize(
    ('matrix', 'said'),
    [
        ([[0, 0, 0]] * 3, 'is empty'),
        ([[1, 0, 0], [0, 1, 0], [0, 0, 1]], 'focal lengths of 1 and 1 px'),
        ([[0.8, 0, 0.5], [0, 1.4, 0.5], [0, 0, 1]], 'focal lengths of 0.8 and 1.4 px'),
        ([[126, 0, 0], [0, 126, 0], [80, 45, 1]], 'not upper triangular'),
        ([[1260, 0, 800], [0, 1260, 450], [0, 0, 1]], r'the principal point \(800, 450\) px is far off'),
    ],
    ids=['zeros', 'identity', 'shares of the image', 'transposed', 'of another size'],
)
def test_a_matrix_that_no_reader_of_the_bag_would_take_is_refused(
    nuscenes_root: Path, tmp_path: Path, said: str, matrix: list[list[float]]
) -> None:
    for name in ('v1.0-test', 'samples'):
        (tmp_path / name).symlink_to(nuscenes_root / name)
    dataset = nuscenes.load(tmp_path)
    calibration = dataset.scenes[0].samples[0].data['CAM_BACK'].calibration
    object.__setattr__(calibration, 'intrinsics', tuple(float(value) for row in matrix for value in row))
    with pytest.raises(GdfusionError, match=f'^camera_intrinsic of CAM_BACK in calibrated_sensor.json .*{said}'):
        plan(dataset, tmp_path / 'out')
    assert not (tmp_path / 'out').exists()


def test_rows_that_name_one_file_are_told(nuscenes_root: Path, tmp_path: Path) -> None:
    dataset = nuscenes.load(nuscenes_root)
    data = dict(dataset.scenes[0].samples[0].data)
    data['CAM_BACK'] = msgspec.structs.replace(data['CAM_BACK'], filename=data['CAM_BACK_LEFT'].filename)
    scene = replace(dataset.scenes[0], samples=(replace(dataset.scenes[0].samples[0], data=data),))
    lines = list(absences(dataset, plan(replace(dataset, scenes=(scene,)), tmp_path / 'out')))
    assert 'images: 1 of 6 rows of sample_data.json name a file that another row names, too' in lines


def test_a_vehicle_in_two_places_at_once_is_refused(nuscenes_root: Path, tmp_path: Path) -> None:
    dataset = nuscenes.load(nuscenes_root)
    data = dict(dataset.scenes[0].samples[0].data)
    data['CAM_BACK'] = msgspec.structs.replace(data['CAM_BACK'], stamp=data['CAM_FRONT'].stamp)
    scene = replace(dataset.scenes[0], samples=(replace(dataset.scenes[0].samples[0], data=data),))
    with pytest.raises(GdfusionError, match=r'scene-0001-CAM_\w+-\d+ in sample_data\.json have one timestamp, but ego'):
        plan(replace(dataset, scenes=(scene,)), tmp_path / 'out')


def test_tables_without_a_key_frame_of_a_camera_are_not_taken_for_missing_files(
    nuscenes_root: Path, tmp_path: Path
) -> None:
    dataset = nuscenes.load(nuscenes_root)
    bare = replace(dataset, scenes=tuple(replace(scene, samples=()) for scene in dataset.scenes))
    with pytest.raises(GdfusionError, match=r'sample_data\.json names no image of a key frame of the chosen scenes'):
        plan(bare, tmp_path / 'out')
