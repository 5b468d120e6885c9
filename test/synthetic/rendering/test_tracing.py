"""Rays against solids, compared with closed forms and with a plain loop over everything."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from gdfusion_ros.synthetic import catalogue
from gdfusion_ros.synthetic.objects import solids
from gdfusion_ros.synthetic.objects.solids import Finish, X
from gdfusion_ros.synthetic.rendering.packing import Cast, pack_ground
from gdfusion_ros.synthetic.rendering.tracing import GROUND, SKY, Hits, sunlit, trace
from gdfusion_ros.synthetic.world import Ground, Material, Model, Part, Surface, Trajectory, WorldObject

GREY: Finish = (Material.PAINT, (0.5, 0.5, 0.5))
ROAD = Ground(np.full((100, 100), Surface.ASPHALT, np.uint8), (-25.0, -25.0), 0.5)
SKY_CLASS, CAR, ASPHALT_CLASS, GRASS_CLASS = 17, 4, 11, 14

Floats = NDArray[np.float64]


def item(*parts: Part, pose: tuple[float, float, float] = (0.0, 0.0, 0.0), label: int = CAR) -> WorldObject:
    return WorldObject(Model('thing', label, (1.0, 1.0, 1.0), parts), Trajectory(np.zeros(1), np.array([pose])))


def cast_rays(
    objects: list[WorldObject], origin: tuple[float, float, float], directions: Floats, time: float = 0.0
) -> Hits:
    cast = Cast(objects)
    return trace(
        cast.shapes, cast.place(time), pack_ground(ROAD), np.array([origin]), np.atleast_2d(directions).astype(float)
    )


def crowd(count: int, seed: int) -> list[WorldObject]:
    rng = np.random.default_rng(seed)
    models = [catalogue.make(str(kind), rng) for kind in rng.choice(catalogue.KINDS, count)]
    poses = rng.uniform((-20, -20, -4), (20, 20, 4), (count, 3))
    return [WorldObject(model, Trajectory(np.zeros(1), pose[None])) for model, pose in zip(models, poses, strict=True)]


def slow_hit(objects: list[WorldObject], origin: Floats, direction: Floats) -> tuple[float, int]:
    """Distance and object (-1 ground, -2 sky) of the first hit, by a loop over all parts of all objects."""
    best = (-origin[2] / direction[2], GROUND) if direction[2] < 0 else (math.inf, SKY)
    for number, one in enumerate(objects):
        x, y, yaw = one.trajectory.at(0.0)
        turn = np.array([[math.cos(yaw), math.sin(yaw), 0], [-math.sin(yaw), math.cos(yaw), 0], [0, 0, 1]])
        start, turned = turn @ (origin - (x, y, 0)), turn @ direction
        for part in one.model.parts:
            enter, leave = -math.inf, math.inf
            for plane in part.planes:
                slope, room = plane[:3] @ turned, plane[3] - plane[:3] @ start
                if slope < 0:
                    enter = max(enter, room / slope)
                elif slope > 0:
                    leave = min(leave, room / slope)
                elif room < 0:
                    leave = -math.inf
            speed, place = turned / part.radii, (start - part.centre) / part.radii
            if speed @ speed > 0:
                roots = np.roots((speed @ speed, 2 * speed @ place, place @ place - 1))
                if np.iscomplex(roots).any():
                    continue
                enter, leave = max(enter, roots.min()), min(leave, roots.max())
            if 0 < enter < leave and enter < best[0]:
                best = (enter, number)
    return best


def test_a_sphere_is_met_where_its_formula_says() -> None:
    ball = item(solids.ellipsoid((0.0, 0.0, 2.0), (1.0, 1.0, 1.0), GREY), pose=(5.0, 0.0, 0.3))
    for aside in (0.0, 0.3, 0.9):
        hits = cast_rays([ball], (0.0, aside, 2.0), np.array((2.0, 0.0, 0.0)))
        depth = math.sqrt(1 - aside**2)
        assert hits.distances[0] == pytest.approx((5 - depth) / 2)
        assert hits.normals[0] == pytest.approx((-depth, aside, 0.0), abs=1e-6)
        assert hits.labels[0] == CAR
    assert cast_rays([ball], (0.0, 1.01, 2.0), np.array((1.0, 0.0, 0.0))).labels[0] == SKY_CLASS


def test_a_turned_box_is_met_at_its_corner() -> None:
    box = item(solids.box((-1.0, -1.0, 0.0), (1.0, 1.0, 3.0), GREY), pose=(5.0, 2.0, math.pi / 4))
    hits = cast_rays([box], (0.0, 1.9, 1.0), np.array((1.0, 0.0, 0.0)))
    assert hits.distances[0] == pytest.approx(5 - math.sqrt(2) + 0.1)
    assert hits.normals[0] == pytest.approx((-math.sqrt(0.5), -math.sqrt(0.5), 0.0), abs=1e-6)


def test_a_slanted_face_and_a_lying_cylinder() -> None:
    roof = item(solids.tapered((-2.0, 2.0, -1.0, 1.0), (0.0, 0.0, -1.0, 1.0), (0.0, 2.0), GREY))
    hits = cast_rays([roof], (-9.0, 0.0, 0.5), np.array((1.0, 0.0, 0.0)))
    assert hits.distances[0] == pytest.approx(7.5)
    assert hits.normals[0] == pytest.approx((-math.sqrt(0.5), 0.0, math.sqrt(0.5)), abs=1e-6)
    tank = item(solids.cylinder(X, (0.0, 0.0, 1.0), 1.0, 4.0, GREY))
    down = cast_rays([tank], (1.0, 0.5, 5.0), np.array((0.0, 0.0, -1.0)))
    assert down.distances[0] == pytest.approx(4 - math.sqrt(0.75))
    end = cast_rays([tank], (9.0, 0.5, 1.0), np.array((-1.0, 0.0, 0.0)))
    assert end.distances[0] == pytest.approx(7.0)


def test_the_ground_has_its_surface_and_ends_in_grass() -> None:
    hits = cast_rays([], (0.0, 0.0, 2.0), np.array([(1.0, 0.0, -0.5), (1.0, 0.0, -0.05), (1.0, 0.0, 0.0)]))
    assert hits.distances == pytest.approx([4.0, 40.0, math.inf])
    assert hits.labels.tolist() == [ASPHALT_CLASS, GRASS_CLASS, SKY_CLASS]
    assert hits.objects.tolist() == [GROUND, GROUND, SKY]


@pytest.mark.slow
def test_the_fast_rays_meet_what_a_loop_over_all_parts_meets() -> None:
    objects, rng = crowd(40, 7), np.random.default_rng(8)
    for origin in ((0.3, 0.2, 1.6), (-40.0, 3.0, 2.5), (1.0, -2.0, 30.0)):
        directions = np.column_stack((rng.normal(size=(50, 2)), rng.uniform(-0.3, 0.1, 50)))
        if origin[0] < -30:
            directions[:, 0] = np.abs(directions[:, 0]) + 2
        hits = cast_rays(objects, origin, directions)
        expected = [slow_hit(objects, np.array(origin), direction) for direction in directions]
        assert hits.distances == pytest.approx(np.array([distance for distance, _ in expected]), rel=1e-9)
        assert hits.objects.tolist() == [number for _, number in expected]
        if origin[2] < 3:
            assert (hits.objects >= 0).sum() >= 10


def test_rays_along_the_axes_meet_as_others_do() -> None:
    box = item(solids.box((-1.0, -1.0, 0.0), (1.0, 1.0, 2.0), GREY), pose=(0.0, 0.0, 0.0))
    for axis, sign in ((0, 1), (0, -1), (1, 1), (1, -1)):
        direction = np.zeros(3)
        direction[axis] = sign
        origin = (-5 * direction[0], -5 * direction[1], 1.0)
        assert cast_rays([box], origin, direction).distances[0] == pytest.approx(4.0)
    assert cast_rays([box], (0.5, 0.5, 9.0), np.array((0.0, 0.0, -1.0))).distances[0] == pytest.approx(7.0)


def test_moving_things_are_met_where_they_are_at_that_time() -> None:
    model = item(solids.box((-1.0, -1.0, 0.0), (1.0, 1.0, 2.0), GREY)).model
    mover = WorldObject(model, Trajectory(np.array([0.0, 10.0]), np.array([[5.0, 0.0, 0.0], [25.0, 0.0, 0.0]])))
    for time in (0.0, 2.5, 10.0, 99.0):
        hits = cast_rays([mover], (0.0, 0.0, 1.0), np.array((1.0, 0.0, 0.0)), time)
        assert hits.distances[0] == pytest.approx(4 + 2 * min(time, 10))


def test_the_sun_is_hidden_by_what_stands_before_it() -> None:
    cast = Cast([item(solids.box((-1.0, -1.0, 0.0), (1.0, 1.0, 4.0), GREY))])
    points = np.array([[3.0, 0.0, 0.0], [6.0, 0.0, 0.0], [-3.0, 0.0, 0.0], [1.0, 0.0, 2.0], [-1.0, 0.0, 2.0]])
    normals = np.array([[0, 0, 1], [0, 0, 1], [0, 0, 1], [1, 0, 0], [-1, 0, 0]], np.float32)
    sun = np.array([-1.0, 0.0, 1.0]) / math.sqrt(2)
    assert sunlit(cast.shapes, cast.place(0.0), points, normals, sun).tolist() == [False, True, True, False, True]


def test_a_part_without_end_is_refused() -> None:
    endless = solids.part([(0.0, 0.0, 1.0, 1.0)], GREY)
    with pytest.raises(ValueError, match='no end'):
        Cast([item(endless)])
