"""Backward projection: the recording stage by stage."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import torch

from gdfusion_ros.model.geometry.depth_bins import DepthBins
from gdfusion_ros.model.geometry.voxel_grid import VoxelGrid
from gdfusion_ros.model.interface import CellDepth
from gdfusion_ros.model.layers.volume import rows
from gdfusion_ros.model.view.backward_projection import (
    BACKWARD_PROJECTION,
    BackwardProjection,
    PillarGeometry,
    column_views,
)
from gdfusion_ros.model.view.pillars import pillar_points, pillar_views, project

GATE = 1e-4
IMAGE, CELLS, BINS = (64, 96), (4, 6), DepthBins(first=1.0, step=0.5, count=16)
GRID = VoxelGrid(lower=(-12.8, -9.6, -1.0), voxel_size=(1.6, 1.6, 0.8), shape=(16, 12, 8))


def test_recorded_stages(recording: Callable[[str], Any], form: str) -> None:
    recorded = recording('fbocc_backward_projection')
    projection = BackwardProjection(GRID, 16, 3)
    recorded.load(projection, BACKWARD_PROJECTION)
    for step in '01':
        calibration = recorded.frame(step).calibration
        pillars = project(projection.points(), calibration, IMAGE)
        seen = recorded[f'ref_mask{step}'][:, 0]
        assert torch.equal(pillars.seen, seen)
        ahead = recorded[f'ref_depth{step}'][:, 0, ..., 0] > 0.5
        torch.testing.assert_close(pillars.places[ahead], recorded[f'ref_uv{step}'][:, 0][ahead], rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(pillars.depths, recorded[f'ref_depth{step}'][:, 0, ..., 0], rtol=1e-5, atol=1e-5)

        cells = CellDepth(recorded[f'geometry{step}'][0], recorded[f'context{step}'][0], torch.empty(0), None)
        geometry = PillarGeometry(column_views(GRID), pillar_views(pillars, CELLS, BINS))
        lifted = recorded[f'lss_bev{step}'][..., None].expand(-1, -1, -1, -1, 8)
        queries = projection.queries + rows(lifted.mean(-1))
        queries = projection.ask_neighbours(queries, lifted.shape[2:4], geometry.columns)
        assert recorded.error(f'after_self{step}', queries[None]) <= GATE
        queries = projection.ask_images(projection.norms[0](queries), cells, geometry.pillars)
        assert recorded.error(f'after_cross{step}', queries[None]) <= GATE
        assert recorded.error(f'out{step}', projection(lifted, cells, geometry)) <= GATE


def test_a_camera_that_is_masked_out_is_not_asked(recording: Callable[[str], Any]) -> None:
    frame = recording('fbocc_backward_projection').frame('0')
    visible = torch.tensor([True, False, True])
    pillars = project(pillar_points(GRID, 4), dataclasses.replace(frame.calibration, visible=visible), IMAGE)
    views = pillar_views(pillars, CELLS, BINS).views
    assert set(views.images.tolist()) == {0, 2}
    assert (views.queries.diff() >= 0).all(), 'the views of a query lie side by side'
    counts = pillars.seen.any(-1).sum(0)
    assert torch.equal(views.starts.diff(), counts)
    assert torch.equal(views.queries.bincount(minlength=len(counts)), counts)


def test_no_camera_sees_anything(recording: Callable[[str], Any], form: str) -> None:
    recorded = recording('fbocc_backward_projection')
    projection = BackwardProjection(GRID, 16, 3)
    recorded.load(projection, BACKWARD_PROJECTION)
    blind = dataclasses.replace(recorded.frame('0').calibration, visible=torch.zeros(3, dtype=torch.bool))
    pillars = pillar_views(project(projection.points(), blind, IMAGE), CELLS, BINS)
    cells = CellDepth(recorded['geometry0'][0], recorded['context0'][0], torch.empty(0), None)
    queries = torch.randn(16 * 12, 16)
    found = projection.ask_images(queries, cells, pillars) - queries
    torch.testing.assert_close(found, projection.cross_attention.output.bias.expand_as(found), rtol=0, atol=1e-5)
