"""Image files of a dataset, as far as they can be judged without decoding them."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from gdfusion_ros.datasets.nuscenes import SensorData
from gdfusion_ros.errors import GdfusionError

_FORMATS = {'jpeg': (b'\xff\xd8\xff', b'\xff\xd9'), 'png': (b'\x89PNG\r\n\x1a\n', b'IEND\xaeB`\x82')}
"""What sensor_msgs/CompressedImage calls a format -> how its files begin and end."""
_PADDING = 1024  # bytes that a writer may leave behind the end


def read(path: Path, data: SensorData) -> tuple[str, NDArray[np.uint8]]:
    """The format and the bytes of an image file. Its pixels are not decoded.

    Raises:
        GdfusionError: no JPEG or PNG file, one that was cut off, or its size is not what the tables say of ``data``.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise GdfusionError(f'image {path} cannot be read: {error.strerror}') from error
    for form, (start, end) in _FORMATS.items():
        if content.startswith(start) and content.rfind(end, -_PADDING) >= 0:
            _require_size(path, BytesIO(content), data)
            return form, np.frombuffer(content, np.uint8)
    raise GdfusionError(
        f'image {path} is no whole JPEG file, and no PNG; fetch it again, or remove it and convert the '
        'others with --skip-missing'
    )


def check(path: Path, data: SensorData) -> None:
    """Compare an image's size with what the tables say, by its first bytes. What cannot be read is left to ``read``.

    Raises:
        GdfusionError: they differ.
    """
    try:
        with path.open('rb') as file:
            _require_size(path, file, data)
    except OSError:
        return


def _require_size(path: Path, file: IO[bytes], data: SensorData) -> None:
    try:
        with Image.open(file, formats=[form.upper() for form in _FORMATS]) as image:
            size = image.size
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return  # whoever decodes it will say so
    if size != (data.width, data.height):
        raise GdfusionError(
            f'image {path} has {size[0]} x {size[1]} pixels, its row {data.token} in sample_data.json '
            f'says {data.width} x {data.height}; correct width and height there, and camera_intrinsic '
            'in calibrated_sensor.json if it is of the other size'
        )
