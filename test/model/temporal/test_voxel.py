"""Voxel-level fusion: the recordings, and a definition that samples corner by corner."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gdfusion_ros.model.geometry.alignment import index_transform
from gdfusion_ros.model.geometry.voxel_grid import VoxelGrid
from gdfusion_ros.model.interface import Calibration, Previous
from gdfusion_ros.model.layers import volume as volumes
from gdfusion_ros.model.layers.volume import rows
from gdfusion_ros.model.probe import BLIND, Pass
from gdfusion_ros.model.temporal.motion import MotionFusion, MotionState
from gdfusion_ros.model.temporal.recurrent import RecurrentMemory
from gdfusion_ros.model.temporal.voxel import VoxelFusion, VoxelState, sinusoid

GATE = 1e-4
GRID = VoxelGrid(lower=(-6.0, -5.0, -1.0), voxel_size=(1.0, 1.0, 1.0), shape=(12, 10, 4))
SIZE = (3, 4, 2)  # Y, X, Z


def as_recorded(voxels: Tensor) -> Tensor:
    """(Y X Z, C) of the recordings' grid -> (C, Z, Y, X)."""
    return voxels.view(10, 12, 4, -1).permute(3, 2, 0, 1)


@pytest.mark.parametrize(
    ('name', 'sample'),
    [('voxel_fusion', 0), ('voxel_fusion', 1), ('voxel_motion_fusion', 0), ('voxel_fusion_changing_bda', 0)],
)
def test_recorded_steps(recording: Callable[[str], Any], form: str, name: str, sample: int) -> None:
    recorded = recording(name)
    fusion, motion = VoxelFusion(8).eval(), None
    recorded.load(fusion.time_embedding, recorded='time_emb_net.')
    recorded.load(fusion.align, recorded='history_keyframe_time_conv.')
    recorded.load(fusion.merge, recorded='history_keyframe_cat_conv.')
    if name == 'voxel_motion_fusion':
        motion = MotionFusion(8)
        recorded.load(motion.offset, recorded='his_stream_offset_net.history_stream_offset_net.')
    state: VoxelState | None = None
    moved: MotionState | None = None
    bda = before = torch.eye(3)
    for step in range(sum(key.startswith('rt') for key in recorded.values)):
        if recorded[f'start{step}'][sample]:
            state = moved = None
        volume = recorded[f'x{step}'][sample : sample + 1]
        before, bda = bda, recorded[f'bda{step}' if f'bda{step}' in recorded.values else 'bda'][sample]
        matrix = torch.eye(4) if state is None else index_transform(GRID, recorded[f'rt{step}'][sample], bda, before)
        if motion is not None:
            _, moved = motion(volume, matrix, moved)
            assert recorded.error(f'motion_state{step}', as_recorded(moved.offsets)[None]) <= GATE
        output, state = fusion(volume, None if moved is None else moved.offsets, matrix, state)
        for key, value in ((f'out{step}', output[0]), (f'state{step}', as_recorded(state.volume))):
            expected = recorded[key][sample]
            assert (value - expected).abs().max() <= GATE * expected.std()


def test_recorded_steps_of_maps(recording: Callable[[str], Any], form: str) -> None:
    recorded = recording('voxel_motion_fusion_2d')
    grid = VoxelGrid(lower=(-6.0, -5.0, -1.0), voxel_size=(1.0, 1.0, 4.0), shape=(12, 10, 1))
    memory = RecurrentMemory(grid, 8, ('motion', 'voxel'), nn.Conv2d).eval()
    for module, name in (
        (memory.voxel.time_embedding, 'time_emb_net'),
        (memory.voxel.align, 'history_keyframe_time_conv'),
        (memory.voxel.merge, 'history_keyframe_cat_conv'),
        (memory.motion.offset, 'his_stream_offset_net.history_stream_offset_net'),
    ):
        recorded.load(module, recorded=f'{name}.')
    nothing, state, before = torch.empty(0), None, torch.eye(3)
    for step in range(5):
        bda = recorded[f'bda{step}'][0]
        now, then = (
            Calibration(nothing, nothing, nothing, nothing, augmentation, nothing) for augmentation in (bda, before)
        )
        previous = None if recorded[f'start{step}'] else Previous(then, nothing, recorded[f'rt{step}'][0])
        output, state = memory(
            recorded[f'x{step}'],
            memory.geometry(now, previous),
            state if previous else None,
            Pass(BLIND, torch.device('cpu'), autocast=False),
        )
        assert state.motion is not None
        assert state.voxel is not None
        moved = state.motion.offsets.view(10, 12, 3)
        assert not moved[..., 2].any()
        found = {
            'out': output,
            'state': state.voxel.volume.view(10, 12, 8).permute(2, 0, 1)[None, :, None],
            'motion_state': moved[..., :2].permute(2, 0, 1)[None, :, None],
        }
        assert {
            name: error
            for name, value in found.items()
            if not (error := recorded.error(f'{name}{step}', value)) <= GATE
        } == {}, f'step {step}'
        before = bda


@pytest.mark.parametrize('channels', [32, 8])
def test_recorded_sinusoid(recording: Callable[[str], Any], channels: int) -> None:
    recorded = recording('time_embedding')
    assert recorded.error(f'pe{channels}', sinusoid(recorded['t'], channels)) <= GATE


