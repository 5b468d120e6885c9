"""How well what cameras saw, by rays through a predicted grid, agrees with what they see by the labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gdfusion_ros.evaluation.confusion import iou


@dataclass
class SeenCounts:
    """Voxels of all samples: all that were compared, seen by both, by the labels, by the predictions."""

    voxels: int = 0
    both: int = 0
    by_labels: int = 0
    by_prediction: int = 0

    def add(self, labels: NDArray[np.bool_], prediction: NDArray[np.bool_]) -> None:
        """Count the voxels of one sample, both of one shape: which of them are seen."""
        self.voxels += labels.size
        self.both += int((labels & prediction).sum())
        self.by_labels += int(labels.sum())
        self.by_prediction += int(prediction.sum())

    @property
    def agreement(self) -> float:
        """Share of the voxels that are seen by both or by neither, 0..1; nan where there are none."""
        differing = self.by_labels + self.by_prediction - 2 * self.both
        return 1 - differing / self.voxels if self.voxels else float('nan')

    @property
    def iou(self) -> float:
        """Intersection over union of what is seen, 0..1; nan where nothing is."""
        return float(iou(np.int64(self.both), np.int64(self.by_labels), np.int64(self.by_prediction)))
