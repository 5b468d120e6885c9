from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.messages.bev import FREE, OCCUPIED, UNKNOWN, BevSettings, bev, columns
from gdfusion_ros.messages.factory import MessageFactory
from gdfusion_ros.perception.labels import LABEL_SETS, OCC3D_NUSCENES, LabelSet
from gdfusion_ros.perception.types import SemanticGrid


def test_cells_lie_as_nav_msgs_wants_them(scene: SemanticGrid, make: MessageFactory) -> None:
    message = bev(scene, BevSettings(), make)
    assert (message.info.width, message.info.height) == (3, 4)
    assert message.info.resolution == pytest.approx(0.5)
    corner = message.info.origin.position
    assert (corner.x, corner.y, corner.z) == (-1.0, -0.5, 0.0)
    assert message.info.origin.orientation.w == 1
    rows = np.array(message.data).reshape(4, 3)  # row-major: rows of equal y, x grows along a row
    assert rows.tolist() == [[OCCUPIED, UNKNOWN, UNKNOWN], [FREE, FREE, FREE], [FREE, FREE, FREE],
                             [UNKNOWN, UNKNOWN, OCCUPIED]]


def test_what_hangs_above_the_band_does_not_block(scene: SemanticGrid) -> None:
    assert columns(scene, BevSettings(bev_max_height=1.5))[0, 0] == UNKNOWN
    assert columns(scene, BevSettings(bev_max_height=1.7))[0, 0] == OCCUPIED


def test_the_band_has_a_lower_edge(scene: SemanticGrid) -> None:
    assert columns(scene, BevSettings(bev_min_height=0.3))[2, 3] == OCCUPIED
    assert columns(scene, BevSettings(bev_min_height=0.5))[2, 3] == UNKNOWN


def test_heights_are_above_the_vehicle_wherever_the_grid_lies(scene: SemanticGrid, make: MessageFactory) -> None:
    raised = dataclasses.replace(scene, height=0.3)
    assert columns(raised, BevSettings(bev_min_height=0.6))[2, 3] == OCCUPIED
    assert columns(raised, BevSettings(bev_min_height=0.8))[2, 3] == UNKNOWN
    assert bev(raised, BevSettings(), make).info.origin.position.z == -0.3


def test_obstacle_on_the_road_blocks(scene: SemanticGrid) -> None:
    scene.labels[1, 1, 1] = OCC3D_NUSCENES.by_name('traffic_cone').id
    assert columns(scene, BevSettings())[1, 1] == OCCUPIED


def test_policy_decides_by_class(scene: SemanticGrid) -> None:
    settings = BevSettings(bev_min_height=-1.0, bev_occupied=('driveable_surface',), bev_free=('car',))
    cells = columns(scene, settings)
    assert (cells[0, 1], cells[2, 3], cells[0, 0]) == (OCCUPIED, FREE, UNKNOWN)


def test_policy_without_classes_knows_nothing(scene: SemanticGrid) -> None:
    assert (columns(scene, BevSettings(bev_occupied=(), bev_free=())) == UNKNOWN).all()


@pytest.mark.parametrize('label_set', LABEL_SETS.values(), ids=list(LABEL_SETS))
def test_every_class_of_every_label_set_has_a_default(scene: SemanticGrid, label_set: LabelSet) -> None:
    settings = BevSettings(bev_min_height=-100.0)
    settings.require(label_set)
    for label in label_set.classes:
        grid = dataclasses.replace(scene, labels=np.full_like(scene.labels, label.id), label_set=label_set)
        expected = UNKNOWN if label.id == label_set.free else FREE if label.id in label_set.ground else OCCUPIED
        assert (columns(grid, settings) == expected).all(), label.name


def test_unknown_class_is_named(scene: SemanticGrid, make: MessageFactory) -> None:
    with pytest.raises(GdfusionError, match="no class 'tram'"):
        bev(scene, BevSettings(bev_occupied=('tram',)), make)


def test_classes_of_another_label_set_are_named_with_their_setting() -> None:
    settings = BevSettings(bev_free=('ground', 'driveable_surface'))
    settings.require(OCC3D_NUSCENES)
    with pytest.raises(GdfusionError, match=r"setting 'bev_free': no class 'driveable_surface' in label set waymo; it "
                                            'has general_object.* road, walkable, free, ground and obstacles$'):
        settings.require(LABEL_SETS['waymo'])


def test_oblong_cells_are_refused(scene: SemanticGrid, make: MessageFactory) -> None:
    with pytest.raises(GdfusionError, match='square'):
        bev(dataclasses.replace(scene, voxel_size=(0.5, 0.4, 0.4)), BevSettings(), make)
