"""The memory of a sequence: a part a slot, and the last frame's calibration (paper section 4.6, bevdetocc_gf.md §9)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.files import written_whole
from gdfusion_ros.model.depth.stereo import StereoState
from gdfusion_ros.model.interface import Calibration
from gdfusion_ros.model.ops.fixed_point import FixedPoint
from gdfusion_ros.model.parts import children, mapped, named_tensors
from gdfusion_ros.model.temporal.geometry import GeometryState
from gdfusion_ros.model.temporal.motion import MotionState
from gdfusion_ros.model.temporal.queue import QueueState
from gdfusion_ros.model.temporal.recurrent import RecurrentState
from gdfusion_ros.model.temporal.scene import SceneState
from gdfusion_ros.model.temporal.voxel import VoxelState


@dataclass(frozen=True, eq=False)
class SequenceState:
    """All that a network remembers of a sequence.

    Attributes:
        calibration: of the last frame; small matrices on the CPU.
        depth: what the depth slot remembers of the images,
        memory: and the memory slot of the volume: dataclasses of their own files; None where that is nothing.
    """

    calibration: Calibration
    depth: Any
    memory: Any

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors."""
        return sum(self.sizes().values())

    def sizes(self) -> dict[str, int]:
        """Bytes of every tensor by its name."""
        return {name: tensor.nbytes for name, tensor in named_tensors(self)}

    def is_finite(self) -> bool:
        """Whether every feature that the last frame gave is a number; a sum shows it without a pass that writes.

        What older frames gave was looked at then, and samples of numbers are numbers.
        """
        memory = ('newest', self.memory.newest) if isinstance(self.memory, QueueState) else None
        features = (*named_tensors(self.depth), *([memory] if memory else named_tensors(self.memory)))
        sums = [tensor.sum(dtype=torch.float32) for _, tensor in features if tensor.is_floating_point()]
        return not sums or bool(torch.stack(sums).isfinite().all())

    def tensors(self) -> dict[str, Tensor]:
        """Every tensor by its name, e.g. ``memory.voxel.volume``: copies on the CPU, laid out as they are.

        The layout counts: who goes on with another one rounds otherwise.
        """
        return {name: tensor.cpu().clone() for name, tensor in named_tensors(self)}

    def structure(self) -> dict[str, Any]:
        """The types of all parts and what in them is no tensor, as JSON takes it."""
        return _structure(self)

    @staticmethod
    def restored(tensors: Mapping[str, Tensor], structure: Mapping[str, Any]) -> SequenceState:
        """The state whose ``tensors`` and ``structure`` these are.

        Raises:
            KeyError, TypeError: they do not belong together, or are of another version.
        """
        state = _restored(structure, tensors, '')
        if not isinstance(state, SequenceState):
            raise TypeError(f'it is a {type(state).__name__}')
        return state

    def to(self, device: torch.device | str) -> SequenceState:
        """The same state with its features on another device; matrices and flags stay on the CPU, their place."""

        def moved(tensor: Tensor) -> Tensor:
            return tensor.to(device)

        return replace(self, depth=mapped(self.depth, moved), memory=mapped(self.memory, moved))

    def detach(self) -> SequenceState:
        """The same state as a constant: training does not go back through time."""
        return mapped(self, Tensor.detach)

    def save(self, path: Path) -> None:
        """Write a safetensors file.

        Raises:
            GdfusionError: the file cannot be written.
        """
        tensors = {name: tensor.contiguous() for name, tensor in self.tensors().items()}
        with written_whole(path) as draft:
            draft.write_bytes(save(tensors, {'state': json.dumps(self.structure())}))

    @staticmethod
    def load(path: Path) -> SequenceState:
        """Read what ``save`` has written, onto the CPU.

        Raises:
            GdfusionError: the file is missing or is not a saved state.
        """
        try:
            with safe_open(path, framework='pt') as file:
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
                structure = json.loads((file.metadata() or {})['state'])
            return SequenceState.restored(tensors, structure)
        except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
            raise GdfusionError(f'{path} is not a saved state of a sequence: {error}') from error


_TYPES: dict[str, type] = {
    part.__name__: part
    for part in (
        SequenceState,
        Calibration,
        StereoState,
        FixedPoint,
        GeometryState,
        RecurrentState,
        MotionState,
        VoxelState,
        SceneState,
        QueueState,
    )
}
"""Whatever a state may be made of."""


def _structure(part: Any) -> dict[str, Any]:
    found: dict[str, Any] = {'type': type(part).__name__}
    if isinstance(part, tuple):
        found['length'] = len(part)
    for name, value in children(part):
        if not isinstance(value, Tensor):
            found[name] = _structure(value) if is_dataclass(value) or isinstance(value, tuple) else value
    return found


def _restored(structure: Mapping[str, Any], tensors: Mapping[str, Tensor], prefix: str) -> Any:
    def part(name: str) -> Any:
        if name not in structure:
            return tensors[prefix + name]
        value = structure[name]
        return _restored(value, tensors, f'{prefix}{name}.') if isinstance(value, Mapping) else value

    if structure['type'] == 'tuple':
        return tuple(part(str(index)) for index in range(structure['length']))
    kind = _TYPES[structure['type']]
    return kind(**{item.name: part(item.name) for item in fields(kind)})
