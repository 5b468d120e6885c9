"""Which sizes an image may have."""

from __future__ import annotations

import pytest

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.perception.image_size import implausible, require_size
from gdfusion_ros.perception.preprocess import ResizeCrop


@pytest.mark.parametrize('size', [(1, 1), (8, 1), (1, 8), (1600, 900), (900, 1600), (5472, 3648), (4096, 512)])
def test_what_is_plausible_can_be_resized(size: tuple[int, int]) -> None:
    assert not implausible(size)
    crop = ResizeCrop(size, (704, 256))
    assert 0 < crop.scaled_height <= 8 * 704
    assert crop.filters[1].end == size[1]


@pytest.mark.parametrize('size', [(0, 0), (0, 9), (9, 1), (1600, 2), (3, 5999), (8000, 6000), (65500, 65500)])
def test_what_no_camera_has_is_refused(size: tuple[int, int]) -> None:
    for expected in (None, size):
        with pytest.raises(GdfusionError, match=f'^the image has {size[0]} x {size[1]} pixels: it'):
            require_size(size, expected)
