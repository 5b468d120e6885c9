"""Geometry fusion: the recordings, and a definition that goes bin by bin."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor

from gdfusion_ros.model.geometry.camera import camera_points
from gdfusion_ros.model.geometry.reprojection import Reprojection
from gdfusion_ros.model.geometry.small_matrices import inverse
from gdfusion_ros.model.interface import Calibration, Frame
from gdfusion_ros.model.temporal.geometry import GeometryFusion, GeometryState

GATE = 1e-4
IMAGE = (64, 96)
DEPTHS = torch.tensor([1.0, 3.0, 5.0, 7.0, 9.0])
CELLS = (4, 6)


def frustum(frame: Frame, depths: Tensor = DEPTHS) -> Tensor:
    rotation = inverse(frame.calibration.post_rotation)
    return camera_points(IMAGE, CELLS, depths, rotation, frame.calibration.post_translation)


def way_of(frame: Frame, calibration: Calibration | None) -> Reprojection:
    return Reprojection.between(frame.calibration, frame.previous(calibration))


def test_recorded_steps(recording: Callable[[str], Any]) -> None:
    recorded = recording('geometry_fusion')
    depths = torch.arange(1, 9, 0.5)
    fusion = GeometryFusion(IMAGE, depths)
    recorded.load(fusion.history_gate, recorded='gate_net.')
    state: GeometryState | None = None
    calibration: Calibration | None = None
    for step in range(4):
        frame, logits = recorded.frame(str(step)), recorded[f'feat{step}'][0]
        if recorded[f'start{step}']:
            state = calibration = None
        _, state = fusion(logits, logits.softmax(1), frustum(frame, depths), way_of(frame, calibration), state)
        calibration = frame.calibration
        assert recorded.error(f'fused{step}', state.logits[None]) <= GATE


@pytest.fixture
def frame(drive: Any) -> Frame:
    """The second camera has turned round since the previous frame: it looks at where it came from."""
    frame: Frame = drive.frame(3)
    about = frame.previous_camera_from_camera.clone()
    about[1] = torch.diag(torch.tensor([-1.0, 1, -1, 1])) @ about[1]
    about[1, 2, 3] = 6.0
    return dataclasses.replace(frame, previous_camera_from_camera=about)


@pytest.fixture
def state() -> GeometryState:
    torch.manual_seed(2)
    return GeometryState(torch.randn(2, 5, *CELLS))


@pytest.fixture
def then(frame: Frame) -> Calibration:
    """The images of the history were cut in another way."""
    return dataclasses.replace(
        frame.calibration,
        post_rotation=torch.diag(torch.tensor([0.07, 0.065, 1])).repeat(2, 1, 1),
        post_translation=torch.tensor([[3.0, 6.0, 0.0], [-2.0, 8.0, 0.0]]),
    )


@pytest.fixture
def fusion() -> Iterator[GeometryFusion]:
    torch.manual_seed(6)
    with torch.inference_mode():
        yield GeometryFusion(IMAGE, DEPTHS)


def warped_bin_by_bin(frame: Frame, state: GeometryState, then: Calibration, reached: set[str]) -> Tensor:
    """History at every bin of the current frustum, float64; ``reached`` learns what kinds of places there were."""
    now, history, warped = frame.calibration, state.logits.double(), torch.zeros(2, 5, *CELLS, dtype=torch.float64)
    for n, k, row, column in product(range(2), range(5), range(CELLS[0]), range(CELLS[1])):
        pixel = torch.tensor([95 * column / (CELLS[1] - 1), 63 * row / (CELLS[0] - 1), float(DEPTHS[k])]).double()
        intrinsics = now.intrinsics[n].double()
        chain = frame.previous_camera_from_camera[n].double()
        point = torch.linalg.inv(now.post_rotation[n].double()) @ (pixel - now.post_translation[n])
        point = torch.stack([point[0] * point[2], point[1] * point[2], point[2]])
        point = chain[:3, :3] @ torch.linalg.inv(intrinsics) @ point + chain[:3, 3]
        if point[2] < 1e-3:
            reached.add('behind')
            continue
        seen = intrinsics @ point
        seen = torch.stack([seen[0] / seen[2], seen[1] / seen[2], seen[2]])
        seen = then.post_rotation[n].double() @ seen + then.post_translation[n]
        index = (
            seen[0] / (16 * CELLS[1] - 1) * (CELLS[1] - 1),
            seen[1] / (16 * CELLS[0] - 1) * (CELLS[0] - 1),
            (seen[2] - DEPTHS[0]) / (DEPTHS[-1] - DEPTHS[0]) * 4,
        )
        lower = [int(torch.floor(value)) for value in index]
        inside = False
        for corner in product((0, 1), repeat=3):
            x, y, z = (a + b for a, b in zip(lower, corner, strict=True))
            if 0 <= x < CELLS[1] and 0 <= y < CELLS[0] and 0 <= z < 5:
                weight = 1.0
                for value, base, one in zip(index, lower, corner, strict=True):
                    weight *= float(value - base if one else 1 - (value - base))
                warped[n, k, row, column] += weight * history[n, z, y, x]
                inside = True
        reached.add('inside' if inside else 'outside')
    return warped


def gate(module: Any, first: Tensor, second: Tensor) -> Tensor:
    """Sigmoid of a two-layer perceptron on every cell's two stacks of bins."""
    inner, _, outer, _ = copy.deepcopy(module).double()
    stacked = torch.cat([first, second], 1).permute(0, 2, 3, 1)
    hidden = torch.relu(stacked @ inner.weight.flatten(1).t() + inner.bias)
    return torch.sigmoid(hidden @ outer.weight.flatten(1).t() + outer.bias).permute(0, 3, 1, 2)


