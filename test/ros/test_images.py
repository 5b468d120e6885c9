"""Encodings that only cv_bridge knows, where it is installed."""

from __future__ import annotations

import array
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.messages import images
from gdfusion_ros.ros.factory import RclpyMessages
from gdfusion_ros.ros.images import bridge

TOPIC = '/CAM_FRONT/image'


def image(encoding: str, data: bytes, step: int) -> Any:
    make = RclpyMessages()
    return make(
        'sensor_msgs/msg/Image',
        header=make('std_msgs/msg/Header', frame_id='CAM_FRONT'),
        height=1,
        width=2,
        encoding=encoding,
        step=step,
        data=array.array('B', data),
    )


def test_without_cv_bridge_an_encoding_is_refused_by_name() -> None:
    with pytest.raises(GdfusionError, match="unknown image encoding 'nv24'"):
        images.image(image('nv24', bytes(6), 2), TOPIC)


def test_a_cv_bridge_without_opencv_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def converter() -> None:
        raise ModuleNotFoundError("No module named 'cv2'")

    monkeypatch.setitem(sys.modules, 'cv_bridge', SimpleNamespace(CvBridge=converter))
    assert bridge() is None


def test_cv_bridge_decodes_what_is_not_known_here() -> None:
    pytest.importorskip('cv_bridge', reason='cv_bridge is not installed', exc_type=ImportError)
    decode = bridge()
    assert decode is not None
    pixels = decode(image('yuv422', bytes((128, 200, 128, 50)), 4), TOPIC)
    assert pixels.shape == (1, 2, 3)
    assert np.ptp(pixels, axis=2).max() <= 2, 'without colour'
    assert pixels[0, 0, 0] > pixels[0, 1, 0]


def test_what_cv_bridge_cannot_read_is_one_line_with_topic_and_stamp() -> None:
    pytest.importorskip('cv_bridge', reason='cv_bridge is not installed', exc_type=ImportError)
    cut = images.image(image('nv24', bytes(3), 2), TOPIC, fallback=bridge())
    with pytest.raises(GdfusionError, match=rf"^{TOPIC} at 0.0*: cv_bridge cannot read encoding 'nv24': [^\n]*$"):
        cut.load()


def test_known_encodings_do_not_need_it() -> None:
    pixels = images.image(image('bgr8', bytes((3, 2, 1, 6, 5, 4)), 6), TOPIC, fallback=bridge()).load()
    assert pixels.tolist() == [[[1, 2, 3], [4, 5, 6]]]
