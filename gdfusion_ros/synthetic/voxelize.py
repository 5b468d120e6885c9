"""Exact occupancy of a synthetic world, as Occ3D labels it.

Every voxel is asked at 3 x 3 x 3 points, the centres of its small cubes. It is occupied when any of them lies in a
solid or when the ground's surface crosses it, and has the class that takes most of the points. The ground's surface
takes the nine points of one layer, so that what stands on it wins a voxel only if it fills a good part of it. What is
below the ground is free: nobody sees it. Parts thinner than a small cube are taken as thick as one, so that none falls
between the points.
"""

from __future__ import annotations

import itertools
import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gdfusion_ros.model.geometry.voxel_grid import VoxelGrid
from gdfusion_ros.perception.labels import OCC3D_NUSCENES
from gdfusion_ros.perception.types import Matrix
from gdfusion_ros.synthetic.objects.solids import Floats
from gdfusion_ros.synthetic.rendering.compiled import inlined, kernel
from gdfusion_ros.synthetic.rendering.packing import Cast, GroundMap, Ints, Shapes, cast_of, pack_ground
from gdfusion_ros.synthetic.rendering.tracing import surface_at
from gdfusion_ros.synthetic.world import World

SAMPLES = 3
"""Points along each edge of a voxel."""

_FREE = OCC3D_NUSCENES.free
_SPECIAL = (8, 7, 2, 6, 1, 5, 9, 3, 10, 4, 0, 15, 16, 12, 13, 14, 11)
"""Classes from the most special one on: where two take as many points of a voxel, the first here has it."""
_ALL = (1 << SAMPLES**3) - 1


class _Shares(NamedTuple):
    """The objects that reach into a grid.

    Attributes:
        models: (k,) model of each in Shapes.
        first, last: (k, 3) the voxels that they may touch: from ``first`` on, before ``last``.
        frames: (k, 3, 4) from places counted in voxels to the object's frame.
        radius: from a voxel's centre to its corner [m].
    """

    models: Ints
    first: Ints
    last: Ints
    frames: Floats
    radius: float


def voxelize(world: World, world_from_grid: Matrix, grid: VoxelGrid, time: float) -> NDArray[np.uint8]:
    """(X, Y, Z) uint8 classes of occ3d_nuscenes in a grid at ``time`` [s].

    ``world_from_grid`` (4, 4) takes points of the grid's frame into the world.
    """
    cast = cast_of(world)
    world_from_voxels = np.asarray(world_from_grid, float) @ _frame(grid)
    counts = np.zeros((*grid.shape, _FREE), np.uint8)
    _count_ground(pack_ground(world.ground), world_from_voxels, counts)
    thickness = (cast.shapes.boxes[:, 3:] - cast.shapes.boxes[:, :3]).min(axis=1)
    margins = np.maximum(min(grid.voxel_size) / SAMPLES - thickness, 0.0) / 2
    _count_things(cast.shapes, margins, _shares(cast, world_from_voxels, grid, time), counts)
    labels = np.empty(grid.shape, np.uint8)
    _choose(counts, np.array(_SPECIAL, np.uint8), labels)
    return labels


def _frame(grid: VoxelGrid) -> Matrix:
    """(4, 4) from places counted in voxels to metres in the grid's frame."""
    frame = np.diag((*grid.voxel_size, 1.0))
    frame[:3, 3] = grid.lower
    return frame


def _shares(cast: Cast, world_from_voxels: Matrix, grid: VoxelGrid, time: float) -> _Shares:
    """The objects that reach into the grid."""
    placed = cast.place(time)
    world_from_things = np.tile(np.eye(4), (len(placed.models), 1, 1))
    cos, sin = placed.poses[:, 2], placed.poses[:, 3]
    world_from_things[:, 0, 0], world_from_things[:, 0, 1] = cos, -sin
    world_from_things[:, 1, 0], world_from_things[:, 1, 1] = sin, cos
    world_from_things[:, :2, 3] = placed.poses[:, :2]
    frames = np.linalg.inv(world_from_things) @ world_from_voxels
    boxes = cast.shapes.model_boxes[placed.models]
    corners = np.ones((len(boxes), 4, 8))
    for number, choice in enumerate(itertools.product((0, 3), (1, 4), (2, 5))):
        corners[:, :3, number] = boxes[:, choice]
    spots = np.linalg.inv(frames)[:, :3] @ corners
    first = np.clip(np.floor(spots.min(axis=2)) - 1, 0, grid.shape).astype(np.int32)
    last = np.clip(np.ceil(spots.max(axis=2)) + 1, 0, grid.shape).astype(np.int32)
    within = (first < last).all(axis=1)
    return _Shares(
        placed.models[within],
        first[within],
        last[within],
        np.ascontiguousarray(frames[within, :3]),
        math.hypot(*grid.voxel_size) / 2,
    )


