"""Grids as no vehicle here makes them, but others might: they are drawn, or refused in one line."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.perception.labels import OCC3D_NUSCENES, UNKNOWN
from gdfusion_ros.perception.types import SemanticGrid
from gdfusion_ros.visualization.birdseye import birdseye
from gdfusion_ros.visualization.canvas import PANEL
from gdfusion_ros.visualization.page import write
from gdfusion_ros.visualization.snapshot import Snapshot
from gdfusion_ros.visualization.voxels import perspective

CAR, FREE = OCC3D_NUSCENES.by_name('car').id, OCC3D_NUSCENES.free
CUBE = (0.4, 0.4, 0.4)


def block(
    shape: tuple[int, int, int] = (6, 5, 4),
    voxel_size: tuple[float, float, float] = CUBE,
    label: int = CAR,
    origin: tuple[float, float, float] = (8.0, -3.0, -1.0),
    **facts: Any,
) -> SemanticGrid:
    """A grid of one label, some metres ahead of the vehicle, which would cover a small one."""
    return dataclasses.replace(
        SemanticGrid(
            1_600_000_000_000_000_000,
            'base_link',
            origin,
            voxel_size,
            np.full(shape, label, np.uint8, order='F'),
            None,
            OCC3D_NUSCENES,
            'made',
            1,
            (),
            0,
        ),
        **facts,
    )


FULL = {
    'one voxel': block((1, 1, 1)),
    'a row ahead': block((3000, 1, 1)),
    'a row across': block((1, 3000, 1)),
    'a pole': block((1, 1, 3000)),
    'a layer': block((200, 200, 1)),
    'a wall': block((1, 200, 100)),
    'flat voxels': block(voxel_size=(0.1, 0.4, 3.0)),
    'voxels like needles': block(voxel_size=(0.02, 0.02, 5.0)),
    'millimetres': block(voxel_size=(1e-3,) * 3),
    'thousands of kilometres': block((100, 90, 4), (1e4,) * 3),
    'far away': block(origin=(5e5, -5e6, 100.0)),
    'behind': block(origin=(-300.0, 7.0, 50.0)),
    'none of the classes': block(label=200),
    'before 1970': block(stamp=-(1 << 31) * 10**9),
    'as late as can be': block(stamp=(1 << 31) * 10**9 - 1),
}
EMPTY = {'free': block(label=FREE), 'unknown': block(label=UNKNOWN), 'one free voxel': block((1, 1, 1), label=FREE)}


@pytest.mark.filterwarnings('error')
@pytest.mark.parametrize('grid', FULL.values(), ids=FULL)
def test_what_is_occupied_shows_in_both_views(grid: SemanticGrid) -> None:
    free = dataclasses.replace(grid, labels=np.full_like(grid.labels, FREE))
    for view in (birdseye, perspective):
        assert (np.asarray(view(grid, 300, 200)) != np.asarray(view(free, 300, 200))).any(), view.__name__
    assert Snapshot(grid).moment


@pytest.mark.filterwarnings('error')
@pytest.mark.parametrize('grid', EMPTY.values(), ids=EMPTY)
def test_what_is_empty_shows_the_vehicle_alone(grid: SemanticGrid) -> None:
    pixels = np.asarray(perspective(dataclasses.replace(grid, voxel_size=(4.0,) * 3, origin=(-20.0,) * 3), 300, 200))
    shown = (pixels != PANEL).any(axis=-1)
    assert (pixels[shown].max(axis=-1) - pixels[shown].min(axis=-1) < 10).all(), 'the vehicle is grey'


@pytest.mark.parametrize('grid', [*FULL.values(), *EMPTY.values()], ids=[*FULL, *EMPTY])
def test_lines_of_the_map_keep_their_distance(grid: SemanticGrid) -> None:
    pixels = np.asarray(birdseye(dataclasses.replace(grid, labels=np.full_like(grid.labels, FREE)), 300, 200))
    line = (pixels != PANEL).all(axis=-1).mean(axis=0) > 0.5
    assert np.count_nonzero(line) <= 300 / 40 + 2


@pytest.mark.parametrize(
    ('change', 'said'),
    [
        ({'voxel_size': (0.4, 1e-300, 0.4)}, 'voxels of 0.4 x 1e-300 x 0.4 m'),
        ({'voxel_size': (5e-324,) * 3}, 'edges of 0.001 to 10000 m'),
        ({'voxel_size': (0.4, 0.4, 1e300)}, '0.4 x 0.4 x 1e+300 m'),
        ({'voxel_size': (float('nan'),) * 3}, 'nan x nan x nan m'),
        ({'origin': (0.0, -1e300, 0.0)}, 'from (0, -1e+300, 0) m'),
        ({'origin': (float('inf'), 0.0, 0.0)}, 'from (inf, 0, 0) m'),
        ({'origin': (0.0, float('nan'), 0.0)}, 'from (0, nan, 0) m'),
    ],
)
def test_places_that_no_vehicle_has_are_refused(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    for frame in ((block(**change), None), (block(), block(**change))):
        with pytest.raises(GdfusionError) as error:
            write(tmp_path / 'page.html', [Snapshot(*frame)], Snapshot(block()).parts)
        assert said in str(error.value)
        assert 'the grid at 1600000000.000000000 in base_link' in str(error.value)
        assert 'mend voxel_size and origin' in str(error.value)
