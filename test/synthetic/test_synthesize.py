"""Whole datasets: the same from the same recipe, read by the product's reader and by the official devkit."""

from __future__ import annotations

import dataclasses
import hashlib
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nuscenes import NuScenes
from nuscenes.utils.geometry_utils import view_points
from PIL import Image

from gdfusion_ros.datasets import nuscenes, occ3d
from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.perception.poses import pose_matrix
from gdfusion_ros.synthetic import recipes
from gdfusion_ros.synthetic.drive import Drive
from gdfusion_ros.synthetic.recipes import Recipe
from gdfusion_ros.synthetic.rig import CAMERAS, LIDAR, OFFSETS
from gdfusion_ros.synthetic.synthesize import synthesize
from gdfusion_ros.synthetic.workers import recorder

pytestmark = pytest.mark.slow

SMALL = Recipe(seed=1, scenes=2, frames=2, width=64, height=36, sweeps=False, lidar=False, weather=('noon', 'overcast'))


def hashes(root: Path) -> dict[str, str]:
    """Of all files below a folder."""
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob('*'))
        if path.is_file()
    }


@pytest.fixture(scope='module')
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp('small') / 'made'
    synthesize(root, SMALL, jobs=1)
    return root


def test_the_same_recipe_gives_the_same_files(small: Path, tmp_path: Path) -> None:
    synthesize(tmp_path / 'again', SMALL, jobs=2)
    assert hashes(tmp_path / 'again') == hashes(small)


def test_a_scene_does_not_depend_on_how_many_there_are(small: Path, tmp_path: Path) -> None:
    synthesize(tmp_path / 'one', dataclasses.replace(SMALL, scenes=1), jobs=1)
    all_files, one = hashes(small), hashes(tmp_path / 'one')
    same = [name for name in one if not name.startswith(nuscenes.SYNTHETIC) and name != recipes.FILE]
    assert len(same) == 2 * (len(CAMERAS) + 1) + 2  # images, labels, the map, the license
    assert all(all_files[name] == one[name] for name in same)


def test_another_seed_gives_other_images(small: Path, tmp_path: Path) -> None:
    synthesize(tmp_path / 'other', dataclasses.replace(SMALL, seed=2, scenes=1, frames=1), jobs=1)
    images = {value for name, value in hashes(small).items() if name.endswith('.jpg')}
    assert len(images) == 2 * 2 * len(CAMERAS)
    assert images.isdisjoint(hashes(tmp_path / 'other').values())


