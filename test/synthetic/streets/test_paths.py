"""Curves on the ground."""

from __future__ import annotations

import numpy as np
import pytest

from gdfusion_ros.synthetic.streets.paths import Path, band, curve, joined, line, rectangle


def test_stations_run_along_the_path() -> None:
    path = line((0, 0), (3, 0), (3, 4))
    assert path.length == 7
    assert path.at(5.0).tolist() == [3, 2]
    assert path.at(np.array([-1.0, 9.0])).tolist() == [[0, 0], [3, 4]]
    assert path.heading(6.0) == pytest.approx(np.pi / 2)
    assert path.reversed().at(1.0).tolist() == [3, 3]


def test_part_of_a_path_keeps_its_corners() -> None:
    assert line((0, 0), (3, 0), (3, 4)).between(1.0, 5.0).points.tolist() == [[1, 0], [3, 0], [3, 2]]


def test_left_is_left_of_the_direction_of_travel() -> None:
    assert line((0, 0), (10, 0)).shifted(2.0).points.tolist() == [[0, 2], [10, 2]]
    corner = line((0, 0), (10, 0), (10, 10)).shifted(1.0).points
    np.testing.assert_allclose(corner, [[0, 1], [9, 1], [9, 10]], atol=1e-9)


def test_a_shifted_arc_keeps_its_distance() -> None:
    angles = np.linspace(0, 2, 60)
    arc = Path(20.0 * np.column_stack([np.cos(angles), np.sin(angles)]))
    np.testing.assert_allclose(np.linalg.norm(arc.shifted(3.0).points, axis=1), 17, atol=0.02)
    assert arc.smallest_radius() == pytest.approx(20, rel=0.01)
    assert line((0, 0), (1, 0), (5, 0)).smallest_radius() == np.inf


def test_a_right_angle_is_turned_on_an_arc() -> None:
    turn = curve(np.array([0.0, 0.0]), np.array([1.0, 0.0]), np.array([10.0, 10.0]), np.array([0.0, 1.0]))
    np.testing.assert_allclose(np.linalg.norm(turn.points - (0, 10), axis=1), 10, atol=0.05)


def test_joined_paths_have_no_point_twice() -> None:
    path = joined([line((0, 0), (1, 0)), line((1, 0), (1, 1))])
    assert path.points.tolist() == [[0, 0], [1, 0], [1, 1]]


def test_outlines() -> None:
    assert sorted(rectangle(1, 2, np.pi / 2, 4, 2).round(9).tolist()) == [[0, 0], [0, 4], [2, 0], [2, 4]]
    assert sorted(band(line((0, 0), (5, 0)), 2.0, -1.0).tolist()) == [[0, -1], [0, 2], [5, -1], [5, 2]]
