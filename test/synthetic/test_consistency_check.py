"""The check of images against labels passes what is made, and fails what is changed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from gdfusion_ros.datasets import occ3d
from gdfusion_ros.datasets.nuscenes import SYNTHETIC
from gdfusion_ros.datasets.occ3d import Occ3DLabels
from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.synthetic import recipes
from gdfusion_ros.synthetic.consistency_check import Consistency, examine

pytestmark = pytest.mark.slow


@pytest.fixture
def copy(made: Path, tmp_path: Path) -> Path:
    """A dataset that may be changed."""
    return Path(shutil.copytree(made, tmp_path / 'copy'))


def examined(root: Path) -> Consistency:
    return examine(root, jobs=1)


def test_what_is_made_agrees(made: Path) -> None:
    seen: list[int] = []
    consistency = examine(made, 1, seen.append)
    assert consistency.holds
    assert consistency.share > 0.97
    assert consistency.visible.sum() > 20_000
    assert consistency.visible[17] == 0
    assert sum(seen) == 2


@pytest.mark.parametrize(('axis', 'step'), [(0, 1), (1, -1), (2, 1), (2, -1)])
def test_labels_moved_by_a_voxel_disagree(copy: Path, axis: int, step: int) -> None:
    for path in copy.glob('gts/*/*/labels.npz'):
        labels = occ3d.read(path)
        moved = Occ3DLabels(
            np.roll(labels.semantics, step, axis),
            np.roll(labels.mask_lidar, step, axis),
            np.roll(labels.mask_camera, step, axis),
        )
        occ3d.write(path, moved)
    assert not examined(copy).holds


def test_a_moved_camera_disagrees(copy: Path) -> None:
    path = copy / SYNTHETIC / 'calibrated_sensor.json'
    rows = json.loads(path.read_text())
    for row in rows:
        row['translation'][2] += 0.3
    path.write_text(json.dumps(rows))
    assert not examined(copy).holds


def test_another_focal_length_disagrees(copy: Path) -> None:
    path = copy / SYNTHETIC / 'calibrated_sensor.json'
    rows = json.loads(path.read_text())
    for row in rows:
        if row['camera_intrinsic']:
            row['camera_intrinsic'][0][0] *= 1.1
            row['camera_intrinsic'][1][1] *= 1.1
    path.write_text(json.dumps(rows))
    assert not examined(copy).holds


def test_swapped_images_are_named(copy: Path) -> None:
    left, right = (min(copy.glob(f'samples/{camera}/*.jpg')) for camera in ('CAM_FRONT_LEFT', 'CAM_FRONT_RIGHT'))
    contents = left.read_bytes()
    left.write_bytes(right.read_bytes())
    right.write_bytes(contents)
    consistency = examined(copy)
    assert not consistency.holds
    assert {Path(name).name for name in consistency.differing} == {left.name, right.name}


def test_what_is_missing_is_said(copy: Path) -> None:
    next(copy.glob('samples/CAM_BACK/*.jpg')).write_bytes(b'no image')
    with pytest.raises(GdfusionError, match=r'image .*CAM_BACK.* cannot be read'):
        examined(copy)
    (copy / recipes.FILE).unlink()
    with pytest.raises(GdfusionError, match='only a dataset made by gdfusion synthesize'):
        examined(copy)


def test_tables_of_another_recipe_are_refused(copy: Path) -> None:
    recipe = json.loads((copy / recipes.FILE).read_text())
    (copy / recipes.FILE).write_text(json.dumps({**recipe, 'scenes': 2}))
    with pytest.raises(GdfusionError, match='the tables do not have the 2 scenes'):
        examined(copy)
