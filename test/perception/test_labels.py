"""Label sets."""

from __future__ import annotations

import pytest

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.perception.labels import LABEL_SETS, OCC3D_NUSCENES, UNKNOWN, LabelSet

EVERY_SET = pytest.mark.parametrize('label_set', LABEL_SETS.values(), ids=list(LABEL_SETS))


@EVERY_SET
def test_ids_are_numbered_through_and_leave_room_for_unknown(label_set: LabelSet) -> None:
    first = label_set.ids[0]
    assert label_set.ids == tuple(range(first, first + len(label_set.classes)))
    assert label_set.ids[-1] < UNKNOWN
    assert (
        len({label.name for label in label_set.classes})
        == len({label.color for label in label_set.classes})
        == len(label_set.classes)
    )
    assert not label_set.free_in_files & {*label_set.ids}
    assert not label_set.ground & label_set.dynamic
    assert label_set.ground | label_set.dynamic < {*label_set.ids}


@EVERY_SET
def test_free_is_the_class_of_that_name(label_set: LabelSet) -> None:
    assert label_set.by_name('free').id == label_set.free
    assert [label.id for label in label_set.occupied] == [
        label.id for label in label_set.classes if label.name != 'free'
    ]


@pytest.mark.parametrize('name', ['occ3d_nuscenes', 'surroundocc_nuscenes', 'openoccupancy_nuscenes'])
def test_the_classes_mean_the_same_in_every_set_of_nuscenes(name: str) -> None:
    label_set = LABEL_SETS[name]
    named = {label.id: label for label in label_set.classes}
    assert {named[index].name for index in label_set.dynamic} == {
        'bicycle',
        'bus',
        'car',
        'construction_vehicle',
        'motorcycle',
        'pedestrian',
        'trailer',
        'truck',
    }
    assert {named[index].name for index in label_set.ground} == {
        'driveable_surface',
        'other_flat',
        'sidewalk',
        'terrain',
    }
    assert tuple(named[index] for index in range(1, 17)) == OCC3D_NUSCENES.classes[1:17]


@pytest.mark.parametrize(
    ('name', 'free', 'classes', 'frame', 'masked'),
    [
        ('occ3d_nuscenes', 17, 18, 'ego', True),
        ('surroundocc_nuscenes', 17, 17, 'lidar', False),
        ('openoccupancy_nuscenes', 0, 17, 'lidar', False),
        ('waymo', 15, 16, 'ego', True),
    ],
)
def test_what_the_labels_of_a_set_are(name: str, free: int, classes: int, frame: str, masked: bool) -> None:
    label_set = LABEL_SETS[name]
    assert (label_set.free, len(label_set.classes), label_set.frame, label_set.camera_masked) == (
        free,
        classes,
        frame,
        masked,
    )


@pytest.mark.parametrize(
    ('name', 'lower', 'upper'),
    [
        ('occ3d_nuscenes', (-40, -40, -1), (40, 40, 5.4)),
        ('waymo', (-40, -40, -1), (40, 40, 5.4)),
        ('surroundocc_nuscenes', (-50, -50, -5), (50, 50, 3)),
        ('openoccupancy_nuscenes', (-51.2, -51.2, -5), (51.2, 51.2, 3)),
    ],
)
def test_ranges(name: str, lower: tuple[float, ...], upper: tuple[float, ...]) -> None:
    grid = LABEL_SETS[name].grid
    assert grid.lower == lower
    assert upper == pytest.approx([a + n * s for a, n, s in zip(lower, grid.shape, grid.voxel_size, strict=True)])


def test_an_unknown_class_is_named() -> None:
    with pytest.raises(GdfusionError, match="no class 'tram' in label set occ3d_nuscenes; it has others, barrier"):
        OCC3D_NUSCENES.by_name('tram')
