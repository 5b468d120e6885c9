"""``sensor_msgs/CameraInfo`` as the camera model of the images that are sent, checked."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.messages.factory import Message
from gdfusion_ros.messages.place import place_of
from gdfusion_ros.perception.image_size import Size, implausible
from gdfusion_ros.perception.types import CameraModel, Matrix

_FOCAL_LENGTHS = (1.0, 1e5)
"""Between them lies every camera's [px]."""

_FARTHEST_CENTRE = 4
"""How many image sizes the principal point may lie from the image's middle: crops are off-centre, but not that far."""

_MIDDLE = (0.35, 0.65)
"""Where the principal point of a whole image lies, as shares of its sides."""

_FISHEYES = ('equidistant', 'fisheye', 'kannala_brandt')
"""Models whose images are no pinhole camera's even where all coefficients are 0."""


def camera_model(message: Message, topic: str) -> CameraModel:
    """Size and intrinsics of the rectified images, which are in P, or in K where P is empty.

    Both hold for the camera's full resolution; ``roi`` [px of it] and ``binning`` say what is left of that in an image,
    as REP 104 and image_geometry have it: K' = (K - offset) / binning. ``do_rectify`` changes nothing here: image_proc
    cuts the rectified image where the raw one is cut. Images are taken as rectified (see ``remarks``).

    Raises:
        GdfusionError: one line with topic, stamp and cause.
    """
    place = place_of(message, topic)
    name, full = _intrinsics(message)
    if not np.isfinite(full).all():
        raise GdfusionError(f'{place}: the intrinsic matrix {name} is not finite; calibrate the camera')
    if not full[[0, 1], [0, 1]].all():
        raise GdfusionError(f'{place}: the intrinsic matrix {name} is empty; calibrate the camera')
    size, intrinsics = _of_the_images(message, full)
    if min(size) < 1:
        raise GdfusionError(
            f'{place}: camera info without an image size; the driver has to give width and height of '
            'the full image, and roi and binning that leave some of it'
        )
    if reason := implausible(size):
        raise GdfusionError(f"{place}: an image of {size[0]} x {size[1]} pixels is no camera's: {reason}")
    if reason := _implausible_intrinsics(intrinsics, size):
        raise GdfusionError(f"{place}: the intrinsic matrix {name} is no camera's: {reason}; calibrate the camera")
    return CameraModel(*size, intrinsics)


def remarks(message: Message, model: CameraModel) -> list[str]:
    """What seems to be wrong with a ``sensor_msgs/CameraInfo`` whose ``model`` can be taken; always the same words."""
    found = []
    if _is_raw(message):
        found.append('the camera has a lens distortion, which is not taken out: rectify its images (image_proc does)')
    if not (message.roi.x_offset or message.roi.y_offset) and not _is_central(model):
        found.append(
            'the principal point is far from the middle of the image, along both sides: the matrix seems to '
            "be of another resolution than width and height; scale it, or give the full image's size and "
            'binning'
        )
    return found


def _is_raw(message: Message) -> bool:
    """Whether it seems to be of images that are not rectified.

    It states a lens distortion, which the pinhole model ignores, and no other matrix than K for images without it.
    """
    distorted = str(message.distortion_model).startswith(_FISHEYES) or any(float(value) != 0 for value in message.d)
    return distorted and np.array_equal(_intrinsics(message)[1], _matrix(message.k, 3))


def _is_central(model: CameraModel) -> bool:
    """Whether the principal point lies near the middle of the image's width or height, or of both."""
    across, down = model.intrinsics[0, 2] / model.width, model.intrinsics[1, 2] / model.height
    return bool(_MIDDLE[0] < across < _MIDDLE[1] or _MIDDLE[0] < down < _MIDDLE[1])


def _intrinsics(message: Message) -> tuple[str, NDArray[np.float64]]:
    """Name and (3, 3) matrix of a CameraInfo that hold for its rectified image at full resolution."""
    projection = _matrix(message.p, 4)[:, :3]
    return ('P', projection) if projection[0, 0] != 0 else ('K', _matrix(message.k, 3))


def _matrix(values: Iterable[float], columns: int) -> NDArray[np.float64]:
    return np.array([float(value) for value in values]).reshape(3, columns)


def _of_the_images(message: Message, full: Matrix) -> tuple[Size, Matrix]:
    """Size and (3, 3) intrinsics of the images that are sent; zero in roi or binning says nothing, which is all or 1.

    A roi counts even where ``height`` is too small for it: some drivers give the cropped size there.
    """
    roi = message.roi
    offset = np.array([float(roi.x_offset), float(roi.y_offset)])
    binning = np.array([max(int(message.binning_x), 1), max(int(message.binning_y), 1)])
    width = int(roi.width) or int(message.width) - int(roi.x_offset)
    height = int(roi.height) or int(message.height) - int(roi.y_offset)
    intrinsics = full.copy()
    intrinsics[:2, 2] -= offset
    intrinsics[:2] /= binning[:, None]
    return (width // int(binning[0]), height // int(binning[1])), intrinsics


def _implausible_intrinsics(intrinsics: Matrix, size: Size) -> str:
    """Why the float32 that the network computes with would make no image of them; empty where it would."""
    focal = np.diag(intrinsics)[:2]
    if not all(_FOCAL_LENGTHS[0] < value < _FOCAL_LENGTHS[1] for value in focal):
        return (
            f'focal lengths of {focal[0]:g} and {focal[1]:g} px, not between '
            f'{_FOCAL_LENGTHS[0]:g} and {_FOCAL_LENGTHS[1]:g}'
        )
    centre = intrinsics[:2, 2]
    if (abs(centre - np.array(size) / 2) > _FARTHEST_CENTRE * np.array(size)).any():
        return f'the principal point ({centre[0]:g}, {centre[1]:g}) px is far off an image of {size[0]} x {size[1]}'
    if abs(intrinsics[0, 1]) > focal[0] or intrinsics[1, 0] or intrinsics[2].tolist() != [0, 0, 1]:
        return 'it is not upper triangular with a small skew and a last row of 0, 0, 1'
    return ''
