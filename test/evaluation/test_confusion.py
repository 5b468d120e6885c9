"""The confusion matrix and its scores, against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix, jaccard_score

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.evaluation.confusion import ConfusionMatrix
from gdfusion_ros.perception.labels import LABEL_SETS, OCC3D_NUSCENES, UNKNOWN, LabelSet

EVERY_SET = pytest.mark.parametrize('label_set', LABEL_SETS.values(), ids=list(LABEL_SETS))

Labels = NDArray[np.uint8]
Samples = list[tuple[Labels, Labels, NDArray[np.bool_]]]


def random_samples(label_set: LabelSet, without: tuple[int, ...] = ()) -> Samples:
    """Truth (with UNKNOWN), prediction, mask of three samples; half of the predictions are right."""
    random = np.random.default_rng(3)
    ids = [label.id for label in label_set.classes if label.id not in without]
    samples = []
    for _ in range(3):
        truth = random.choice([*ids, UNKNOWN], (20, 15, 8)).astype(np.uint8)
        guess = random.choice(ids, truth.shape).astype(np.uint8)
        right = (random.random(truth.shape) < 0.5) & (truth != UNKNOWN)
        samples.append((truth, np.where(right, truth, guess), random.random(truth.shape) < 0.7))
    return samples


def counted(label_set: LabelSet, samples: Samples, *, masked: bool) -> tuple[ConfusionMatrix, Labels, Labels]:
    """The matrix, and all labels that count in a row."""
    matrix = ConfusionMatrix(label_set)
    rows = []
    for truth, prediction, mask in samples:
        matrix.add(np.asfortranarray(truth), prediction, mask if masked else None)
        chosen = (truth != UNKNOWN) & (mask | (not masked))
        rows.append((truth[chosen], prediction[chosen]))
    return matrix, np.concatenate([row[0] for row in rows]), np.concatenate([row[1] for row in rows])


@EVERY_SET
@pytest.mark.parametrize('masked', [True, False])
def test_all_scores_as_scikit_learn_defines_them(label_set: LabelSet, masked: bool) -> None:
    matrix, truth, prediction = counted(label_set, random_samples(label_set), masked=masked)
    ids = [label.id for label in label_set.classes]
    np.testing.assert_array_equal(matrix.counts, confusion_matrix(truth, prediction, labels=ids))
    np.testing.assert_allclose(matrix.class_iou, jaccard_score(truth, prediction, labels=ids, average=None))
    solid = [index for index in ids if index != label_set.free]
    assert matrix.miou == pytest.approx(jaccard_score(truth, prediction, labels=solid, average='macro'))
    assert matrix.miou_dynamic == pytest.approx(
        jaccard_score(truth, prediction, labels=sorted(label_set.dynamic), average='macro')
    )
    assert matrix.iou == pytest.approx(jaccard_score(truth != label_set.free, prediction != label_set.free))


def test_a_class_that_never_occurs_is_left_out_of_the_mean() -> None:
    matrix, truth, prediction = counted(OCC3D_NUSCENES, random_samples(OCC3D_NUSCENES, without=(3, 12)), masked=True)
    assert np.flatnonzero(np.isnan(matrix.class_iou)).tolist() == [3, 12]
    there = [index for index in range(17) if index not in (3, 12)]
    assert matrix.miou == pytest.approx(jaccard_score(truth, prediction, labels=there, average='macro'))
    assert matrix.miou_dynamic == pytest.approx(
        jaccard_score(truth, prediction, labels=[2, 4, 5, 6, 7, 9, 10], average='macro')
    )


def test_a_class_that_is_only_predicted_counts_as_zero() -> None:
    matrix = ConfusionMatrix(OCC3D_NUSCENES)
    matrix.add(np.array([4, 4, 17], np.uint8), np.array([4, 4, 7], np.uint8))
    assert (matrix.class_iou[4], matrix.class_iou[7], matrix.miou) == (1.0, 0.0, 0.5)


def test_unknown_counts_as_free_in_a_prediction_and_not_at_all_in_the_truth() -> None:
    matrix = ConfusionMatrix(OCC3D_NUSCENES)
    matrix.add(np.array([4, 4, 17, UNKNOWN, UNKNOWN], np.uint8), np.array([4, UNKNOWN, UNKNOWN, 4, UNKNOWN], np.uint8))
    assert matrix.counts.sum() == 3
    assert matrix.counts[4, 17] == matrix.counts[17, 17] == matrix.counts[4, 4] == 1
    assert matrix.iou == 0.5


def test_labels_outside_the_classes_are_dropped_in_the_truth_and_refused_in_a_prediction() -> None:
    matrix = ConfusionMatrix(OCC3D_NUSCENES)
    matrix.add(np.array([4, 18, 200], np.uint8), np.array([4, 4, 99], np.uint8))
    assert matrix.counts.sum() == 1
    with pytest.raises(GdfusionError, match='labels 18, 99, which are none of occ3d_nuscenes'):
        matrix.add(np.array([4, 4, 4], np.uint8), np.array([99, 18, 4], np.uint8))
    assert matrix.counts.sum() == 1


def test_nothing_counted_scores_nothing() -> None:
    matrix = ConfusionMatrix(OCC3D_NUSCENES)
    assert np.isnan([matrix.miou, matrix.miou_dynamic, matrix.iou]).all()


def test_shapes_must_agree() -> None:
    grid = np.zeros((2, 3, 4), np.uint8)
    with pytest.raises(GdfusionError, match='different shapes'):
        ConfusionMatrix(OCC3D_NUSCENES).add(grid, grid, np.ones((4, 3, 2), np.bool_))
