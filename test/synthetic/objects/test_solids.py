from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from gdfusion_ros.synthetic.objects import solids
from gdfusion_ros.synthetic.objects.solids import Finish, X, Y, Z
from gdfusion_ros.synthetic.world import Material, Part

GREY: Finish = (Material.PAINT, (0.5, 0.5, 0.5))


def holds(part: Part, points: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which of (n, 3) points lie in a part, by its definition in world.Part."""
    flat = (points @ part.planes[:, :3].T <= part.planes[:, 3]).all(axis=1)
    return np.asarray(flat & ((((points - part.centre) / part.radii) ** 2).sum(axis=1) <= 1))


def in_cone(x: NDArray[np.float64], y: NDArray[np.float64], z: NDArray[np.float64]) -> NDArray[np.bool_]:
    # Four flat sides across the diagonals: the cone's distance from the axis is measured along them.
    reach = 0.6 - 0.5 * (z + 0.5)
    diagonal = (np.abs(x) + np.abs(y)) / math.sqrt(2)
    return np.asarray((np.abs(z) <= 0.5) & (diagonal <= reach))


SHAPES: dict[str, tuple[Part, Callable[..., NDArray[np.bool_]]]] = {
    'box': (
        solids.box((-0.2, -0.3, -0.4), (0.5, 0.6, 0.7), GREY),
        lambda x, y, z: (x >= -0.2) & (x <= 0.5) & (y >= -0.3) & (y <= 0.6) & (z >= -0.4) & (z <= 0.7),
    ),
    'tapered': (
        solids.tapered((-0.8, 0.4, -0.6, 0.6), (-0.2, 0.4, -0.1, 0.3), (-0.5, 0.5), GREY),
        lambda x, y, z: (
            (np.abs(z) <= 0.5)
            & (x >= -0.8 + 0.6 * (z + 0.5))
            & (x <= 0.4)
            & (y >= -0.6 + 0.5 * (z + 0.5))
            & (y <= 0.6 - 0.3 * (z + 0.5))
        ),
    ),
    'extruded along y': (
        solids.extruded([(-0.5, -0.5), (0.5, -0.5), (0.0, 0.5)], Y, (-0.3, 0.7), GREY),
        lambda x, y, z: (z >= -0.5) & (np.abs(x) <= 0.5 - (z + 0.5) / 2) & (y >= -0.3) & (y <= 0.7),
    ),
    'extruded along z': (
        solids.extruded([(0.0, 0.0), (0.8, 0.0), (0.8, 0.8)], Z, (-0.1, 0.1), GREY),
        lambda x, y, z: (y >= 0) & (x <= 0.8) & (y <= x) & (np.abs(z) <= 0.1),
    ),
    'cylinder': (
        solids.cylinder(X, (0.1, 0.2, 0.3), 0.5, 0.8, GREY),
        lambda x, y, z: (np.abs(x - 0.1) <= 0.4) & ((y - 0.2) ** 2 + (z - 0.3) ** 2 <= 0.25),
    ),
    'ellipsoid': (
        solids.ellipsoid((0.1, 0.0, -0.1), (0.8, 0.5, 0.3), GREY),
        lambda x, y, z: ((x - 0.1) / 0.8) ** 2 + (y / 0.5) ** 2 + ((z + 0.1) / 0.3) ** 2 <= 1,
    ),
    'dome': (
        solids.dome((0.0, 0.0, -0.2), (0.8, 0.5, 0.3), GREY),
        lambda x, y, z: (z >= -0.2) & ((x / 0.8) ** 2 + (y / 0.5) ** 2 + ((z + 0.2) / 0.3) ** 2 <= 1),
    ),
    'cone': (solids.cone((0.0, 0.0, -0.5), (0.6, 0.1), 1.0, GREY, sides=4), in_cone),
    'bar': (
        solids.bar((-0.6, -0.6, 0.0), (0.6, 0.6, 0.0), (0.4, 0.2), GREY),
        lambda x, y, z: (np.abs(x + y) <= 1.2) & (np.abs(x - y) <= 0.2 * math.sqrt(2)) & (np.abs(z) <= 0.1),
    ),
}


@pytest.mark.parametrize('name', SHAPES)
def test_a_shape_holds_the_points_that_its_formula_holds(name: str) -> None:
    part, inside = SHAPES[name]
    points = np.random.default_rng(0).uniform(-1, 1, (20_000, 3))
    expected = inside(*points.T)
    assert 100 < expected.sum() < 19_000
    assert np.array_equal(holds(part, points), expected)


@pytest.mark.parametrize('name', SHAPES)
def test_bounds_are_tight(name: str) -> None:
    part, _ = SHAPES[name]
    points = np.random.default_rng(1).uniform(-1, 1, (200_000, 3))
    inside = points[holds(part, points)]
    lower, upper = solids.bounds(part)
    assert (inside >= lower).all()
    assert (inside <= upper).all()
    assert inside.min(axis=0) == pytest.approx(lower, abs=0.08)
    assert inside.max(axis=0) == pytest.approx(upper, abs=0.08)


def test_normals_have_length_one() -> None:
    for part, _ in SHAPES.values():
        assert np.linalg.norm(part.planes[:, :3], axis=1) == pytest.approx(np.ones(len(part.planes)))
