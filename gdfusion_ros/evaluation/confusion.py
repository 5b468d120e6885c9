"""Intersection over union from one confusion matrix over all samples (Occ3D's benchmark: mIoU, mIoU_D, IoU)."""

from __future__ import annotations

import warnings
from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.perception.labels import UNKNOWN, LabelSet

_LABELS = 256  # values of a uint8


class ConfusionMatrix:
    """Counts voxels by their class in truth and prediction.

    Voxels whose true label is UNKNOWN, or none of the label set's, are not counted. UNKNOWN in a prediction counts as
    free: what a prediction does not say is no obstacle that it found.

    Attributes:
        label_set: The classes.
        counts: (C, C) int64, row: true class, column: predicted class, both in the order of the set's ids. Matrices of
            several parts of a dataset may be added.
    """

    def __init__(self, label_set: LabelSet) -> None:
        """Nothing is counted yet."""
        self.label_set = label_set
        self.counts: NDArray[np.int64] = np.zeros((len(label_set.classes),) * 2, np.int64)

    def add(
        self, truth: NDArray[np.uint8], prediction: NDArray[np.uint8], mask: NDArray[np.bool_] | None = None
    ) -> None:
        """Count the voxels of one sample.

        Args:
            truth: True labels, of any shape.
            prediction: Predicted labels, of the same shape.
            mask: Which voxels count, of the same shape; None counts all.

        Raises:
            GdfusionError: the shapes differ, or a predicted label is none of the label set's.
        """
        shapes = {array.shape for array in (truth, prediction, mask) if array is not None}
        if len(shapes) > 1:
            raise GdfusionError(f'truth, prediction and mask have different shapes: {", ".join(map(str, shapes))}')
        pairs = truth.astype(np.uint16) * _LABELS + prediction
        counts = np.bincount((pairs if mask is None else pairs[mask]).ravel(order='K'), minlength=_LABELS**2)
        counts = counts.reshape(_LABELS, _LABELS)
        ids = [label.id for label in self.label_set.classes]
        counts[:, self.label_set.free] += counts[:, UNKNOWN]
        strange = set(np.flatnonzero(counts[ids].any(axis=0)).tolist()) - {*ids, UNKNOWN}
        if strange:
            raise GdfusionError(
                f'the prediction has labels {", ".join(map(str, sorted(strange)))}, which are none of '
                f'{self.label_set.name}; number its classes so'
            )
        self.counts += counts[np.ix_(ids, ids)]

    @property
    def truth(self) -> NDArray[np.int64]:
        """(C,) voxels of every class in the truth."""
        voxels: NDArray[np.int64] = self.counts.sum(axis=1)
        return voxels

    @property
    def predicted(self) -> NDArray[np.int64]:
        """(C,) voxels of every class in the prediction."""
        voxels: NDArray[np.int64] = self.counts.sum(axis=0)
        return voxels

    @property
    def class_iou(self) -> NDArray[np.float64]:
        """(C,) IoU of every class, 0..1; nan for a class that neither truth nor prediction has."""
        return iou(self.counts.diagonal(), self.truth, self.predicted)

    @property
    def miou(self) -> float:
        """Mean IoU of the classes but free; nan where nothing was counted."""
        return self._mean({label.id for label in self.label_set.occupied})

    @property
    def miou_dynamic(self) -> float:
        """mIoU_D: the mean IoU of the classes that move by themselves."""
        return self._mean(self.label_set.dynamic)

    @property
    def iou(self) -> float:
        """IoU of occupied against free."""
        solid = np.array([label.id != self.label_set.free for label in self.label_set.classes])
        hits = self.counts[np.ix_(solid, solid)].sum()
        return float(iou(hits, self.truth[solid].sum(), self.predicted[solid].sum()))

    def scores(self) -> dict[str, float]:
        """All three by their names, 0..1; nan where nothing was counted."""
        return {'mIoU': self.miou, 'mIoU_D': self.miou_dynamic, 'IoU': self.iou}

    def _mean(self, ids: Collection[int]) -> float:
        return nanmean(self.class_iou[[label.id in ids for label in self.label_set.classes]])


def iou(
    hits: NDArray[np.int64] | np.int64, truth: NDArray[np.int64] | np.int64, predicted: NDArray[np.int64] | np.int64
) -> NDArray[np.float64]:
    """hits / (truth + predicted - hits), element by element; nan where there is nothing of either."""
    union = truth + predicted - hits
    result: NDArray[np.float64] = np.divide(hits, union, out=np.full(np.shape(union), np.nan), where=union != 0)
    return result


def nanmean(values: NDArray[np.float64]) -> float:
    """Mean of the values that are numbers; nan where there is none."""
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', RuntimeWarning)  # numpy warns of a mean of nothing
        return float(np.nanmean(values))
