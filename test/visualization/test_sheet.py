from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.perception.labels import LABEL_SETS, UNKNOWN, LabelSet
from gdfusion_ros.perception.types import Pixels, SemanticGrid
from gdfusion_ros.visualization import page as viewer
from gdfusion_ros.visualization.canvas import WARNING
from gdfusion_ros.visualization.sheet import (
    DOUBLE,
    HEADER,
    HEIGHT,
    SINGLE,
    SINGLE_WITHOUT_IMAGES,
    WIDTH,
    Box,
    picture,
    write,
)
from gdfusion_ros.visualization.snapshot import Parts, Snapshot

pytestmark = pytest.mark.slow

CAR = 4


def flat_images(cameras: tuple[str, ...]) -> dict[str, Pixels]:
    return {camera: np.full((90, 160, 3), (10 * index + 5, 0, 200), np.uint8) for index, camera in enumerate(cameras)}


def part(page: Image.Image, box: Box) -> NDArray[np.uint8]:
    return np.asarray(page)[box.top : box.top + box.height, box.left : box.left + box.width]


def colors(page: Image.Image, box: Box) -> int:
    return len(np.unique(part(page, box).reshape(-1, 3), axis=0))


def warned(page: Image.Image) -> bool:
    return bool((np.asarray(page)[:HEADER] == WARNING).all(axis=-1).any())


@pytest.fixture(scope='module')
def bare(street: SemanticGrid) -> Image.Image:
    return picture(Snapshot(street))


@pytest.fixture(scope='module')
def whole(street: SemanticGrid) -> Image.Image:
    return picture(Snapshot(street, images=flat_images(street.cameras)))


@pytest.fixture(scope='module')
def truth(street: SemanticGrid) -> SemanticGrid:
    """The street without its cars."""
    labels = np.where(street.labels == CAR, street.label_set.free, street.labels).astype(np.uint8)
    return dataclasses.replace(street, labels=np.asfortranarray(labels), model='ground truth')


def test_images_lie_as_the_rig(whole: Image.Image) -> None:
    page = np.asarray(whole)
    assert page.shape == (HEIGHT, WIDTH, 3)
    places = []
    for index in range(6):
        rows, columns = np.nonzero((page == (10 * index + 5, 0, 200)).all(axis=-1))
        places.append((np.median(rows), np.median(columns)))
    front, back = places[:3], places[3:]
    assert [column for _, column in front] == sorted(column for _, column in front)
    assert [column for _, column in back] == sorted(column for _, column in back)
    assert max(row for row, _ in front) < min(row for row, _ in back)


def test_a_camera_that_did_not_go_in_leaves_its_place_empty(street: SemanticGrid, whole: Image.Image) -> None:
    images = flat_images(street.cameras)
    del images['CAM_FRONT']
    others = tuple(camera for camera in street.cameras if camera != 'CAM_FRONT')
    page = np.asarray(picture(Snapshot(dataclasses.replace(street, cameras=others), images=images)))
    front, front_right = ((np.asarray(whole) == color).all(axis=-1) for color in ((15, 0, 200), (25, 0, 200)))
    assert not (page == (15, 0, 200)).all(axis=-1).any()
    assert front.any()
    assert (page[front_right] == (25, 0, 200)).all()


@pytest.mark.parametrize('count', [1, 4, 8])
def test_other_rigs_find_their_place(street: SemanticGrid, count: int) -> None:
    cameras = tuple(f'camera_{index}' for index in range(count))
    page = picture(Snapshot(dataclasses.replace(street, cameras=cameras), images=flat_images(cameras)))
    assert SINGLE.images
    shown = part(page, SINGLE.images)
    assert all((shown == (10 * index + 5, 0, 200)).all(axis=-1).any() for index in range(count))


def test_without_images_the_view_takes_their_place(bare: Image.Image) -> None:
    assert colors(bare, dataclasses.replace(SINGLE_WITHOUT_IMAGES.views[0], top=700, height=200)) > 100


def test_ground_truth_stands_beside_the_prediction(street: SemanticGrid, truth: SemanticGrid) -> None:
    page = picture(Snapshot(street, truth, flat_images(street.cameras)))
    for left, right in (DOUBLE.views, DOUBLE.maps):
        car = np.array((20, 140, 220))
        blue = [(np.abs(part(page, box).astype(int) - car).max(axis=-1) < 30).mean() for box in (left, right)]
        assert blue[0] > 10 * blue[1]
        assert colors(page, right) > 50


