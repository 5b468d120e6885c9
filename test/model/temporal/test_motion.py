"""Motion fusion: the recordings, and one gradient step against autograd, voxel by voxel."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from gdfusion_ros.model.layers.volume import rows
from gdfusion_ros.model.ops import motion_step, warp
from gdfusion_ros.model.ops.motion_step.reference import sample_with_jacobian
from gdfusion_ros.model.ops.warp.reference import sampled_positions
from gdfusion_ros.model.temporal.motion import MotionFusion, MotionState

GATE = 1e-4
SIZE = (4, 5, 3)  # Y, X, Z
Step = Callable[..., Tensor]
STEPS: dict[str, Step] = {'plain': motion_step.reference.motion_step, 'compiled': motion_step.cpu.motion_step}
WARPS: dict[str, Step] = {'plain': warp.reference.warp, 'compiled': warp.cpu.warp}


def affine(grid: NDArray[Any], last: NDArray[Any]) -> Tensor:
    """The 4 x 4 matrix that takes voxel indices to a recorded grid's positions, (Y, X, Z, 3) normalised x, y, z."""
    y, x, z = np.meshgrid(*(np.arange(n) for n in grid.shape[:3]), indexing='ij')
    indices = np.stack([x, y, z, np.ones_like(x)], -1).reshape(-1, 4)
    positions = (grid.reshape(-1, 3).astype(np.float64) + 1) / 2 * last
    matrix = np.eye(4)
    matrix[:3] = np.linalg.lstsq(indices, positions, rcond=None)[0].T
    assert np.abs(indices @ matrix[:3].T - positions).max() < 1e-5
    return torch.from_numpy(matrix).float()


def rows_of(recorded: Tensor) -> Tensor:
    """(1, C, Z, Y, X) -> (Y X Z, C)."""
    return recorded[0].permute(2, 3, 1, 0).flatten(0, 2)


@pytest.mark.parametrize(('name', 'sampled_gate'), [('motion_fusion', GATE), ('motion_fusion_clamp', 5e-4)])
def test_recorded_steps(recording: Callable[[str], Any], form: str, name: str, sampled_gate: float) -> None:
    recorded = recording(name)
    fusion = MotionFusion(8)
    recorded.load(fusion.offset, recorded='history_stream_offset_net.')
    state: MotionState | None = None
    last = recorded['normalize_factor']
    for step in range(5):
        size = (10, 12, 4)
        matrix = affine(recorded.values[f'grid_in{step}'][0], last.double().numpy())
        volume = recorded[f'x{step}'].permute(0, 1, 3, 4, 2)
        offsets, state = fusion(volume, matrix, None if recorded[f'start{step}'] else state)
        assert state.offsets is offsets
        assert recorded.error(f'motion_state{step}', offsets.view(*size, 3).permute(3, 2, 0, 1)[None]) <= GATE
        positions = sampled_positions(offsets, matrix, size)
        assert recorded.error(f'grid_out{step}', (positions / last * 2 - 1).view(1, *size, 3)) <= GATE
        sampled = WARPS[form](rows_of(recorded[f'his{step}']).contiguous(), offsets, matrix, size)
        assert recorded.error(f'sampled{step}', sampled.view(*size, 8).permute(3, 2, 0, 1)[None]) <= sampled_gate


def trilinear(field: Tensor, u: Tensor) -> Tensor:
    """Sample of (Y, X, Z, 3) at u = (x, y, z), corners beyond the border taking its value; differentiable in u."""
    lower = u.detach().floor()
    sample = torch.zeros(3, dtype=torch.float64)
    for corner in product((0, 1), repeat=3):
        weight = torch.ones((), dtype=torch.float64)
        for axis, one in enumerate(corner):
            fraction = u[axis] - lower[axis]
            weight = weight * (fraction if one else 1 - fraction)
        x, y, z = (int(lower[a]) + corner[a] for a in range(3))
        sample = (
            sample
            + weight * field[min(max(y, 0), SIZE[0] - 1), min(max(x, 0), SIZE[1] - 1), min(max(z, 0), SIZE[2] - 1)]
        )
    return sample


def stepped_by_autograd(offsets: Tensor, history: Tensor, matrix: Tensor) -> tuple[Tensor, int]:
    """M_f of every voxel, and how many of the voxels sample inside the grid."""
    field, fused, inside = history.double().view(*SIZE, 3), offsets.double().clone(), 0
    for voxel, (y, x, z) in enumerate(product(*map(range, SIZE))):
        offset = offsets[voxel].double().requires_grad_()
        u = matrix.double()[:3] @ torch.tensor([x, y, z, 1.0], dtype=torch.float64) + offset
        if all(0 <= u[axis] <= n - 1 for axis, n in enumerate((SIZE[1], SIZE[0], SIZE[2]))):
            loss = (trilinear(field, u) - offset).square().mean()
            gradient = torch.autograd.grad(loss, offset)[0].clamp(-20, 20)
            fused[voxel] -= 0.1 * gradient
            inside += 1
    return fused, inside


def turned(degrees: float, shift: tuple[float, float, float]) -> Tensor:
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return torch.tensor(
        [[c, -s, 0.02, shift[0]], [s, c, -0.01, shift[1]], [0.01, 0.02, 1, shift[2]], [0, 0, 0, 1]], dtype=torch.float32
    )


