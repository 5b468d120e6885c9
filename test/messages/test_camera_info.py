from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.messages.camera_info import camera_model, remarks
from gdfusion_ros.messages.factory import Message, MessageFactory, header

TOPIC, STAMP = '/CAM_FRONT/camera_info', 1_500_000_000_012_345_678


def camera_info(
    make: MessageFactory,
    k: tuple[float, ...],
    *,
    width: int = 1600,
    d: tuple[float, ...] = (),
    p: tuple[float, ...] = (0.0,) * 12,
) -> Message:
    return make(
        'sensor_msgs/msg/CameraInfo',
        header=header(STAMP, 'CAM_FRONT', make),
        width=width,
        height=900,
        k=make.array(np.array(k, float)),
        d=make.array(np.array(d, float)),
        p=make.array(np.array(p, float)),
    )


K = (1266.4, 0.0, 816.3, 0.0, 1267.0, 491.5, 0.0, 0.0, 1.0)


def test_camera_info_gives_size_and_intrinsics(make: MessageFactory) -> None:
    model = camera_model(camera_info(make, K), TOPIC)
    assert (model.width, model.height) == (1600, 900)
    assert model.intrinsics.tolist() == [[1266.4, 0, 816.3], [0, 1267.0, 491.5], [0, 0, 1]]


@pytest.mark.parametrize(
    ('k', 'width', 'reason'),
    [
        ((0.0,) * 9, 1600, 'K is empty'),
        ((float('nan'), *K[1:]), 1600, 'not finite'),
        (K, 0, 'without an image size'),
        ((1e-300, *K[1:]), 1600, 'focal lengths of 1e-300 and 1267 px'),
        ((*K[:4], 1e7, *K[5:]), 1600, 'focal lengths'),
        ((1e39, *K[1:]), 1600, 'focal lengths'),
        ((*K[:2], 1e39, *K[3:]), 1600, r'principal point \(1e\+39, 491.5\) px'),
        ((*K[:5], -9000.0, *K[6:]), 1600, 'principal point'),
        ((K[0], 1e39, *K[2:]), 1600, 'upper triangular'),
        ((-1266.4, *K[1:]), 1600, "K is no camera's: focal lengths of -1266.4 and 1267 px"),
        ((*K[:4], -1267.0, *K[5:]), 1600, "K is no camera's: focal lengths of 1266.4 and -1267 px"),
        ((*K[:8], 2.0), 1600, "K is no camera's: it is not upper triangular with .* a last row of 0, 0, 1"),
        ((*K[:8], 0.0), 1600, 'a last row of 0, 0, 1'),
        ((*K[:2], 0.0, *K[3:6], 816.3, 491.5, 1.0), 1600, 'upper triangular'),
        (K, 90_000, 'no camera.s: it has more than 33 million'),
        (K, 7300, 'more than 8 times as long'),
    ],
)
def test_bad_camera_info_is_refused(make: MessageFactory, k: tuple[float, ...], width: int, reason: str) -> None:
    with pytest.raises(GdfusionError, match=rf'^{TOPIC} at 1500000000.012345678: .*{reason}'):
        camera_model(camera_info(make, k, width=width), TOPIC)


@pytest.mark.parametrize(
    ('first', 'reason'),
    [
        (float('nan'), 'P is not finite'),
        (float('inf'), 'P is not finite'),
        (-1.0, 'P is no camera.s: focal lengths of -1 and'),
    ],
)
def test_a_bad_p_is_not_passed_over(make: MessageFactory, first: float, reason: str) -> None:
    message = camera_info(make, K)
    message.p = np.array([first, *(12 * [1.0])[1:]])
    with pytest.raises(GdfusionError, match=reason):
        camera_model(message, TOPIC)


def camera(make: MessageFactory, *, binning: tuple[int, int] = (0, 0), **roi: Any) -> tuple[int, int, list[float]]:
    """Size, fx, fy, cx, cy of a 1600 x 900 camera, less K = (1200, 1200, 800, 450)."""
    message = camera_info(make, (1200.0, 0.0, 800.0, 0.0, 1200.0, 450.0, 0.0, 0.0, 1.0))
    message.height, message.binning_x, message.binning_y = roi.pop('image_height', 900), *binning
    message.roi = make('sensor_msgs/msg/RegionOfInterest', **roi)
    model = camera_model(message, TOPIC)
    return model.width, model.height, model.intrinsics[[0, 1, 0, 1], [0, 1, 2, 2]].tolist()