def test_the_reader_reads_what_was_planned(made: Path, planned: Drive) -> None:
    (scene,) = nuscenes.load(made, sweeps=True, annotations=True).scenes
    assert (scene.name, scene.log['location'], len(scene.samples)) == ('scene-0001', 'synthetic', 2)
    assert 'overcast' in scene.description
    assert [sample.stamp for sample in scene.samples] == (planned.key_stamps * 1000).tolist()
    for sample in scene.samples:
        for channel, offset in OFFSETS.items():
            data = sample.data[channel]
            assert data.stamp == sample.stamp + offset * 1000
            assert data.path.is_file()
            wanted = planned.ego_pose(data.stamp // 1000)
            found = pose_matrix(data.ego_pose.translation, data.ego_pose.rotation)
            np.testing.assert_allclose(found, wanted, atol=1e-9)
            mounting = data.calibration.pose
            np.testing.assert_allclose(
                pose_matrix(mounting.translation, mounting.rotation),
                planned.rig.sensors[channel].ego_from_sensor,
                atol=1e-9,
            )
    assert len(scene.sweeps) == len(planned.shots) - 2 * len(OFFSETS)
    assert all(data.path.is_file() for data in scene.sweeps)


def test_labels_are_where_occ3d_has_them(made: Path) -> None:
    (scene,) = nuscenes.load(made).scenes
    for sample in scene.samples:
        labels = occ3d.read(occ3d.label_path(made, scene.name, sample.token))
        occupied = labels.semantics != 17
        assert 0.02 < occupied.mean() < 0.3
        assert (labels.semantics[:, :, :2] == 17).mean() > 0.97  # below the ground
        assert set(np.unique(labels.semantics)) >= {11, 13, 17}
        assert 0.1 < labels.mask_camera.mean() < 0.9
        assert (labels.mask_lidar & occupied).sum() > 500
        # The vehicle stands on the road.
        assert (labels.semantics[98:106, 98:103, 2] == 11).mean() > 0.9


def test_lidar_points_lie_on_what_is_labelled(made: Path) -> None:
    (scene,) = nuscenes.load(made).scenes
    data = scene.samples[0].data[LIDAR]
    points = np.fromfile(data.path, np.float32).reshape(-1, 5)
    assert len(points) > 5000
    assert set(np.unique(points[:, 4])) <= set(range(32))
    pose = pose_matrix(data.calibration.pose.translation, data.calibration.pose.rotation)
    in_ego = points[:, :3] @ pose[:3, :3].T + pose[:3, 3]
    voxels = np.floor((in_ego - (-40, -40, -1)) / 0.4).astype(int)
    inside = ((voxels >= 0) & (voxels < (200, 200, 16))).all(axis=1)
    semantics = occ3d.read(occ3d.label_path(made, scene.name, scene.samples[0].token)).semantics
    assert (semantics[tuple(voxels[inside].T)] != 17).mean() > 0.97


def test_the_official_devkit_loads_it(made: Path, planned: Drive) -> None:
    devkit = NuScenes(nuscenes.SYNTHETIC, str(made), verbose=False)
    scene = devkit.scene[0]
    assert devkit.field2token('sample', 'scene_token', scene['token']) == [row['token'] for row in devkit.sample]
    for table in devkit.table_names:
        rows = getattr(devkit, table)
        assert len({row['token'] for row in rows}) == len(rows) > 0
    for start in ('CAM_FRONT', LIDAR):
        row, count = devkit.get('sample_data', devkit.sample[0]['data'][start]), 1
        while row['prev']:
            row = devkit.get('sample_data', row['prev'])
        while row['next']:
            row, count = devkit.get('sample_data', row['next']), count + 1
        assert count == len([shot for shot in planned.shots if shot.channel == start])
    for instance in devkit.instance:
        row, count = devkit.get('sample_annotation', instance['first_annotation_token']), 1
        while row['next']:
            row, count = devkit.get('sample_annotation', row['next']), count + 1
        assert (row['token'], count) == (instance['last_annotation_token'], instance['nbr_annotations'])
    data = devkit.get('sample_data', devkit.sample[0]['data'][LIDAR])
    x, y, _ = devkit.get('ego_pose', data['ego_pose_token'])['translation']
    assert devkit.map[0]['mask'].is_on_mask(x, y)


def test_boxes_lie_on_what_is_in_the_images(made: Path, recipe: Recipe) -> None:
    devkit = NuScenes(nuscenes.SYNTHETIC, str(made), verbose=False)
    there = recorder(recipe, 0, made)
    names = {'vehicle.car': 4, 'human.pedestrian.adult': 7, 'vehicle.truck': 10, 'vehicle.bus.rigid': 3}
    found = []
    for shot in there.drive.shots:
        if shot.key and shot.channel != LIDAR:
            token = devkit.sample[shot.frame]['data'][shot.channel]
            path, boxes, intrinsics = devkit.get_sample_data(token)
            rendering = there.render(shot)
            assert Image.open(path).size == (recipe.width, recipe.height)
            for box in boxes:
                u, v, _ = view_points(box.center[:, None], intrinsics, normalize=True)[:, 0]
                inside = 0 <= u < recipe.width and 0 <= v < recipe.height
                # What is rendered at the box's middle is as far away as the box: nothing hides it.
                if inside and box.name in names and abs(rendering.depth[int(v), int(u)] - box.center[2]) < max(box.wlh):
                    found.append(rendering.labels[int(v), int(u)] == names[box.name])
    assert len(found) > 4
    assert np.mean(found) > 0.8


def test_nothing_is_left_of_what_fails_or_overwritten(tmp_path: Path, small: Path) -> None:
    def fail(_: int) -> None:
        raise GdfusionError('stopped')

    with pytest.raises(GdfusionError, match='stopped'):
        synthesize(tmp_path / 'made', dataclasses.replace(SMALL, scenes=1, frames=1), 1, fail)
    assert list(tmp_path.iterdir()) == []
    before = hashes(small)
    with pytest.raises(GdfusionError, match='exists already'):
        synthesize(small, SMALL, 1)
    assert hashes(small) == before


def test_ctrl_c_leaves_nothing(tmp_path: Path, wait_until: Callable[..., None]) -> None:
    command = [
        sys.executable,
        '-m',
        'gdfusion_ros',
        'synthesize',
        str(tmp_path / 'made'),
        '--scenes',
        '3',
        '--frames',
        '100',
        '--resolution',
        '64x36',
        '--jobs',
        '2',
    ]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        wait_until(lambda: process.poll() is not None or list(tmp_path.glob('.made.*/made/gts/*/*')))
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate()
    assert process.returncode == 130
    assert 'stopped' in errors
    assert 'Traceback' not in errors
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ('field', 'value', 'message'),
    [
        ('scenes', 0, 'scenes 0: expected 1 to 9999'),
        ('frames', 0, 'frames 0'),
        ('width', 8, 'width 8: expected 32'),
        ('seed', -1, 'seed -1'),
        ('weather', ('sunny',), 'no weather sunny; there are noon'),
        ('weather', (), 'no weather given'),
    ],
)
def test_recipes_out_of_bounds(tmp_path: Path, field: str, value: Any, message: str) -> None:
    with pytest.raises(GdfusionError, match=message):
        synthesize(tmp_path / 'made', dataclasses.replace(SMALL, **{field: value}), 1)
    assert list(tmp_path.iterdir()) == []


def test_a_recipe_is_read_as_written(tmp_path: Path) -> None:
    recipes.write(tmp_path, SMALL)
    assert recipes.read(tmp_path) == SMALL
    with pytest.raises(GdfusionError, match='only a dataset made by gdfusion synthesize has it'):
        recipes.read(tmp_path / 'elsewhere')
    (tmp_path / recipes.FILE).write_text('{"seed": "x"}')
    with pytest.raises(GdfusionError, match='is no recipe'):
        recipes.read(tmp_path)
