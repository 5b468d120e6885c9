from __future__ import annotations

import dataclasses
import time

import numpy as np
import pytest
from PIL import Image

from gdfusion_ros.perception.types import Pixels, SemanticGrid
from gdfusion_ros.visualization.canvas import WARNING
from gdfusion_ros.visualization.sheet import HEADER, WIDTH, picture


def warned(page: Image.Image) -> bool:
    return bool((np.asarray(page)[:HEADER] == WARNING).all(axis=-1).any())


def flat_images(cameras: tuple[str, ...]) -> dict[str, Pixels]:
    return {camera: np.full((90, 160, 3), (10 * index + 5, 0, 200), np.uint8) for index, camera in enumerate(cameras)}


@pytest.fixture(scope='module')
def bare(street: SemanticGrid) -> Image.Image:
    return picture(street, {})


@pytest.fixture(scope='module')
def whole(street: SemanticGrid) -> Image.Image:
    return picture(street, flat_images(street.cameras))


def test_images_lie_as_the_rig(whole: Image.Image) -> None:
    page = np.asarray(whole)
    assert page.shape[1] == WIDTH
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
    page = np.asarray(picture(dataclasses.replace(street, cameras=others), images))
    front, front_right = ((np.asarray(whole) == color).all(axis=-1) for color in ((15, 0, 200), (25, 0, 200)))
    assert not (page == (15, 0, 200)).all(axis=-1).any()
    assert front.any()
    assert (page[front_right] == (25, 0, 200)).all()


def test_without_images_there_is_no_place_for_them(bare: Image.Image, whole: Image.Image) -> None:
    assert bare.height < whole.height


def test_untrained_is_said_in_red(street: SemanticGrid, bare: Image.Image) -> None:
    assert not warned(bare)
    assert warned(picture(dataclasses.replace(street, model='bevdetocc_gf (untrained)'), {}))


def test_every_voxel_that_is_added_shows_in_the_legend(street: SemanticGrid, bare: Image.Image) -> None:
    labels = street.labels.copy(order='F')
    labels[100, 100, 0] = 0  # below the road: hidden in both views
    changed = np.asarray(picture(dataclasses.replace(street, labels=labels), {})) != np.asarray(bare)
    assert changed[700:, 1272:].any()
    assert not changed[HEADER:600].any()


@pytest.mark.parametrize('shape', [(100, 100, 8), (40, 80, 16), (1, 1, 1)])
def test_other_grids_are_drawn(street: SemanticGrid, shape: tuple[int, int, int]) -> None:
    labels = np.full(shape, 4, np.uint8, order='F')
    assert picture(dataclasses.replace(street, labels=labels), {}).width == WIDTH


def test_a_page_takes_less_than_three_seconds(street: SemanticGrid, whole: Image.Image) -> None:
    assert whole.width == WIDTH  # made before: the renderer is compiled
    begin = time.perf_counter()
    picture(street, flat_images(street.cameras))
    assert time.perf_counter() - begin < 3
