"""Made datasets to read, never to change."""

from __future__ import annotations

from pathlib import Path

import pytest

from gdfusion_ros.datasets.synthetic import drive
from gdfusion_ros.datasets.synthetic.drive import Drive
from gdfusion_ros.datasets.synthetic.recipes import Recipe
from gdfusion_ros.datasets.synthetic.synthesize import synthesize

RECIPE = Recipe(seed=5, scenes=1, frames=2, width=352, height=128, sweeps=True, lidar=True, moods=('overcast',))


@pytest.fixture(scope='session')
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The dataset of RECIPE: two key frames with sweeps and LiDAR."""
    root = tmp_path_factory.mktemp('synthetic') / 'made'
    synthesize(root, RECIPE, jobs=2)
    return root


@pytest.fixture(scope='session')
def planned() -> Drive:
    """The scene of RECIPE."""
    return drive.plan(RECIPE, 0)
