"""What the node does besides the network, measured on a network small enough to wait for."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from gdfusion_ros.model.geometry.depth_bins import DepthBins
from gdfusion_ros.model.geometry.voxel_grid import VoxelGrid
from gdfusion_ros.model.networks.bevdetocc import BEVDETOCC_GF
from gdfusion_ros.model.runtime.prepare import prepare
from gdfusion_ros.model.weights.initialise import untrained
from gdfusion_ros.model.zoo import build

SPEC = dataclasses.replace(
    BEVDETOCC_GF,
    image_size=(32, 64),
    cameras=2,
    depth=DepthBins(first=1.0, step=4.0, count=8),
    grid=VoxelGrid(lower=(-8.0, -8.0, -1.0), voxel_size=(1.0, 1.0, 1.0), shape=(16, 16, 4)),
)


def test_every_step_is_measured() -> None:
    pytest.importorskip('rclpy')
    from gdfusion_ros.benchmark import steps as benchmark

    network = build(SPEC)
    untrained(network)
    ticks: list[None] = []
    steps = list(benchmark.run(prepare(network, torch.device('cpu')), 2, lambda: ticks.append(None)))
    assert len(ticks) == len(steps)
    assert all(step.seconds >= 0 for step in steps)
    always = [step.name for step in steps if step.always]
    assert always == [
        'decode an image',
        'resize and crop it',
        'normalise the images',
        'matrices of the frame',
        'geometry',
        'is the memory finite?',
        'labels in the order of the message',
    ]
    assert {step.name for step in steps if not step.always} >= {
        'message occupancy',
        'message points',
        'message markers',
    }
