"""Lift: the recording, and a sum point by point."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor

from gdfusion_ros.model.geometry.camera import camera_points, transform, translated
from gdfusion_ros.model.geometry.small_matrices import inverse
from gdfusion_ros.model.geometry.voxel_grid import VoxelGrid
from gdfusion_ros.model.interface import Frame
from gdfusion_ros.model.ops.voxel_index import VoxelIndex
from gdfusion_ros.model.view.lift import Lift

GATE = 1e-4
IMAGE, CELLS = (64, 96), (4, 6)
GRID = VoxelGrid(lower=(-6.0, -5.0, -1.0), voxel_size=(1.0, 1.0, 1.0), shape=(12, 10, 4))
DEPTHS = torch.arange(1, 9, 0.5)


def frustum(frame: Frame) -> Tensor:
    calibration = frame.calibration
    return camera_points(IMAGE, CELLS, DEPTHS, inverse(calibration.post_rotation), calibration.post_translation)


def index_of(lift: Lift, frame: Frame) -> VoxelIndex:
    index = lift.geometry(frustum(frame).permute(0, 2, 3, 1, 4).contiguous(), frame.calibration)
    assert isinstance(index, VoxelIndex)
    return index


def test_recorded_points_and_volume(recording: Callable[[str], Any], form: str) -> None:
    recorded = recording('lift')
    frame, lift = recorded.frame(), Lift(GRID)
    for name in ('dx', 'bx', 'nx'):
        assert torch.equal(getattr(lift, name), recorded[name])
    calibration, pose = frame.calibration, frame.calibration.volume_from_camera
    points = translated(pose[:, :3, :3] @ torch.linalg.inv(calibration.intrinsics), frustum(frame), pose[:, :3, 3])
    assert recorded.error('points', transform(calibration.bda.expand(2, 3, 3), points)[None]) <= GATE
    volume = lift(recorded['depth'][0], recorded['context'][0], index_of(lift, frame))
    assert recorded.error('volume', volume) <= GATE


def lifted_point_by_point(geometry: Tensor, context: Tensor, frame: Frame, kinds: dict[str, int]) -> Tensor:
    """(C, Y, X, Z) float64; ``kinds`` counts what happened to the points."""
    calibration = frame.calibration
    volume = torch.zeros(context.shape[1], 10, 12, 4, dtype=torch.float64)
    for n, k, row, column in product(range(2), range(16), range(CELLS[0]), range(CELLS[1])):
        pixel = torch.tensor([19.0 * column, 21.0 * row, float(DEPTHS[k])]).double()
        point = torch.linalg.inv(calibration.post_rotation[n].double()) @ (pixel - calibration.post_translation[n])
        point = torch.stack([point[0] * point[2], point[1] * point[2], point[2]])
        pose = calibration.volume_from_camera[n].double()
        point = pose[:3, :3] @ torch.linalg.inv(calibration.intrinsics[n].double()) @ point + pose[:3, 3]
        cell = (calibration.bda.double() @ point - torch.tensor(GRID.lower)) / torch.tensor(GRID.voxel_size)
        assert (cell - cell.round()).abs().min() > 1e-6, 'a point so near a border decides nothing'
        x, y, z = (int(value) for value in cell)
        if not calibration.visible[n]:
            kinds['masked'] += 1
        elif 0 <= x < 12 and 0 <= y < 10 and 0 <= z < 4:
            kinds['below' if (cell < 0).any() else 'inside'] += 1
            volume[:, y, x, z] += float(geometry[n, k, row, column]) * context[n, :, row, column]
        else:
            kinds['outside'] += 1
    return volume


@pytest.mark.parametrize('bda', [torch.eye(3), torch.tensor([[-0.9, 0.1, 0], [0.1, 1.05, 0], [0, 0, 1]])])
@pytest.mark.parametrize('visible', [[True, True], [True, False], [False, False]])
def test_lift_by_definition(
    drive: Any, recalibrated: Callable[..., Frame], form: str, bda: Tensor, visible: list[bool]
) -> None:
    torch.manual_seed(0)
    geometry, context = torch.rand(2, 16, *CELLS), torch.randn(2, 5, *CELLS)
    frame = recalibrated(drive.frame(3), bda=bda, visible=torch.tensor(visible))
    frame.calibration.volume_from_camera[:, 2, 3] -= 1.5  # so low that points fall just below the grid
    kinds = dict.fromkeys(('inside', 'below', 'outside', 'masked'), 0)
    expected = lifted_point_by_point(geometry, context, frame, kinds)
    assert (kinds['masked'] > 0) == (visible != [True, True])
    assert any(visible) == all(kinds[kind] > 0 for kind in ('inside', 'below', 'outside')), kinds
    lift = Lift(GRID)
    voxels = index_of(lift, frame)
    assert len(voxels.points) == kinds['inside'] + kinds['below']
    volume = lift(geometry, context, voxels)
    assert volume.is_contiguous(memory_format=torch.channels_last_3d)
    torch.testing.assert_close(volume[0].double(), expected, rtol=1e-4, atol=1e-5)
    assert torch.equal(lift(geometry, context, voxels), volume)


@pytest.mark.parametrize('form', ['plain', 'compiled'], indirect=True)
def test_parts_of_voxels_have_sums_of_their_own(drive: Any, form: str) -> None:
    torch.manual_seed(0)
    geometry, context, frame = torch.rand(2, 16, *CELLS), torch.randn(2, 5, *CELLS), drive.frame(3)
    fine, coarse = Lift(GRID.refined(2)), Lift(GRID, 5, 2)
    assert coarse.mix is not None
    expected = fine(geometry, context, index_of(fine, frame))[0]
    voxels = index_of(coarse, frame)
    for part, (dy, dx, dz) in enumerate(product((0, 1), repeat=3)):
        coarse.mix.weight.data.zero_()
        coarse.mix.weight.data[:, 5 * part : 5 * part + 5] = torch.eye(5)
        coarse.mix.bias.data.zero_()
        with torch.no_grad():
            volume = coarse(geometry, context, voxels)[0]
        torch.testing.assert_close(volume, expected[:, dy::2, dx::2, dz::2], rtol=1e-4, atol=1e-5)
    assert expected.any()


@pytest.mark.parametrize('form', ['plain', 'compiled'], indirect=True)
def test_parts_where_no_camera_sees_the_grid(drive: Any, recalibrated: Callable[..., Frame], form: str) -> None:
    frame = recalibrated(drive.frame(3), visible=torch.tensor([False, False]))
    lift = Lift(GRID, 5, 2)
    assert lift.mix is not None
    with torch.no_grad():
        volume = lift(torch.rand(2, 16, *CELLS), torch.randn(2, 5, *CELLS), index_of(lift, frame))
    torch.testing.assert_close(volume, lift.mix.bias.detach().view(1, 5, 1, 1, 1).expand_as(volume))
