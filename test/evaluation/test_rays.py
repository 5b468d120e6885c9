"""RayIoU against an obvious ray caster: every ray with every solid voxel."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
from numpy.typing import NDArray

from gdfusion_ros.evaluation.rays import RayCounts, cast, ray_directions, ray_origins
from gdfusion_ros.model.geometry.voxel_grid import VoxelGrid
from gdfusion_ros.perception.labels import OCC3D_NUSCENES, OPENOCCUPANCY_NUSCENES, UNKNOWN

GRID = VoxelGrid((-9.0, -6.0, -2.0), (1.5, 1.2, 0.6), (12, 10, 8))

Floats = NDArray[np.float64]


def random_labels(seed: int, share: float = 0.05, free: int = 17, classes: int = 16) -> NDArray[np.uint8]:
    random = np.random.default_rng(seed)
    labels = random.integers(1, 1 + classes, GRID.shape, np.uint8)
    return np.where(random.random(GRID.shape) < share, labels, np.uint8(free))


def obvious_cast(labels: NDArray[np.uint8], free: int, origin: Floats, direction: Floats) -> tuple[int, float]:
    """Label of the nearest solid voxel that the ray passes through, and where the ray leaves it."""
    best = (math.inf, math.inf, free)
    for index in np.argwhere((labels != free) & (labels != UNKNOWN)):
        lower = np.array(GRID.lower) + index * GRID.voxel_size
        near, far = (lower - origin) / direction, (lower + GRID.voxel_size - origin) / direction
        enter, leave = np.minimum(near, far).max(), np.maximum(near, far).min()
        if leave > max(enter, 0.0):
            best = min(best, (enter, leave, labels[tuple(index)]))
    return int(best[2]), float(best[1])


@pytest.mark.parametrize('place', ['inside', 'outside'])
def test_the_first_voxel_of_any_ray(place: str) -> None:
    random = np.random.default_rng(4)
    labels = random_labels(5)
    labels[labels == 9] = UNKNOWN
    origins = random.uniform((-8.9, -5.9, -1.9), (8.9, 5.9, 2.7), (4, 3))
    if place == 'outside':
        origins += (27.0, -15.0, 8.0)
    directions = random.uniform((-12, -8, -3), (12, 8, 4), (150, 3)) - origins.mean(axis=0)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    met, depths = cast(labels, OCC3D_NUSCENES, GRID, origins, directions)
    expected = [[obvious_cast(labels, 17, origin, direction) for direction in directions] for origin in origins]
    np.testing.assert_array_equal(met, [[label for label, _ in row] for row in expected])
    np.testing.assert_allclose(depths, [[depth for _, depth in row] for row in expected])
    assert 0.05 < (met != 17).mean() < 0.95


def test_rays_along_the_axes() -> None:
    labels = np.full(GRID.shape, 17, np.uint8)
    labels[10, 5, 4], labels[2, 5, 4], labels[6, 5, 0] = 3, 4, 5
    met, depths = cast(
        labels,
        OCC3D_NUSCENES,
        GRID,
        np.array([[0.5, 0.1, 0.5]]),
        np.array([[1.0, 0, 0], [-1.0, 0, 0], [0, 0, -1.0], [0, 1.0, 0]]),
    )
    assert met.tolist() == [[3, 4, 5, 17]]
    np.testing.assert_allclose(depths, [[7.0, 6.5, 2.5, np.inf]])


def test_a_ray_that_starts_in_a_solid_voxel_meets_it() -> None:
    labels = np.full(GRID.shape, 8, np.uint8)
    met, depths = cast(labels, OCC3D_NUSCENES, GRID, np.array([[0.5, 0.1, 0.5]]), np.array([[1.0, 0.0, 0.0]]))
    assert met.item() == 8
    assert depths.item() == pytest.approx(1.0)


def test_directions() -> None:
    directions = ray_directions()
    assert directions.shape == (39 * 360, 3)
    np.testing.assert_allclose(np.linalg.norm(directions, axis=1), 1)
    pitches = np.arcsin(directions[::360, 2])
    # From a height of 1 m the first ten meet the ground at 1 to 10 m.
    np.testing.assert_allclose(-1 / np.tan(pitches[:10]), np.arange(1, 11))
    np.testing.assert_allclose(np.diff(pitches)[8:], pitches[9] - pitches[8])
    assert pitches[-2] < 0.21 <= pitches[-1]
    np.testing.assert_allclose(np.arctan2(directions[:90, 1], directions[:90, 0]), np.deg2rad(np.arange(90)))


def test_origins_are_a_metre_inside_and_eight_at_most() -> None:
    x = np.array([-39.5, -38.9, 0.0, 38.9, 39.1])
    places = np.stack([x, np.zeros(5), np.full(5, 1.8)], axis=1)
    np.testing.assert_array_equal(ray_origins(places, OCC3D_NUSCENES.grid), places[1:4])
    np.testing.assert_array_equal(ray_origins(places[:, [1, 0, 2]], OCC3D_NUSCENES.grid), places[1:4][:, [1, 0, 2]])
    many = np.stack([np.arange(40.0) - 25, np.zeros(40), np.zeros(40)], axis=1)
    chosen = [0, 6, 11, 17, 22, 28, 33, 39]
    np.testing.assert_array_equal(ray_origins(many, OCC3D_NUSCENES.grid), many[chosen])
    assert len(ray_origins(places + 100, OCC3D_NUSCENES.grid)) == 0


def obvious_ray_iou(samples: list[tuple[NDArray[np.uint8], NDArray[np.uint8], Floats]]) -> Floats:
    """(3, 17) IoU by the definition, counted ray by ray."""
    truth, predicted, hits = np.zeros(17), np.zeros(17), np.zeros((3, 17))
    pitches = [-(math.pi / 2 - math.atan(k)) for k in range(1, 11)]
    while pitches[-1] < 0.21:
        pitches.append(2 * pitches[-1] - pitches[-2])
    # Every 24th azimuth, so that this takes a second.
    directions = [
        np.array([math.cos(p) * math.cos(a), math.cos(p) * math.sin(a), math.sin(p)])
        for p in pitches
        for a in np.deg2rad(np.arange(1, 360, 24))
    ]
    for true_labels, labels, origins in samples:
        for origin in origins:
            for direction in directions:
                true_label, true_depth = obvious_cast(true_labels, 17, origin, direction)
                if true_label == 17:
                    continue
                label, depth = obvious_cast(labels, 17, origin, direction)
                truth[true_label] += 1
                if label != 17:
                    predicted[label] += 1
                for row, threshold in enumerate((1, 2, 4)):
                    hits[row, true_label] += label == true_label and abs(depth - true_depth) < threshold
    with np.errstate(invalid='ignore'):
        return np.asarray(hits / (truth + predicted - hits))


def test_the_scores_by_their_definition(monkeypatch: pytest.MonkeyPatch) -> None:
    samples = []
    for seed in (6, 7):
        labels = random_labels(seed, share=0.03, classes=3)
        prediction = labels.copy()
        for shift, rows in ((1, np.s_[:, ::2]), (2, np.s_[:, 1::4])):
            prediction[rows] = np.roll(labels, shift, axis=0)[rows]
        samples.append((labels, prediction, np.random.default_rng(seed).uniform((-6, -3, -1), (6, 3, 1), (2, 3))))
    directions = ray_directions().reshape(39, 360, 3)[:, 1::24].reshape(-1, 3)
    monkeypatch.setattr('gdfusion_ros.evaluation.rays.ray_directions', lambda: directions)
    counts = RayCounts(OCC3D_NUSCENES)
    for labels, prediction, origins in samples:
        counts.add(labels, prediction, GRID, origins)
    expected = obvious_ray_iou(samples)
    np.testing.assert_allclose(counts.class_iou, expected)
    assert counts.ray_iou == pytest.approx(np.nanmean(expected))
    assert counts.at_thresholds == pytest.approx(np.nanmean(expected, axis=1))
    assert 0.05 < counts.at_thresholds[0] < counts.at_thresholds[1] < counts.at_thresholds[2] < 0.95


def test_truth_itself_is_all_right_whatever_the_free_label_is() -> None:
    labels = random_labels(8, free=0)
    counts = RayCounts(OPENOCCUPANCY_NUSCENES)
    counts.add(labels, labels.copy(order='F'), GRID, np.array([[0.0, 0.0, 0.5]]))
    assert counts.at_thresholds == (1.0, 1.0, 1.0)
    assert counts.truth[0] == 0


def test_forty_frames_of_the_full_size_take_far_less_than_a_minute() -> None:
    labels = np.full(OCC3D_NUSCENES.grid.shape, 17, np.uint8, order='F')
    labels[:, :, 0] = 11
    labels[::20, ::20, :8] = 15
    counts = RayCounts(OCC3D_NUSCENES)
    origins = np.stack([np.linspace(-35, 35, 8), np.zeros(8), np.full(8, 1.8)], axis=1)
    counts.add(labels, labels, OCC3D_NUSCENES.grid, origins)  # compiles
    begin = time.process_time()
    for _ in range(4):
        counts.add(labels, labels, OCC3D_NUSCENES.grid, origins)
    assert 10 * (time.process_time() - begin) < 60
