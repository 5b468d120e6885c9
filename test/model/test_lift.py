"""Lift: the recording, and a sum point by point."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor

from gdfusion_ros.model.geometry.camera import camera_points, transform, translated
from gdfusion_ros.model.geometry.voxel_grid import VoxelGrid
from gdfusion_ros.model.interface import Frame
from gdfusion_ros.model.ops.voxel_index import NOWHERE
from gdfusion_ros.model.view.lift import Lift

GATE = 1e-4
IMAGE, CELLS = (64, 96), (4, 6)
GRID = VoxelGrid(lower=(-6.0, -5.0, -1.0), voxel_size=(1.0, 1.0, 1.0), shape=(12, 10, 4))
DEPTHS = torch.arange(1, 9, 0.5)


def frustum(frame: Frame) -> Tensor:
    return camera_points(IMAGE, CELLS, DEPTHS, frame.post_rotation, frame.post_translation)


def test_recorded_points_and_volume(recording: Callable[[str], Any], form: str) -> None:
    recorded = recording('lift')
    frame, lift = recorded.frame(), Lift(GRID)
    for name in ('dx', 'bx', 'nx'):
        assert torch.equal(getattr(lift, name), recorded[name])
    points = translated(frame.ego_from_camera[:, :3, :3] @ torch.linalg.inv(frame.intrinsics), frustum(frame),
                        frame.ego_from_camera[:, :3, 3])
    assert recorded.error('points', transform(frame.bda.expand(2, 3, 3), points)[None]) <= GATE
    volume = lift(recorded['depth'][0], recorded['context'][0], lift.voxels(frustum(frame), frame))
    assert recorded.error('volume', volume) <= GATE


def lifted_point_by_point(geometry: Tensor, context: Tensor, frame: Frame, kinds: dict[str, int]) -> Tensor:
    """(C, Y, X, Z) float64; ``kinds`` counts what happened to the points."""
    volume = torch.zeros(context.shape[1], 10, 12, 4, dtype=torch.float64)
    for n, k, row, column in product(range(2), range(16), range(CELLS[0]), range(CELLS[1])):
        pixel = torch.tensor([19.0 * column, 21.0 * row, float(DEPTHS[k])]).double()
        point = torch.linalg.inv(frame.post_rotation[n].double()) @ (pixel - frame.post_translation[n])
        point = torch.stack([point[0] * point[2], point[1] * point[2], point[2]])
        pose = frame.ego_from_camera[n].double()
        point = pose[:3, :3] @ torch.linalg.inv(frame.intrinsics[n].double()) @ point + pose[:3, 3]
        cell = (frame.bda.double() @ point - torch.tensor(GRID.lower)) / torch.tensor(GRID.voxel_size)
        assert (cell - cell.round()).abs().min() > 1e-6, 'a point so near a border decides nothing'
        x, y, z = (int(value) for value in cell)
        if not frame.visible[n]:
            kinds['masked'] += 1
        elif 0 <= x < 12 and 0 <= y < 10 and 0 <= z < 4:
            kinds['below' if (cell < 0).any() else 'inside'] += 1
            volume[:, y, x, z] += float(geometry[n, k, row, column]) * context[n, :, row, column]
        else:
            kinds['outside'] += 1
    return volume


@pytest.mark.parametrize('bda', [torch.eye(3), torch.tensor([[-0.9, 0.1, 0], [0.1, 1.05, 0], [0, 0, 1]])])
@pytest.mark.parametrize('visible', [[True, True], [True, False], [False, False]])
def test_lift_by_definition(drive: Any, form: str, bda: Tensor, visible: list[bool]) -> None:
    torch.manual_seed(0)
    geometry, context = torch.rand(2, 16, *CELLS), torch.randn(2, 5, *CELLS)
    frame = dataclasses.replace(drive.frame(3), bda=bda, visible=torch.tensor(visible))
    frame.ego_from_camera[:, 2, 3] -= 1.5  # so low that points fall just below the grid
    kinds = dict.fromkeys(('inside', 'below', 'outside', 'masked'), 0)
    expected = lifted_point_by_point(geometry, context, frame, kinds)
    assert (kinds['masked'] > 0) == (visible != [True, True])
    assert any(visible) == all(kinds[kind] > 0 for kind in ('inside', 'below', 'outside')), kinds
    lift = Lift(GRID)
    voxels = lift.voxels(frustum(frame), frame)
    assert int((voxels != NOWHERE).sum()) == kinds['inside'] + kinds['below']
    volume = lift(geometry, context, voxels)
    assert volume.is_contiguous(memory_format=torch.channels_last_3d)
    torch.testing.assert_close(volume[0].double(), expected, rtol=1e-4, atol=1e-5)
    assert torch.equal(lift(geometry, context, voxels), volume)


@pytest.mark.parametrize('field', ['post_rotation', 'post_translation', 'intrinsics', 'ego_from_camera', 'bda',
                                   'visible'])
def test_voxels_are_located_again_for_another_calibration_only(drive: Any, monkeypatch: pytest.MonkeyPatch,
                                                               field: str) -> None:
    calls = []
    locate = Lift._locate
    monkeypatch.setattr(Lift, '_locate', lambda *args: (calls.append(1), locate(*args))[1])
    lift, frame = Lift(GRID), drive.frame(1)
    lift.voxels(frustum(frame), frame)
    lift.voxels(frustum(frame), dataclasses.replace(frame, images=frame.images + 1, previous_ego_from_ego=torch.eye(4)))
    assert len(calls) == 1
    value = getattr(frame, field)
    value = ~value if field == 'visible' else value * 0.97
    other = dataclasses.replace(frame, **{field: value})
    voxels = lift.voxels(frustum(other), other)
    assert len(calls) == 2
    assert torch.equal(voxels, Lift(GRID).voxels(frustum(other), other))


@pytest.mark.parametrize('form', ['plain', 'compiled'], indirect=True)
def test_parts_of_voxels_have_sums_of_their_own(drive: Any, form: str) -> None:
    torch.manual_seed(0)
    geometry, context, frame = torch.rand(2, 16, *CELLS), torch.randn(2, 5, *CELLS), drive.frame(3)
    fine, coarse = Lift(GRID.refined(2)), Lift(GRID, 5, 2)
    assert coarse.mix is not None
    expected = fine(geometry, context, fine.voxels(frustum(frame), frame))[0]
    voxels = coarse.voxels(frustum(frame), frame)
    for part, (dy, dx, dz) in enumerate(product((0, 1), repeat=3)):
        coarse.mix.weight.data.zero_()
        coarse.mix.weight.data[:, 5 * part:5 * part + 5] = torch.eye(5)
        coarse.mix.bias.data.zero_()
        with torch.no_grad():
            volume = coarse(geometry, context, voxels)[0]
        torch.testing.assert_close(volume, expected[:, dy::2, dx::2, dz::2], rtol=1e-4, atol=1e-5)
    assert expected.any()


@pytest.mark.parametrize('form', ['plain', 'compiled'], indirect=True)
def test_parts_where_no_camera_sees_the_grid(drive: Any, form: str) -> None:
    frame = dataclasses.replace(drive.frame(3), visible=torch.tensor([False, False]))
    lift = Lift(GRID, 5, 2)
    assert lift.mix is not None
    with torch.no_grad():
        volume = lift(torch.rand(2, 16, *CELLS), torch.randn(2, 5, *CELLS), lift.voxels(frustum(frame), frame))
    torch.testing.assert_close(volume, lift.mix.bias.detach().view(1, 5, 1, 1, 1).expand_as(volume))
