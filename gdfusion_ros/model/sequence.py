"""A network that walks through a sequence of frames: whoever runs one need not carry what belongs together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gdfusion_ros.model.geometry.cache import CalibrationCache
from gdfusion_ros.model.interface import Frame, Prediction
from gdfusion_ros.model.network import FrameGeometry, OccupancyNetwork
from gdfusion_ros.model.probe import BLIND, Probe
from gdfusion_ros.model.runtime.malloc import keep_freed_memory
from gdfusion_ros.model.state import SequenceState

if TYPE_CHECKING:
    from typing_extensions import Self

FIRST = 2
"""The first frame and the first that has a memory: after these, all of the network has run."""


class SequenceRunner:
    """The network, what it remembers, and what stays the same while the calibration does.

    Attributes:
        network: which runs.
        state: what the last frame gave, as long as nobody puts another in its place; None: the next frame is a first
            one.
    """

    def __init__(self, network: OccupancyNetwork, state: SequenceState | None = None, *, spends: bool = False) -> None:
        """Begin with ``state``.

        ``spends`` saves memory: each state is freed while the next one grows. ``look`` then leaves None in its place.
        """
        self.network, self.state = network, state
        self._cache, self._spends = CalibrationCache(), spends
        self._frames = 0

    @classmethod
    def forgetful(cls, network: OccupancyNetwork) -> Self:
        """One that spends its states, on a CPU. On a GPU, a frame that finds no memory leaves them to the next one."""
        return cls(network, spends=network.device.type == 'cpu')

    def geometry(self, frame: Frame) -> FrameGeometry:
        """What follows from the frame's calibration and poses, if it is the next one."""
        then = None if self.state is None else self.state.calibration
        return self.network.geometry(frame.calibration, frame.previous(then), self._cache)

    def look(self, frame: Frame, probe: Probe = BLIND) -> tuple[Prediction, SequenceState]:
        """See the next frame, and leave it to the caller whether to remember it."""
        geometry, state = self.geometry(frame), self.state
        if self._spends:
            self.state = None
        seen: tuple[Prediction, SequenceState] = self.network(
            frame.images, geometry, state, frame.lidar_depth, probe, spends=self._spends
        )
        self._frames += 1
        if self._frames == FIRST:
            keep_freed_memory()
        return seen

    def predict(self, frame: Frame, probe: Probe = BLIND) -> Prediction:
        """See the next frame, and remember it."""
        prediction, self.state = self.look(frame, probe)
        return prediction
