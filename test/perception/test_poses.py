"""Arithmetic of rigid transforms, against scipy's rotations and tf2's formulas."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from gdfusion_ros.perception.poses import (
    Quaternion,
    distance_between,
    interpolate_vectors,
    inverse,
    pose_matrix,
    product,
    slerp,
    turn_between,
)

components = st.floats(-1, 1)
quaternions = (
    st.tuples(components, components, components, components)
    .filter(lambda q: math.hypot(*q) > 0.1)
    .map(lambda q: tuple(value / math.hypot(*q) for value in q))
)


@given(quaternions)
def test_a_quaternion_turns_as_scipy_says(rotation: Quaternion) -> None:
    pose = pose_matrix((1.0, -2.0, 3.0), rotation)
    np.testing.assert_allclose(pose[:3, :3], Rotation.from_quat(rotation).as_matrix(), atol=1e-12)
    np.testing.assert_array_equal(pose[:, 3], [1.0, -2.0, 3.0, 1.0])


def test_the_length_of_a_quaternion_does_not_matter() -> None:
    np.testing.assert_allclose(
        pose_matrix((0, 0, 0), (0.2, 0.4, 0.6, 0.8)), pose_matrix((0, 0, 0), (1, 2, 3, 4)), atol=1e-15
    )


def test_an_optical_frame_looks_along_x() -> None:
    # The mounting of every forward camera: optical z is the vehicle's x, optical x its -y, optical y its -z.
    base_from_camera = pose_matrix((1.7, 0.0, 1.5), (-0.5, 0.5, -0.5, 0.5))
    np.testing.assert_allclose(base_from_camera @ [0, 0, 10, 1], [11.7, 0, 1.5, 1], atol=1e-12)
    np.testing.assert_allclose(base_from_camera @ [1, 2, 0, 1], [1.7, -1, -0.5, 1], atol=1e-12)


@given(quaternions)
def test_the_inverse_undoes(rotation: Quaternion) -> None:
    pose = pose_matrix((600.0, -1600.0, 3.0), rotation)
    np.testing.assert_allclose(inverse(pose) @ pose, np.eye(4), atol=1e-9)


def test_products_are_summed_in_order_without_fused_products() -> None:
    random = np.random.default_rng(0)
    left, right, points = random.normal(size=(5, 4, 4)), random.normal(size=(4, 4)), random.normal(size=(4, 7))
    for n, i, j in np.ndindex(5, 4, 4):
        a, b = left[n, i], right[:, j]
        assert product(left, right)[n, i, j] == ((a[0] * b[0] + a[1] * b[1]) + a[2] * b[2]) + a[3] * b[3]
    np.testing.assert_array_equal(product(left[0], right, points), product(product(left[0], right), points))
    np.testing.assert_allclose(product(left[0], right, points), left[0] @ right @ points)


def test_vectors_are_interpolated_between_the_ends() -> None:
    assert interpolate_vectors((0, 10, -4), (4, 20, 4), 0.25) == (1.0, 12.5, -2.0)


@given(quaternions, quaternions, st.floats(0, 1))
def test_slerp_goes_the_shorter_way(start: Quaternion, end: Quaternion, ratio: float) -> None:
    between = Rotation.from_quat(slerp(start, end, ratio))
    turn = (Rotation.from_quat(start).inv() * Rotation.from_quat(end)).magnitude()
    assert (Rotation.from_quat(start).inv() * between).magnitude() == pytest.approx(ratio * turn, abs=1e-6)
    assert (between.inv() * Rotation.from_quat(end)).magnitude() == pytest.approx((1 - ratio) * turn, abs=1e-6)


def test_the_same_rotation_with_the_other_sign_does_not_turn() -> None:
    start = (0.0, 0.0, 0.6, 0.8)
    middle = Rotation.from_quat(slerp(start, (0.0, 0.0, -0.6, -0.8), 0.5))
    np.testing.assert_allclose(middle.as_matrix(), Rotation.from_quat(start).as_matrix(), atol=1e-12)


def test_way_and_turn_between_two_poses() -> None:
    half = math.radians(170) / 2
    first = pose_matrix((1.0, 2.0, 3.0), (0.0, 0.0, 0.0, 1.0))
    second = pose_matrix((4.0, 6.0, 3.0), (0.0, math.sin(half), 0.0, math.cos(half)))
    assert distance_between(first, second) == pytest.approx(5.0)
    assert turn_between(first, second) == pytest.approx(math.radians(170))
    assert turn_between(second, second) == pytest.approx(0.0, abs=1e-7)
