"""The recurrent state as a thing: moved, measured, written and read."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.model.state import (
    GeometryState,
    MotionState,
    RecurrentState,
    SceneState,
    StereoState,
    VoxelState,
)

Same = Callable[[object, object], bool]
Tensors = Callable[[object], list[Tensor]]


@pytest.fixture
def state() -> RecurrentState:
    torch.manual_seed(0)
    return RecurrentState(
        stereo=StereoState(torch.randn(2, 8, 4, 6).contiguous(memory_format=torch.channels_last),
                           torch.eye(3).expand(2, 3, 3), torch.randn(2, 3)),
        visible=torch.tensor([True, False]),
        geometry=GeometryState(torch.randn(2, 5, 2, 3), torch.eye(3).expand(2, 3, 3), torch.randn(2, 3)),
        motion=MotionState(torch.randn(24, 3)),
        voxel=VoxelState(torch.randn(24, 6), torch.eye(3), frames=7),
        scene=SceneState(torch.randn(6, 6), torch.randn(6)))


@pytest.mark.parametrize('without', [(), ('motion',), ('voxel', 'motion'), ('geometry', 'motion', 'voxel', 'scene')])
def test_written_and_read_back_bit_for_bit(state: RecurrentState, same: Same, tmp_path: Path,
                                           without: tuple[str, ...]) -> None:
    nothing: dict[str, Any] = dict.fromkeys(without)
    state = dataclasses.replace(state, **nothing)
    state.save(tmp_path / 'state.safetensors')
    loaded = RecurrentState.load(tmp_path / 'state.safetensors')
    assert same(loaded, state)
    assert loaded.voxel is None or (state.voxel is not None and loaded.voxel.frames == state.voxel.frames)
    assert [path.name for path in tmp_path.iterdir()] == ['state.safetensors']
    for name in without:
        assert getattr(loaded, name) is None


@pytest.mark.parametrize('value', [float('nan'), float('inf'), -float('inf')])
def test_one_value_that_is_no_number_is_found_in_any_feature(state: RecurrentState, value: float) -> None:
    assert state.is_finite()
    features = [state.stereo.features, *(getattr(getattr(state, part), name) for part, name in (
        ('geometry', 'logits'), ('motion', 'offsets'), ('voxel', 'volume'), ('scene', 'weight'), ('scene', 'bias')))]
    for feature in features:
        before = feature.clone()
        feature[-1, ...] = value
        assert not state.is_finite()
        feature.copy_(before)
    assert state.is_finite()


def test_bytes_are_those_of_all_tensors(state: RecurrentState, tensors: Tensors) -> None:
    assert state.nbytes == sum(tensor.numel() * tensor.element_size() for tensor in tensors(state))
    assert state.nbytes == 4 * (2 * 8 * 24 + 18 + 6 + 2 * 5 * 6 + 18 + 6 + 72 + 144 + 9 + 36 + 6) + 2


def test_features_move_to_a_device_and_matrices_stay(state: RecurrentState) -> None:
    moved = state.to('meta')
    assert moved.geometry is not None
    assert moved.motion is not None
    assert moved.voxel is not None
    assert moved.scene is not None
    features = (moved.stereo.features, moved.geometry.logits, moved.motion.offsets, moved.voxel.volume,
                moved.scene.weight, moved.scene.bias)
    assert {tensor.device.type for tensor in features} == {'meta'}
    matrices = (moved.visible, moved.geometry.post_rotation, moved.geometry.post_translation, moved.voxel.bda)
    assert {tensor.device.type for tensor in matrices} == {'cpu'}
    assert moved.voxel.frames == 7
    assert state.stereo.features.device.type == 'cpu'


@pytest.mark.gpu
def test_there_and_back_again(state: RecurrentState, same: Same) -> None:
    assert same(state.to('cuda').to('cpu'), state)


def _another_file(path: Path) -> None:
    save_file({'stereo': torch.zeros(1)}, path)


def _missing_tensor(path: Path) -> None:
    save_file({'stereo': torch.zeros(1)}, path, metadata={'state': json.dumps({'frames': 0})})


def _unknown_tensor(path: Path) -> None:
    tensors = {'stereo': torch.zeros(1), 'visible': torch.zeros(1), 'colour.hue': torch.zeros(1)}
    save_file(tensors, path, metadata={'state': json.dumps({'frames': 0})})


def _damaged_header(path: Path) -> None:
    save_file({'stereo': torch.zeros(1), 'visible': torch.zeros(1)}, path, metadata={'state': '{'})


def _truncated(path: Path) -> None:
    save_file({'stereo': torch.zeros(1000), 'visible': torch.zeros(1)}, path, metadata={'state': '{"frames": 0}'})
    path.write_bytes(path.read_bytes()[:-100])


@pytest.mark.parametrize('make', [
    Path.mkdir, Path.touch, lambda path: path.write_text('not a state at all'), _another_file, _missing_tensor,
    _unknown_tensor, _damaged_header, _truncated,
], ids=['folder', 'empty', 'text', 'another', 'tensor missing', 'tensor unknown', 'header', 'truncated'])
def test_what_is_not_a_state_is_refused_by_name(tmp_path: Path, make: Callable[[Path], None]) -> None:
    path = tmp_path / 'odd.safetensors'
    with pytest.raises(GdfusionError, match=r'^[^\n]*odd\.safetensors[^\n]*$'):
        RecurrentState.load(path)
    make(path)
    with pytest.raises(GdfusionError, match=r'^[^\n]*odd\.safetensors[^\n]*$'):
        RecurrentState.load(path)
