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
from gdfusion_ros.model.depth.stereo import StereoState
from gdfusion_ros.model.interface import Calibration
from gdfusion_ros.model.ops.fixed_point import FixedPoint
from gdfusion_ros.model.state import SequenceState
from gdfusion_ros.model.temporal.geometry import GeometryState
from gdfusion_ros.model.temporal.motion import MotionState
from gdfusion_ros.model.temporal.queue import QueueState
from gdfusion_ros.model.temporal.recurrent import RecurrentState
from gdfusion_ros.model.temporal.scene import SceneState
from gdfusion_ros.model.temporal.voxel import VoxelState

Same = Callable[[object, object], bool]
Tensors = Callable[[object], list[Tensor]]


CALIBRATION_BYTES = 4 * 2 * (9 + 9 + 3 + 16) + 4 * 9 + 2


@pytest.fixture
def state() -> SequenceState:
    torch.manual_seed(0)
    return SequenceState(
        Calibration(
            torch.randn(2, 3, 3),
            torch.eye(3).expand(2, 3, 3),
            torch.randn(2, 3),
            torch.randn(2, 4, 4),
            torch.eye(3),
            torch.tensor([True, False]),
        ),
        StereoState(
            FixedPoint.of(torch.rand(2, 8, 4, 6).contiguous(memory_format=torch.channels_last)),
            GeometryState(torch.randn(2, 5, 2, 3)),
        ),
        RecurrentState(
            MotionState(torch.randn(24, 3)),
            VoxelState(torch.randn(24, 6), frames=7),
            SceneState(torch.randn(6, 6), torch.randn(6)),
        ),
    )


def without(state: SequenceState, cues: tuple[str, ...]) -> SequenceState:
    assert state.memory is not None
    memory = dataclasses.replace(state.memory, **dict.fromkeys(set(cues) - {'geometry'}))
    depth = dataclasses.replace(state.depth, geometry=None) if 'geometry' in cues else state.depth
    return dataclasses.replace(state, depth=depth, memory=memory)


@pytest.mark.parametrize('cues', [(), ('motion',), ('voxel', 'motion'), ('geometry', 'motion', 'voxel', 'scene')])
def test_written_and_read_back_bit_for_bit(
    state: SequenceState, same: Same, tmp_path: Path, cues: tuple[str, ...]
) -> None:
    state = without(state, cues)
    state.save(tmp_path / 'state.safetensors')
    loaded = SequenceState.load(tmp_path / 'state.safetensors')
    assert same(loaded, state)
    assert loaded.structure() == state.structure()
    assert [path.name for path in tmp_path.iterdir()] == ['state.safetensors']
    assert without(loaded, cues).structure() == loaded.structure()


def test_without_a_memory_of_the_volume_there_is_none(state: SequenceState, same: Same, tmp_path: Path) -> None:
    state = dataclasses.replace(state, memory=None)
    state.save(tmp_path / 'state.safetensors')
    loaded = SequenceState.load(tmp_path / 'state.safetensors')
    assert loaded.memory is None
    assert same(loaded, state)
    assert state.is_finite()


def test_a_queue_is_kept_slot_by_slot(state: SequenceState, same: Same, tmp_path: Path) -> None:
    queue = QueueState((torch.randn(24, 6), torch.randn(24, 6), torch.randn(24, 6)), frames=2)
    state = dataclasses.replace(state, depth=None, memory=queue)
    state.save(tmp_path / 'state.safetensors')
    loaded = SequenceState.load(tmp_path / 'state.safetensors')
    assert same(loaded, state)
    assert loaded.memory.frames == 2
    assert isinstance(loaded.memory.volumes, tuple)
    assert loaded.structure() == state.structure()
    assert state.nbytes == 4 * 3 * 24 * 6 + CALIBRATION_BYTES
    assert state.to('meta').memory.volumes[2].device.type == 'meta'
    queue.volumes[1][-1] = float('nan')
    assert state.is_finite(), 'what older frames gave was looked at when it was new'
    queue.volumes[0][-1] = float('nan')
    assert not state.is_finite()


