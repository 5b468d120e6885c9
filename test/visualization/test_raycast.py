from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from gdfusion_ros.perception.types import Pixels
from gdfusion_ros.visualization.raycast import Drawing, Vector, Viewpoint, render

RED, GREEN, BLUE, FREE = 0, 1, 2, 9
SIZE = 41


def scene_of(
    labels: Pixels,
    *,
    voxel_size: Vector = (1.0, 1.0, 1.0),
    lower: Vector = (0.0, 0.0, 0.0),
    boxes: Sequence[tuple[Vector, Vector]] = (),
    box_color: Vector = (255, 255, 255),
) -> Drawing:
    colors = np.zeros((256, 3), np.float32)
    colors[:3] = np.eye(3) * 255
    solid = np.ones(256, np.bool_)
    solid[FREE] = False
    corners = np.array(boxes, float).reshape(-1, 2, 3)
    return Drawing(labels, colors, solid, lower, voxel_size, corners, np.full((len(corners), 3), box_color, np.float32))


def empty(*shape: int) -> Pixels:
    return np.full(shape, FREE, np.uint8)


def side_view(center: Vector) -> Viewpoint:
    """From x = -20, looking along x: y goes to the left, z up."""
    return Viewpoint((-20.0, center[1], center[2]), center, 40)


def shares(image: NDArray[np.float32], channel: int) -> NDArray[np.bool_]:
    """Which pixels of (h, w, 4) show the colour of ``channel``."""
    return np.asarray((image[..., channel] > 0) & (image[..., :3].argmax(-1) == channel))


@pytest.mark.slow
def test_left_is_left_and_up_is_up() -> None:
    labels = empty(9, 9, 9)
    labels[4, 4, 4] = RED
    labels[4, 8, 4] = GREEN
    labels[4, 4, 8] = BLUE
    image = render(scene_of(labels), side_view((4.5, 4.5, 4.5)), SIZE, SIZE)
    (row, column), (green_row, green_column), (blue_row, blue_column) = (
        np.argwhere(shares(image, channel)).mean(axis=0) for channel in (RED, GREEN, BLUE)
    )
    assert (row, column) == pytest.approx((SIZE // 2, SIZE // 2), abs=0.6)
    assert green_column < column - 3
    assert green_row == pytest.approx(row, abs=0.6)
    assert blue_row < row - 3
    assert blue_column == pytest.approx(column, abs=0.6)


def test_coverage_is_one_on_voxels_and_zero_beside_them() -> None:
    labels = empty(3, 3, 3)
    labels[1, 1, 1] = RED
    coverage = render(scene_of(labels), side_view((1.5, 1.5, 1.5)), SIZE, SIZE)[..., 3]
    assert coverage[SIZE // 2, SIZE // 2] == 1
    assert coverage[0, 0] == 0
    assert coverage.max() <= 1


def test_the_nearer_voxel_hides_the_farther() -> None:
    labels = empty(9, 3, 3)
    labels[2, 1, 1], labels[7, 1, 1] = RED, GREEN
    image = render(scene_of(labels), side_view((4.5, 1.5, 1.5)), SIZE, SIZE)
    assert shares(image, RED).any()
    assert not shares(image, GREEN).any()


def test_free_voxels_are_not_drawn() -> None:
    assert not render(scene_of(empty(4, 4, 4)), side_view((2, 2, 2)), SIZE, SIZE).any()


def test_a_box_hides_what_is_behind_it_only() -> None:
    labels = empty(9, 3, 3)
    labels[4, 1, 1] = RED
    view = side_view((4.5, 1.5, 1.5))
    for x, hidden in ((1.0, True), (7.0, False)):
        box = ((x, 0.9, 0.9), (x + 1, 2.1, 2.1))
        image = render(scene_of(labels, boxes=[box], box_color=(0, 0, 255)), view, SIZE, SIZE)
        assert bool(shares(image, RED).any()) is not hidden


def test_oblong_voxels_look_like_the_cubes_that_fill_them() -> None:
    fine = empty(8, 8, 8)
    fine[4:6, 2:4, 0:8] = RED
    coarse = empty(4, 4, 2)
    coarse[2, 1, :] = RED
    view = Viewpoint((-9.0, -4.0, 9.0), (0.0, 0.0, 2.0), 45)
    images = [
        render(scene_of(labels, voxel_size=size, lower=(-2.0, -2.0, 0.0)), view, SIZE, SIZE)
        for labels, size in ((fine, (0.5, 0.5, 0.5)), (coarse, (1.0, 1.0, 2.0)))
    ]
    assert images[0][..., 3].sum() > 20
    assert np.array_equal(images[0][..., 3], images[1][..., 3])


def test_shadow_falls_below_a_roof() -> None:
    labels = empty(20, 20, 6)
    labels[:, :, 0] = RED
    view = Viewpoint((-6.0, 10.0, 12.0), (10.0, 10.0, 0.0), 40)
    open_ground = render(scene_of(labels), view, SIZE, SIZE)[..., RED]
    labels[8:12, 8:12, 5] = GREEN
    under_roof = render(scene_of(labels), view, SIZE, SIZE)
    ground = shares(under_roof, RED)
    assert (under_roof[ground][:, RED] < 0.8 * open_ground[ground]).sum() > 5


def test_corners_are_darker() -> None:
    labels = empty(9, 9, 3)
    labels[:, :, 0] = RED
    view = Viewpoint((4.5, 4.49, 30.0), (4.5, 4.5, 0.0), 20)
    flat = render(scene_of(labels), view, SIZE, SIZE)[..., RED]
    labels[4, :, 1] = GREEN
    image = render(scene_of(labels), view, SIZE, SIZE)
    beside = shares(image, RED)
    assert image[beside][:, RED].min() < 0.9 * flat[beside].max()


def test_every_ray_finds_the_first_solid_voxel() -> None:
    """Against a dense walk along each ray."""
    random = np.random.default_rng(3)
    labels = random.choice([RED, GREEN, BLUE, FREE], (7, 8, 5), p=[0.04, 0.04, 0.04, 0.88]).astype(np.uint8)
    view = Viewpoint((-5.3, 3.7, 6.1), (3.0, 4.2, 1.8), 70)
    image = render(scene_of(labels), view, 24, 20, samples=1)
    corner, across, down = view.image_plane(24, 20)
    steps = np.arange(0, 30, 2e-3)
    agreed = 0
    for row, column in np.ndindex(20, 24):
        direction = corner + (column + 0.5) * across + (row + 0.5) * down
        cells = np.floor(np.array(view.eye) + steps[:, None] * direction).astype(int)
        cells = cells[((cells >= 0) & (cells < labels.shape)).all(axis=1)]
        seen = labels[tuple(cells.T)]
        seen = seen[seen != FREE]
        expected = seen[0] if len(seen) else None
        shown = int(image[row, column, :3].argmax()) if image[row, column, 3] else None
        agreed += shown == expected
    assert agreed >= 0.995 * 24 * 20  # the walk may step over a voxel's very corner


def test_a_ray_along_an_axis_is_followed() -> None:
    labels = empty(5, 5, 5)
    labels[3, 2, 2] = RED
    view = Viewpoint((-20.0, 2.5, 2.5), (0.0, 2.5, 2.5), 10)
    image = render(scene_of(labels), view, 1, 1, samples=1)
    assert image[0, 0, RED] > 0
