"""Colour from the Bayer mosaic of raw sensor images."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.perception.types import Pixels

# OpenCV names a pattern by its second row's second and third pixel, ROS by its first two rows.
BAYER_ENCODINGS = {
    'bayer_rggb8': 'COLOR_BayerBG2RGB',
    'bayer_bggr8': 'COLOR_BayerRG2RGB',
    'bayer_gbrg8': 'COLOR_BayerGR2RGB',
    'bayer_grbg8': 'COLOR_BayerGB2RGB',
}
"""ROS encoding -> OpenCV's conversion."""


def demosaic(mosaic: NDArray[np.uint8], encoding: str) -> Pixels:
    """(h, w) mosaic -> (h, w, 3) RGB, bilinear.

    Raises:
        GdfusionError: OpenCV is not installed.
    """
    try:
        import cv2
    except ImportError as error:
        raise GdfusionError(f'{encoding} images need OpenCV: pip install opencv-python-headless') from error
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(mosaic), getattr(cv2, BAYER_ENCODINGS[encoding])), np.uint8)
