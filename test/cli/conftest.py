from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from gdfusion_ros.perception.labels import OCC3D_NUSCENES
from gdfusion_ros.perception.types import SemanticGrid
from gdfusion_ros.settings import SURROUND_CAMERAS

GroundGrids = Callable[[Sequence[int]], list[SemanticGrid]]


@pytest.fixture(scope='session')
def ground_grids() -> GroundGrids:
    """``ground_grids(stamps)``: a small grid of driveable surface for each stamp [ns]."""
    labels = np.full((10, 10, 4), OCC3D_NUSCENES.free, np.uint8, order='F')
    labels[:, :, 0] = 11

    def make(stamps: Sequence[int]) -> list[SemanticGrid]:
        return [
            SemanticGrid(
                stamp,
                'base_link',
                (-4.0, -4.0, -1.0),
                (0.8, 0.8, 0.8),
                labels,
                None,
                OCC3D_NUSCENES,
                'made',
                number,
                SURROUND_CAMERAS,
                43_000_000,
            )
            for number, stamp in enumerate(stamps, 1)
        ]

    return make