def test_sinusoid_by_its_formula() -> None:
    values = sinusoid(torch.tensor([0.0, 0.5, 19.5]), 8)
    for row, time in zip(values, (0.0, 0.5, 19.5), strict=True):
        for i in range(4):
            assert row[2 * i].item() == pytest.approx(math.sin(time * 10000 ** (-2 * i / 8)), abs=1e-6)
            assert row[2 * i + 1].item() == pytest.approx(math.cos(time * 10000 ** (-2 * i / 8)), abs=1e-6)


def sampled_corner_by_corner(field: Tensor, positions: Tensor) -> Tensor:
    """(Y X Z, C) float64 samples; corners outside the grid count as zero."""
    grid, samples = field.double().view(*SIZE, -1), torch.zeros(len(positions), field.shape[1], dtype=torch.float64)
    for row, position in enumerate(positions.double()):
        lower = position.floor()
        for corner in product((0, 1), repeat=3):
            x, y, z = (int(lower[a]) + corner[a] for a in range(3))
            if 0 <= x < SIZE[1] and 0 <= y < SIZE[0] and 0 <= z < SIZE[2]:
                weights = [1 - abs(float(position[a] - lower[a]) - corner[a]) for a in range(3)]
                samples[row] += math.prod(weights) * grid[y, x, z]
    return samples


def fused_by_definition(fusion: VoxelFusion, current: Tensor, history: Tensor, frames: int) -> Tensor:
    """Equation 23 as it was released: embed the times, align both, mix (Y X Z, C)."""
    module = copy.deepcopy(fusion).double()
    inputs = []
    for voxels, time in ((current, 0.5 * frames), (history, 0.5 * max(frames - 1, 0))):
        embedded = module.time_embedding(sinusoid(torch.tensor(time), voxels.shape[1]).double())
        volume = (voxels.double() + embedded).t().reshape(1, -1, *SIZE)
        inputs.append(module.align(volume))
    return rows(module.merge(torch.cat(inputs, 1)))


@pytest.fixture
def fusion() -> VoxelFusion:
    torch.manual_seed(5)
    module = VoxelFusion(6).eval().requires_grad_(False)
    for block in (module.align, module.merge):
        norm = block[1]
        assert isinstance(norm, torch.nn.BatchNorm3d)
        norm.running_mean, norm.running_var = 0.3 * torch.randn(6), 0.5 + torch.rand(6)
        norm.weight.add_(0.2 * torch.randn(6))
        norm.bias.add_(0.2 * torch.randn(6))
    return module


ROTATED = torch.tensor([[0.98, -0.17, 0.01, 0.6], [0.17, 0.98, 0.02, -0.4], [-0.01, 0.02, 1.0, 0.2], [0, 0, 0, 1]])


def positions_of(matrix: Tensor, offsets: Tensor) -> Tensor:
    indices = torch.tensor([[x, y, z, 1.0] for y, x, z in product(*map(range, SIZE))])
    return (matrix.double() @ indices.double().t())[:3].t() + offsets


@pytest.mark.parametrize('chunk', [5, 1000])
def test_fusion_by_definition(fusion: VoxelFusion, form: str, monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    monkeypatch.setattr(volumes, 'CHUNK', chunk)
    volume, state = torch.randn(1, 6, *SIZE), VoxelState(torch.randn(24, 6), frames=3)
    offsets = torch.randn(24, 3)
    history = sampled_corner_by_corner(state.volume, positions_of(ROTATED, offsets))
    assert (history == 0).all(-1).any()
    assert (history != 0).all(-1).any()
    output, fused = fusion(volume, offsets, ROTATED, state)
    expected = fused_by_definition(fusion, rows(volume), history, frames=3)
    torch.testing.assert_close(fused.volume.double(), expected, rtol=1e-4, atol=1e-5)
    assert torch.equal(rows(output), fused.volume)
    assert fused.frames == 4


def test_a_start_gives_the_volume_itself_and_keeps_the_fused_one(fusion: VoxelFusion, form: str) -> None:
    volume, offsets = torch.randn(1, 6, *SIZE), 0.5 * torch.randn(24, 3)
    output, state = fusion(volume, offsets, torch.eye(4), None)
    assert torch.equal(output, volume)
    history = sampled_corner_by_corner(rows(volume), positions_of(torch.eye(4), offsets))
    expected = fused_by_definition(fusion, rows(volume), history, frames=0)
    torch.testing.assert_close(state.volume.double(), expected, rtol=1e-4, atol=1e-5)
    assert state.frames == 1


def test_without_offsets_the_warp_is_rigid(fusion: VoxelFusion, form: str) -> None:
    volume, state = torch.randn(1, 6, *SIZE), VoxelState(torch.randn(24, 6), frames=1)
    still, _ = fusion(volume, None, ROTATED, state)
    zero, _ = fusion(volume, torch.zeros(24, 3), ROTATED, state)
    torch.testing.assert_close(still, zero)
    moved, _ = fusion(volume, torch.ones(24, 3), ROTATED, state)
    assert not torch.allclose(moved, zero)
