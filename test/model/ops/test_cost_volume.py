"""Cost volume, cell by cell and bin by bin."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor

from gdfusion_ros.model.geometry.reprojection import Reprojection
from gdfusion_ros.model.interface import Calibration, Previous
from gdfusion_ros.model.ops.cost_volume import cost_volume, reference

IMAGE, CELLS, CHANNELS = (64, 96), (8, 12), 8


DEPTHS = torch.tensor([1.0, 2.5, 4.0, 7.0, 20.0])


@dataclass(frozen=True)
class Cameras:
    """Two cameras, now and then."""

    now: Calibration
    previous: Previous

    def cost(self, current: Tensor, previous: Tensor) -> Tensor:
        return cost_volume(current, previous, Reprojection.between(self.now, self.previous), IMAGE, DEPTHS)


@pytest.fixture
def cameras(drive: Any) -> Cameras:
    """The second camera has come nearer to what it looks at, by more than some of the depths."""
    frame = drive.frame(4)
    chain = frame.previous_camera_from_camera.clone()
    chain[1, 2, 3] -= 3
    now = frame.calibration
    then = dataclasses.replace(
        now, post_rotation=0.9 * now.post_rotation + 0.1 * torch.eye(3), post_translation=now.post_translation - 2
    )
    return Cameras(now, Previous(then, chain, torch.eye(4)))


def features(seed: int) -> Tensor:
    """Non-negative as after a ReLU, with whole regions of zeros."""
    random = torch.randn(2, CHANNELS, *CELLS, generator=torch.Generator().manual_seed(seed)).relu()
    random[:, :, :3, :5] *= (torch.arange(CHANNELS) % 3 > 0).view(1, -1, 1, 1)
    random[:, CHANNELS - 4, 4:, 6:] = 0
    return random.contiguous(memory_format=torch.channels_last)


def seen_at(cameras: Cameras, n: int, pixel: tuple[float, float], depth: float) -> tuple[float, float] | None:
    """Cell coordinates (x, y) of one bin in the previous feature map; None behind the camera."""
    now, then = cameras.now, cameras.previous.calibration
    post, shift = now.post_rotation[n].double(), now.post_translation[n].double()
    intrinsics, chain = now.intrinsics[n].double(), cameras.previous.camera_from_camera[n].double()
    point = torch.linalg.inv(post) @ (torch.tensor([*pixel, depth], dtype=torch.float64) - shift)
    point = torch.stack([point[0] * point[2], point[1] * point[2], point[2]])
    point = chain[:3, :3] @ torch.linalg.inv(intrinsics) @ point + chain[:3, 3]
    if point[2] < 1e-3:
        return None
    seen = intrinsics @ point
    post, shift = then.post_rotation[n].double(), then.post_translation[n].double()
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


def test_cost_volume_by_definition(cameras: Cameras, form: str) -> None:
    current, previous = features(1), features(2)
    cost = torch.zeros(2, 5, *CELLS, dtype=torch.float64)
    kinds = {'behind': 0, 'outside': 0, 'zero inside': 0, 'seen': 0}
    for n, k, row, column in product(range(2), range(5), range(CELLS[0]), range(CELLS[1])):
        pixel = 95 * column / (CELLS[1] - 1), 63 * row / (CELLS[0] - 1)
        place = seen_at(cameras, n, pixel, float(DEPTHS[k]))
        warped = sample(previous[n].double(), place)
        tested = bool(warped[CHANNELS - 4] == 0)
        cost[n, k, row, column] = (current[n, :, row, column].double() - warped).abs().sum() + 5.0 * tested
        kind = 'zero inside' if warped.any() else 'outside'
        kinds['behind' if place is None else kind if tested else 'seen'] += 1
    assert min(kinds.values()) > 10, kinds
    torch.testing.assert_close(cameras.cost(current, previous).double(), (-cost).softmax(1), rtol=1e-3, atol=1e-4)


def test_depths_are_taken_in_parts_of_any_size(cameras: Cameras, monkeypatch: pytest.MonkeyPatch) -> None:
    reprojection = Reprojection.between(cameras.now, cameras.previous)
    whole = reference.matching_cost(features(1), features(2), reprojection, IMAGE, DEPTHS)
    monkeypatch.setattr(reference, 'DEPTHS_AT_ONCE', 2)
    assert torch.equal(reference.matching_cost(features(1), features(2), reprojection, IMAGE, DEPTHS), whole)


def test_an_image_against_itself_from_the_same_place_costs_nothing_anywhere(cameras: Cameras, form: str) -> None:
    """What a start does: every bin is as good as any other."""
    then = dataclasses.replace(
        cameras.previous, calibration=cameras.now, camera_from_camera=torch.eye(4).repeat(2, 1, 1)
    )
    feature = features(1) + 0.5
    torch.testing.assert_close(
        Cameras(cameras.now, then).cost(feature, feature), torch.full((2, 5, *CELLS), 0.2), rtol=0, atol=1e-3
    )


def test_a_camera_that_is_not_remembered_is_matched_with_itself(cameras: Cameras, form: str) -> None:
    seen = dataclasses.replace(cameras.previous.calibration, visible=torch.tensor([True, False]))
    forgetful = Cameras(cameras.now, dataclasses.replace(cameras.previous, calibration=seen))
    start = cost_volume(features(1), features(2), Reprojection.between(cameras.now, None), IMAGE, DEPTHS)
    cost = forgetful.cost(features(1), features(2))
    assert torch.equal(cost[0], cameras.cost(features(1), features(2))[0])
    assert torch.equal(cost[1], start[1])
    torch.testing.assert_close(
        start,
        cost_volume(features(1), features(1), Reprojection.between(cameras.now, None), IMAGE, DEPTHS),
        rtol=0,
        atol=0,
    )
