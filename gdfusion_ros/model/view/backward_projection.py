"""Backward projection: columns of the volume look back at the images, as deep as they see there (fbocc.md §2, §3, §4).

Of FB-BEV (Li et al., ICCV 2023). What the forward projection, the lift, leaves empty gets its features here.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gdfusion_ros.model.geometry.voxel_grid import VoxelGrid
from gdfusion_ros.model.interface import CellDepth
from gdfusion_ros.model.layers.attention import DeformableAttention
from gdfusion_ros.model.layers.volume import rows, volume_of
from gdfusion_ros.model.ops.deformable_attention import Views
from gdfusion_ros.model.view.pillars import PillarViews, pillar_points
from gdfusion_ros.model.weights.keys import Table

HEADS = 8
NEIGHBOURS = 4
"""Places in the bird's-eye view that each head of a column looks at."""

HEIGHTS = 4
"""Points of a pillar that the cameras are asked about."""

POINTS = 8
"""Places in the images that each head looks at, two round each point of the pillar."""


@dataclass(frozen=True, eq=False)
class PillarGeometry:
    """What the backward projection needs of calibration, on the network's device.

    Attributes:
        columns: each column's view of the bird's-eye view round itself.
        pillars: the columns' views of the images.
    """

    columns: Views
    pillars: PillarViews


def column_views(grid: VoxelGrid) -> Views:
    """Every column looks at the bird's-eye view from its own place."""
    x, y, _ = grid.shape
    columns = torch.arange(x * y)
    anchors = torch.stack([columns % x, columns // x], -1).float()
    return Views(torch.arange(x * y + 1), columns, torch.zeros_like(columns), anchors[:, None])


class BackwardProjection(nn.Module):
    """One layer of a transformer whose queries are the columns of the volume: themselves, the images, a perceptron.

    The code of each camera is in published checkpoints, and is carried along; nothing asks for it (fbocc.md §2).
    """

    camera_code: Tensor

    def __init__(self, grid: VoxelGrid, channels: int, cameras: int = 6) -> None:
        """``grid`` and ``channels`` of the volume, ``cameras`` that it was trained with."""
        super().__init__()
        x, y, _ = grid.shape
        self.grid = grid
        self.queries = nn.Parameter(torch.randn(x * y, channels))
        self.column_code = nn.Parameter(torch.rand(x, channels // 2))
        self.row_code = nn.Parameter(torch.rand(y, channels // 2))
        self.register_buffer('camera_code', torch.zeros(cameras, channels))
        self.self_attention = DeformableAttention(channels, HEADS, NEIGHBOURS)
        self.cross_attention = DeformableAttention(channels, HEADS, POINTS)
        self.perceptron = nn.Sequential(nn.Linear(channels, 4 * channels), nn.ReLU(), nn.Linear(4 * channels, channels))
        self.norms = nn.ModuleList(nn.LayerNorm(channels) for _ in range(3))

    def points(self) -> Tensor:
        """(Y X, A, 3) of the pillars [m]."""
        return pillar_points(self.grid, HEIGHTS)

    def forward(self, volume: Tensor, cells: CellDepth, geometry: PillarGeometry) -> Tensor:
        """What the columns find, (1, C, Y, X).

        Args:
            volume: (1, C, Y, X, Z) of the forward projection.
            cells: of the images.
            geometry: of the frame.
        """
        size = volume.shape[2:4]
        queries = self.queries + rows(volume.mean(-1))
        queries = self.norms[0](self.ask_neighbours(queries, size, geometry.columns))
        queries = self.norms[1](self.ask_images(queries, cells, geometry.pillars))
        queries = self.norms[2](queries + self.perceptron(queries))
        return volume_of(queries, (*size, 1))[..., 0]

    def ask_neighbours(self, queries: Tensor, size: torch.Size, columns: Views) -> Tensor:
        """The queries (Y X, C) and what they find around themselves."""
        alike = queries.new_ones(len(queries), 1)
        found: Tensor = self.self_attention(queries + self.places(), queries.view(1, *size, -1), columns, alike)
        return queries + found

    def ask_images(self, queries: Tensor, cells: CellDepth, pillars: PillarViews) -> Tensor:
        """The queries and what they find in the images; how much it counts says the depth distribution there."""
        gains = pillars.probabilities(cells.distribution)
        context = cells.context.permute(0, 2, 3, 1)
        found: Tensor = self.cross_attention(queries + self.places(), context, pillars.views, gains)
        return queries + found

    def places(self) -> Tensor:
        """(Y X, C) code of every column's place: of its x, then of its y."""
        y, x = len(self.row_code), len(self.column_code)
        return torch.cat([self.column_code.repeat(y, 1), self.row_code.repeat_interleave(x, 0)], -1)


def _attention(published: str, inner: str) -> dict[str, str]:
    return {
        'offsets.': f'{published}{inner}sampling_offsets.',
        'weights.': f'{published}{inner}attention_weights.',
        'value.': f'{published}{inner}value_proj.',
        'output.': f'{published}output_proj.',
    }


_LAYER = 'transformer.encoder.layers.0.'
BACKWARD_PROJECTION: Table = {
    'queries': 'bev_embedding.weight',
    'column_code': 'positional_encoding.col_embed.weight',
    'row_code': 'positional_encoding.row_embed.weight',
    'camera_code': 'transformer.cams_embeds',
    **{
        f'{ours}.{part}': published
        for ours, index, inner in (('self_attention', 0, ''), ('cross_attention', 1, 'deformable_attention.'))
        for part, published in _attention(f'{_LAYER}attentions.{index}.', inner).items()
    },
    'perceptron.0.': f'{_LAYER}ffns.0.layers.0.0.',
    'perceptron.2.': f'{_LAYER}ffns.0.layers.1.',
    'norms.': f'{_LAYER}norms.',
}
