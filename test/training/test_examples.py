"""Examples out of a dataset folder."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from msgspec import structs

from gdfusion_ros.datasets import nuscenes
from gdfusion_ros.datasets.nuscenes import Dataset, PointCategories
from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.model.objectives.alocc import AloccWeights
from gdfusion_ros.model.objectives.interface import IGNORE, FrameTruth
from gdfusion_ros.model.spec import NetworkSpec
from gdfusion_ros.perception.labels import SURROUNDOCC_NUSCENES
from gdfusion_ros.settings import SURROUND_CAMERAS
from gdfusion_ros.training.examples import Examples, labelled
from gdfusion_ros.training.settings import TrainingSettings
from gdfusion_ros.training.stream import Item


def test_a_frame_as_the_node_would_make_it(source: Dataset, tiny_spec: NetworkSpec, settings: TrainingSettings) -> None:
    examples = Examples([source], tiny_spec, settings, augment=False)
    assert examples.lengths == [3, 3]
    first, second = examples[Item(0, 0, 0)], examples[Item(0, 1, 0)]
    assert first.start
    assert not second.start
    frame, samples = second.frame, source.scenes[0].samples
    front = [sample.data['CAM_FRONT'].ego_pose.matrix() for sample in samples]
    torch.testing.assert_close(frame.previous_ego_from_ego, torch.tensor(np.linalg.inv(front[0]) @ front[1]).float())
    assert frame.images.shape == (6, 3, 32, 64)
    assert frame.images.dtype == torch.float32
    assert frame.calibration.visible.all()
    assert torch.equal(frame.calibration.bda, torch.eye(3))


def test_labels_are_transposed_and_masked(source: Dataset, tiny_spec: NetworkSpec, settings: TrainingSettings) -> None:
    labels = Examples([source], tiny_spec, settings, augment=False)[Item(0, 0, 0)].truth.labels
    assert labels.shape == (200, 200, 16)
    assert (labels[:, :40] == IGNORE).all()  # x < 40 is not observed; axes are y, x, z
    assert (labels[:60, 40:160, 2] == 15).all()
    assert (labels[60:, 40:160, 2] == 11).all()
    everything = dataclasses.replace(settings, camera_mask=False)
    labels = Examples([source], tiny_spec, everything, augment=False)[Item(0, 0, 0)].truth.labels
    assert (labels[150:170, 20:40, 3] == 4).all()


def test_a_scene_without_labels_teaches_depth_alone(
    source: Dataset, tiny_spec: NetworkSpec, settings: TrainingSettings
) -> None:
    example = Examples([source], tiny_spec, settings, augment=False)[Item(1, 0, 0)]
    assert (example.truth.labels == IGNORE).all()
    known = example.truth.depth != IGNORE
    assert known.any()
    assert example.truth.depth.shape == (6, 4, 8)
    assert labelled([source], tiny_spec) == 3


def test_depth_of_a_point_straight_ahead(
    source: Dataset, tiny_spec: NetworkSpec, settings: TrainingSettings, tmp_path: Path
) -> None:
    """A point 9.5 m before the camera on its optical axis falls into one cell, in the bin of 9 to 11 m."""
    sample = source.scenes[0].samples[0]
    camera, lidar = sample.data['CAM_FRONT'], sample.data['LIDAR_TOP']
    lidar_from_camera = np.linalg.inv(lidar.ego_pose.matrix() @ lidar.calibration.pose.matrix()) @ (
        camera.ego_pose.matrix() @ camera.calibration.pose.matrix()
    )
    point = lidar_from_camera @ [0, 0, 9.5, 1]
    np.array([*point[:3], 0, 0], np.float32).tofile(tmp_path / 'sweep.bin')
    lidar = structs.replace(lidar, root=tmp_path, filename='sweep.bin')
    swept = dataclasses.replace(sample, data={**sample.data, 'LIDAR_TOP': lidar})
    scene = dataclasses.replace(source.scenes[0], samples=(swept,))
    one = dataclasses.replace(source, scenes=(scene,))
    depth = Examples([one], tiny_spec, settings, augment=False)[Item(0, 0, 0)].truth.depth
    seen = (depth[1] != IGNORE).nonzero().tolist()
    assert len(seen) == 1
    assert depth[1, seen[0][0], seen[0][1]] == 4


def test_classes_of_points_where_the_dataset_has_them_else_of_rays(
    source: Dataset, tiny_spec: NetworkSpec, settings: TrainingSettings, tmp_path: Path
) -> None:
    sample = source.scenes[0].samples[0]
    camera, lidar = sample.data['CAM_FRONT'], sample.data['LIDAR_TOP']
    lidar_from_camera = np.linalg.inv(lidar.ego_pose.matrix() @ lidar.calibration.pose.matrix()) @ (
        camera.ego_pose.matrix() @ camera.calibration.pose.matrix()
    )
    ahead = [(lidar_from_camera @ [0, 0, depth, 1])[:3] for depth in (9.5, 5.5, 7.0)]
    np.array([[*point, 0, 0] for point in (*ahead, [np.nan] * 3)], np.float32).tofile(tmp_path / 'sweep.bin')
    (tmp_path / 'classes.bin').write_bytes(bytes([1, 0, 1, 2]))
    masks = dataclasses.replace(settings, objective=AloccWeights(depth=0.0, told_depth=False))

    def seen(names: dict[int, str]) -> FrameTruth:
        categories = PointCategories(tmp_path / 'classes.bin', names) if names else None
        swept = structs.replace(lidar, root=tmp_path, filename='sweep.bin', categories=categories)
        scene = dataclasses.replace(
            source.scenes[0], samples=(dataclasses.replace(sample, data={**sample.data, 'LIDAR_TOP': swept}),)
        )
        one = dataclasses.replace(source, scenes=(scene,))
        return Examples([one], tiny_spec, masks, augment=False)[Item(0, 0, 0)].truth

    truth = seen({0: 'vehicle.car', 1: 'static.manmade', 2: 'noise'})
    assert truth.rays is None
    assert (truth.depth == IGNORE).all(), 'nobody asked'
    assert truth.point_classes is not None
    known = (truth.point_classes != IGNORE).nonzero()
    assert truth.point_classes[tuple(known.T)].tolist() == [4], 'the nearest point of the cell'
    assert seen({}).point_classes is None
    assert seen({}).rays is not None


def test_a_network_that_looks_at_lidar_depth_gets_it_and_others_do_not(
    source: Dataset, tiny_spec: NetworkSpec, settings: TrainingSettings
) -> None:
    assert Examples([source], tiny_spec, settings, augment=False)[Item(0, 0, 0)].frame.lidar_depth is None
    looking = dataclasses.replace(tiny_spec, lidar_depth=True)
    example = Examples([source], looking, settings, augment=False)[Item(0, 0, 0)]
    maps = example.frame.lidar_depth
    assert maps is not None
    assert maps.shape == (6, 32, 64)
    assert torch.equal((maps > 0).unfold(1, 8, 8).unfold(2, 8, 8).flatten(3).any(-1), example.truth.depth != IGNORE)


def test_labels_cameras_and_grid_are_those_of_the_network(
    source: Dataset, tiny_spec: NetworkSpec, tmp_path: Path, settings: TrainingSettings
) -> None:
    dataset = dataclasses.replace(source, root=tmp_path)
    grid = SURROUNDOCC_NUSCENES.grid
    spec = dataclasses.replace(
        tiny_spec,
        label_set='surroundocc_nuscenes',
        frame='lidar',
        refinement=1,
        grid=grid,
        cameras=5,
        any_cameras=False,
    )
    five = dataclasses.replace(settings, cameras=SURROUND_CAMERAS[:5])
    sweep = source.scenes[0].samples[0].data['LIDAR_TOP']
    path = tmp_path / 'gts_surroundocc' / 'samples' / f'{sweep.path.name}.npy'
    path.parent.mkdir(parents=True)
    np.save(path, [[1, 2, 3, 4], [5, 6, 7, 0]])
    examples = Examples([dataset], spec, five, augment=False)
    example = examples[Item(0, 0, 0)]
    assert example.frame.images.shape[0] == example.truth.depth.shape[0] == 5
    assert [int(example.truth.labels[2, 1, 3]), int(example.truth.labels[6, 5, 7])] == [4, 17]
    assert (example.truth.labels != 17).sum() == 1
    assert (examples[Item(0, 1, 0)].truth.labels == IGNORE).all()
    assert labelled([dataset], spec) == 1
    camera = source.scenes[0].samples[0].data['CAM_FRONT']
    lidar = camera.ego_pose.matrix() @ sweep.calibration.pose.matrix()
    expected = np.linalg.inv(lidar) @ camera.ego_pose.matrix() @ camera.calibration.pose.matrix()
    torch.testing.assert_close(example.frame.calibration.volume_from_camera[1], torch.tensor(expected).float())
    with pytest.raises(GdfusionError, match='tiny needs 5 cameras'):
        Examples([dataset], spec, settings, augment=False)
    with pytest.raises(GdfusionError, match='predicts classes of waymo, of which nuScenes has no labels'):
        Examples([dataset], dataclasses.replace(spec, label_set='waymo'), five, augment=False)


def test_augmentation_follows_seed_and_place_alone(
    source: Dataset, tiny_spec: NetworkSpec, settings: TrainingSettings
) -> None:
    examples = Examples([source], tiny_spec, settings, augment=True)
    one, same, later = examples[Item(0, 1, 4)], examples[Item(0, 1, 4)], examples[Item(0, 2, 4)]
    assert torch.equal(one.frame.images, same.frame.images)
    assert torch.equal(one.frame.calibration.bda, later.frame.calibration.bda)
    assert not torch.equal(one.frame.calibration.post_rotation, later.frame.calibration.post_rotation)
    constant = Examples([source], tiny_spec, dataclasses.replace(settings, image_varies='sequence'), augment=True)
    one, later = (constant[Item(0, frame, 4)] for frame in (1, 2))
    assert torch.equal(one.frame.calibration.post_rotation, later.frame.calibration.post_rotation)
    mirrored = {tuple(examples[Item(0, 0, draw)].frame.calibration.bda.diagonal().tolist()) for draw in range(20)}
    assert len(mirrored) == 4


def test_mirroring_moves_labels_and_volume_alike(
    source: Dataset, tiny_spec: NetworkSpec, settings: TrainingSettings
) -> None:
    plain = Examples([source], tiny_spec, settings, augment=False)[Item(0, 0, 0)].truth.labels
    examples = Examples([source], tiny_spec, settings, augment=True)
    for draw in range(8):
        example = examples[Item(0, 0, draw)]
        x, y, _ = example.frame.calibration.bda.diagonal().tolist()
        flips = [axis for axis, sign in ((0, y), (1, x)) if sign < 0]
        assert torch.equal(example.truth.labels, plain.flip(flips))


@pytest.mark.parametrize('damage', ['image', 'lidar', 'channel'])
def test_bad_data_is_one_line(
    labelled_root: Path, tiny_spec: NetworkSpec, settings: TrainingSettings, tmp_path: Path, damage: str
) -> None:
    dataset = nuscenes.load(labelled_root)
    scene = dataset.scenes[0]
    sample, broken = scene.samples[0], tmp_path / 'broken'
    broken.write_bytes(b'no such thing')
    channel = {'image': 'CAM_BACK', 'lidar': 'LIDAR_TOP', 'channel': 'CAM_FRONT'}[damage]
    data = dict(sample.data)
    if damage == 'channel':
        del data[channel]
    else:
        data[channel] = structs.replace(data[channel], root=tmp_path, filename='broken')
    bad = dataclasses.replace(scene, samples=(dataclasses.replace(sample, data=data),))
    with pytest.raises(GdfusionError, match=str(broken) if damage != 'channel' else 'has no CAM_FRONT'):
        Examples([dataclasses.replace(dataset, scenes=(bad,))], tiny_spec, settings, augment=False)[Item(0, 0, 0)]
