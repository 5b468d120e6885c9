"""From sets of images with poses to semantic grids: owns the network's state and the rules of its reset."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from gdfusion_ros.perception.counters import Counters
from gdfusion_ros.perception.types import PosedSet, SemanticGrid
from gdfusion_ros.settings import PipelineSettings

Protocol = Literal['live', 'released']


class OccupancyEstimator:
    """Runs the network on one PosedSet after the other. ``process`` belongs to one thread.

    Attributes:
        latency: seconds that the last frame spent in each stage: 'pixels' (waiting for images that are not decoded
            yet), 'frame' (matrices, normalisation), 'network', 'grid' (back to the CPU, memory order).
    """

    latency: Mapping[str, float]

    def __init__(self, network: object, settings: PipelineSettings, *, protocol: Protocol = 'live',
                 counters: Counters | None = None) -> None:
        """``network`` is made by ``gdfusion_ros.model.zoo.load_network``.

        ``protocol``: 'live' computes poses in float64; 'released' rounds them to float32 first, as the authors do.

        Raises:
            GdfusionError: the network needs another number of cameras than the settings name.
        """
        raise NotImplementedError

    def process(self, posed: PosedSet) -> SemanticGrid:
        """The grid of one set.

        Raises:
            GdfusionError: an image cannot be decoded or has another size than its CameraInfo says, or the GPU is out
                of memory. That set is refused and counted; the memory stays as it was.
        """
        raise NotImplementedError

    def reset(self, reason: str) -> None:
        """Forget the past: the next frame is a first one. May be called from any thread; counted by ``reason``."""
        raise NotImplementedError