def test_a_missing_ground_truth_leaves_its_place_empty(street: SemanticGrid) -> None:
    page = picture(Snapshot(street), Parts(truth=True, images=True))
    assert colors(page, DOUBLE.views[0]) > 100
    empty = dataclasses.replace(DOUBLE.views[1], top=DOUBLE.views[1].top + 30, height=100)
    assert colors(page, empty) == 1


def test_untrained_is_said_in_red(street: SemanticGrid, bare: Image.Image) -> None:
    assert not warned(bare)
    assert warned(picture(Snapshot(dataclasses.replace(street, model='bevdetocc_gf (untrained)'))))


def test_every_voxel_that_is_added_shows_in_the_legend(street: SemanticGrid, bare: Image.Image) -> None:
    labels = street.labels.copy(order='F')
    labels[100, 100, 0] = 0  # below the road: hidden in both views
    page = picture(Snapshot(dataclasses.replace(street, labels=labels)))
    assert (part(page, SINGLE.legend) != part(bare, SINGLE.legend)).any()
    assert np.array_equal(part(page, SINGLE.maps[0]), part(bare, SINGLE.maps[0]))


@pytest.mark.parametrize('shape', [(100, 100, 8), (40, 80, 16), (1, 1, 1)])
def test_other_grids_are_drawn(street: SemanticGrid, shape: tuple[int, int, int]) -> None:
    labels = np.full(shape, CAR, np.uint8, order='F')
    assert picture(Snapshot(dataclasses.replace(street, labels=labels))).width == WIDTH


def test_labels_of_no_class_are_said_and_drawn(street: SemanticGrid, bare: Image.Image) -> None:
    labels = street.labels.copy(order='F')
    labels[90:110, 90:110, 15] = 200
    page = picture(Snapshot(dataclasses.replace(street, labels=labels)))
    header = Box(0, 50, WIDTH, HEADER - 50)
    assert (part(page, header) != part(bare, header)).any()
    assert (part(page, SINGLE.maps[0]) != part(bare, SINGLE.maps[0])).any()


@pytest.mark.parametrize('shape', [(1, 5000, 3), (5000, 1, 3), (1, 1, 3)])
def test_images_of_any_shape_are_drawn(street: SemanticGrid, shape: tuple[int, int, int]) -> None:
    image = np.full(shape, (5, 0, 200), np.uint8)
    assert SINGLE.images
    shown = part(picture(Snapshot(street, images={'CAM_FRONT': image})), SINGLE.images)
    assert (shown == (5, 0, 200)).all(axis=-1).any()


def test_of_a_huge_rig_the_first_images_are_drawn(street: SemanticGrid) -> None:
    cameras = tuple(f'camera_{index}' for index in range(300))
    images = {camera: np.full((9, 16, 3), (5, 0, 200), np.uint8) for camera in cameras}
    page = picture(Snapshot(dataclasses.replace(street, cameras=cameras), images=images))
    assert SINGLE.images
    assert (part(page, SINGLE.images) == (5, 0, 200)).all(axis=-1).mean() > 0.3


def test_file_is_written_whole_and_never_in_the_place_of_another(street: SemanticGrid, tmp_path: Path) -> None:
    path = tmp_path / 'new' / 'picture.png'
    write(path, Snapshot(street))
    assert Image.open(path).size == (WIDTH, HEIGHT)
    assert list(path.parent.iterdir()) == [path]
    with pytest.raises(GdfusionError, match='exists already'):
        write(path, Snapshot(street))


def test_a_folder_that_is_a_file_is_one_clear_line(street: SemanticGrid, tmp_path: Path) -> None:
    (tmp_path / 'file').write_text('')
    with pytest.raises(GdfusionError, match='cannot be written'):
        write(tmp_path / 'file' / 'picture.png', Snapshot(street))


@pytest.mark.parametrize('label_set', LABEL_SETS.values(), ids=list(LABEL_SETS))
def test_grids_of_every_label_set_can_be_looked_at(tmp_path: Path, label_set: LabelSet) -> None:
    labels = np.random.default_rng(0).choice(np.array([*label_set.ids, UNKNOWN], np.uint8), (20, 20, 8))
    grid = SemanticGrid(
        5,
        'LIDAR_TOP',
        (-4.0, -4.0, -2.0),
        (0.4, 0.4, 0.4),
        np.asfortranarray(labels),
        None,
        label_set,
        'made',
        1,
        (),
        0,
    )
    frame = Snapshot(grid)
    assert picture(frame).getbbox()
    viewer.write(tmp_path / 'page.html', [frame], frame.parts)
    written = (tmp_path / 'page.html').read_text()
    assert all(label.name in written for label in label_set.occupied)
