from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from gdfusion_ros.perception.labels import OCC3D_NUSCENES
from gdfusion_ros.perception.types import SemanticGrid
from gdfusion_ros.visualization.birdseye import birdseye, color_map, to_north_up, topmost

CAR, ROAD, FREE = 4, 11, OCC3D_NUSCENES.free


@pytest.fixture
def corner_scene(street: SemanticGrid) -> SemanticGrid:
    """4 x 3 columns: road in front on the left, a car on it in the farthest left column, the rest free or unknown."""
    labels = np.full((4, 3, 5), FREE, np.uint8)
    labels[2:, 2, 0] = ROAD
    labels[3, 2, 2] = CAR
    labels[0, 0, 1] = 255
    return dataclasses.replace(street, labels=labels)


def test_topmost_class_and_its_height(corner_scene: SemanticGrid) -> None:
    labels, highest = topmost(corner_scene)
    assert labels.tolist() == [[FREE, FREE, FREE], [FREE, FREE, FREE], [FREE, FREE, ROAD], [FREE, FREE, CAR]]
    assert highest.tolist() == [[-1, -1, -1], [-1, -1, -1], [-1, -1, 0], [-1, -1, 2]]


def test_forward_is_up_and_left_is_left(corner_scene: SemanticGrid) -> None:
    image = np.asarray(to_north_up(color_map(corner_scene)))
    assert image.shape == (4, 3, 3)
    blue = image[..., 2].astype(int) - image[..., 0]
    assert np.unravel_index(blue.argmax(), blue.shape) == (0, 0)
    magenta = image[..., 0].astype(int) - image[..., 1]
    assert np.unravel_index(magenta.argmax(), magenta.shape) == (1, 0)


@pytest.mark.parametrize('size', [(600, 600), (300, 600), (600, 300)])
def test_map_fits_any_panel(street: SemanticGrid, size: tuple[int, int]) -> None:
    panel = birdseye(street, *size)
    assert panel.size == size
    assert len(np.unique(np.asarray(panel).reshape(-1, 3), axis=0)) > 30
