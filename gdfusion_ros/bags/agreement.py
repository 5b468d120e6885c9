"""An exported network against the same network in torch, frame by frame over a bag, each with its own memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gdfusion_ros.bags.grid_stream import grid_stream
from gdfusion_ros.bags.reader import bag_reader
from gdfusion_ros.model.export.graphs import state_tensors
from gdfusion_ros.model.network import OccupancyNetwork
from gdfusion_ros.model.runtime.exported import ExportedNetwork
from gdfusion_ros.model.state import SequenceState
from gdfusion_ros.perception.runners.exported import ExportedState
from gdfusion_ros.settings import PipelineSettings, TopicSettings


@dataclass(frozen=True)
class FrameAgreement:
    """How much both agree in one frame.

    Attributes:
        stamp: of the frame [ns].
        labels: share of the voxels that have the same class.
        error: largest difference in the states, in standard deviations of the tensor that has it.
        worst: the name of that tensor; empty where nothing is remembered.
    """

    stamp: int
    labels: float
    error: float
    worst: str


def agreement(
    path: Path, network: OccupancyNetwork, exported: ExportedNetwork, pipeline: PipelineSettings, topics: TopicSettings
) -> Iterator[FrameAgreement]:
    """Of every frame of the bag ``path``.

    Raises:
        GdfusionError: the bag lacks topics, is damaged, or gives no grid.
    """
    with (
        bag_reader(path) as one,
        bag_reader(path) as other,
        grid_stream(one, network, pipeline, topics) as torchs,
        grid_stream(other, exported, pipeline, topics) as graphs,
    ):
        for (grid, _), (found, _) in zip(torchs, graphs, strict=True):
            assert isinstance(torchs.memory, SequenceState)
            assert isinstance(graphs.memory, ExportedState)
            error, worst = _largest_error(state_tensors(torchs.memory), graphs.memory.tensors)
            yield FrameAgreement(grid.stamp, float((grid.labels == found.labels).mean()), error, worst)


def _largest_error(expected: Mapping[str, Any], found: Mapping[str, NDArray[Any]]) -> tuple[float, str]:
    """In standard deviations, and of which tensor."""
    errors = [(_error(tensor.numpy(), found[name]), name) for name, tensor in expected.items() if name in found]
    return max(errors, default=(0.0, ''))


def _error(expected: NDArray[Any], found: NDArray[Any]) -> float:
    difference = float(np.abs(found.astype(np.float64) - expected).max())
    return difference / (float(expected.std()) or 1.0)
