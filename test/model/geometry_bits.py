"""Prints digests of the bits of all geometry that decides a zero test or an index, as JSON; run by test_same_bits.py.

The cameras are those of no vehicle: lenses with skew, an image that was turned, poses far from the origin.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from gdfusion_ros.model.depth.ground import ground_bins
from gdfusion_ros.model.geometry.alignment import index_transform
from gdfusion_ros.model.geometry.camera import camera_points, pixel_grid, rays
from gdfusion_ros.model.geometry.reprojection import Reprojection
from gdfusion_ros.model.geometry.small_matrices import inverse
from gdfusion_ros.model.geometry.voxel_grid import VoxelGrid
from gdfusion_ros.model.interface import Calibration, Frame
from gdfusion_ros.model.ops.cost_volume.reference import sampling_grid
from gdfusion_ros.model.ops.voxel_index import locate
from gdfusion_ros.model.ops.warp.reference import sampled_positions
from gdfusion_ros.model.view.lift import placement
from gdfusion_ros.perception.framing import PostTransform, RigPoses, frame_of, rig_matrices
from gdfusion_ros.perception.poses import Quaternion, Vector
from gdfusion_ros.perception.transforms import TransformTree
from gdfusion_ros.perception.types import Matrix, StampedTransform

IMAGE, CELLS = (128, 352), (16, 44)
DEPTHS = 1 + 0.7 * torch.arange(24, dtype=torch.float32)
GRID = VoxelGrid(lower=(-40.0, -40.0, -1.0), voxel_size=(0.8, 0.8, 0.8), shape=(100, 100, 8))


def tree() -> TransformTree:
    """A vehicle on a bend, 1650 m from the origin, with three cameras."""
    transforms = TransformTree(10**10)
    for second in range(3):
        half = 0.06 * second + 0.3
        where: tuple[Vector, Quaternion] = (
            (600.3 + 7.1 * second, 1647.1 - second, 0.04 * second),
            (0.003, -0.002 * second, math.sin(half), math.cos(half)),
        )
        transforms.set(StampedTransform('map', 'base', second * 10**9, *where))
    for index, place in enumerate(((1.7, 0.0, 1.5), (1.0, 0.5, 1.6), (0.03, 0.1, 1.57))):
        turned = (-0.5 + 0.01 * index, 0.5, -0.49, 0.5 - 0.4 * index)
        transforms.set_static(StampedTransform('base', f'camera{index}', 0, place, turned))
    return transforms


def poses(transforms: TransformTree, stamp: int) -> RigPoses:
    cameras = [transforms.lookup('map', f'camera{index}', stamp + 17 * 10**6 * index) for index in range(3)]
    vehicle = transforms.lookup('map', 'base', stamp)
    return RigPoses(vehicle, np.stack(cameras), vehicle)


def frame() -> Frame:
    transforms = tree()
    intrinsics: list[Matrix] = [
        np.array([[1266.4 - 91.3 * n, 0.7 * n, 816.3], [0, 1257.1, 491.5 + n], [0, 0, 1.0]]) for n in range(3)
    ]
    posts = [
        PostTransform(np.diag([0.22, 0.22, 1.0]), np.array([0.0, -70.0, 0.0])),
        PostTransform(np.array([[0.23, 0.02, 0], [-0.02, 0.23, 0], [0, 0, 1.0]]), np.array([3.1, -71.7, 0.0])),
        PostTransform(np.array([[-0.21, 0, 0], [0, 0.21, 0], [0, 0, 1.0]]), np.array([352.0, -68.3, 0.0])),
    ]
    return frame_of(
        torch.empty(3, 3, *IMAGE),
        rig_matrices(intrinsics, posts, poses(transforms, 1_700_000_000), poses(transforms, 1_200_000_000), [True] * 3),
    )


def geometry() -> dict[str, Tensor]:
    made, bda = frame(), torch.tensor([[0.95, 0.1, 0], [-0.1, 0.95, 0], [0, 0, 1.0]])
    cameras = made.calibration
    points = camera_points(IMAGE, CELLS, DEPTHS, inverse(cameras.post_rotation), cameras.post_translation)
    u, v = pixel_grid(IMAGE, CELLS)
    reprojection = Reprojection.between(cameras, made.previous(cameras))
    index = index_transform(GRID, made.previous_ego_from_ego, bda, torch.eye(3))
    beams = rays(u, v, cameras.intrinsics, cameras.post_rotation, cameras.post_translation, cameras.volume_from_camera)
    return {
        'volume_from_camera': cameras.volume_from_camera,
        'previous_camera': made.previous_camera_from_camera,
        'previous_ego': made.previous_ego_from_ego,
        'columns': u,
        'rows': v,
        'large_image': torch.cat([*pixel_grid((256, 704), (64, 176)), *pixel_grid((900, 1600), (56, 100))]),
        'points': points,
        'rays': beams,
        'ground': ground_bins(cameras, IMAGE, CELLS, DEPTHS),
        'stereo': sampling_grid(CELLS, reprojection, IMAGE, DEPTHS),
        'index': index,
        'positions': sampled_positions(None, index, (100, 100, 8)),
        'voxels': located(points, replace(cameras, bda=bda), 1),
        'parts': located(points, cameras, 2),
    }


def located(points: Tensor, cameras: Calibration, parts: int) -> Tensor:
    """(N, D, h, w) voxels of the points, which lie so, too."""
    return locate(points.permute(0, 2, 3, 1, 4).contiguous(), placement(cameras), GRID, parts).permute(0, 3, 1, 2)


if __name__ == '__main__':
    with torch.inference_mode():
        print(
            json.dumps(
                {
                    name: hashlib.sha256(tensor.contiguous().numpy().tobytes()).hexdigest()[:16]
                    for name, tensor in geometry().items()
                }
            )
        )
