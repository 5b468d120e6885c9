"""JPEG files by simplejpeg: Pillow's pixels, or nothing."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.messages import jpeg
from gdfusion_ros.messages.compressed import load_compressed


@pytest.fixture(autouse=True)
def _anew() -> Iterator[None]:
    jpeg._simplejpeg.cache_clear()
    yield
    jpeg._simplejpeg.cache_clear()


def picture(width: int, height: int) -> Image.Image:
    """Soft shapes and noise in all colours."""
    random = np.random.default_rng(width * height)
    shapes = Image.fromarray(random.integers(0, 256, (5, 7, 3), np.uint8)).resize((width, height))
    return Image.fromarray((np.asarray(shapes) // 2 + random.integers(0, 128, (height, width, 3))).astype(np.uint8))


def written(image: Image.Image, **options: Any) -> bytes:
    file = BytesIO()
    image.save(file, 'JPEG', **options)
    return file.getvalue()


@pytest.mark.parametrize('size', [(160, 90), (161, 91), (17, 9), (1, 1)])
@pytest.mark.parametrize(
    'options',
    [
        {'subsampling': 0, 'quality': 95},
        {'subsampling': 1, 'quality': 80},
        {'subsampling': 2, 'quality': 50},
        {'subsampling': 2, 'progressive': True},
        {'keep_rgb': True},
        {'restart_marker_blocks': 3},
    ],
    ids=str,
)
def test_the_pixels_are_those_of_pillow(size: tuple[int, int], options: dict[str, Any]) -> None:
    pytest.importorskip('simplejpeg', reason='it is the extra jpeg')
    file = written(picture(*size), **options)
    found = jpeg.decoded(file)
    assert found is not None
    np.testing.assert_array_equal(found, np.asarray(Image.open(BytesIO(file))))
    np.testing.assert_array_equal(load_compressed(file, 'jpeg', None), found)


@pytest.mark.parametrize('kept', [0.5, 0.99])
def test_what_is_damaged_is_left_to_pillow(kept: float) -> None:
    file = written(picture(160, 90))
    cut = file[: int(kept * len(file))]
    assert jpeg.decoded(cut) is None
    with pytest.raises(GdfusionError, match='cannot be decoded: image file is truncated'):
        load_compressed(cut, 'jpeg', None)


def test_without_the_library_pillow_decodes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, 'simplejpeg', None)
    file = written(picture(160, 90))
    assert jpeg.decoded(file) is None
    np.testing.assert_array_equal(load_compressed(file, 'jpeg', None), np.asarray(Image.open(BytesIO(file))))
