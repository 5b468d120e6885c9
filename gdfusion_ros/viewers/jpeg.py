"""Images as they are sent to viewers."""

from __future__ import annotations

from io import BytesIO

from PIL import Image

from gdfusion_ros.perception.types import Pixels

_QUALITY = 80


def jpeg(pixels: Pixels) -> bytes:
    """(h, w, 3) RGB as a JPEG file."""
    file = BytesIO()
    Image.fromarray(pixels).save(file, 'JPEG', quality=_QUALITY)
    return file.getvalue()
