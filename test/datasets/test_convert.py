"""nuScenes to bags: what is in them equals the files and the tables."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from mcap.reader import make_reader
from rosbags.highlevel import AnyReader
from rosbags.interfaces import QosDurability
from rosbags.typesys import Stores, get_typestore

from gdfusion_ros.datasets import nuscenes
from gdfusion_ros.datasets.convert import convert
from gdfusion_ros.datasets.plan import IMAGES, plan
from gdfusion_ros.errors import GdfusionError

CAMERAS = ('CAM_FRONT_LEFT', 'CAM_FRONT', 'CAM_FRONT_RIGHT', 'CAM_BACK_LEFT', 'CAM_BACK', 'CAM_BACK_RIGHT')


class Bag:
    """A bag as plain rosbags reads it: no code of ours between the test and the bytes."""

    def __init__(self, path: Path) -> None:
        with AnyReader([path], default_typestore=get_typestore(Stores.ROS2_JAZZY)) as reader:
            self.topics = {c.topic: c for c in reader.connections}
            self.messages = [(c.topic, stamp, reader.deserialize(data, c.msgtype))
                             for c, stamp, data in reader.messages()]

    def on(self, topic: str) -> list[tuple[int, Any]]:
        return [(stamp, message) for name, stamp, message in self.messages if name == topic]


def converted(root: Path, out: Path, **options: str) -> nuscenes.Dataset:
    dataset = nuscenes.load(root)
    for job in plan(dataset, out):
        convert(job, **options)
    return dataset


def header_stamp(message: Any) -> int:
    return int(message.header.stamp.sec) * 10**9 + int(message.header.stamp.nanosec)


def assert_pose(transform: Any, pose: nuscenes.Pose) -> None:
    t, q = transform.transform.translation, transform.transform.rotation
    np.testing.assert_allclose((t.x, t.y, t.z), pose.translation, rtol=0, atol=1e-6)
    np.testing.assert_allclose((q.x, q.y, q.z, q.w), pose.rotation, rtol=0, atol=1e-6)
    assert np.linalg.norm((q.x, q.y, q.z, q.w)) == pytest.approx(1, abs=1e-12)


def assert_holds(bag: Bag, scene: nuscenes.Scene) -> None:
    for camera in CAMERAS:
        images, infos = bag.on(f'/{camera}/image/compressed'), bag.on(f'/{camera}/camera_info')
        assert len(images) == len(infos) == len(scene.samples)
        for sample, (stamp, image), (info_stamp, info) in zip(scene.samples, images, infos, strict=True):
            data = sample.data[camera]
            assert stamp == info_stamp == header_stamp(image) == header_stamp(info) == data.stamp
            assert image.data.tobytes() == data.path.read_bytes()
            assert (image.format, image.header.frame_id, info.header.frame_id) == ('jpeg', camera, camera)
            assert_camera_info(info, data)
    assert [(stamp, message.data) for stamp, message in bag.on('/nuscenes/sample_token')] == [
        (sample.stamp, sample.token) for sample in scene.samples]
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
    qos, = bag.topics['/tf_static'].ext.offered_qos_profiles
    assert (qos.durability, qos.depth) == (QosDurability.TRANSIENT_LOCAL, 1)
    calibrations = {c: data.calibration for c, data in scene.samples[0].data.items()}
    assert {t.child_frame_id for t in static.transforms} == set(calibrations) == {*CAMERAS, 'LIDAR_TOP'}
    for transform in static.transforms:
        assert transform.header.frame_id == 'base_link'
        assert_pose(transform, calibrations[transform.child_frame_id].pose)

    poses = {data.stamp: data.ego_pose for sample in scene.samples for data in sample.data.values()}
    assert len(bag.on('/tf')) == len(poses)
    for stamp, message in bag.on('/tf'):
        transform, = message.transforms
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


def test_real_bag_equals_the_tables_and_files(shared: Path, tmp_path: Path) -> None:
    dataset = converted(shared / 'data' / 'nuscenes_mini', tmp_path)
    assert [len(scene.samples) for scene in dataset.scenes] == [2, 1]
    for scene in dataset.scenes:
        assert_holds(Bag(tmp_path / scene.name), scene)


def test_messages_are_in_time_order_and_poses_come_first(nuscenes_root: Path, tmp_path: Path) -> None:
    converted(nuscenes_root, tmp_path)
    messages = Bag(tmp_path / 'scene-0001').messages
    stamps = [stamp for _, stamp, _ in messages]
    assert stamps == sorted(stamps)
    posed = set()
    for topic, stamp, _ in messages:
        posed |= {stamp} if topic == '/tf' else set()
        assert topic == '/tf_static' or stamp in posed


def test_the_mcap_library_reads_the_same(nuscenes_root: Path, tmp_path: Path) -> None:
    scene = converted(nuscenes_root, tmp_path).scenes[0]
    files = {data.stamp: data.path.read_bytes() for sample in scene.samples for c, data in sample.data.items()
             if c in CAMERAS}
    found, order = {}, []
    with (tmp_path / 'scene-0001' / 'scene-0001.mcap').open('rb') as file:
        for schema, channel, message in make_reader(file, validate_crcs=True).iter_messages(log_time_order=False):
            assert schema is not None
            order.append((channel.topic, message.log_time))
            if schema.name == 'sensor_msgs/msg/CompressedImage':
                size = len(files[message.log_time])
                assert int.from_bytes(message.data[-size - 4:-size], 'little') == size
                found[message.log_time] = message.data[-size:]
    assert found == files
    assert order[0][0] == '/tf_static'
    assert [stamp for _, stamp in order] == sorted(stamp for _, stamp in order)


def test_scene_is_described_in_the_metadata(nuscenes_root: Path, tmp_path: Path) -> None:
    scene = converted(nuscenes_root, tmp_path).scenes[1]
    metadata = yaml.safe_load((tmp_path / 'scene-0002' / 'metadata.yaml').read_text())['rosbag2_bagfile_information']
    about = metadata['custom_data']
    assert metadata['version'] == 9
    assert (about['nuscenes.scene'], about['nuscenes.version']) == ('scene-0002', 'v1.0-made')
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
    path = root / 'v1.0-made' / 'sample_data.json'
    rows = json.loads(path.read_text())
    row = next(row for row in rows if row['filename'].startswith('samples/CAM_BACK/'))
    row['calibrated_sensor_token'] = 'calibration-scene-0001-other'
    path.write_text(json.dumps(rows))
    path = root / 'v1.0-made' / 'calibrated_sensor.json'
    rows = json.loads(path.read_text())
    row = next(row for row in rows if row['token'] == 'calibration-scene-0001-CAM_BACK')
    path.write_text(json.dumps([*rows, {**row, 'token': 'calibration-scene-0001-other', 'translation': [0, 0, 0]}]))
    with pytest.raises(GdfusionError, match='CAM_BACK has several calibrations'):
        convert(plan(nuscenes.load(root), tmp_path / 'out')[0])
