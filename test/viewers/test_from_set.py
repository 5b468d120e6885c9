"""The view of a set of images that a network has seen."""

from __future__ import annotations

import numpy as np
import pytest

from gdfusion_ros.perception.labels import OCC3D_NUSCENES
from gdfusion_ros.perception.poses import pose_matrix, product
from gdfusion_ros.perception.types import (
    CameraImage,
    CameraModel,
    CameraSet,
    GridPlace,
    InputImage,
    PosedCamera,
    PosedSet,
    SemanticGrid,
)
from gdfusion_ros.viewers.from_set import view_of_set

HALF = 0.5**0.5


class Ready:
    """An image that has been decoded and cut."""

    def start(self) -> None: ...

    def cancel(self) -> None: ...

    def result(self) -> InputImage:
        return InputImage(np.zeros((256, 704, 3), np.uint8), (1600, 900))


def test_cameras_are_those_of_the_images_that_the_network_saw() -> None:
    model = CameraModel(1600, 900, np.array([[1200.0, 0.0, 800.0], [0.0, 1200.0, 450.0], [0.0, 0.0, 1.0]]))
    mounting = pose_matrix((1.5, 0.0, 1.6), (-0.5, 0.5, -0.5, 0.5))
    grid_pose = pose_matrix((10.0, 20.0, 0.0), (0.0, 0.0, HALF, HALF))  # the vehicle looks along y of the map
    later = pose_matrix((10.0, 20.5, 0.0), (0.0, 0.0, HALF, HALF))  # and is half a metre on when the camera fires
    image = CameraImage('CAM_FRONT', 0, 2, 'CAM_FRONT', Ready())
    cameras = {name: PosedCamera(model, mounting, later) for name in ('CAM_FRONT', 'CAM_BACK')}
    posed = PosedSet(
        CameraSet(1, 0, {'CAM_FRONT': image}, masked=('CAM_BACK',)),
        cameras,
        GridPlace('base_link', 1, grid_pose),
        grid_pose,
        0.0,
        0.0,
    )
    grid = SemanticGrid(
        1,
        'base_link',
        (0.0, 0.0, 0.0),
        (1.0, 1.0, 1.0),
        np.zeros((1, 1, 1), np.uint8),
        None,
        OCC3D_NUSCENES,
        'tiny',
        1,
        ('CAM_FRONT',),
        0,
    )
    view = view_of_set(posed, grid, 'odom', {'network [ms]': 100.0}, ())
    (place,) = view.cameras.values()
    # Scaled by 0.44 to 704 x 396, of which the upper 140 rows are cut off.
    assert place.intrinsics == pytest.approx(np.array([[528, 0, 352], [0, 528, 58], [0, 0, 1.0]]))
    assert place.grid_from_camera == pytest.approx(product(pose_matrix((0.5, 0, 0), (0, 0, 0, 1)), mounting))
    assert view.snapshot.images['CAM_FRONT'].shape == (256, 704, 3)
    assert view.fixed_from_grid is grid_pose
    assert (view.fixed_frame, view.numbers) == ('odom', {'network [ms]': 100.0})
