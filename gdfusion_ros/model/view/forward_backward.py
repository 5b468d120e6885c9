"""View slot of FB-Occ: the lifted volume, to which each column adds what it finds in the images (fbocc.md §1, §2)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gdfusion_ros.model.geometry.cache import CalibrationCache
from gdfusion_ros.model.geometry.depth_bins import DepthBins
from gdfusion_ros.model.interface import Calibration, CellDepth
from gdfusion_ros.model.ops.deformable_attention import Views
from gdfusion_ros.model.ops.voxel_index import VoxelIndex
from gdfusion_ros.model.probe import Pass
from gdfusion_ros.model.view.backward_projection import BackwardProjection, PillarGeometry, column_views
from gdfusion_ros.model.view.lift import ForwardProjection, Lift
from gdfusion_ros.model.view.pillars import PillarViews, pillar_views, project


@dataclass(frozen=True, eq=False)
class BothWays:
    """What both projections need of calibration, on the network's device."""

    forward: VoxelIndex
    backward: PillarGeometry


class ForwardBackwardView(ForwardProjection):
    """Forward projection, then backward projection, the same for all heights of a column."""

    def __init__(
        self,
        lift: Lift,
        backward: BackwardProjection,
        image_size: tuple[int, int],
        cells: tuple[int, int],
        bins: DepthBins,
    ) -> None:
        """``cells`` (h, w) of the features."""
        super().__init__(lift, image_size, cells, bins)
        self.backward_projection = backward

    def geometry(self, calibration: Calibration, cache: CalibrationCache) -> BothWays:
        """Which points of the frusta lie in which voxel, and which cameras see which pillar where."""
        device = self.lift.dx.device
        pillars = PillarGeometry(cache(self._columns, device), cache(self._pillars, calibration, device))
        return BothWays(self.voxel_index(calibration, cache), pillars)

    def _columns(self, device: torch.device) -> Views:
        return column_views(self.lift.grid).to(device)

    def _pillars(self, calibration: Calibration, device: torch.device) -> PillarViews:
        pillars = project(self.backward_projection.points(), calibration, self._image_size)
        return pillar_views(pillars, self._cells, self._bins).to(device)

    def forward(self, cells: CellDepth, geometry: BothWays, run: Pass) -> Tensor:
        """Features of the cells -> volume (1, C, Y, X, Z)."""
        lifted = self.lifted(cells, geometry.forward, run)
        with run.probe.stage('backward projection'), run.learned():
            columns: Tensor = self.backward_projection(lifted, cells, geometry.backward)
        run.probe.record('backward_bev', columns)
        return lifted.float() + columns.float()[..., None]
