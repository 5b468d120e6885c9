"""The reader of the nuScenes tables."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gdfusion_ros.datasets import nuscenes
from gdfusion_ros.errors import GdfusionError

Edit = Callable[[list[dict[str, Any]]], object]


@pytest.fixture
def root(nuscenes_root: Path, tmp_path: Path) -> Path:
    """The tables alone, to spoil."""
    shutil.copytree(nuscenes_root / 'v1.0-test', tmp_path / 'v1.0-test')
    return tmp_path


def edit(root: Path, table: str, change: Edit) -> None:
    path = root / 'v1.0-test' / f'{table}.json'
    rows = json.loads(path.read_text())
    change(rows)
    path.write_text(json.dumps(rows))


def refusal(root: Path, *args: Any) -> str:
    with pytest.raises(GdfusionError) as error:
        nuscenes.load(root, *args)
    assert '\n' not in str(error.value)
    return str(error.value)


def test_agrees_with_the_devkit_on_real_data(shared: Path) -> None:
    devkit = pytest.importorskip('nuscenes.nuscenes')
    root = shared / 'data' / 'nuscenes_mini'
    reference = devkit.NuScenes('v1.0-mini', str(root), verbose=False)
    dataset = nuscenes.load(root)

    assert [scene.name for scene in dataset.scenes] == [row['name'] for row in reference.scene]
    for scene, row in zip(dataset.scenes, reference.scene, strict=True):
        assert (scene.token, scene.description) == (row['token'], row['description'])
        assert scene.log['location'] == reference.get('log', row['log_token'])['location']
        token = row['first_sample_token']
        for sample in scene.samples:
            expected = reference.get('sample', token)
            assert (sample.token, sample.stamp) == (token, expected['timestamp'] * 1000)
            assert set(sample.data) == set(expected['data'])
            for channel, data in sample.data.items():
                assert_same_data(reference, data, expected['data'][channel], channel)
            token = expected['next']
        assert token == ''


def assert_same_data(reference: Any, data: nuscenes.SensorData, token: str, channel: str) -> None:
    row = reference.get('sample_data', token)
    assert (data.stamp, data.width, data.height) == (row['timestamp'] * 1000, row['width'], row['height'])
    assert str(data.path) == reference.get_sample_data_path(token)
    assert data.calibration.channel == channel == row['channel']
    assert data.calibration.modality == row['sensor_modality']
    sensor = reference.get('calibrated_sensor', row['calibrated_sensor_token'])
    np.testing.assert_array_equal(data.calibration.intrinsics, np.ravel(sensor['camera_intrinsic']))
    for pose, expected in (
        (data.calibration.pose, sensor),
        (data.ego_pose, reference.get('ego_pose', row['ego_pose_token'])),
    ):
        np.testing.assert_array_equal(pose.translation, expected['translation'])
        np.testing.assert_allclose(np.roll(pose.rotation, 1), expected['rotation'], rtol=0, atol=1e-6)
        assert np.linalg.norm(pose.rotation) == pytest.approx(1, abs=1e-12)


def test_boxes_agree_with_the_devkit_on_real_data(shared: Path) -> None:
    devkit = pytest.importorskip('nuscenes.nuscenes')
    root = shared / 'data' / 'nuscenes_mini'
    reference = devkit.NuScenes('v1.0-mini', str(root), verbose=False)
    count = 0
    for scene in nuscenes.load(root, annotations=True).scenes:
        for sample in scene.samples:
            tokens = reference.get('sample', sample.token)['anns']
            for box, row in zip(
                sample.boxes, (reference.get('sample_annotation', token) for token in tokens), strict=True
            ):
                assert (box.category, box.instance) == (row['category_name'], row['instance_token'])
                assert box.size == tuple(row['size'])
                np.testing.assert_array_equal(box.pose.translation, row['translation'])
                np.testing.assert_allclose(np.roll(box.pose.rotation, 1), row['rotation'], atol=1e-6)
                count += 1
    assert count == 121


def test_reads_sweeps_and_boxes_where_asked_for(nuscenes_complete: Path) -> None:
    scene, other = nuscenes.load(nuscenes_complete, sweeps=True, annotations=True).scenes
    assert [(data.calibration.channel, data.stamp // 1_000_000 % 10_000) for data in scene.sweeps] == [
        ('CAM_FRONT', 47),
        ('LIDAR_TOP', 50),
        ('CAM_FRONT', 547),
        ('LIDAR_TOP', 550),
        ('CAM_FRONT', 1047),
        ('LIDAR_TOP', 1050),
    ]
    assert [[box.instance for box in sample.boxes] for sample in scene.samples] == [
        ['bus'],
        ['bus', 'walker'],
        ['bus', 'walker'],
    ]
    box = scene.samples[2].boxes[0]
    assert (box.category, box.size) == ('vehicle.bus.rigid', (2.5, 11.0, 3.0))
    assert box.pose.translation == (112.0, 205.0, 1.5)
    np.testing.assert_allclose(box.pose.rotation, (0, 0, np.sin(0.2), np.cos(0.2)), atol=1e-12)
    assert not any(sample.boxes for sample in other.samples)
    plain = nuscenes.load(nuscenes_complete).scenes[0]
    assert plain.sweeps == ()
    assert [sample.data for sample in plain.samples] == [sample.data for sample in scene.samples]
    assert not any(sample.boxes for sample in plain.samples)


def test_annotation_tables_are_read_only_where_asked_for(root: Path) -> None:
    assert nuscenes.load(root).scenes
    with pytest.raises(GdfusionError, match=r'category\.json cannot be read: No such file'):
        nuscenes.load(root, annotations=True)


@pytest.mark.parametrize('name', ['', '../up', 'a/b', '.'])
def test_refuses_scene_names_that_are_no_names_of_folders(root: Path, name: str) -> None:
    edit(root, 'scene', lambda rows: rows[0].update(name=name))
    assert 'scene.json: row token-scene-0001 is wrong' in refusal(root)


@pytest.mark.parametrize('timestamp', [-1, 2**31 * 10**6, 10**30, 1.5, None])
def test_refuses_times_that_ros_does_not_have(root: Path, timestamp: object) -> None:
    edit(root, 'sample', lambda rows: rows[0].update(timestamp=timestamp))
    assert 'sample.json: row sample-scene-0001-2 is wrong' in refusal(root)


def test_chooses_ranges(nuscenes_root: Path) -> None:
    assert len(nuscenes.load(nuscenes_root, None, ['scene-0001..scene-0009']).scenes) == 2
    assert [s.name for s in nuscenes.load(nuscenes_root, None, ['scene-0002..scene-0009']).scenes] == ['scene-0002']


def test_reads_scenes_samples_and_poses(nuscenes_root: Path) -> None:
    dataset = nuscenes.load(nuscenes_root)
    assert dataset.version == 'v1.0-test'
    assert [scene.name for scene in dataset.scenes] == ['scene-0001', 'scene-0002']
    scene = dataset.scenes[0]
    assert (scene.description, scene.log['vehicle']) == ('A left bend', 'n001')
    assert [sample.token for sample in scene.samples] == [f'sample-scene-0001-{index}' for index in range(3)]
    assert np.diff([sample.stamp for sample in scene.samples]).tolist() == [500_000_000] * 2

    back = scene.samples[1].data['CAM_BACK']
    assert back.stamp == 1_600_000_060_489_400_000
    assert back.path == nuscenes_root / 'samples/CAM_BACK/1600000060489400.jpg'
    assert back.path.is_file()
    assert (back.width, back.height, back.calibration.modality) == (160, 90, 'camera')
    assert back.calibration.intrinsics == (126.0, 0.0, 80.0, 0.0, 126.0, 45.0, 0.0, 0.0, 1.0)
    np.testing.assert_allclose(back.calibration.pose.translation, (-1, 0, 1.5), atol=1e-12)
    np.testing.assert_allclose(back.calibration.pose.rotation, (-0.5, -0.5, 0.5, 0.5), atol=1e-12)
    np.testing.assert_allclose(back.ego_pose.translation, (100 + 5 * 1.4894, 200 + 1.4894**2, 0), atol=1e-12)


def test_leaves_out_radar_and_sweeps(nuscenes_root: Path) -> None:
    sample = nuscenes.load(nuscenes_root).scenes[0].samples[0]
    assert set(sample.data) == {
        'CAM_FRONT_LEFT',
        'CAM_FRONT',
        'CAM_FRONT_RIGHT',
        'CAM_BACK_RIGHT',
        'CAM_BACK',
        'CAM_BACK_LEFT',
        'LIDAR_TOP',
    }
    assert sample.data['CAM_FRONT'].stamp < sample.stamp


def test_chooses_scenes_in_the_order_of_the_table(nuscenes_root: Path) -> None:
    assert [s.name for s in nuscenes.load(nuscenes_root, None, ['scene-0002']).scenes] == ['scene-0002']
    both = nuscenes.load(nuscenes_root, 'v1.0-test', ['scene-0002', 'scene-0001']).scenes
    assert [s.name for s in both] == ['scene-0001', 'scene-0002']


def test_normalises_quaternions(root: Path) -> None:
    def lengthen(rows: list[dict[str, Any]]) -> None:
        for row in rows:
            row['rotation'] = [1.001 * value for value in row['rotation']]

    edit(root, 'ego_pose', lengthen)
    pose = nuscenes.load(root).scenes[0].samples[0].data['CAM_BACK'].ego_pose
    assert np.linalg.norm(pose.rotation) == pytest.approx(1, abs=1e-12)


def test_names_unknown_scenes_and_lists_known_ones(root: Path) -> None:
    text = refusal(root, None, ['scene-0001', 'scene-0007', 'nope'])
    assert 'no scene scene-0007, nope' in text
    assert 'scene-0001, scene-0002' in text


def test_refuses_a_folder_without_tables(tmp_path: Path) -> None:
    assert 'no nuScenes tables in' in refusal(tmp_path)
    assert 'no folder' in refusal(tmp_path / 'nowhere')


def test_sends_who_names_the_table_folder_one_up(root: Path) -> None:
    assert f'give the folder above it, {root}' in refusal(root / 'v1.0-test')


def test_asks_for_a_version_where_there_are_several(root: Path) -> None:
    shutil.copytree(root / 'v1.0-test', root / 'v1.0-other')
    assert 'v1.0-other, v1.0-test; choose one with --version' in refusal(root)
    assert nuscenes.load(root, 'v1.0-other').version == 'v1.0-other'
    assert "no version 'v1.0-mini'" in refusal(root, 'v1.0-mini')


@pytest.mark.parametrize(
    ('content', 'reason'),
    [
        ('', 'not whole JSON'),
        ('[{"token": "a", ', 'not whole JSON'),
        ('3', 'not a list'),
        ('[[1, 2]]', 'not a list'),
        ('\udcff', 'not whole JSON'),
    ],
)
@pytest.mark.parametrize('table', ['scene', 'ego_pose'])
def test_refuses_broken_tables(root: Path, table: str, content: str, reason: str) -> None:
    (root / 'v1.0-test' / f'{table}.json').write_text(content, errors='surrogateescape')
    text = refusal(root)
    assert f'{table}.json' in text
    assert reason in text


def test_refuses_a_missing_table(root: Path) -> None:
    (root / 'v1.0-test' / 'sensor.json').unlink()
    assert 'sensor.json cannot be read: No such file' in refusal(root)


@pytest.mark.parametrize(
    ('table', 'field'),
    [
        ('scene', 'name'),
        ('sample', 'timestamp'),
        ('sample_data', 'is_key_frame'),
        ('sample_data', 'filename'),
        ('ego_pose', 'rotation'),
        ('calibrated_sensor', 'sensor_token'),
        ('sensor', 'modality'),
        ('log', 'token'),
    ],
)
def test_names_table_row_and_field_that_is_missing(root: Path, table: str, field: str) -> None:
    edit(root, table, lambda rows: rows[0].pop(field))
    text = refusal(root)
    assert f'{table}.json' in text
    assert f"has no '{field}'" in text


@pytest.mark.parametrize(
    ('table', 'field', 'other'),
    [
        ('calibrated_sensor', 'sensor_token', 'sensor'),
        ('sample_data', 'calibrated_sensor_token', 'calibrated_sensor'),
        ('sample_data', 'ego_pose_token', 'ego_pose'),
        ('scene', 'log_token', 'log'),
    ],
)
def test_names_a_dangling_token(root: Path, table: str, field: str, other: str) -> None:
    edit(root, table, lambda rows: rows[0].update({field: 'gone'}))
    text = refusal(root)
    assert f"{table}.json points to 'gone', which is not in {other}.json" in text


@pytest.mark.parametrize(
    'row',
    [
        {'rotation': [0.0, 0.0, 0.0, 0.0]},
        {'rotation': [1.0, 0.0, 0.0]},
        {'rotation': [float('nan'), 0, 0, 1]},
        {'translation': [0.0, float('inf'), 0.0]},
        {'translation': 'here'},
        {'rotation': None},
    ],
)
def test_refuses_what_is_no_pose(root: Path, row: dict[str, Any]) -> None:
    edit(root, 'ego_pose', lambda rows: rows[1].update(row))
    assert 'ego_pose.json: row pose-scene-0001' in refusal(root)


def test_refuses_a_camera_without_intrinsics(root: Path) -> None:
    edit(root, 'calibrated_sensor', lambda rows: rows[1].update(camera_intrinsic=[]))
    assert 'camera_intrinsic of CAM_FRONT is not 3x3' in refusal(root)


@pytest.mark.parametrize(
    ('table', 'change', 'said'),
    [
        ('sample', {'token': 1}, '$.token`; write text in quotation marks there'),
        ('sample_data', {'is_key_frame': 'yes'}, '$.is_key_frame'),
        ('sample_data', {'timestamp': 'noon'}, '$.timestamp`; write'),
        ('ego_pose', {'translation': 3.0}, '$.translation`; write a list of numbers there'),
        ('sensor', {'channel': ''}, 'expected letters, digits and _'),
        ('sensor', {'modality': 'eye'}, 'expected camera'),
        ('scene', {'name': 'town/05'}, 'rename the scene there'),
    ],
)
def test_a_value_of_another_kind_is_refused_with_what_belongs_there(
    root: Path, table: str, change: dict[str, Any], said: str
) -> None:
    edit(root, table, lambda rows: rows[0].update(change))
    line = refusal(root)
    assert f'{table}.json: row ' in line
    assert said in line


def test_a_dataset_without_scenes_is_refused_with_what_it_may_be(root: Path) -> None:
    (root / 'v1.0-test' / 'scene.json').unlink()
    assert 'scene.json cannot be read: No such file or directory; unpack all metadata' in refusal(root)
    assert 'nuImages' in refusal(root)


TABLES_OF_OTHER_TOOLS: dict[str, tuple[str, Edit]] = {
    'no logs': ('log', lambda rows: rows.clear()),
    'no log of a scene': ('scene', lambda rows: [row.pop('log_token') for row in rows]),
    'null in a log': ('log', lambda rows: rows[0].update(vehicle=None, date_captured=20200913)),
    'no description': ('scene', lambda rows: rows[0].pop('description')),
    'null as size of a point cloud': (
        'sample_data',
        lambda rows: [row.update(width=None, height=None) for row in rows if not row['width']],
    ),
    'no size of a point cloud': ('sample_data', lambda rows: [row.pop('width') for row in rows if not row['width']]),
    'whole floats as times': (
        'sample_data',
        lambda rows: [row.update(timestamp=float(row['timestamp'])) for row in rows],
    ),
    'backslashes': (
        'sample_data',
        lambda rows: [row.update(filename=row['filename'].replace('/', '\\')) for row in rows],
    ),
    'floats as sizes': (
        'sample_data',
        lambda rows: [row.update(width=float(row['width']), height=float(row['height'])) for row in rows],
    ),
    'numbers as flags': (
        'sample_data',
        lambda rows: [row.update(is_key_frame=int(row['is_key_frame'])) for row in rows],
    ),
    'numbers that are none where nobody looks': (
        'ego_pose',
        lambda rows: [row.update(velocity=[float('nan'), float('-inf')]) for row in rows],
    ),
    'null as the matrix of a LiDAR': (
        'calibrated_sensor',
        lambda rows: [row.update(camera_intrinsic=row['camera_intrinsic'] or None) for row in rows],
    ),
    'no matrix of a LiDAR': (
        'calibrated_sensor',
        lambda rows: [row.pop('camera_intrinsic') for row in rows if not row['camera_intrinsic']],
    ),
    'another kind of sensor': (
        'sensor',
        lambda rows: rows.append({'token': 'imu', 'channel': 'xsens mti/1', 'modality': 'imu'}),
    ),
    'a row twice': ('sample_data', lambda rows: rows.append(dict(rows[0]))),
    'all rows of a table twice': ('sensor', lambda rows: rows.extend([dict(row) for row in rows])),
    'objects in rows': ('ego_pose', lambda rows: [row.update(more=[{'a': 1}, {'b': 2}]) for row in rows]),
    'capitals': ('sensor', lambda rows: [row.update(modality=row['modality'].title()) for row in rows]),
}


@pytest.mark.parametrize(('table', 'change'), TABLES_OF_OTHER_TOOLS.values(), ids=TABLES_OF_OTHER_TOOLS)
def test_what_other_tools_write_otherwise_does_not_matter(
    nuscenes_root: Path, root: Path, table: str, change: Edit
) -> None:
    edit(root, table, change)
    for scene, expected in zip(nuscenes.load(root).scenes, nuscenes.load(nuscenes_root).scenes, strict=True):
        assert [(sample.token, sample.stamp) for sample in scene.samples] == [
            (sample.token, sample.stamp) for sample in expected.samples
        ]
        for sample, other in zip(scene.samples, expected.samples, strict=True):
            assert {
                channel: (data.stamp, data.filename, data.width, data.calibration)
                for channel, data in sample.data.items()
            } == {
                channel: (data.stamp, data.filename, data.width, data.calibration)
                for channel, data in other.data.items()
            }


def test_a_mark_at_the_beginning_of_a_file_is_no_part_of_the_table(root: Path) -> None:
    path = root / 'v1.0-test' / 'scene.json'
    path.write_bytes(b'\xef\xbb\xbf' + path.read_bytes())
    assert len(nuscenes.load(root).scenes) == 2
    path.write_text(path.read_text('utf-8-sig'), 'utf-16')
    assert 'scene.json is not whole JSON: it is written in UTF-16; save it as UTF-8' in refusal(root)


@pytest.mark.parametrize('name', ['Odaiba 1-1 (rain)', '2024.05.01_10-00', 'Straße', '東京'])
def test_scene_names_are_those_of_folders(root: Path, name: str) -> None:
    edit(root, 'scene', lambda rows: rows[0].update(name=name))
    assert nuscenes.load(root, None, [name]).scenes[0].name == name


FOREIGN_NAMES = ['../up', '/etc/passwd', 'a/../../b', '..', 'C:/x', '..\\up', 'a\x1b[2J', 'a\n', '~/x', '']


@pytest.mark.parametrize('name', FOREIGN_NAMES)
def test_files_outside_of_the_dataset_are_refused_by_row(root: Path, name: str) -> None:
    edit(root, 'sample_data', lambda rows: rows[0].update(filename=name))
    said = refusal(root)
    assert 'sample_data.json: row scene-0001-CAM_FRONT_LEFT-' in said
    assert "is to be below the dataset's folder" in said
    assert said.isprintable()


@pytest.mark.parametrize('token', [name for name in FOREIGN_NAMES if ':' not in name])
@pytest.mark.parametrize('table', ['sample', 'scene', 'sample_data'])
def test_tokens_that_name_no_files_are_refused_by_row(root: Path, table: str, token: str) -> None:
    old = json.loads((root / 'v1.0-test' / f'{table}.json').read_text())[0]['token']
    for path in (root / 'v1.0-test').glob('*.json'):
        path.write_text(path.read_text().replace(json.dumps(old), json.dumps(token)))
    said = refusal(root)
    assert f'{table}.json: row' in said
    assert 'is wrong: tokens name files' in said
    assert said.isprintable()


@pytest.mark.parametrize(
    ('factor', 'said'),
    [(1e-3, 'look like milliseconds'), (1e-6, 'look like seconds'), (1000, 'if these are nanoseconds, divide')],
)
def test_other_units_of_time_are_noticed(root: Path, factor: float, said: str) -> None:
    for table in ('sample', 'sample_data'):
        edit(root, table, lambda rows: [row.update(timestamp=int(row['timestamp'] * factor)) for row in rows])
    text = refusal(root)
    assert 'sample.json' in text
    assert said in text


def test_nanoseconds_since_the_start_are_noticed_by_the_span(root: Path) -> None:
    for table in ('sample', 'sample_data'):
        edit(root, table, lambda rows: [row.update(timestamp=row['timestamp'] * 1000 % 10**12) for row in rows])
    assert 'scene-0001 with 3 key frames lasts 1000 s if its timestamps are microseconds' in refusal(root)


def test_seconds_with_a_fraction_are_noticed(root: Path) -> None:
    edit(root, 'sample', lambda rows: [row.update(timestamp=row['timestamp'] / 1e6) for row in rows])
    assert 'multiply the timestamps of sample and sample_data by 1000000' in refusal(root)


@pytest.mark.parametrize(
    ('given', 'read'),
    [
        (None, ()),
        ([], ()),
        ([-0.3, 0.1, 0.01, 0.02], (-0.3, 0.1, 0.01, 0.02, 0.0)),
        ([1, 2, 3, 4, 5], (1, 2, 3, 4, 5)),
        ([1, 2, 3, 4, 5, 6, 7, 8], (1, 2, 3, 4, 5, 6, 7, 8)),
    ],
)
def test_the_distortion_of_a_lens(root: Path, given: object, read: tuple[float, ...]) -> None:
    edit(root, 'calibrated_sensor', lambda rows: [row.update(camera_distortion=given) for row in rows])
    assert nuscenes.load(root).scenes[0].samples[0].data['CAM_FRONT'].calibration.distortion == read


def test_a_distortion_that_ros_has_no_name_for_is_refused(root: Path) -> None:
    edit(root, 'calibrated_sensor', lambda rows: rows[0].update(camera_distortion=[1, 2, 3]))
    assert 'camera_distortion has 3 coefficients' in refusal(root)


def test_one_camera_may_look_down(root: Path) -> None:
    edit(root, 'calibrated_sensor', lambda rows: rows[1].update(rotation=[0, 0.7071068, -0.7071068, 0]))
    assert len(nuscenes.load(root).scenes) == 2


AMBIGUOUS: dict[str, tuple[str, Edit, str]] = {
    'two measurements of one token': (
        'sample_data',
        lambda rows: rows[1].update(token=rows[0]['token']),
        r'sample_data.json: row scene-.* is wrong: another row has the same token',
    ),
    'two samples of one token': (
        'sample',
        lambda rows: rows[1].update(token=rows[0]['token']),
        r'sample.json: row sample-.* another row has the same token',
    ),
    'two poses of one token': (
        'ego_pose',
        lambda rows: rows[1].update(token=rows[0]['token']),
        r'ego_pose.json: row pose-.* another row has the same token',
    ),
    'key frames only': (
        'sample_data',
        lambda rows: [row.update(is_key_frame=True) for row in rows] and None,
        r'are both key frames of CAM_FRONT in sample sample-scene-.*; set is_key_frame of all but one',
    ),
    'two scenes of one name': (
        'scene',
        lambda rows: rows[1].update(name=rows[0]['name']),
        'token-scene-0001 and token-scene-0002 are both called scene-0001',
    ),
    'no scene': ('scene', lambda rows: rows.clear(), r'scene\.json has no rows'),
    'no camera': (
        'sensor',
        lambda rows: [row.update(modality='sensor') for row in rows] and None,
        "no sensor with the modality 'camera'; there are sensor",
    ),
    'a camera that is called otherwise': (
        'sensor',
        lambda rows: rows[1].update(modality='cam'),
        "CAM_FRONT has a camera_intrinsic, but its modality is 'cam'",
    ),
    'a camera that is the vehicle': (
        'sensor',
        lambda rows: rows[1].update(channel='base_link'),
        "channel 'base_link' names a TF frame, and is that of the vehicle",
    ),
    'measurements in milliseconds': (
        'sample_data',
        lambda rows: [row.update(timestamp=row['timestamp'] // 1000) for row in rows] and None,
        r'sample_data\.json: row .* s from its sample .*microseconds of one clock',
    ),
    'measurements of another clock': ('sample_data', lambda rows: rows[3].update(timestamp=5), 'of one clock'),
    'a vehicle on its roof': ('ego_pose', lambda rows: rows[0].update(rotation=[0, 1, 0, 0]), 'side or its roof'),
    'x, y, z, w': ('ego_pose', lambda rows: rows[0].update(rotation=[0, 0, 0.7071068, 0.7071068]), 'w, x, y, z'),
    'cameras in x, y, z, w': (
        'calibrated_sensor',
        lambda rows: [row.update(rotation=row['rotation'][1:] + row['rotation'][:1]) for row in rows] and None,
        'calibrated_sensor.json: .* CAM_BACK, .* if they are in the order x, y, z, w; write w, x, y, z',
    ),
    'from the vehicle to the cameras': (
        'calibrated_sensor',
        lambda rows: [row.update(rotation=[-row['rotation'][0], *row['rotation'][1:]]) for row in rows] and None,
        'the inverse, from the vehicle to the camera',
    ),
    'cameras whose x points forward': (
        'calibrated_sensor',
        lambda rows: [row.update(rotation=[1, 0, 0, 0]) for row in rows] and None,
        'cameras whose x points forward, and z up',
    ),
    'a vehicle that hardly turns, in x, y, z, w': (
        'ego_pose',
        lambda rows: [row.update(rotation=row['rotation'][1:] + row['rotation'][:1]) for row in rows] and None,
        'ego_pose.json: .* tilted by up to 1. degrees, and only by 0 if they are in the order x, y, z, w',
    ),
    'a sensor in millimetres': (
        'calibrated_sensor',
        lambda rows: rows[0].update(translation=[0, 0, 1500]),
        'farther than 50 m from the vehicle',
    ),
    'a pose nowhere': ('ego_pose', lambda rows: rows[0].update(translation=[1e300, 0, 0]), 'beyond all maps'),
    'half a pixel': ('sample_data', lambda rows: rows[0].update(width=160.5), '160.5 x 90 pixels: expected whole'),
}


@pytest.mark.parametrize(('table', 'change', 'said'), AMBIGUOUS.values(), ids=AMBIGUOUS)
def test_what_would_lose_or_misplace_something_is_refused(root: Path, table: str, change: Edit, said: str) -> None:
    edit(root, table, change)
    assert re.search(said, refusal(root))
