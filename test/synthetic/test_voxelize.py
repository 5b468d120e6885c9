from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from numpy.typing import NDArray

from gdfusion_ros.model.geometry.voxel_grid import VoxelGrid
from gdfusion_ros.synthetic import catalogue
from gdfusion_ros.synthetic.objects import solids
from gdfusion_ros.synthetic.objects.solids import Z
from gdfusion_ros.synthetic.voxelize import SAMPLES, voxelize
from gdfusion_ros.synthetic.world import Ground, Material, Model, Part, Surface, Trajectory, World, WorldObject

CAR, CONE, ROAD, SIDEWALK, TERRAIN, MANMADE, FREE = 4, 8, 11, 13, 14, 15, 17
GREY: solids.Finish = (Material.PAINT, (0.5, 0.5, 0.5))
GRID = VoxelGrid((-4.0, -4.0, -1.0), (0.4, 0.4, 0.4), (20, 20, 10))
LEVEL = np.eye(4)
"""The grid's frame is the world's."""


def world_of(*objects: WorldObject, ground: Ground | None = None) -> World:
    road = Ground(np.full((200, 200), Surface.ASPHALT, np.uint8), (-20.0, -20.0), 0.2)
    return World(1, 'noon', ground or road, objects, Trajectory(np.zeros(1), np.zeros((1, 3))))


def item(*parts: Part, pose: tuple[float, float, float] = (0.0, 0.0, 0.0), label: int = CAR) -> WorldObject:
    return WorldObject(Model('thing', label, (1.0, 1.0, 1.0), parts), Trajectory(np.zeros(1), np.array([pose])))


def box(lower: tuple[float, float, float], upper: tuple[float, float, float], label: int = CAR) -> WorldObject:
    return item(solids.box(lower, upper, GREY), label=label)


def slow_labels(world: World, world_from_grid: NDArray[np.float64], special: tuple[int, ...]) -> NDArray[np.uint8]:
    """Labels by asking every point of every voxel, object by object; no part may be thinner than a small cube."""
    labels = np.full(GRID.shape, FREE, np.uint8)
    steps = (np.arange(SAMPLES) + 0.5) / SAMPLES
    for voxel in np.ndindex(GRID.shape):
        spots = np.array(list(itertools.product(*(np.add(axis, steps) for axis in voxel))))
        points = (spots * 0.4 + GRID.lower) @ world_from_grid[:3, :3].T + world_from_grid[:3, 3]
        counts = np.zeros(FREE, int)
        for one in world.objects:
            x, y, yaw = one.trajectory.at(0.0)
            turn = np.array([[math.cos(yaw), math.sin(yaw), 0], [-math.sin(yaw), math.cos(yaw), 0], [0, 0, 1]])
            local = (points - (x, y, 0)) @ turn.T
            inside = np.zeros(len(points), bool)
            for part in one.model.parts:
                flat = (local @ part.planes[:, :3].T <= part.planes[:, 3] + 1e-12).all(axis=1)
                inside |= flat & ((((local - part.centre) / part.radii) ** 2).sum(axis=1) <= 1)
            counts[one.model.label] += inside.sum()
        if voxel[2] == 2:
            counts[ROAD] += SAMPLES**2
        if counts.any():
            labels[voxel] = max(special, key=lambda label: (counts[label], -special.index(label)))
    return labels


def test_labels_are_those_of_a_plain_count_of_points() -> None:
    parts = (
        solids.box((-1.0, -0.6, 0.2), (1.0, 0.6, 0.9), GREY),
        solids.ellipsoid((0.2, 0.0, 1.2), (0.8, 0.5, 0.7), GREY),
        solids.tapered((-2.0, 2.0, -1.0, 1.0), (-0.5, 0.5, -0.2, 0.2), (0.0, 1.5), GREY),
        solids.cylinder(Z, (-1.0, 0.3, 1.0), 0.3, 2.0, GREY),
    )
    objects = [
        item(parts[0], parts[1], pose=(1.1, 0.5, 0.7)),
        item(parts[2], pose=(-1.5, -2.0, -0.3), label=MANMADE),
        item(parts[3], pose=(1.5, -1.0, 2.0), label=CONE),
        item(parts[0], pose=(-1.6, -1.4, 1.1), label=9),
    ]
    world_from_grid = np.eye(4)
    world_from_grid[:2, :2] = [[math.cos(0.4), -math.sin(0.4)], [math.sin(0.4), math.cos(0.4)]]
    world_from_grid[:2, 3] = (0.13, -0.21)
    world = world_of(*objects)
    labels = voxelize(world, world_from_grid, GRID, 0.0)
    assert np.array_equal(labels, slow_labels(world, world_from_grid, (CONE, 9, CAR, MANMADE, ROAD)))
    assert set(np.unique(labels)) == {CONE, 9, CAR, MANMADE, ROAD, FREE}


