"""Soft filling and the points beside the rays: the recordings, and sums point by point."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gdfusion_ros.model.geometry.cache import CalibrationCache
from gdfusion_ros.model.geometry.depth_bins import DepthBins
from gdfusion_ros.model.geometry.voxel_grid import VoxelGrid
from gdfusion_ros.model.interface import CellDepth, Frame, Neighbours
from gdfusion_ros.model.ops.soft_filling.reference import CORNERS, shares
from gdfusion_ros.model.probe import BLIND, Pass
from gdfusion_ros.model.view.lift import LiftView
from gdfusion_ros.model.view.soft_filling import FlatSoftFilling, InterRayView, SoftFilling

GATE = 1e-4
IMAGE, CELLS = (64, 96), (4, 6)
BINS = DepthBins(first=1.0, step=0.5, count=16)
GRID = VoxelGrid(lower=(-6.0, -5.0, -1.0), voxel_size=(1.0, 1.0, 1.0), shape=(12, 10, 4))
FLAT = VoxelGrid(lower=(-6.0, -5.0, -1.0), voxel_size=(1.0, 1.0, 4.0), shape=(12, 10, 1))


def view(kind: type[LiftView], grid: VoxelGrid) -> Any:
    return kind(SoftFilling(grid), nn.Identity(), IMAGE, CELLS, BINS)


def lifted(slot: Any, cells: CellDepth, frame: Frame) -> Tensor:
    found: Tensor = slot.lifted(
        cells, slot.geometry(frame.calibration, CalibrationCache()), Pass(BLIND, torch.device('cpu'), autocast=False)
    )
    return found


def test_recorded_shares(recording: Callable[[str], Any]) -> None:
    recorded = recording('soft_filling')
    assert recorded.error('weight', shares(recorded['coord'])) <= GATE
    corners = recorded['coord'][:, None].floor() + torch.tensor(CORNERS)
    assert torch.equal(corners, recorded['corner'])


@pytest.mark.parametrize('step', [0, 1])
def test_recorded_volumes(recording: Callable[[str], Any], form: str, step: int) -> None:
    """The second step has a geometry that is no distribution, and a flipped augmentation."""
    recorded = recording('alocc_lift')
    geometry, context = recorded[f'geometry{step}'][0], recorded[f'context{step}'][0]
    cells = CellDepth(
        geometry, context, geometry, None, Neighbours(recorded[f'inter_weight{step}'], recorded[f'inter_offset{step}'])
    )
    recorded.values[f'k2s_sensor{step}'] = torch.eye(4).repeat(1, 3, 1, 1).numpy()  # it has no previous images
    frame = recorded.frame(str(step))
    assert recorded.error(f'volume_soft{step}', lifted(view(LiftView, GRID), cells, frame)) <= GATE
    assert recorded.error(f'volume_soft_inter{step}', lifted(view(InterRayView, GRID), cells, frame)) <= GATE
    flat = InterRayView(FlatSoftFilling(FLAT), nn.Identity(), IMAGE, CELLS, BINS)
    assert recorded.error(f'bev_occ2d{step}', lifted(flat, cells, frame)) <= GATE


def point_by_point(cells: CellDepth, frame: Frame, bins: Tensor) -> Tensor:
    """What InterRayView adds, (C, Y, X, Z) float64: nine places less one, three bins each, by the words of the spec."""
    calibration, volume = frame.calibration, torch.zeros(cells.context.shape[1], 10, 12, 4, dtype=torch.float64)
    assert cells.neighbours is not None
    for n, row, column, a, b, step in product(range(2), range(CELLS[0]), range(CELLS[1]), *[range(3)] * 3):
        k = int(bins[n, row, column]) + step - 1
        if (a, b) == (1, 1) or k < 0:
            continue
        k = min(k, 1)  # two cameras
        du, dv = cells.neighbours.offsets[n, a, b, :, row, column].double()
        depth = 1.0 + 0.5 * k
        pixel = torch.tensor([19.0 * column + du, 21.0 * row + dv, depth]).double()
        point = torch.linalg.inv(calibration.post_rotation[n].double()) @ (pixel - calibration.post_translation[n])
        point = torch.stack([point[0] * depth, point[1] * depth, point[2]])
        pose = calibration.volume_from_camera[n].double()
        point = pose[:3, :3] @ torch.linalg.inv(calibration.intrinsics[n].double()) @ point + pose[:3, 3]
        place = (point - torch.tensor(GRID.lower)) / torch.tensor(GRID.voxel_size)
        weight = cells.distribution[n, k, row, column] * cells.neighbours.weights[n, a, b, step, row, column]
        for corner in product((0, 1), repeat=3):
            x, y, z = (place.floor() + torch.tensor(corner)).long().tolist()
            if 0 <= x < 12 and 0 <= y < 10 and 0 <= z < 4:
                share = (1 - (place - torch.tensor([x, y, z])).abs()).prod()
                volume[:, y, x, z] += weight.double() * share * cells.context[n, :, row, column]
    return volume


def test_points_beside_the_rays_by_definition(drive: Any, form: str) -> None:
    torch.manual_seed(0)
    likeliest = torch.randint(0, 3, (2, *CELLS))
    distribution = 0.1 * torch.rand(2, 16, *CELLS)
    distribution.scatter_(1, likeliest[:, None], 1.0)
    neighbours = Neighbours(torch.rand(2, 3, 3, 3, *CELLS), 16 * torch.rand(2, 3, 3, 2, *CELLS) - 8)
    cells = CellDepth(distribution, torch.randn(2, 5, *CELLS), distribution, None, neighbours)
    frame = drive.frame(3)
    added = lifted(view(InterRayView, GRID), cells, frame) - lifted(view(LiftView, GRID), cells, frame)
    expected = point_by_point(cells, frame, likeliest)
    assert (likeliest == 0).any()
    assert expected.abs().max() > 0.1
    torch.testing.assert_close(added[0].double(), expected, rtol=1e-3, atol=1e-4)


def test_a_camera_that_is_not_to_be_seen_fills_nothing(
    drive: Any, recalibrated: Callable[..., Frame], form: str
) -> None:
    torch.manual_seed(0)
    cells = CellDepth(
        torch.rand(2, 16, *CELLS),
        torch.randn(2, 5, *CELLS),
        torch.empty(0),
        None,
        Neighbours(torch.rand(2, 3, 3, 3, *CELLS), torch.zeros(2, 3, 3, 2, *CELLS)),
    )
    slot = view(InterRayView, GRID)
    assert lifted(slot, cells, drive.frame(0)).any()
    hidden = recalibrated(drive.frame(0), visible=torch.tensor([False, False]))
    assert not lifted(slot, cells, hidden).any()


def test_offsets_weights_and_context_can_be_learned(drive: Any) -> None:
    torch.manual_seed(0)
    offsets = (8 * torch.rand(2, 3, 3, 2, *CELLS) - 4).requires_grad_()
    weights, context = torch.rand(2, 3, 3, 3, *CELLS).requires_grad_(), torch.randn(2, 5, *CELLS).requires_grad_()
    cells = CellDepth(torch.rand(2, 16, *CELLS), context, torch.empty(0), None, Neighbours(weights, offsets))
    lifted(view(InterRayView, GRID), cells, drive.frame(0)).square().sum().backward()
    for learned in (offsets, weights, context):
        assert learned.grad is not None
        assert learned.grad.isfinite().all()
        assert learned.grad.any()
    assert offsets.grad is not None
    assert not offsets.grad[:, 1, 1].any(), 'the own place of a cell is not moved'
