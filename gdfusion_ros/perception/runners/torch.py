"""Runs a network in torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gdfusion_ros.model.interface import Frame, Prediction
from gdfusion_ros.model.runtime.upload import upload
from gdfusion_ros.model.sequence import SequenceRunner
from gdfusion_ros.model.state import SequenceState
from gdfusion_ros.perception.framing import RigMatrices, RigPoses, frame_of
from gdfusion_ros.perception.lidar_maps import depth_maps
from gdfusion_ros.perception.preprocess import normalize
from gdfusion_ros.perception.runners import OutOfDeviceMemoryError
from gdfusion_ros.perception.types import LidarSweep, Pixels


@dataclass(frozen=True, eq=False)
class SeenByTorch:
    """A prediction, on any device."""

    prediction: Prediction

    def labels(self) -> NDArray[np.uint8]:
        """See ``Seen``."""
        return _x_fastest(self.prediction.labels)

    @torch.inference_mode()
    def confidence(self) -> NDArray[np.uint8]:
        """See ``Seen``."""
        return _x_fastest(self.prediction.confidence())


class TorchRunner(SequenceRunner):
    """A SequenceRunner that is given pixels and matrices."""

    @torch.inference_mode()
    def frame(
        self, pixels: Sequence[Pixels], matrices: RigMatrices, lidar: tuple[LidarSweep, RigPoses] | None
    ) -> Frame:
        """See ``Runner``."""
        with _out_of_memory_named():
            frame = frame_of(normalize(pixels, self.network.device), matrices)
            if lidar is None:
                return frame
            spec = self.network.spec
            depth = depth_maps(*lidar, matrices, spec.image_size, spec.depth)
            return replace(frame, lidar_depth=upload(torch.from_numpy(depth), self.network.device))

    @torch.inference_mode()
    def see(self, frame: Frame) -> tuple[SeenByTorch, SequenceState]:
        """See ``Runner``."""
        with _out_of_memory_named():
            prediction, state = self.look(frame)
            if self.network.device.type == 'cuda':
                torch.cuda.synchronize(self.network.device)
        return SeenByTorch(prediction), state


@contextmanager
def _out_of_memory_named() -> Iterator[None]:
    try:
        yield
    except torch.cuda.OutOfMemoryError as error:
        raise OutOfDeviceMemoryError from error


def _x_fastest(voxels: Tensor) -> NDArray[np.uint8]:
    """(X, Y, Z) on any device as an array with x fastest in memory."""
    array: NDArray[np.uint8] = voxels.permute(2, 1, 0).contiguous().cpu().numpy()
    return array.transpose(2, 1, 0)
