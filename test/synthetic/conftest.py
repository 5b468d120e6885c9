"""A synthetic dataset to read, never to change."""

from __future__ import annotations

from pathlib import Path

import pytest

from gdfusion_ros.synthetic import drive
from gdfusion_ros.synthetic.drive import Drive
from gdfusion_ros.synthetic.recipes import Recipe
from gdfusion_ros.synthetic.synthesize import synthesize


@pytest.fixture(scope='session')
def recipe() -> Recipe:
    """One scene of two key frames, with sweeps and LiDAR."""
    return Recipe(seed=5, scenes=1, frames=2, width=352, height=128, sweeps=True, lidar=True, weather=('overcast',))


@pytest.fixture(scope='session')
def made(recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The dataset of ``recipe``."""
    root = tmp_path_factory.mktemp('synthetic') / 'made'
    synthesize(root, recipe, jobs=2)
    return root


@pytest.fixture(scope='session')
def planned(recipe: Recipe) -> Drive:
    """The scene of ``recipe``."""
    return drive.plan(recipe, 0)
