"""Runs an exported network. Needs no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.model.export.contract import REMEMBERED
from gdfusion_ros.model.runtime.exported import ExportedNetwork
from gdfusion_ros.perception.framing import RigMatrices, RigPoses
from gdfusion_ros.perception.lidar_maps import depth_maps
from gdfusion_ros.perception.preprocess import normalized
from gdfusion_ros.perception.types import LidarSweep, Pixels

Tensors = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class ExportedFrame:
    """Images (N, 3, H, W) and matrices."""

    images: NDArray[np.float32]
    matrices: RigMatrices
    lidar_depth: NDArray[np.float32] | None


@dataclass(frozen=True, eq=False)
class ExportedState:
    """What is remembered, by name, and the matrices of the last frame."""

    tensors: Tensors
    matrices: RigMatrices

    def is_finite(self) -> bool:
        """Whether every feature is a number; a sum shows it."""
        return all(bool(np.isfinite(tensor.sum(dtype=np.float64))) for tensor in self.tensors.values())


@dataclass(frozen=True, eq=False)
class SeenByGraph:
    """The outputs of one frame."""

    outputs: Tensors

    def labels(self) -> NDArray[np.uint8]:
        """See ``Seen``."""
        return _x_fastest(self.outputs['labels'])

    def confidence(self) -> NDArray[np.uint8]:
        """See ``Seen``.

        Raises:
            GdfusionError: the graph gives no scores.
        """
        if 'scores' not in self.outputs:
            raise GdfusionError(
                "setting 'confidence' needs an exported network that gives scores: export it again with --scores"
            )
        scores = self.outputs['scores']
        share = 1 / np.exp(scores - scores.max(-1, keepdims=True)).sum(-1)
        return _x_fastest(np.rint(share * np.float32(255)).astype(np.uint8))


class ExportedRunner:
    """An exported network on its way through a sequence; see ``Runner``."""

    def __init__(self, network: ExportedNetwork) -> None:
        """At the start of a sequence."""
        self._network = network
        self.state: ExportedState | None = None

    def frame(
        self, pixels: Sequence[Pixels], matrices: RigMatrices, lidar: tuple[LidarSweep, RigPoses] | None
    ) -> ExportedFrame:
        """See ``Runner``."""
        return ExportedFrame(normalized(pixels), matrices, self._lidar_depth(matrices, lidar))

    def see(self, frame: ExportedFrame) -> tuple[SeenByGraph, ExportedState]:
        """See ``Runner``."""
        geometry = self._network.geometry(self._frame_tensors(frame.matrices))
        given: dict[str, NDArray[Any]] = {'images': frame.images, 'first': np.array(self.state is None)}
        if frame.lidar_depth is not None:
            given['lidar_depth'] = frame.lidar_depth
        remembered = self._network.blank_state() if self.state is None else self.state.tensors
        outputs = self._network({**given, **geometry, **remembered})
        state = {name.removeprefix('next_'): tensor for name, tensor in outputs.items() if name.startswith('next_')}
        return SeenByGraph(outputs), ExportedState(state, frame.matrices)

    def _frame_tensors(self, matrices: RigMatrices) -> dict[str, NDArray[Any]]:
        """The inputs of the geometry graph."""
        last = vars(matrices if self.state is None else self.state.matrices)
        return {
            **vars(matrices),
            **{f'previous_{name}': last[name] for name in REMEMBERED},
            'first': np.array(self.state is None),
        }

    def _lidar_depth(
        self, matrices: RigMatrices, lidar: tuple[LidarSweep, RigPoses] | None
    ) -> NDArray[np.float32] | None:
        spec = self._network.spec
        if not spec.lidar_depth:
            return None
        if lidar is None:
            return np.zeros((spec.cameras, *spec.image_size), np.float32)
        return depth_maps(*lidar, matrices, spec.image_size, spec.depth)


def _x_fastest(voxels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(voxels.transpose(2, 1, 0)).transpose(2, 1, 0)
