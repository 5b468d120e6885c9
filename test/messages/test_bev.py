from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.messages.bev import FREE, INSCRIBED, OCCUPIED, UNKNOWN, Bev, columns, require_classes
from gdfusion_ros.messages.costmap import UNSEEN
from gdfusion_ros.messages.factory import Message, MessageFactory
from gdfusion_ros.perception.labels import LABEL_SETS, OCC3D_NUSCENES, LabelSet
from gdfusion_ros.perception.poses import pose_matrix
from gdfusion_ros.perception.types import NANOSECONDS, GridPose, SemanticGrid
from gdfusion_ros.settings import BevSettings


def test_cells_lie_as_nav_msgs_wants_them(scene: SemanticGrid, make: MessageFactory) -> None:
    message = Bev(BevSettings()).message(scene, make)
    assert (message.info.width, message.info.height) == (3, 4)
    assert message.info.resolution == pytest.approx(0.5)
    corner = message.info.origin.position
    assert (corner.x, corner.y, corner.z) == (-1.0, -0.5, 0.0)
    assert message.info.origin.orientation.w == 1
    rows = np.array(message.data).reshape(4, 3)  # row-major: rows of equal y, x grows along a row
    assert rows.tolist() == [
        [OCCUPIED, UNKNOWN, UNKNOWN],
        [FREE, FREE, FREE],
        [FREE, FREE, FREE],
        [UNKNOWN, UNKNOWN, OCCUPIED],
    ]


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
    assert Bev(BevSettings()).message(raised, make).info.origin.position.z == -0.3


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
    require_classes(settings, label_set)
    for label in label_set.classes:
        grid = dataclasses.replace(scene, labels=np.full_like(scene.labels, label.id), label_set=label_set)
        expected = UNKNOWN if label.id == label_set.free else FREE if label.id in label_set.ground else OCCUPIED
        assert (columns(grid, settings) == expected).all(), label.name


def test_unknown_class_is_named(scene: SemanticGrid, make: MessageFactory) -> None:
    with pytest.raises(GdfusionError, match="no class 'tram'"):
        Bev(BevSettings(bev_occupied=('tram',))).message(scene, make)


def test_classes_of_another_label_set_are_named_with_their_setting() -> None:
    settings = BevSettings(bev_free=('ground', 'driveable_surface'))
    require_classes(settings, OCC3D_NUSCENES)
    with pytest.raises(
        GdfusionError,
        match=r"setting 'bev_free': no class 'driveable_surface' in label set waymo; it "
        'has general_object.* road, walkable, free, ground and obstacles$',
    ):
        require_classes(settings, LABEL_SETS['waymo'])


def test_oblong_cells_are_refused(scene: SemanticGrid, make: MessageFactory) -> None:
    with pytest.raises(GdfusionError, match='square'):
        Bev(BevSettings()).message(dataclasses.replace(scene, voxel_size=(0.5, 0.4, 0.4)), make)


def test_costs_go_by_class_and_the_highest_of_a_column_holds(scene: SemanticGrid) -> None:
    assert columns(scene, BevSettings(bev_costs=('car: inscribed',)))[2, 3] == INSCRIBED
    assert columns(scene, BevSettings(bev_costs=('obstacles: 30', 'car: 98')))[[2, 0], [3, 0]].tolist() == [98, 30]
    assert columns(scene, BevSettings(bev_costs=('car: unknown',)))[2, 3] == UNKNOWN
    scene.labels[1, 1, 1] = OCC3D_NUSCENES.by_name('car').id
    assert columns(scene, BevSettings(bev_costs=('driveable_surface: 20', 'car: 10')))[1, 1:3].tolist() == [20, 20]


@pytest.mark.parametrize('line', ['car', 'car: ', 'car: dear', 'car: 101', 'car: -2', 'car: 1.5'])
def test_costs_that_there_are_not_are_refused(line: str) -> None:
    with pytest.raises(GdfusionError, match=f"setting 'bev_costs': expected '<class>: <cost>', .* got '{line}'$"):
        require_classes(BevSettings(bev_costs=(line,)), OCC3D_NUSCENES)


