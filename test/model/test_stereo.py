"""Cost volume, cell by cell and bin by bin."""

from __future__ import annotations

import dataclasses
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor

from gdfusion_ros.model import stereo
from gdfusion_ros.model.depth.stereo import StereoGeometry, cost_volume

IMAGE, CELLS, CHANNELS = (64, 96), (8, 12), 8


@pytest.fixture
def geometry(drive: Any) -> StereoGeometry:
    """The second camera has come nearer to what it looks at, by more than some of the depths."""
    frame = drive.frame(4)
    chain = frame.previous_camera_from_camera.clone()
    chain[1, 2, 3] -= 3
    return StereoGeometry(IMAGE, torch.tensor([1.0, 2.5, 4.0, 7.0, 20.0]), frame.intrinsics, frame.post_rotation,
                          frame.post_translation, chain, 0.9 * frame.post_rotation + 0.1 * torch.eye(3),
                          frame.post_translation - 2)


def features(seed: int) -> Tensor:
    """Non-negative as after a ReLU, with whole regions of zeros."""
    random = torch.randn(2, CHANNELS, *CELLS, generator=torch.Generator().manual_seed(seed)).relu()
    random[:, :, :3, :5] *= (torch.arange(CHANNELS) % 3 > 0).view(1, -1, 1, 1)
    random[:, CHANNELS - 4, 4:, 6:] = 0
    return random.contiguous(memory_format=torch.channels_last)


def seen_at(geometry: StereoGeometry, n: int, pixel: tuple[float, float], depth: float) -> tuple[float, float] | None:
    """Cell coordinates (x, y) of one bin in the previous feature map; None behind the camera."""
    post, shift = geometry.post_rotation[n].double(), geometry.post_translation[n].double()
    intrinsics, chain = geometry.intrinsics[n].double(), geometry.previous_camera_from_camera[n].double()
    point = torch.linalg.inv(post) @ (torch.tensor([*pixel, depth], dtype=torch.float64) - shift)
    point = torch.stack([point[0] * point[2], point[1] * point[2], point[2]])
    point = chain[:3, :3] @ torch.linalg.inv(intrinsics) @ point + chain[:3, 3]
    if point[2] < 1e-3:
        return None
    seen = intrinsics @ point
    post, shift = geometry.previous_post_rotation[n].double(), geometry.previous_post_translation[n].double()
    u, v = (post[:2, :2] @ (seen[:2] / seen[2]) + shift[:2]).tolist()
    return u / (IMAGE[1] - 1) * (CELLS[1] - 1), v / (IMAGE[0] - 1) * (CELLS[0] - 1)


def sample(feature: Tensor, place: tuple[float, float] | None) -> Tensor:
    """Bilinear sample (C,) of (C, h, w), zero outside."""
    value = torch.zeros(len(feature), dtype=torch.float64)
    if place is None:
        return value
    left, top = (int(torch.tensor(c).floor()) for c in place)
    for dx, dy in product((0, 1), repeat=2):
        if 0 <= left + dx < CELLS[1] and 0 <= top + dy < CELLS[0]:
            weight = (1 - abs(place[0] - left - dx)) * (1 - abs(place[1] - top - dy))
            value += weight * feature[:, top + dy, left + dx]
    return value


def test_cost_volume_by_definition(geometry: StereoGeometry, form: str) -> None:
    current, previous = features(1), features(2)
    cost = torch.zeros(2, 5, *CELLS, dtype=torch.float64)
    kinds = {'behind': 0, 'outside': 0, 'zero inside': 0, 'seen': 0}
    for n, k, row, column in product(range(2), range(5), range(CELLS[0]), range(CELLS[1])):
        pixel = 95 * column / (CELLS[1] - 1), 63 * row / (CELLS[0] - 1)
        place = seen_at(geometry, n, pixel, float(geometry.depths[k]))
        warped = sample(previous[n].double(), place)
        tested = bool(warped[CHANNELS - 4] == 0)
        cost[n, k, row, column] = (current[n, :, row, column].double() - warped).abs().sum() + 5.0 * tested
        kind = 'zero inside' if warped.any() else 'outside'
        kinds['behind' if place is None else kind if tested else 'seen'] += 1
    assert min(kinds.values()) > 10, kinds
    torch.testing.assert_close(cost_volume(current, previous, geometry).double(), (-cost).softmax(1),
                               rtol=1e-3, atol=1e-4)


def test_depths_are_taken_in_parts_of_any_size(geometry: StereoGeometry, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = stereo.matching_cost(features(1), features(2), geometry)
    monkeypatch.setattr(stereo, 'DEPTHS_AT_ONCE', 2)
    assert torch.equal(stereo.matching_cost(features(1), features(2), geometry), whole)


def test_an_image_against_itself_from_the_same_place_costs_nothing_anywhere(geometry: StereoGeometry,
                                                                            form: str) -> None:
    """What a start does: every bin is as good as any other."""
    geometry = dataclasses.replace(geometry, previous_camera_from_camera=torch.eye(4).repeat(2, 1, 1))
    feature = features(1) + 0.5
    torch.testing.assert_close(cost_volume(feature, feature, geometry), torch.full((2, 5, *CELLS), 0.2),
                               rtol=0, atol=1e-3)
