"""What runs a network over the frames of a sequence, whatever computes it: torch, or a runtime for exported graphs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from gdfusion_ros.model.spec import NetworkSpec
from gdfusion_ros.perception.framing import RigMatrices, RigPoses
from gdfusion_ros.perception.types import LidarSweep, Pixels

if TYPE_CHECKING:
    from torch import device as Device

    from gdfusion_ros.model.network import OccupancyNetwork


class Network(Protocol):
    """A network that can be run: what ``gdfusion_ros.model.runtime.backends.load_backend`` gives."""

    @property
    def spec(self) -> NetworkSpec:
        """What it is."""

    @property
    def title(self) -> str:
        """As every output names it."""

    @property
    def device(self) -> Device | str:
        """Where it runs; a str of a runtime other than torch."""


class Seen(Protocol):
    """What a network sees in one frame, on the CPU."""

    def labels(self) -> NDArray[np.uint8]:
        """(X, Y, Z) class ids, x fastest in memory."""

    def confidence(self) -> NDArray[np.uint8]:
        """(X, Y, Z) probability of each voxel's label, 255 = 1, x fastest in memory."""


class Remembered(Protocol):
    """What is remembered of a sequence."""

    def is_finite(self) -> bool:
        """Whether every feature is a number."""


class OutOfDeviceMemoryError(Exception):
    """The device that the network runs on has too little memory."""


class Runner(Protocol):
    """A network on its way through a sequence of frames.

    Attributes:
        state: what the last frame gave, as long as nobody puts another in its place; None: the next frame is a first
            one.
    """

    state: Any

    def frame(self, pixels: Sequence[Pixels], matrices: RigMatrices, lidar: tuple[LidarSweep, RigPoses] | None) -> Any:
        """The network's own form of a frame.

        Args:
            pixels: (H, W, 3) uint8 RGB of each camera.
            matrices: of the frame.
            lidar: a sweep, and where the cameras were; None without one.

        Raises:
            OutOfDeviceMemoryError: the device has too little.
        """

    def see(self, frame: Any, /) -> tuple[Seen, Remembered]:
        """See the next frame, and leave it to the caller whether to remember it.

        Raises:
            OutOfDeviceMemoryError: the device has too little.
        """


def runner_of(network: Network) -> Runner:
    """What runs ``network``, at the start of a sequence."""
    from gdfusion_ros.model.runtime.exported import ExportedNetwork

    if isinstance(network, ExportedNetwork):
        from gdfusion_ros.perception.runners.exported import ExportedRunner

        return ExportedRunner(network)
    from gdfusion_ros.perception.runners.torch import TorchRunner

    return TorchRunner.forgetful(cast('OccupancyNetwork', network))