@pytest.mark.parametrize('value', [float('nan'), float('inf'), -float('inf')])
def test_one_value_that_is_no_number_is_found_in_any_feature(state: SequenceState, value: float) -> None:
    assert state.is_finite()
    features = [feature for feature in features_of(state).values() if feature.is_floating_point()]
    assert len(features) == 6
    for feature in features:
        before = feature.clone()
        feature[-1, ...] = value
        assert not state.is_finite()
        feature.copy_(before)
    assert state.is_finite()


def features_of(state: SequenceState) -> dict[str, Tensor]:
    """The state's own tensors that are no matrices."""
    assert state.memory is not None
    parts = {'features': state.depth.features, 'geometry': state.depth.geometry, **vars(state.memory)}
    return {
        f'{part}.{name}': value
        for part, content in parts.items()
        for name, value in vars(content).items()
        if isinstance(value, Tensor)
    }


def test_bytes_are_those_of_all_tensors(state: SequenceState, tensors: Tensors) -> None:
    assert state.nbytes == sum(tensor.numel() * tensor.element_size() for tensor in tensors(state))
    assert state.nbytes == 2 * (2 * 8 * 24) + 4 * (2 * 8 + 2 * 5 * 6 + 72 + 144 + 36 + 6) + CALIBRATION_BYTES


def test_features_move_to_a_device_and_matrices_stay(state: SequenceState) -> None:
    moved = state.to('meta')
    assert {tensor.device.type for tensor in features_of(moved).values()} == {'meta'}
    assert {tensor.device.type for tensor in vars(moved.calibration).values()} == {'cpu'}
    assert moved.structure() == state.structure()
    assert state.depth.features.codes.device.type == 'cpu'


@pytest.mark.gpu
def test_there_and_back_again(state: SequenceState, same: Same) -> None:
    assert same(state.to('cuda').to('cpu'), state)


def _another_file(path: Path) -> None:
    save_file({'stereo': torch.zeros(1)}, path)


STRUCTURE: dict[str, Any] = {
    'type': 'SequenceState',
    'memory': None,
    'depth': {'type': 'StereoState', 'features': {'type': 'FixedPoint'}, 'geometry': None},
    'calibration': {'type': 'Calibration'},
}


def _written(path: Path, structure: object) -> None:
    names = [f'calibration.{field.name}' for field in dataclasses.fields(Calibration)]
    names += ['depth.features.codes', 'depth.features.step']
    save_file({name: torch.zeros(1000) for name in names}, path, metadata={'state': json.dumps(structure)})


def _missing_tensor(path: Path) -> None:
    _written(path, {**STRUCTURE, 'depth': {**STRUCTURE['depth'], 'geometry': {'type': 'GeometryState'}}})


def _unknown_part(path: Path) -> None:
    _written(path, {**STRUCTURE, 'memory': {'type': 'Elephant'}})


def _another_part(path: Path) -> None:
    _written(path, {'type': 'VoxelState', 'frames': 1, 'volume': None})


def _damaged_header(path: Path) -> None:
    save_file({'depth.features': torch.zeros(1)}, path, metadata={'state': '{'})


def _truncated(path: Path) -> None:
    _written(path, STRUCTURE)
    SequenceState.load(path)  # as long as it is whole
    path.write_bytes(path.read_bytes()[:-100])


@pytest.mark.parametrize(
    'make',
    [
        Path.mkdir,
        Path.touch,
        lambda path: path.write_text('not a state at all'),
        _another_file,
        _missing_tensor,
        _unknown_part,
        _another_part,
        _damaged_header,
        _truncated,
    ],
    ids=['folder', 'empty', 'text', 'another', 'tensor missing', 'part unknown', 'another part', 'header', 'truncated'],
)
def test_what_is_not_a_state_is_refused_by_name(tmp_path: Path, make: Callable[[Path], None]) -> None:
    path = tmp_path / 'odd.safetensors'
    with pytest.raises(GdfusionError, match=r'^[^\n]*odd\.safetensors[^\n]*$'):
        SequenceState.load(path)
    make(path)
    with pytest.raises(GdfusionError, match=r'^[^\n]*odd\.safetensors[^\n]*$'):
        SequenceState.load(path)