def test_the_ground_is_one_layer_with_its_surfaces() -> None:
    surfaces = np.full((40, 40), Surface.ASPHALT, np.uint8)
    surfaces[:, 20:] = Surface.SIDEWALK
    labels = voxelize(world_of(ground=Ground(surfaces, (-4.0, -4.0), 0.2)), LEVEL, GRID, 0.0)
    assert (labels[:, :10, 2] == ROAD).all()
    assert (labels[:, 10:, 2] == SIDEWALK).all()
    assert (np.delete(labels, 2, axis=2) == FREE).all()


def test_outside_the_map_lies_grass() -> None:
    small = Ground(np.full((10, 10), Surface.ASPHALT, np.uint8), (-1.0, -1.0), 0.2)
    labels = voxelize(world_of(ground=small), LEVEL, GRID, 0.0)[:, :, 2]
    assert labels[10, 10] == ROAD
    assert labels[0, 0] == TERRAIN


def test_a_tilted_grid_meets_the_ground_in_several_layers() -> None:
    tilt = np.eye(4)
    tilt[0, 0] = tilt[2, 2] = math.cos(0.2)
    tilt[0, 2], tilt[2, 0] = math.sin(0.2), -math.sin(0.2)
    layers = (
        (voxelize(world_of(), tilt, GRID, 0.0) == ROAD).any(axis=(1, 2)),
        np.argwhere((voxelize(world_of(), tilt, GRID, 0.0) == ROAD).any(axis=1)),
    )
    assert layers[0].all()
    assert len(np.unique(layers[1][:, 1])) > 3


def test_a_box_fills_the_voxels_that_it_covers() -> None:
    labels = voxelize(world_of(box((-0.8, -0.4, 0.2), (0.8, 0.4, 1.4))), LEVEL, GRID, 0.0)
    expected = np.zeros(GRID.shape, bool)
    expected[8:12, 9:11, 3:6] = True
    assert np.array_equal(labels == CAR, expected)


def test_thin_things_do_not_fall_between_the_points() -> None:
    for offset in np.linspace(0, 0.4, 9):
        post = item(solids.box((offset, offset, 0.0), (offset + 0.04, offset + 0.04, 2.0), GREY), label=MANMADE)
        labels = voxelize(world_of(post), LEVEL, GRID, 0.0)
        assert (labels[:, :, 3:7] == MANMADE).any(axis=(0, 1)).all()


def test_the_more_special_class_wins_a_tie() -> None:
    both = (box((0.0, 0.0, 0.2), (0.4, 0.4, 0.6), MANMADE), box((0.0, 0.0, 0.2), (0.4, 0.4, 0.6), CONE))
    assert voxelize(world_of(*both), LEVEL, GRID, 0.0)[10, 10, 3] == CONE
    assert voxelize(world_of(*both[::-1]), LEVEL, GRID, 0.0)[10, 10, 3] == CONE


def test_moving_things_are_where_they_are_at_that_time() -> None:
    model = box((-0.4, -0.4, 0.2), (0.4, 0.4, 1.0)).model
    mover = WorldObject(model, Trajectory(np.array([0.0, 1.0]), np.array([[-2.0, 0.0, 0.0], [2.0, 0.0, 0.0]])))
    columns = [
        np.argwhere((voxelize(world_of(mover), LEVEL, GRID, time) == CAR).any(axis=(1, 2))).ravel().tolist()
        for time in (0.0, 0.5, 1.0)
    ]
    assert columns == [[4, 5], [9, 10], [14, 15]]


@pytest.mark.parametrize('kind', catalogue.KINDS)
def test_every_kind_leaves_its_class_in_the_grid(kind: str) -> None:
    model = catalogue.make(kind, np.random.default_rng(2))
    standing = WorldObject(model, Trajectory(np.zeros(1), np.array([[0.1, 0.1, 0.3]])))
    labels = voxelize(world_of(standing), LEVEL, GRID, 0.0)
    assert (labels == model.label).sum() >= 2
