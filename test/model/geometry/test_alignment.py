"""Where voxels lie in the previous grid, point by point."""

from __future__ import annotations

from itertools import product

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from gdfusion_ros.model.geometry.alignment import index_transform, plane_transform
from gdfusion_ros.model.geometry.voxel_grid import VoxelGrid
from gdfusion_ros.model.ops.warp.reference import sampled_positions

GRID = VoxelGrid(lower=(-3.0, -2.0, -1.0), voxel_size=(0.5, 0.4, 0.8), shape=(5, 4, 3))


def test_an_index_stands_for_the_lower_corner_of_its_voxel() -> None:
    previous_ego_from_ego = np.eye(4)
    previous_ego_from_ego[:3, :3] = Rotation.from_euler('zyx', [20, -3, 2], degrees=True).as_matrix()
    previous_ego_from_ego[:3, 3] = 1.2, -0.3, 0.05
    flip_x, turn = np.diag([-1.0, 1, 1]), Rotation.from_euler('z', 30, degrees=True).as_matrix()
    matrix = index_transform(
        GRID, torch.from_numpy(previous_ego_from_ego), torch.from_numpy(turn), torch.from_numpy(flip_x)
    )
    for index in product(range(5), range(4), range(3)):
        metres = np.array(GRID.lower) + np.array(GRID.voxel_size) * index
        ego = np.linalg.inv(turn) @ metres
        previous_ego = previous_ego_from_ego[:3, :3] @ ego + previous_ego_from_ego[:3, 3]
        expected = (flip_x @ previous_ego - np.array(GRID.lower)) / np.array(GRID.voxel_size)
        np.testing.assert_allclose(matrix[:3].double().numpy() @ [*index, 1.0], expected, atol=1e-5)


def test_a_cell_of_a_map_stands_for_a_point_a_metre_above_the_ground() -> None:
    previous_ego_from_ego = np.eye(4)
    previous_ego_from_ego[:3, :3] = Rotation.from_euler('zyx', [20, -15, 12], degrees=True).as_matrix()
    previous_ego_from_ego[:3, 3] = 1.2, -0.3, 0.05
    flip_y = np.diag([1.0, -1, 1])
    matrix = plane_transform(GRID, torch.from_numpy(previous_ego_from_ego), torch.from_numpy(flip_y), torch.eye(3))
    for ix, iy in product(range(5), range(4)):
        metres = np.array([-3.0 + 0.5 * ix, -2.0 + 0.4 * iy, 1.0])
        previous = previous_ego_from_ego[:3, :3] @ flip_y @ metres + previous_ego_from_ego[:3, 3]
        expected = [(previous[0] + 3) / 0.5, (previous[1] + 2) / 0.4, 0]
        np.testing.assert_allclose(matrix[:3].double().numpy() @ [ix, iy, 0, 1.0], expected, atol=1e-5)
    assert not matrix[2].any(), 'looked for in the only layer, exactly'


def test_a_vehicle_that_stands_still_moves_no_voxel() -> None:
    torch.testing.assert_close(index_transform(GRID, torch.eye(4), torch.eye(3), torch.eye(3)), torch.eye(4))


def test_offsets_are_added_after_the_rigid_transform() -> None:
    matrix = torch.eye(4)
    matrix[:3, :3] = torch.from_numpy(Rotation.from_euler('zyx', [40, 10, 5], degrees=True).as_matrix())
    matrix[:3, 3] = torch.tensor([0.5, -1.5, 0.25])
    offsets = torch.randn(4 * 5 * 3, 3, generator=torch.Generator().manual_seed(0))
    plain = sampled_positions(None, matrix, (4, 5, 3))
    moved = sampled_positions(offsets, matrix, (4, 5, 3))
    for row, (y, x, z) in enumerate(product(range(4), range(5), range(3))):
        rigid = matrix[:3].double() @ torch.tensor([x, y, z, 1.0], dtype=torch.float64)
        torch.testing.assert_close(plain[row].double(), rigid, atol=1e-5, rtol=0)
        torch.testing.assert_close(moved[row].double(), rigid + offsets[row], atol=1e-5, rtol=0)
