"""What each of a network's five slots must do."""

from __future__ import annotations

from typing import Any, Protocol

from torch import Tensor, nn

from gdfusion_ros.model.geometry.cache import CalibrationCache
from gdfusion_ros.model.geometry.reprojection import Reprojection
from gdfusion_ros.model.images import EncodedImages
from gdfusion_ros.model.interface import Calibration, CellDepth, Prediction, Previous
from gdfusion_ros.model.probe import Pass


class ImageSlot(Protocol):
    """Features of every image."""

    def __call__(self, images: Tensor, run: Pass, /) -> EncodedImages:
        """(N, 3, H, W) -> features."""


class DepthSlot(Protocol):
    """Where along its ray each image cell sees something. Geometry and state are its own affair."""

    @property
    def fusion(self) -> nn.Module | None:
        """What fuses geometry with the past, if anything does."""

    def geometry(self, calibration: Calibration, reprojection: Reprojection, cache: CalibrationCache, /) -> Any:
        """What it needs of calibration and poses."""

    def __call__(self, images: EncodedImages, geometry: Any, state: Any, run: Pass, /) -> tuple[CellDepth, Any]:
        """Depth and features of the cells, and what is to be remembered."""

    def camera_statistics(self) -> nn.BatchNorm1d:
        """The normalisation of the camera vectors."""

    def start_neutral(self, cue: str, /) -> None:
        """Let the fusion of that cue, geometry, change little."""


class ViewSlot(Protocol):
    """From image cells into the volume."""

    def geometry(self, calibration: Calibration, cache: CalibrationCache, /) -> Any:
        """What it needs of calibration and poses."""

    def __call__(self, cells: CellDepth, geometry: Any, run: Pass, /) -> Tensor:
        """Volume (1, C, Y, X, Z)."""


class MemorySlot(Protocol):
    """What is remembered of the volume."""

    def geometry(self, calibration: Calibration, previous: Previous | None, /) -> Any:
        """What it needs of calibration and poses."""

    def __call__(self, volume: Tensor, geometry: Any, state: Any, run: Pass, /) -> tuple[Any, Any]:
        """The volume with what is remembered, as the network's decoder takes it, and what is to be remembered."""

    def emptied(self, state: Any, /) -> Any:
        """What is left of it where a training does not yet carry it on, though the sequence goes on."""

    def fusion(self, cue: str, /) -> nn.Module:
        """What fuses motion, voxel or scene with the past."""

    def start_neutral(self, cue: str, /) -> None:
        """Let the fusion of that cue change little."""


class DecoderSlot(Protocol):
    """Classes from the volume."""

    def encode(self, volume: Any, run: Pass, /) -> Any:
        """What the classifier sees of what the network's memory gives."""

    def __call__(self, encoded: Any, run: Pass, /) -> Prediction:
        """Class and scores of every voxel."""

    def classify_labelled(self, encoded: Any, labels: Tensor, ignore: int, run: Pass, /) -> tuple[Tensor, Tensor]:
        """Scores (n, K) and labels (n,) of the voxels in cells in which something is labelled."""

    def favour_free(self, bias: float, /) -> None:
        """Make free space the likely class."""
