"""A converted scene and a network that is quick."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from gdfusion_ros.datasets import nuscenes
from gdfusion_ros.datasets.convert import convert
from gdfusion_ros.datasets.plan import plan
from gdfusion_ros.model.grid import VoxelGrid
from gdfusion_ros.model.inference import prepare
from gdfusion_ros.model.occupancy import OccupancyNetwork
from gdfusion_ros.model.zoo import BEVDETOCC_GF, initialise


@pytest.fixture(scope='session')
def scene_bag(nuscenes_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """scene-0001 of the made nuScenes: three key frames of six cameras. To read, never to change."""
    job = plan(nuscenes.load(nuscenes_root, None, ['scene-0001']), tmp_path_factory.mktemp('bags'))[0]
    convert(job)
    return job.path


@pytest.fixture(scope='module')
def tiny_network() -> Iterator[OccupancyNetwork]:
    """The whole network with small images and a coarse grid, random weights: a tenth of a second a frame.

    It runs in one thread: its pieces of work are so small that threads would only wait for each other.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    grid = VoxelGrid(lower=(-40.0, -40.0, -1.0), voxel_size=(3.2, 3.2, 1.6), shape=(25, 25, 4))
    network = OccupancyNetwork(dataclasses.replace(BEVDETOCC_GF, name='tiny', image_size=(64, 176), grid=grid))
    initialise(network, seed=0)
    yield prepare(network, torch.device('cpu'))
    torch.set_num_threads(threads)
