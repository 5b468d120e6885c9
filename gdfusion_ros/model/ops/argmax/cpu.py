"""The class in one compiled pass over the voxels."""

from __future__ import annotations

import numba
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gdfusion_ros.model.ops.compiled import Floats, kernel, share_threads


def argmax(scores: Tensor, first: int = 1) -> Tensor:
    """See ``gdfusion_ros.model.ops.argmax.argmax``."""
    share_threads()
    labels = torch.empty(scores.shape[:2], dtype=torch.uint8)
    _argmax(scores.numpy(), first, labels.numpy())
    return labels


@kernel
def _argmax(scores: Floats, first: int, labels: NDArray[np.uint8]) -> None:
    cells, voxels, classes = scores.shape
    for cell in numba.prange(cells):
        for voxel in range(voxels):
            highest, label = scores[cell, voxel, first], first
            for k in range(first + 1, classes):
                if scores[cell, voxel, k] > highest:
                    highest, label = scores[cell, voxel, k], k
            labels[cell, voxel] = label - first
