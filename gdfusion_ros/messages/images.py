"""Image messages as pixels: headers are read at once, pixels when they are asked for.

``topic`` is only named in errors. Every function raises GdfusionError with one line that names topic, stamp and cause.
What is decoded, and what is refused: docs/images.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.messages.compressed import load_compressed
from gdfusion_ros.messages.encodings import ENCODINGS, refusal, to_rgb
from gdfusion_ros.messages.factory import Message
from gdfusion_ros.messages.place import measured_at, place_of, sensor_frame
from gdfusion_ros.perception.image_size import Size, require_size
from gdfusion_ros.perception.types import Pixels


@dataclass(frozen=True)
class EncodedImage:
    """An image message whose header was read; ``load`` decodes it to (h, w, 3) RGB, or raises GdfusionError."""

    stamp: int
    frame_id: str
    load: Callable[[], Pixels]


Fallback = Callable[[Message, str], Pixels]
"""Decodes an image message; its topic and stamp are for errors."""


def compressed_image(message: Message, topic: str, size: Size | None = None) -> EncodedImage:
    """``sensor_msgs/CompressedImage`` (JPEG or PNG); ``load`` refuses another ``size`` before it decodes."""
    place = place_of(message, topic)
    return EncodedImage(
        measured_at(message, place),
        sensor_frame(message, place),
        partial(_placed, place, partial(load_compressed, message.data, str(message.format), size)),
    )


def image(message: Message, topic: str, size: Size | None = None, *, fallback: Fallback | None = None) -> EncodedImage:
    """``sensor_msgs/Image``; ``load`` refuses another ``size`` before it decodes.

    ``fallback`` decodes the encodings that are not known here (cv_bridge does).
    """
    place = place_of(message, topic)
    stamp, frame_id = measured_at(message, place), sensor_frame(message, place)
    if reason := refusal(message.encoding):
        raise GdfusionError(f'{place}: {reason}')
    if message.encoding in ENCODINGS:
        _require_layout(message, place)
        pixels = partial(_load_raw, message)
    elif fallback is not None:
        pixels = partial(fallback, message, place)
    else:
        raise GdfusionError(
            f'{place}: unknown image encoding {message.encoding[:40]!r}; known are {", ".join(ENCODINGS)}'
        )

    def load() -> Pixels:
        require_size((int(message.width), int(message.height)), size)
        return pixels()

    return EncodedImage(stamp, frame_id, partial(_placed, place, load))


def _placed(place: str, load: Callable[[], Pixels]) -> Pixels:
    """What ``load`` gives; its errors name the place."""
    try:
        return load()
    except GdfusionError as error:
        line = str(error)
        raise GdfusionError(line if line.startswith(place) else f'{place}: {line}') from error


def _require_layout(message: Message, place: str) -> None:
    """Make sure that the rows of a raw image are all there."""
    encoding = ENCODINGS[message.encoding]
    height, width, step = int(message.height), int(message.width), int(message.step)
    if height == 0 or width == 0:
        raise GdfusionError(f'{place}: the image is empty ({width} x {height})')
    if step < width * encoding.pixel_bytes:
        raise GdfusionError(f'{place}: step {step} is too small for {width} pixels of {message.encoding}')
    rows = encoding.rows(height)
    if len(message.data) != step * rows:
        raise GdfusionError(f'{place}: {len(message.data)} bytes of data, expected {step} x {rows} = {step * rows}')


def _load_raw(message: Message) -> Pixels:
    encoding = ENCODINGS[message.encoding]
    rows = np.frombuffer(message.data, np.uint8).reshape(encoding.rows(int(message.height)), int(message.step))
    used = rows[:, : int(message.width) * encoding.pixel_bytes]
    if encoding.bits == 16:
        used = np.ascontiguousarray(used).view('>u2' if message.is_bigendian else '<u2')
    return to_rgb(used.reshape(len(rows), int(message.width), encoding.channels), message.encoding)
