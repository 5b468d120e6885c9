"""Which sizes an image may have, judged before anything is decoded or computed."""

from __future__ import annotations

from gdfusion_ros.errors import GdfusionError

Size = tuple[int, int]
"""(width, height) [px]."""

_MOST_PIXELS = 1 << 25
"""A larger image is no vehicle camera's; its decoding alone would take hundreds of megabytes."""

_LONGEST_SIDE_RATIO = 8
"""Scaled to the network's width, a narrower image becomes thousands of rows, and a wider one none at all."""


def implausible(size: Size) -> str:
    """Why no camera has images of this size; empty where one may."""
    width, height = size
    if min(size) < 1:
        return 'it is empty'
    if width * height > _MOST_PIXELS:
        return f'it has more than {_MOST_PIXELS // 10**6} million pixels'
    if max(size) > _LONGEST_SIDE_RATIO * min(size):
        return f'it has one side more than {_LONGEST_SIDE_RATIO} times as long as the other'
    return ''


def require_size(size: Size, expected: Size | None) -> None:
    """Make sure that an image of this size can be used.

    Args:
        size: Of the image.
        expected: What its camera info says; None where that is not known yet.

    Raises:
        GdfusionError: it is another one, or none that a camera has.
    """
    has = f'the image has {size[0]} x {size[1]} pixels'
    if expected is not None and size != expected:
        raise GdfusionError(
            f'{has}, but its camera info says {expected[0]} x {expected[1]}: scale both alike, '
            'or calibrate the camera for this size'
        )
    if reason := implausible(size):
        raise GdfusionError(f'{has}: {reason}')
