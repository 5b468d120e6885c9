"""The pixel encodings of ``sensor_msgs/image_encodings.hpp``: how each becomes RGB, or why not (docs/images.md)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.perception.types import Pixels

Samples = NDArray[Any]
"""(rows, w, channels) uint8 or uint16, as they lie in the message."""

_SMALLEST_MOSAIC = 3
"""Side of a mosaic [px] below which OpenCV leaves the colours of all pixels black."""

_FEWEST_BITS = 15
"""Sixteen-bit values that need fewer are taken for a sensor's 10, 12 or 14 bits, which would come out all but black."""


@dataclass(frozen=True)
class Encoding:
    """How the pixels of an encoding lie.

    Attributes:
        channels: samples of a pixel in a row.
        bits: of a sample, 8 or 16.
        order: where red, green and blue lie among them; empty where OpenCV converts.
        conversion: OpenCV's, by name; empty where ``order`` says all.
        chroma_rows: rows of chroma that follow each row of the image, for planar encodings.
    """

    channels: int
    bits: int = 8
    order: tuple[int, ...] = ()
    conversion: str = ''
    chroma_rows: float = 0.0

    @property
    def pixel_bytes(self) -> int:
        """Bytes of a pixel in a row."""
        return self.channels * self.bits // 8

    def rows(self, height: int) -> int:
        """Rows of samples of an image of ``height`` rows."""
        return round(height * (1 + self.chroma_rows))


_ORDERS = {'rgb': (0, 1, 2), 'bgr': (2, 1, 0), 'rgba': (0, 1, 2), 'bgra': (2, 1, 0), 'mono': (0, 0, 0)}
_CHANNELS = {'rgb': 3, 'bgr': 3, 'rgba': 4, 'bgra': 4, 'mono': 1}
# OpenCV names a Bayer pattern by its second row's second and third pixel, ROS by its first two rows.
_BAYER = {
    'bayer_rggb': 'COLOR_BayerBG2RGB',
    'bayer_bggr': 'COLOR_BayerRG2RGB',
    'bayer_gbrg': 'COLOR_BayerGR2RGB',
    'bayer_grbg': 'COLOR_BayerGB2RGB',
}
_UYVY, _YUYV = Encoding(2, conversion='COLOR_YUV2RGB_UYVY'), Encoding(2, conversion='COLOR_YUV2RGB_YUY2')

ENCODINGS: dict[str, Encoding] = {
    **{f'{name}{bits}': Encoding(_CHANNELS[name], bits, order) for bits in (8, 16) for name, order in _ORDERS.items()},
    **{f'{name}{bits}': Encoding(1, bits, conversion=code) for bits in (8, 16) for name, code in _BAYER.items()},
    'uyvy': _UYVY,
    'yuv422': _UYVY,
    'yuyv': _YUYV,
    'yuv422_yuy2': _YUYV,
    'nv12': Encoding(1, conversion='COLOR_YUV2RGB_NV12', chroma_rows=0.5),
    'nv21': Encoding(1, conversion='COLOR_YUV2RGB_NV21', chroma_rows=0.5),
}
# OpenCV's matrix types say nothing of colours; these three are taken as RViz takes them.
ENCODINGS |= {'8UC1': ENCODINGS['mono8'], '8UC3': ENCODINGS['bgr8'], '8UC4': ENCODINGS['bgra8']}

_MATRIX = re.compile(r'(8|16|32|64)[USF]C\d*')


def is_bayer(encoding: str) -> bool:
    """Whether it is a mosaic of colours."""
    return encoding in ENCODINGS and encoding.startswith('bayer_')


def refusal(encoding: str) -> str:
    """Why an encoding cannot be an image for the network, whoever decodes it; empty where it can."""
    if encoding not in ENCODINGS and _MATRIX.fullmatch(encoding):
        return f"encoding '{encoding}' holds numbers (depth, disparity, flow), not colours; publish rgb8, bgr8 or mono8"
    return ''


def to_rgb(samples: Samples, encoding: str) -> Pixels:
    """(h, w, 3) uint8 RGB of samples in one of the ENCODINGS.

    Raises:
        GdfusionError: OpenCV is needed and not installed or cannot convert them, or 16 bits are not used in full.
    """
    known = ENCODINGS[encoding]
    # An alpha channel uses all of its bits, whatever the colours do.
    colours = (
        samples if not known.order or (known.order == (0, 1, 2) and known.channels == 3) else samples[..., known.order]
    )
    eight = eight_bits(colours) if known.bits == 16 else colours
    return _converted(eight, known.conversion, encoding) if known.conversion else eight


def eight_bits(samples: Samples) -> Pixels:
    """The upper bytes of 16-bit samples, without an alpha channel, that use all of their range.

    Raises:
        GdfusionError: the brightest one lies so low that they must be of fewer bits.
    """
    bits = int(samples.max()).bit_length()
    if 0 < bits < _FEWEST_BITS:  # all black is black whatever white is
        raise GdfusionError(
            f'its 16-bit values are of {bits} bits at most, so that white is unknown; '
            'have the driver fill all 16 bits, or publish 8'
        )
    return (samples >> 8).astype(np.uint8)


def opencv(purpose: str) -> Any:
    """The module cv2.

    Raises:
        GdfusionError: it is not installed; ``purpose`` names what needs it.
    """
    try:
        import cv2
    except ImportError as error:
        raise GdfusionError(f'{purpose} images need OpenCV: pip install opencv-python-headless') from error
    return cv2


def _converted(samples: Pixels, conversion: str, encoding: str) -> Pixels:
    cv2 = opencv(encoding)
    if is_bayer(encoding) and min(samples.shape[:2]) < _SMALLEST_MOSAIC:
        raise GdfusionError(
            f'a mosaic of {samples.shape[1]} x {samples.shape[0]} pixels is too small to tell its colours'
        )
    packed = np.ascontiguousarray(samples[..., 0] if samples.shape[-1] == 1 else samples)
    try:
        return np.asarray(cv2.cvtColor(packed, getattr(cv2, conversion)), np.uint8)
    except cv2.error as error:
        raise GdfusionError(
            f'an image with {samples.shape[1]} x {samples.shape[0]} samples cannot be {encoding}, '
            'where pixels share their colour by twos: its width or height is odd'
        ) from error
