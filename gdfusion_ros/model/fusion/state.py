"""The recurrent memory of a sequence: four small states and the stereo feature (paper section 4.6, spec section 9)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.files import written_whole

D = TypeVar('D')


@dataclass(frozen=True, eq=False)
class StereoState:
    """Features of the last images (N, C, H / 4, W / 4), with the image augmentation (N, 3, 3), (N, 3) of theirs."""

    features: Tensor
    post_rotation: Tensor
    post_translation: Tensor


@dataclass(frozen=True, eq=False)
class GeometryState:
    """H_g: fused depth logits (N, D, h, w), with the image augmentation (N, 3, 3), (N, 3) that they belong to."""

    logits: Tensor
    post_rotation: Tensor
    post_translation: Tensor


@dataclass(frozen=True, eq=False)
class MotionState:
    """H_m: fused offsets (Y X Z, 3) along x, y, z [voxels of the frame's previous grid]."""

    offsets: Tensor


@dataclass(frozen=True, eq=False)
class VoxelState:
    """H_v: fused volume as rows (Y X Z, C), the ego augmentation (3, 3) it lies in, and the frames it has seen."""

    volume: Tensor
    bda: Tensor
    frames: int


@dataclass(frozen=True, eq=False)
class SceneState:
    """H_s: what the gradient steps have taken from the weight (C, C) and the bias (C,) of the scene layer."""

    weight: Tensor
    bias: Tensor


@dataclass(frozen=True, eq=False)
class RecurrentState:
    """All that a network remembers of a sequence; a cue that is switched off has None.

    Attributes:
        stereo: what the next images are matched with.
        visible: (N,) bool, which cameras went into the last frame; of the others nothing is remembered.
        geometry, motion, voxel, scene: the four states.
    """

    stereo: StereoState
    visible: Tensor
    geometry: GeometryState | None = None
    motion: MotionState | None = None
    voxel: VoxelState | None = None
    scene: SceneState | None = None

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors."""
        return sum(tensor.nbytes for _, tensor in _tensors(self))

    @property
    def frames(self) -> int:
        """How many frames of the sequence the voxel state has seen; 0 without that cue."""
        return 0 if self.voxel is None else self.voxel.frames

    def is_finite(self) -> bool:
        """Whether every feature is a number; a sum shows it without a pass that writes."""
        sums = [tensor.sum(dtype=torch.float32) for name, tensor in _tensors(self)
                if name.rpartition('.')[2] not in _ON_CPU]
        return bool(torch.stack(sums).isfinite().all())

    def tensors(self) -> dict[str, Tensor]:
        """Every tensor by its name, e.g. ``voxel.volume``: copies on the CPU, laid out as they are, sharing nothing.

        The layout counts: who goes on with another one rounds otherwise.
        """
        return {name: tensor.cpu().clone() for name, tensor in _tensors(self)}

    @staticmethod
    def restored(tensors: Mapping[str, Tensor], frames: int) -> RecurrentState:
        """The state whose ``tensors`` and ``frames`` these are.

        Raises:
            KeyError, TypeError: there are others, or some are missing.
        """
        parts: dict[str, dict[str, Any]] = {}
        for name, tensor in tensors.items():
            part, _, leaf = name.rpartition('.')
            parts.setdefault(part, {})[leaf] = tensor
        if 'voxel' in parts:
            parts['voxel']['frames'] = frames
        return RecurrentState(**parts.pop(''), **{name: _PARTS[name](**values) for name, values in parts.items()})

    def to(self, device: torch.device | str) -> RecurrentState:
        """The same state with its features on another device; matrices and flags stay on the CPU, their place."""
        return _map(self, lambda name, tensor: tensor if name in _ON_CPU else tensor.to(device))

    def detach(self) -> RecurrentState:
        """The same state as a constant: training does not go back through time."""
        return _map(self, lambda _, tensor: tensor.detach())

    def save(self, path: Path) -> None:
        """Write a safetensors file.

        Raises:
            GdfusionError: the file cannot be written.
        """
        with written_whole(path) as draft:
            save_file({name: tensor.contiguous() for name, tensor in self.tensors().items()}, draft,
                      metadata={'state': json.dumps({'frames': self.frames})})

    @staticmethod
    def load(path: Path) -> RecurrentState:
        """Read what ``save`` has written, onto the CPU.

        Raises:
            GdfusionError: the file is missing or is not a saved state.
        """
        try:
            with safe_open(path, framework='pt') as file:
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
                frames = json.loads((file.metadata() or {})['state'])['frames']
            return RecurrentState.restored(tensors, frames)
        except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
            raise GdfusionError(f'{path} is not a saved recurrent state: {error}') from error


_ON_CPU = frozenset({'visible', 'bda', 'post_rotation', 'post_translation'})
_PARTS: dict[str, type] = {
    'stereo': StereoState, 'geometry': GeometryState, 'motion': MotionState, 'voxel': VoxelState, 'scene': SceneState}


def _tensors(part: Any, prefix: str = '') -> Iterator[tuple[str, Tensor]]:
    for item in fields(part):
        value = getattr(part, item.name)
        if isinstance(value, Tensor):
            yield prefix + item.name, value
        elif is_dataclass(value):
            yield from _tensors(value, f'{prefix}{item.name}.')


def _map(part: D, change: Callable[[str, Tensor], Tensor]) -> D:
    changed: dict[str, Any] = {}
    for item in fields(part):  # type: ignore[arg-type]
        value = getattr(part, item.name)
        if isinstance(value, Tensor):
            changed[item.name] = change(item.name, value)
        elif is_dataclass(value):
            changed[item.name] = _map(value, change)
    return replace(part, **changed)  # type: ignore[type-var]