@kernel
def _count_ground(ground: GroundMap, frame: Matrix, counts: NDArray[np.uint8]) -> None:
    """Add the points of the ground's surface: a layer of small cubes in the voxels that it crosses."""
    for x in range(counts.shape[0] * SAMPLES):
        for y in range(counts.shape[1] * SAMPLES):
            u, v = (x + 0.5) / SAMPLES, (y + 0.5) / SAMPLES
            # Where the column of small cubes meets the world's z = 0, counted in voxels.
            level = -(frame[2, 0] * u + frame[2, 1] * v + frame[2, 3]) / frame[2, 2]
            z = math.floor(level)
            if 0 <= z < counts.shape[2]:
                east = frame[0, 0] * u + frame[0, 1] * v + frame[0, 2] * level + frame[0, 3]
                north = frame[1, 0] * u + frame[1, 1] * v + frame[1, 2] * level + frame[1, 3]
                counts[x // SAMPLES, y // SAMPLES, z, ground.labels[surface_at(ground, east, north)]] += 1


@kernel
def _count_things(shapes: Shapes, margins: Floats, shares: _Shares, counts: NDArray[np.uint8]) -> None:
    """Add the points that lie in objects."""
    for index in range(len(shares.models)):
        model = shares.models[index]
        label = shapes.model_labels[model]
        for x in range(shares.first[index, 0], shares.last[index, 0]):
            for y in range(shares.first[index, 1], shares.last[index, 1]):
                for z in range(shares.first[index, 2], shares.last[index, 2]):
                    points = _points_within(shapes, model, margins, shares, index, (x + 0.5, y + 0.5, z + 0.5))
                    counts[x, y, z, label] = min(255, counts[x, y, z, label] + _ones(points))


@inlined
def _points_within(shapes: Shapes, model: int, margins: Floats, shares: _Shares, index: int, voxel: Any) -> int:
    """The points of one voxel that lie in a model, a bit each; ``voxel`` is its centre counted in voxels."""
    centre = _moved(shares.frames, index, voxel)
    points = 0
    if not _in_box(shapes.model_boxes, model, centre, shares.radius):
        return points
    for part in range(shapes.model_start[model], shapes.model_start[model + 1]):
        margin = margins[part]
        if not _in_box(shapes.boxes, part, centre, shares.radius + margin):
            continue
        plain = shapes.plane_start[part] == shapes.plane_start[part + 1] and not shapes.curved[part]
        if plain and _in_box(shapes.boxes, part, centre, -shares.radius):
            return _ALL
        for sample in range(SAMPLES**3):
            a, b, c = sample // (SAMPLES * SAMPLES), sample // SAMPLES % SAMPLES, sample % SAMPLES
            shift = (voxel[0] + (a - 1) / SAMPLES, voxel[1] + (b - 1) / SAMPLES, voxel[2] + (c - 1) / SAMPLES)
            if not points >> sample & 1 and _in_part(shapes, part, _moved(shares.frames, index, shift), margin):
                points |= 1 << sample
    return points


@inlined
def _moved(frames: Floats, index: int, spot: Any) -> Any:
    """A place counted in voxels, in the frame of an object."""
    x, y, z = spot
    return (
        frames[index, 0, 0] * x + frames[index, 0, 1] * y + frames[index, 0, 2] * z + frames[index, 0, 3],
        frames[index, 1, 0] * x + frames[index, 1, 1] * y + frames[index, 1, 2] * z + frames[index, 1, 3],
        frames[index, 2, 0] * x + frames[index, 2, 1] * y + frames[index, 2, 2] * z + frames[index, 2, 3],
    )


@inlined
def _in_box(boxes: Floats, index: int, place: Any, margin: float) -> bool:
    """Whether a place is in a box made larger by a margin."""
    return bool(
        boxes[index, 0] - margin <= place[0] <= boxes[index, 3] + margin
        and boxes[index, 1] - margin <= place[1] <= boxes[index, 4] + margin
        and boxes[index, 2] - margin <= place[2] <= boxes[index, 5] + margin
    )


@inlined
def _in_part(shapes: Shapes, part: int, place: Any, margin: float) -> bool:
    """Whether a place is in a part made larger by a margin."""
    if not _in_box(shapes.boxes, part, place, margin):
        return False
    for index in range(shapes.plane_start[part], shapes.plane_start[part + 1]):
        height = (
            shapes.planes[index, 0] * place[0] + shapes.planes[index, 1] * place[1] + shapes.planes[index, 2] * place[2]
        )
        if height > shapes.planes[index, 3] + margin:
            return False
    square = 0.0
    if shapes.curved[part]:
        # One over a radius made larger by the margin; 0 stays 0, an infinite radius.
        x, y, z = shapes.quadrics[part, 3], shapes.quadrics[part, 4], shapes.quadrics[part, 5]
        square = ((place[0] - shapes.quadrics[part, 0]) * x / (1 + margin * x)) ** 2
        square += ((place[1] - shapes.quadrics[part, 1]) * y / (1 + margin * y)) ** 2
        square += ((place[2] - shapes.quadrics[part, 2]) * z / (1 + margin * z)) ** 2
    return square <= 1


@inlined
def _ones(bits: int) -> int:
    """How many bits are set."""
    count = 0
    while bits:
        bits &= bits - 1
        count += 1
    return count


@kernel
def _choose(counts: NDArray[np.uint8], special: NDArray[np.uint8], labels: NDArray[np.uint8]) -> None:
    """The class with most points of every voxel, free if there are none."""
    for x in range(labels.shape[0]):
        for y in range(labels.shape[1]):
            for z in range(labels.shape[2]):
                most, best = 0, _FREE
                for rank in range(len(special)):
                    count = counts[x, y, z, special[rank]]
                    if count > most:
                        most, best = count, special[rank]
                labels[x, y, z] = best