def test_what_no_camera_saw_is_neither_free_nor_occupied(scene: SemanticGrid) -> None:
    hidden = dataclasses.replace(scene, labels=scene.labels.copy(order='F'))
    hidden.labels[0] = hidden.labels[2, 1, 0] = 255  # a row whole, and of a column the ground alone
    cells = columns(hidden, BevSettings())
    assert (cells[0] == UNSEEN).all()
    assert (cells[1, 1], cells[2, 1]) == (FREE, UNKNOWN)
    assert columns(hidden, BevSettings(bev_max_height=0.3))[1, 0] == UNSEEN, 'all that is seen there is above the band'


def test_an_unseen_column_is_published_as_unknown(scene: SemanticGrid, make: MessageFactory) -> None:
    scene.labels[0] = 255
    assert np.array(Bev(BevSettings()).message(scene, make).data).reshape(4, 3)[:, 0].tolist() == [UNKNOWN] * 4


def placed(scene: SemanticGrid, seconds: float, x: float, yaw: float = 0.0, *, frames: int = 2) -> SemanticGrid:
    """The scene when the vehicle was at x, turned by ``yaw`` [rad]."""
    pose = pose_matrix((x, 0.0, 7.0), (0.0, 0.0, np.sin(yaw / 2), np.cos(yaw / 2)))
    return dataclasses.replace(
        scene,
        stamp=int(seconds * NANOSECONDS),
        pose=GridPose('map', pose),
        labels=scene.labels.copy(order='F'),
        frames_since_reset=frames,
    )


def value_at(message: Message, x: float, y: float) -> int:
    """Of the cell at (x, y) [m] in the message's frame."""
    info = message.info
    column, row = (
        int((place - corner) // info.resolution)
        for place, corner in ((x, info.origin.position.x), (y, info.origin.position.y))
    )
    return int(np.array(message.data).reshape(info.height, info.width)[row, column])


def test_fixed_axes_keep_what_stands_still_in_its_place(scene: SemanticGrid, make: MessageFactory) -> None:
    bev = Bev(BevSettings(bev_frame='fixed'))
    message = bev.message(placed(scene, 1.0, 10.3, np.pi / 2), make)  # its x is y now: the car is left of the vehicle
    assert (message.header.frame_id, message.info.origin.position.z) == ('map', 7.0)
    assert message.info.origin.orientation.w == 1
    assert value_at(message, 10.3 - 1.25, 0.25) == OCCUPIED
    assert value_at(message, 10.3 - 0.25, 0.25) == FREE
    assert value_at(message, 10.3 + 0.75, 0.25) == UNKNOWN, 'outside of the grid'
    corner = message.info.origin.position
    assert np.allclose(np.array([corner.x, corner.y]) / 0.5 % 1, 0)


def test_fixed_axes_need_a_pose(scene: SemanticGrid, make: MessageFactory) -> None:
    with pytest.raises(GdfusionError, match="the pose of 'base_link' is not known"):
        Bev(BevSettings(bev_frame='fixed')).message(scene, make)


def test_what_is_out_of_sight_is_remembered_for_a_while(scene: SemanticGrid, make: MessageFactory) -> None:
    bev = Bev(BevSettings(bev_decay=2.0))
    bev.remember(placed(scene, 1.0, 0.0))
    later = placed(scene, 2.0, 0.5)
    later.labels[:] = 255  # now the cameras see nothing
    later.labels[0, 2, 0] = OCC3D_NUSCENES.free  # but one column
    bev.remember(later)
    message = bev.message(later, make)
    assert value_at(message, 0.25 - 0.5, 1.25) == OCCUPIED, 'the vehicle has gone past the car by half a metre'
    assert value_at(message, 0.25, 1.25) == UNKNOWN, 'nothing was known there'
    assert value_at(message, -0.75, 0.75) == UNKNOWN, 'what is seen now is not remembered otherwise'
    late = dataclasses.replace(later, stamp=4 * NANOSECONDS)
    bev.remember(late)
    assert value_at(bev.message(late, make), 0.25 - 0.5, 1.25) == UNKNOWN, 'it is too long ago'


def test_a_reset_forgets_what_is_out_of_sight(scene: SemanticGrid, make: MessageFactory) -> None:
    bev = Bev(BevSettings(bev_decay=2.0))
    bev.remember(placed(scene, 1.0, 0.0))
    first = placed(scene, 1.5, 0.0, frames=1)
    first.labels[:] = 255
    bev.remember(first)
    assert (np.array(bev.message(first, make).data) == UNKNOWN).all()
