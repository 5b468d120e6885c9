"""JPEG files by libjpeg-turbo alone, where simplejpeg is installed.

Pillow decodes by the same library, and to the same pixels, but copies them twice on the way to an array.
"""

from __future__ import annotations

from functools import cache
from typing import Any, cast

from gdfusion_ros.messages.factory import Message
from gdfusion_ros.perception.types import Pixels


def decoded(data: Message) -> Pixels | None:
    """(h, w, 3) uint8 RGB; None where that library is not there or the file is not as it should be: Pillow says why."""
    library = _simplejpeg()
    if library is None:
        return None
    try:
        return cast(Pixels, library.decode_jpeg(data, 'RGB', strict=True))
    except ValueError:
        return None


@cache
def _simplejpeg() -> Any:
    try:
        import simplejpeg
    except ImportError:
        return None
    return simplejpeg