@pytest.mark.parametrize('step', STEPS.values(), ids=STEPS)
@pytest.mark.parametrize('reach', [0.4, 3.0, 200.0], ids=['near', 'far', 'clamped'])
def test_step_against_autograd(step: Callable[..., Tensor], reach: float) -> None:
    torch.manual_seed(1)
    voxels = SIZE[0] * SIZE[1] * SIZE[2]
    history, offsets = reach * torch.randn(voxels, 3), min(reach, 3.0) * torch.randn(voxels, 3)
    matrix = turned(6.0, (0.3, -0.2, 0.1))
    expected, inside = stepped_by_autograd(offsets, history, matrix)
    assert 0 < inside < voxels
    clamped = (expected - offsets).abs().isclose(torch.tensor(2.0, dtype=torch.float64)).any()
    assert bool(clamped) == (reach == 200.0)
    fused = step(offsets, history, matrix, SIZE)
    torch.testing.assert_close(fused.double(), expected, rtol=1e-4, atol=1e-4 * reach)


@pytest.mark.parametrize('step', STEPS.values(), ids=STEPS)
def test_steep_places_are_as_near_as_their_position(step: Callable[..., Tensor]) -> None:
    """The step adds next to nothing to the rounding of its position, which counts hundredfold where offsets jump.

    With offsets as large as ALOcc's recording has; from the same float32 positions, against float64.
    """
    torch.manual_seed(5)
    size, voxels = (40, 40, 8), 40 * 40 * 8
    history, offsets = (20 * torch.randn(voxels, 3)).clamp(-20, 20), 4 * torch.randn(voxels, 3)
    matrix = turned(3.5, (3.1, -0.4, 0.1))
    positions = sampled_positions(offsets, matrix, size)

    def exactly(places: Tensor) -> Tensor:
        sampled, jacobian = sample_with_jacobian(history.double(), places.double(), size)
        delta = 2 * (sampled - offsets)
        gradient = ((jacobian * delta[:, None]).sum(-1) - delta) / 3
        inside = ((places >= 0) & (places <= torch.tensor([39.0, 39.0, 7.0]))).all(-1, keepdim=True)
        return torch.where(inside, offsets - 0.1 * gradient.clamp(-20, 20), offsets.double())

    expected = exactly(positions)
    next_bit = exactly(torch.nextafter(positions, torch.full_like(positions, torch.inf)))
    assert (next_bit - expected).abs().max() > 2e-4
    assert (step(offsets, history, matrix, size) - expected).abs().max() < 1e-5


@pytest.mark.parametrize('step', STEPS.values(), ids=STEPS)
def test_step_on_and_beyond_the_border(step: Callable[..., Tensor]) -> None:
    """Positions on the first and last index take part, those a hair beyond keep their prediction."""
    torch.manual_seed(2)
    voxels = SIZE[0] * SIZE[1] * SIZE[2]
    history = torch.randn(voxels, 3)
    outcome = {}
    for shift in (0.0, 2.0**-12, -(2.0**-12)):
        offsets = torch.full((voxels, 3), shift)
        expected, inside = stepped_by_autograd(offsets, history, torch.eye(4))
        fused = step(offsets, history, torch.eye(4), SIZE)
        torch.testing.assert_close(fused.double(), expected, rtol=1e-5, atol=1e-6)
        outcome[shift] = inside, int((fused != offsets).any(-1).sum())
    assert outcome[0.0] == (voxels, voxels)
    assert set(list(outcome.values())[1:]) == {(3 * 4 * 2, 3 * 4 * 2)}


def test_jacobian_is_the_derivative_of_the_sample() -> None:
    torch.manual_seed(3)
    field = torch.randn(SIZE[0] * SIZE[1] * SIZE[2], 3, dtype=torch.float64)
    positions = torch.rand(40, 3, dtype=torch.float64) * torch.tensor([4.0, 3.0, 2.0])
    sampled, jacobian = sample_with_jacobian(field, positions, SIZE)
    for n in range(len(positions)):
        torch.testing.assert_close(sampled[n], trilinear(field.view(*SIZE, 3), positions[n]))
        by_autograd = torch.autograd.functional.jacobian(lambda u: trilinear(field.view(*SIZE, 3), u), positions[n])
        torch.testing.assert_close(jacobian[n], by_autograd.t())


def test_prediction_is_clamped_and_a_start_takes_it_as_it_is(form: str) -> None:
    torch.manual_seed(4)
    fusion, volume = MotionFusion(6), torch.randn(1, 6, *SIZE)
    volume[..., 0] *= 60
    offsets, state = fusion(volume, torch.eye(4), None)
    raw = rows(fusion.offset(volume))
    assert raw.abs().max() > 20
    torch.testing.assert_close(offsets, raw.clamp(-20, 20))
    assert torch.equal(state.offsets, offsets)
    kept = offsets.clone()
    fused, _ = fusion(volume, torch.eye(4), MotionState(torch.ones_like(offsets)))
    assert not torch.equal(fused, offsets)
    assert torch.equal(offsets, kept)