def test_fusion_by_definition(fusion: GeometryFusion, frame: Frame, state: GeometryState, then: Calibration) -> None:
    logits, current = 2 * torch.randn(2, 5, *CELLS), torch.randn(2, 5, *CELLS).softmax(1)
    reached: set[str] = set()
    history = warped_bin_by_bin(frame, state, then, reached)
    assert reached == {'behind', 'inside', 'outside'}
    weight = gate(fusion.history_gate, history, logits.double())
    fused = torch.where(history != 0, weight * history + (1 - weight) * logits, logits.double())
    soft = fused.softmax(1)
    blend = gate(fusion.blend_gate, soft, current.double())
    expected = blend * soft + (1 - blend) * current

    kept = state.logits.clone()
    geometry, after = fusion(logits, current, frustum(frame), way_of(frame, then), state)
    torch.testing.assert_close(after.logits.double(), fused, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(geometry.double(), expected, rtol=1e-4, atol=1e-5)
    assert torch.equal(state.logits, kept)


def test_a_start_keeps_the_logits_and_still_blends(fusion: GeometryFusion, frame: Frame) -> None:
    logits, current = 2 * torch.randn(2, 5, *CELLS), torch.randn(2, 5, *CELLS).softmax(1)
    geometry, after = fusion(logits, current, frustum(frame), way_of(frame, None), None)
    assert torch.equal(after.logits, logits)
    soft = logits.double().softmax(1)
    blend = gate(fusion.blend_gate, soft, current.double())
    torch.testing.assert_close(geometry.double(), blend * soft + (1 - blend) * current, rtol=1e-4, atol=1e-6)


def test_a_camera_that_is_not_remembered_keeps_its_logits(
    fusion: GeometryFusion, frame: Frame, state: GeometryState, then: Calibration
) -> None:
    logits = torch.randn(2, 5, *CELLS)
    then = dataclasses.replace(then, visible=torch.tensor([False, True]))
    _, after = fusion(logits, logits.softmax(1), frustum(frame), way_of(frame, then), state)
    assert torch.equal(after.logits[0], logits[0])
    assert not torch.equal(after.logits[1], logits[1])