@pytest.mark.parametrize(
    ('fields', 'expected'),
    [
        ({}, (1600, 900, [1200, 1200, 800, 450])),
        ({'binning': (1, 1), 'width': 1600, 'height': 900, 'do_rectify': True}, (1600, 900, [1200, 1200, 800, 450])),
        ({'y_offset': 200, 'width': 1600, 'height': 700}, (1600, 700, [1200, 1200, 800, 250])),
        ({'y_offset': 200, 'width': 1600, 'height': 700, 'image_height': 700}, (1600, 700, [1200, 1200, 800, 250])),
        ({'x_offset': 100, 'y_offset': 200}, (1500, 700, [1200, 1200, 700, 250])),
        ({'binning': (2, 3)}, (800, 300, [600, 400, 400, 150])),
        (
            {'binning': (2, 2), 'x_offset': 100, 'y_offset': 200, 'width': 1001, 'height': 600},
            (500, 300, [600, 600, 350, 125]),
        ),
    ],
)
def test_roi_and_binning_are_applied(make: MessageFactory, fields: dict[str, Any], expected: Any) -> None:
    assert camera(make, **fields) == expected


@pytest.mark.parametrize('fields', [{'binning': (2000, 1)}, {'x_offset': 1600}, {'y_offset': 5000}])
def test_a_region_without_pixels_is_refused(make: MessageFactory, fields: dict[str, Any]) -> None:
    with pytest.raises(GdfusionError, match=f'^{TOPIC} at 1500000000.012345678: camera info without an image size'):
        camera(make, **fields)


RECTIFIED = (1100.0, 0.0, 800.0, 0.0, 0.0, 1150.0, 450.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def test_rectified_images_have_the_intrinsics_of_p(make: MessageFactory) -> None:
    model = camera_model(camera_info(make, K, p=RECTIFIED), TOPIC)
    assert model.intrinsics.tolist() == [[1100.0, 0.0, 800.0], [0.0, 1150.0, 450.0], [0.0, 0.0, 1.0]]
    with pytest.raises(GdfusionError, match='the intrinsic matrix P is empty'):
        camera_model(camera_info(make, K, p=(1100.0,) + (0.0,) * 11), TOPIC)


K_ALONE = (*K[:3], 0.0, *K[3:6], 0.0, *K[6:], 0.0)


@pytest.mark.parametrize(
    ('model', 'd', 'p', 'raw'),
    [
        ('plumb_bob', (), (), False),
        ('plumb_bob', (0, 0, 0, 0, 0), (), False),
        ('', (), K_ALONE, False),
        ('rational_polynomial', (0,) * 8, K_ALONE, False),
        ('plumb_bob', (-0.1, 0, 0, 0, 0), (), True),
        ('plumb_bob', (-0.1, 0, 0, 0, 0), K_ALONE, True),
        ('plumb_bob', (float('nan'),) * 5, (), True),
        # A fisheye without coefficients is still one.
        ('equidistant', (0, 0, 0, 0), (), True),
        ('kannala_brandt4', (), K_ALONE, True),
        ('fisheye', (), RECTIFIED, False),
        # image_proc leaves D as it was.
        ('plumb_bob', (-0.1, 0, 0, 0, 0), RECTIFIED, False),
    ],
)
def test_distortion_is_seen_but_not_refused(
    make: MessageFactory, model: str, d: tuple[float, ...], p: tuple[float, ...], *, raw: bool
) -> None:
    message = camera_info(make, K, d=d, p=p or (0.0,) * 12)
    message.distortion_model = model
    camera = camera_model(message, TOPIC)
    assert camera.width == 1600
    assert ['lens distortion' in remark for remark in remarks(message, camera)] == [True] * raw


@pytest.mark.parametrize(
    ('scale', 'offset', 'seen'),
    [
        (1, (0, 0), False),
        (2, (0, 0), True),
        (0.5, (0, 0), True),
        (1.5, (0, 0), True),
        (1, (0, 300), False),
        (1, (-500, 0), False),
        (1, (-500, -300), True),
    ],
)
def test_a_matrix_of_another_resolution_is_remarked(
    make: MessageFactory, scale: float, offset: tuple[float, float], *, seen: bool
) -> None:
    """A crop is off-centre along one side, or says so in its roi."""
    (f, _, x, _, g, y, *_), (right, down) = K, offset
    message = camera_info(make, (f * scale, 0, x * scale + right, 0, g * scale, y * scale + down, 0, 0, 1))
    said = remarks(message, camera_model(message, TOPIC))
    assert ['another resolution' in remark for remark in said] == [True] * seen
    message.roi = make('sensor_msgs/msg/RegionOfInterest', x_offset=1, width=1599)
    assert not remarks(message, camera_model(message, TOPIC))
