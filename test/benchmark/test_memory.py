"""What remembering costs, on networks small enough to wait for."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from PIL import Image

from gdfusion_ros.benchmark import memory
from gdfusion_ros.benchmark.memory import MemoryUse
from gdfusion_ros.model.geometry.depth_bins import DepthBins
from gdfusion_ros.model.geometry.voxel_grid import VoxelGrid
from gdfusion_ros.model.networks.bevdetocc import BEVDETOCC_GF

CPU = torch.device('cpu')
SPEC = dataclasses.replace(
    BEVDETOCC_GF,
    image_size=(32, 64),
    cameras=2,
    depth=DepthBins(first=1.0, step=4.0, count=8),
    grid=VoxelGrid(lower=(-8.0, -8.0, -1.0), voxel_size=(1.0, 1.0, 1.0), shape=(16, 16, 4)),
)
VOLUME = 4 * 32 * 16 * 16 * 4


@pytest.mark.slow
def test_a_queue_costs_a_volume_a_frame_and_what_is_fused_one() -> None:
    uses = {length: memory.measure(SPEC, length, 3, CPU) for length in (1, 3, 0)}
    assert uses[1].history == VOLUME
    assert uses[3].history == 3 * VOLUME
    assert VOLUME < uses[0].history < 1.2 * VOLUME
    assert uses[3].state - uses[1].state == 2 * VOLUME
    assert {use.growth for use in uses.values()} == {0}
    assert (uses[3].model, uses[0].model) == ('bevdetocc_sf', 'bevdetocc_gf')


@pytest.mark.slow
def test_each_runs_in_a_process_of_its_own() -> None:
    done: list[int] = []
    uses = memory.run(SPEC, 1, CPU, lambda: done.append(1), lengths=(2,))
    assert [use.length for use in uses] == [2, 0]
    assert done == [1, 1]
    assert all(use.peak_memory > use.state for use in uses)
    assert all(use.frame > 0 for use in uses)


def test_the_figure_is_drawn(tmp_path: Path) -> None:
    queues = [MemoryUse('bevdetocc_sf', length, 10**8 * length, 10**8 * length, 0, 10**9, 1.0) for length in (1, 16)]
    memory.draw([*queues, MemoryUse('bevdetocc_gf', 0, 10**8, 10**8, 0, 10**9, 1.0)], tmp_path / 'memory.png')
    with Image.open(tmp_path / 'memory.png') as figure:
        assert figure.width > 500


def test_the_fused_memory_beside_the_longest_queue() -> None:
    uses = [
        MemoryUse('sf', 2, 500, 400, 0, 0, 1.0),
        MemoryUse('sf', 16, 2000, 1600, 0, 0, 1.0),
        MemoryUse('gf', 0, 300, 100, 0, 0, 1.0),
    ]
    assert memory.compared(uses) == (
        'gf keeps 15.0% of the bytes of sf with 16 frames, and 6.2% without the features that both match'
    )
