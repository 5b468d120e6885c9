"""A street that looks like one, made by code."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from gdfusion_ros.perception.labels import OCC3D_NUSCENES
from gdfusion_ros.perception.types import SemanticGrid

ORIGIN, VOXEL = np.array([-40.0, -40.0, -1.0]), 0.4


def fill(
    labels: NDArray[np.uint8], name: str, lower: tuple[float, float, float], upper: tuple[float, float, float]
) -> None:
    """Gives every voxel of the box from ``lower`` to ``upper`` [m] the class ``name``."""
    first, last = (np.round((np.array(corner) - ORIGIN) / VOXEL).astype(int).clip(0) for corner in (lower, upper))
    labels[first[0] : last[0], first[1] : last[1], first[2] : last[2]] = OCC3D_NUSCENES.by_name(name).id


def _tree(labels: NDArray[np.uint8], x: float, y: float) -> None:
    fill(labels, 'vegetation', (x - 0.2, y - 0.2, 0.2), (x + 0.2, y + 0.2, 2.2))
    for level, radius in ((2.2, 1.2), (2.6, 1.6), (3.0, 1.6), (3.4, 1.2), (3.8, 0.8)):
        fill(labels, 'vegetation', (x - radius, y - radius + 0.4, level), (x + radius, y + radius - 0.4, level + 0.4))
        fill(labels, 'vegetation', (x - radius + 0.4, y - radius, level), (x + radius - 0.4, y + radius, level + 0.4))


def _car(labels: NDArray[np.uint8], x: float, y: float, name: str = 'car') -> None:
    fill(labels, name, (x - 2.2, y - 1.0, 0.2), (x + 2.2, y + 1.0, 1.0))
    fill(labels, name, (x - 1.4, y - 0.8, 1.0), (x + 1.0, y + 0.8, 1.6))


def make_street() -> SemanticGrid:
    """A crossing 22 m ahead; parked cars, a bus, a truck, people, trees and houses, more of them on the left."""
    labels = np.full((200, 200, 16), OCC3D_NUSCENES.free, np.uint8, order='F')
    fill(labels, 'terrain', (-40, -40, -0.2), (40, 40, 0.2))
    fill(labels, 'sidewalk', (-40, -12, -0.2), (40, 12, 0.2))
    fill(labels, 'sidewalk', (14, -40, -0.2), (32, 40, 0.2))
    fill(labels, 'driveable_surface', (-40, -8, -0.2), (40, 8, 0.2))
    fill(labels, 'driveable_surface', (18, -40, -0.2), (28, 40, 0.2))
    fill(labels, 'other_flat', (-40, -0.8, -0.2), (12, -0.4, 0.2))
    for x in (-36, -20, -4):
        fill(labels, 'manmade', (x, 14, 0.2), (x + 12, 28, 5.4))
        fill(labels, 'manmade', (x, -26, 0.2), (x + 8, -15, 3.8))
    fill(labels, 'manmade', (33, 13, 0.2), (40, 40, 4.6))
    for x in (-33, -24, -15, -6, 3, 11):
        _tree(labels, x, 10.4)
    for x in (-30, -12, 6):
        _tree(labels, x, -10.4)
    for x in (-26, -19, -12, 4, 11):
        _car(labels, x, 6.6)
    _car(labels, 10, -3.6)
    _car(labels, 23, -16, 'truck')
    fill(labels, 'bus', (18.4, 12, 0.2), (21.2, 24, 3.4))
    fill(labels, 'truck', (30, -6.4, 0.2), (38, -3.6, 3.0))
    for ahead, left in ((13.0, 9.0), (14.2, -9.0), (7.0, 11.6), (-3.0, -11.0)):
        fill(labels, 'pedestrian', (ahead, left, 0.2), (ahead + 0.4, left + 0.4, 1.8))
    fill(labels, 'bicycle', (2, -9.2, 0.2), (3.6, -8.8, 1.0))
    fill(labels, 'barrier', (29, 0.5, 0.2), (29.4, 7, 1.0))
    for y in (1.2, 3.2, 5.2):
        fill(labels, 'traffic_cone', (16, y, 0.2), (16.4, y + 0.4, 0.6))
    return SemanticGrid(
        stamp=1_533_151_603_512_404_000,
        frame_id='base_link',
        origin=(-40.0, -40.0, -1.0),
        voxel_size=(0.4, 0.4, 0.4),
        labels=labels,
        confidence=None,
        label_set=OCC3D_NUSCENES,
        model='bevdetocc_gf',
        frames_since_reset=12,
        cameras=('CAM_FRONT_LEFT', 'CAM_FRONT', 'CAM_FRONT_RIGHT', 'CAM_BACK_LEFT', 'CAM_BACK', 'CAM_BACK_RIGHT'),
        stamp_spread=43_000_000,
    )


@pytest.fixture(scope='session')
def street() -> SemanticGrid:
    return make_street()
