"""The view of a set of images that a network has just seen."""

from __future__ import annotations

from collections.abc import Mapping

from gdfusion_ros.perception.health import Status
from gdfusion_ros.perception.poses import inverse, product
from gdfusion_ros.perception.preprocess import ResizeCrop
from gdfusion_ros.perception.types import Matrix, PosedCamera, PosedSet, SemanticGrid
from gdfusion_ros.viewers.view import PlacedCamera, View
from gdfusion_ros.visualization.snapshot import Snapshot


def view_of_set(
    posed: PosedSet, grid: SemanticGrid, fixed_frame: str, numbers: Mapping[str, float], statuses: tuple[Status, ...]
) -> View:
    """The view of ``grid``, which a network made of ``posed``; its images are those that the network saw.

    They are decoded and cut already, which is why nothing is taken from the next frame's time.
    """
    inputs = {camera: image.input.result() for camera, image in posed.camera_set.images.items()}
    cameras = {}
    for camera, image in inputs.items():
        height, width, _ = image.pixels.shape
        cameras[camera] = _placed(
            posed.cameras[camera], ResizeCrop(image.source, (width, height)), posed.grid.fixed_from_grid
        )
    images = {camera: image.pixels for camera, image in inputs.items()}
    return View(Snapshot(grid, images=images), cameras, fixed_frame, posed.grid.fixed_from_grid, numbers, statuses)


def _placed(camera: PosedCamera, crop: ResizeCrop, fixed_from_grid: Matrix) -> PlacedCamera:
    intrinsics = crop.post_rotation() @ camera.model.intrinsics
    intrinsics[:2, 2] += crop.post_translation()[:2]
    return PlacedCamera(intrinsics, product(inverse(fixed_from_grid), camera.fixed_from_ego, camera.ego_from_camera))
