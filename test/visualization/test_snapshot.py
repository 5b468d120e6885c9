from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.perception.types import SemanticGrid
from gdfusion_ros.settings import SURROUND_CAMERAS
from gdfusion_ros.visualization.snapshot import Parts, Snapshot

PIXELS = np.zeros((2, 3, 3), np.uint8)


def test_what_belongs_to_a_grid(street: SemanticGrid) -> None:
    assert Snapshot(street).parts == Parts(truth=False, images=False)
    assert Snapshot(street, street, {'CAM_FRONT': PIXELS}).parts == Parts(truth=True, images=True)


def test_an_untrained_model_is_known_by_its_name(street: SemanticGrid) -> None:
    assert (Snapshot(street).model, Snapshot(street).untrained) == ('bevdetocc_gf', False)
    frame = Snapshot(dataclasses.replace(street, model='bevdetocc_gf (untrained)'))
    assert (frame.model, frame.untrained) == ('bevdetocc_gf', True)


def test_the_moment_is_the_stamp_in_words(street: SemanticGrid) -> None:
    assert Snapshot(street).moment == '2018-08-01 19:26:43.512 UTC'
    assert Snapshot(dataclasses.replace(street, stamp=0)).moment == ''


@pytest.mark.parametrize(
    ('cameras', 'images', 'shown'),
    [
        (('CAM_BACK', 'CAM_FRONT'), (), SURROUND_CAMERAS),
        ((), ('CAM_FRONT',), SURROUND_CAMERAS),
        (('left', 'right'), ('right',), ('left', 'right')),
        ((), ('left',), ('left',)),
    ],
)
def test_a_surround_rig_keeps_all_its_places(
    street: SemanticGrid, cameras: tuple[str, ...], images: tuple[str, ...], shown: tuple[str, ...]
) -> None:
    frame = Snapshot(dataclasses.replace(street, cameras=cameras), images=dict.fromkeys(images, PIXELS))
    assert frame.cameras == shown


def test_ground_truth_of_other_classes_is_refused(street: SemanticGrid) -> None:
    other = dataclasses.replace(street, label_set=dataclasses.replace(street.label_set, name='other'))
    with pytest.raises(GdfusionError, match='classes of occ3d_nuscenes, its ground truth of other'):
        Snapshot(street, other)
