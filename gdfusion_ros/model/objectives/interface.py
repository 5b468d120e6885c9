"""What an objective is given, and what training asks of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.model.depth.fused import FusedDepth
from gdfusion_ros.model.interface import Frame
from gdfusion_ros.model.network import FrameGeometry, OccupancyNetwork
from gdfusion_ros.model.state import SequenceState

IGNORE = 255
"""Label of a voxel, or bin of a cell, that nothing is to be learned from."""


@dataclass(frozen=True, eq=False)
class RaySupervision:
    """What rays through the cells of N images meet in the labels, r rays along an edge of a cell.

    Attributes:
        bins: (N, r h, r w) float32 depth in bins, between two of them; the last one also of what is farther, or beyond
            the grid. NaN where nothing is known.
        classes: (N, r h, r w) uint8 class; IGNORE where nothing is known, or the ray leaves the grid without meeting
            anything.
    """

    bins: Tensor
    classes: Tensor

    def to(self, device: torch.device) -> RaySupervision:
        """The same on ``device``."""
        return RaySupervision(self.bins.to(device, non_blocking=True), self.classes.to(device, non_blocking=True))

    def pin_memory(self) -> RaySupervision:
        """The same where CUDA fetches it by itself."""
        return RaySupervision(self.bins.pin_memory(), self.classes.pin_memory())


@dataclass(frozen=True, eq=False)
class FrameTruth:
    """What is known of one frame.

    Attributes:
        labels: (Y, X, Z) uint8 classes in the augmented frame of the volume, IGNORE where nothing is to be learned.
        depth: (N, h, w) depth bin of every cell, IGNORE where no LiDAR point fell.
        rays: what the cells see of the labels; None where that is not learned from.
        point_classes: (N, h, w) uint8 class of the nearest LiDAR point of every cell, IGNORE where there is none; None
            where the dataset does not know what its points are, or that is not learned from.
    """

    labels: Tensor
    depth: Tensor
    rays: RaySupervision | None = None
    point_classes: Tensor | None = None

    def to(self, device: torch.device) -> FrameTruth:
        """The same on ``device``."""
        classes = self.point_classes
        return FrameTruth(
            self.labels.to(device, non_blocking=True),
            self.depth.to(device, non_blocking=True),
            None if self.rays is None else self.rays.to(device),
            None if classes is None else classes.to(device, non_blocking=True),
        )

    def pin_memory(self) -> FrameTruth:
        """The same where CUDA fetches it by itself."""
        classes = self.point_classes
        return FrameTruth(
            self.labels.pin_memory(),
            self.depth.pin_memory(),
            None if self.rays is None else self.rays.pin_memory(),
            None if classes is None else classes.pin_memory(),
        )


class Objective(nn.Module, ABC):
    """``objective(frame, truth, state, progress) -> (losses by name, state)``; their sum is to become small.

    The network is part of this module, so that one call is one forward pass for torch's data parallelism. What else
    the losses learn with (a classifier that the network itself has no use for) is part of it, too.
    """

    def __init__(self, network: OccupancyNetwork) -> None:
        """``network`` is in training mode."""
        super().__init__()
        self.network = network

    @abstractmethod
    def forward(
        self, frame: Frame, truth: FrameTruth, state: SequenceState | None, progress: float
    ) -> tuple[dict[str, Tensor], SequenceState]:
        """See one frame.

        Args:
            frame: the network's input; its images are on the network's device, its matrices on the CPU.
            truth: on the network's device.
            state: of the same sequence's last frame; None at its start.
            progress: share of the training's steps that are done, 0 <= progress < 1.

        Returns:
            The weighted losses, and the state, detached: training does not go back through time.
        """

    def told(self, mix: Callable[[Tensor], Tensor]) -> AbstractContextManager[None]:
        """While it lasts, the network lifts ``mix`` of the depth that it predicts; see FusedDepth."""
        depth = self.network.get_submodule('depth')
        assert isinstance(depth, FusedDepth)
        return depth.told(mix)

    def geometry(self, frame: Frame, state: SequenceState | None) -> FrameGeometry:
        """What follows from the frame's calibration and poses behind the frame that left ``state``."""
        then = None if state is None else state.calibration
        return self.network.geometry(frame.calibration, frame.previous(then))


def require_any(*weights: float) -> None:
    """Refuse weights of losses that are all 0.

    Raises:
        GdfusionError: they are.
    """
    if not any(weights):
        raise GdfusionError('the weights of all losses are 0: nothing would be learned')


class ObjectiveSettings(ABC):
    """A frozen dataclass of ``setting``s, each with its sentence and range: all that a run may choose of an objective.

    In a run's file they stand among the others. Nothing is asked of training unless they say so.
    """

    @property
    def wants_depth(self) -> bool:
        """Whether LiDAR depth is learned from: else it is not read."""
        return False

    @property
    def wants_point_classes(self) -> bool:
        """Whether the classes of LiDAR points are learned from, where the dataset has them; rays are then not sent."""
        return False

    def wants_rays(self, cues: tuple[str, ...]) -> bool:
        """Whether it is learned from what the cells see of the labels, with those cues."""
        del cues
        return False

    @abstractmethod
    def check(self, cues: tuple[str, ...]) -> None:
        """Refuse, by a GdfusionError, settings under which a network with those cues would learn nothing."""

    @abstractmethod
    def build(self, network: OccupancyNetwork) -> Objective:
        """The objective of a network in training mode."""
