"""The queue: the recordings of three released forms, and a definition that stacks everything."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gdfusion_ros.model.geometry.voxel_grid import VoxelGrid
from gdfusion_ros.model.interface import Calibration, Previous
from gdfusion_ros.model.layers import volume as volumes
from gdfusion_ros.model.layers.volume import rows
from gdfusion_ros.model.probe import BLIND, Pass
from gdfusion_ros.model.temporal.queue import QueueMemory, QueueState

GATE = 1e-4
GRID = VoxelGrid(lower=(-6.0, -5.0, -1.0), voxel_size=(1.0, 1.0, 1.0), shape=(12, 10, 4))
RUN = Pass(BLIND, torch.device('cpu'), autocast=False)


def turned(bda: Tensor) -> Calibration:
    """All of a calibration that the memory looks at."""
    nothing = torch.empty(0)
    return Calibration(nothing, nothing, nothing, nothing, bda, nothing)


@pytest.mark.parametrize(
    ('name', 'sample'),
    [
        (name, sample)
        for name in ('solofusion_queue_3d', 'solofusion_queue_2d', 'gsdocc_history_queue')
        for sample in (0, 1)
    ],
)
def test_recorded_steps(recording: Callable[[str], Any], form: str, name: str, sample: int) -> None:
    recorded = recording(name)
    conv = nn.Conv3d if name.endswith('3d') else nn.Conv2d
    memory = QueueMemory(GRID, 8, 3, out_channels=recorded['out0'].shape[1], conv=conv).eval()
    recorded.load(memory, {'align.': 'history_keyframe_time_conv.', 'merge.': 'history_keyframe_cat_conv.'})
    state: QueueState | None = None
    then: Calibration | None = None
    for step in range(sum(key.startswith('rt') for key in recorded.values)):
        if recorded[f'start{step}'][sample]:
            state = then = None
        now = turned(recorded[f'bda{step}'][sample])
        previous = None if then is None else Previous(then, torch.empty(0), recorded[f'rt{step}'][sample])
        volume = recorded[f'x{step}'][sample : sample + 1]
        mixed, state = memory(volume, memory.geometry(now, previous), state, RUN)
        assert state is not None
        then = now
        kept = torch.cat([kept.view(10, 12, -1, 8).permute(3, 2, 0, 1) for kept in state.volumes])
        for actual, expected in (
            (mixed[0], recorded[f'out{step}'][sample]),
            (kept, recorded[f'state{step}'][sample].view_as(kept)),
        ):
            assert (actual - expected).abs().max() <= GATE * expected.std()


@pytest.fixture
def memory() -> QueueMemory:
    torch.manual_seed(3)
    memory = QueueMemory(GRID, 6, 4, out_channels=9).eval().requires_grad_(False)
    for block in (memory.align, memory.merge):
        norm = block[1]
        assert isinstance(norm, nn.BatchNorm3d)
        assert norm.running_mean is not None
        assert norm.running_var is not None
        norm.running_mean.normal_(std=0.3)
        norm.running_var.uniform_(0.5, 1.5)
        norm.weight.add_(0.2 * torch.randn_like(norm.weight))
    return memory


@pytest.mark.parametrize('chunk', [7, 1000])
def test_shares_are_summed_as_if_all_were_stacked(
    memory: QueueMemory, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    monkeypatch.setattr(volumes, 'CHUNK', chunk)
    kept = [torch.randn(30, 6) for _ in range(5)]
    found = memory.mixed(kept, frames=2)
    stacked = []
    for volume, seconds in zip(kept, (0.0, 0.5, 1.0, 1.0, 1.0), strict=True):
        aged = torch.cat([volume, torch.full((30, 1), seconds)], 1)
        stacked.append(memory.align(aged.t().reshape(1, 7, 5, 3, 2)))
    torch.testing.assert_close(found, rows(memory.merge(torch.cat(stacked, 1))), rtol=1e-4, atol=1e-5)


def test_a_start_stands_for_all_that_was_before(memory: QueueMemory) -> None:
    volume = torch.randn(1, 6, 10, 12, 4)
    mixed, state = memory(volume, torch.eye(4), None, RUN)
    again, _ = memory(volume, torch.eye(4), QueueState(state.volumes, frames=0), RUN)
    torch.testing.assert_close(mixed, again)
    assert [torch.equal(kept, rows(volume)) for kept in state.volumes] == [True] * 4
    assert state.frames == 1


def test_an_emptied_queue_is_filled_with_what_is_seen_as_it_lay_a_frame_ago(memory: QueueMemory, form: str) -> None:
    """As the released baselines are trained at first (training.md §7)."""
    seen, before = torch.randn(2, 1, 6, 10, 12, 4)
    shifted = torch.eye(4)
    shifted[0, 3] = 1.0  # what is at x now was at x + 1
    _, state = memory(before, torch.eye(4), None, RUN)
    mixed, after = memory(seen, shifted, memory.emptied(state), RUN)
    copy = torch.zeros_like(seen)
    copy[:, :, :, :-1] = seen[:, :, :, 1:]
    expected = memory.mixed([rows(seen), *[rows(copy)] * 4], frames=1)
    torch.testing.assert_close(rows(mixed), expected, rtol=1e-4, atol=1e-5)
    assert len(after.volumes) == 4
    assert memory.emptied(None) is None


def test_the_oldest_is_forgotten(memory: QueueMemory) -> None:
    drawn = [torch.randn(1, 6, 10, 12, 4) for _ in range(6)]
    state: QueueState | None = None
    for volume in drawn:
        _, state = memory(volume, torch.eye(4), state, RUN)
    assert state is not None
    for kept, volume in zip(state.volumes, reversed(drawn[2:]), strict=True):
        torch.testing.assert_close(kept, rows(volume))
    assert state.frames == 6


def test_in_training_nothing_of_the_past_is_taught_and_statistics_are_of_all(memory: QueueMemory) -> None:
    memory.train().requires_grad_(True)
    volume = torch.randn(1, 6, 10, 12, 4, requires_grad=True)
    mixed, state = memory(volume, torch.eye(4), None, RUN)
    mixed.sum().backward()
    assert volume.grad is not None
    assert volume.grad.abs().sum() > 0
    assert not any(kept.requires_grad for kept in state.volumes)
    aged = torch.cat([torch.cat([rows(volume), torch.zeros(480, 1)], 1)] * 5)
    conv, norm = memory.align[0], memory.align[1]
    assert isinstance(conv, nn.Conv3d)
    assert isinstance(norm, nn.BatchNorm3d)
    assert norm.running_mean is not None
    mean = nn.functional.linear(aged, conv.weight.flatten(1), conv.bias).mean(0)
    fresh = QueueMemory(GRID, 6, 4, out_channels=9)
    fresh.load_state_dict(memory.state_dict())
    assert norm.num_batches_tracked == 1
    before = norm.running_mean.detach().clone()
    memory(volume, torch.eye(4), None, RUN)
    torch.testing.assert_close(norm.running_mean, 0.9 * before + 0.1 * mean)
