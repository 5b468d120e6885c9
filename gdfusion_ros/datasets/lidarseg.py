"""nuScenes-lidarseg's files: a byte for every point of a LiDAR sweep, in the order of its points, its category."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gdfusion_ros.datasets.categories import label_of
from gdfusion_ros.datasets.nuscenes import PointCategories
from gdfusion_ros.errors import GdfusionError


def read(categories: PointCategories, points: int) -> NDArray[np.uint8]:
    """(points,) class ids of the points of a sweep: 1 to 16, the same in all label sets of nuScenes, and 0 of others.

    Raises:
        GdfusionError: the file cannot be read, or is not of a sweep with so many points, or of these categories.
    """
    path = categories.path
    try:
        found = np.frombuffer(path.read_bytes(), np.uint8)
    except OSError as error:
        raise GdfusionError(f'categories of LiDAR points {path} cannot be read: {error.strerror}') from error
    if len(found) != points:
        raise GdfusionError(
            f'{path} has categories of {len(found)} points, but the sweep has {points}: fetch both again'
        )
    if unknown := set(np.unique(found).tolist()) - categories.names.keys():
        raise GdfusionError(
            f"{path} has points of category {min(unknown)}, which is no 'index' in category.json: take "
            'that table from nuScenes-lidarseg'
        )
    classes = np.zeros(256, np.uint8)
    for index, name in categories.names.items():
        classes[index] = label_of(name).id
    mapped: NDArray[np.uint8] = classes[found]
    return mapped
