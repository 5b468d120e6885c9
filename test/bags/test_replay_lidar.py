"""Bags with point clouds, for a network that looks at LiDAR depth."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest

from gdfusion_ros.bags.grid_stream import ReplayListener
from gdfusion_ros.bags.reader import RawMessage
from gdfusion_ros.bags.replay import ReplayResult
from gdfusion_ros.datasets import nuscenes
from gdfusion_ros.datasets.convert import convert
from gdfusion_ros.datasets.plan import Content, plan
from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.messages.factory import Message
from gdfusion_ros.model.interface import Frame
from gdfusion_ros.model.network import OccupancyNetwork
from gdfusion_ros.model.networks.bevdetocc import BEVDETOCC_GF
from gdfusion_ros.model.sequence import SequenceRunner
from gdfusion_ros.perception.types import SemanticGrid
from gdfusion_ros.training.examples import Examples
from gdfusion_ros.training.settings import TrainingSettings
from gdfusion_ros.training.stream import Item

SECOND = 1_000_000_000
Replayed = tuple[ReplayResult, list[SemanticGrid], Path]
Run = Callable[..., Replayed]
Rewrite = Callable[[Path, Path, Callable[[RawMessage], Iterable[RawMessage]]], Path]
Edit = Callable[[RawMessage, Callable[[Message], Message]], RawMessage]


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


def test_sets_without_a_cloud_are_skipped_or_seen_by_the_cameras_alone(
    run: Run, lidar_bag: Path, tmp_path: Path, looking: list[Frame], rewrite: Rewrite, front_stamps: list[int]
) -> None:
    def after_the_first(message: RawMessage) -> Iterable[RawMessage]:
        late = message.topic == '/LIDAR_TOP/points' and message.stamp > front_stamps[0] + SECOND // 4
        return () if late else (message,)

    bag = rewrite(lidar_bag, tmp_path / 'silent', after_the_first)
    result, grids, _ = run(bag)
    assert [grid.stamp for grid in grids] == front_stamps[:1]
    assert dict(result.counts.sets_dropped) == {'lidar': 2}
    looking.clear()
    result, grids, _ = run(bag, 'alone', missing_lidar='camera_only')
    assert [grid.stamp for grid in grids] == front_stamps
    assert [frame.lidar_depth is None for frame in looking] == [False, True, True]
    assert result.counts.lidar.missing == 2


def test_a_bag_without_clouds_is_refused_at_once_unless_the_cameras_may_do(
    run: Run, scene_bag: Path, looking: list[Frame]
) -> None:
    with pytest.raises(GdfusionError, match=r'takes LiDAR clouds, too .*camera_only.*/LIDAR_TOP/points'):
        run(scene_bag)
    _, grids, _ = run(scene_bag, 'alone', missing_lidar='camera_only')
    assert [frame.lidar_depth for frame in looking] == [None] * len(grids) == [None] * 3


def test_a_damaged_cloud_costs_its_set_only(
    run: Run,
    lidar_bag: Path,
    tmp_path: Path,
    looking: list[Frame],
    rewrite: Rewrite,
    edited: Edit,
    front_stamps: list[int],
) -> None:
    def damage(message: RawMessage) -> Iterable[RawMessage]:
        second = (
            message.topic == '/LIDAR_TOP/points'
            and message.stamp > front_stamps[0] + SECOND // 4
            and message.stamp < front_stamps[0] + 3 * SECOND // 4
        )

        def cut(cloud: Message) -> Message:
            cloud.fields = cloud.fields[1:]
            return cloud

        return (edited(message, cut) if second else message,)

    lines: list[str] = []
    bag = rewrite(lidar_bag, tmp_path / 'damaged', damage)
    result, grids, _ = run(bag, listener=ReplayListener(warning=lines.append))
    assert [grid.stamp for grid in grids] == [front_stamps[0], front_stamps[2]]
    assert result.counts.refused == {'/LIDAR_TOP/points': 1}
    assert any('the cloud has no x; its fields are y, z, intensity, ring' in line for line in lines)
