"""The volume at several sizes: residual stages behind a projection, and a feature pyramid (fbocc.md §5, §6)."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from gdfusion_ros.model.layers.volume import ConvNorm3d, ResidualBlock3d, VolumeEncoder
from gdfusion_ros.model.weights.keys import Table


def projected_block(in_channels: int, channels: int, stride: int, first: bool) -> ResidualBlock3d:
    """A block whose shortcut is a 1x1x1 convolution where size or channels change, all with biases."""
    changes = stride != 1 or in_channels != channels
    return ResidualBlock3d(in_channels, channels, stride, first and changes, shortcut_kernel=1, bias=True)


class ProjectedEncoder(nn.Module):
    """A 1x1x1 convolution to the channels of the first stage, then stages of residual blocks."""

    def __init__(
        self, in_channels: int, channels: Sequence[int], blocks: Sequence[int], strides: Sequence[int]
    ) -> None:
        """One entry a stage in ``channels``, ``blocks`` and ``strides``."""
        super().__init__()
        self.projection = ConvNorm3d(in_channels, channels[0], 1)
        self.stages = VolumeEncoder(channels[0], channels, blocks, strides, projected_block)

    def forward(self, volume: Tensor) -> list[Tensor]:
        """(1, C, Y, X, Z) -> the output of every stage."""
        levels: list[Tensor] = self.stages(F.relu(self.projection(volume), inplace=True))
        return levels


class VolumePyramid(nn.Module):
    """Every level with what the coarser ones know: projected, added up from the coarsest on, convolved."""

    def __init__(self, channels: Sequence[int], out_channels: int) -> None:
        """``channels`` of the levels, finest first."""
        super().__init__()
        self.lateral = nn.ModuleList(ConvNorm3d(width, out_channels, 1) for width in channels)
        self.output = nn.ModuleList(ConvNorm3d(out_channels, out_channels, 3) for _ in channels)

    def forward(self, levels: Sequence[Tensor]) -> list[Tensor]:
        """Levels of the encoder, finest first -> as many of the same sizes."""
        summed = [F.relu(lateral(level), inplace=True) for lateral, level in zip(self.lateral, levels, strict=True)]
        for index in reversed(range(len(summed) - 1)):
            summed[index] = summed[index] + resized(summed[index + 1], summed[index].shape[2:])
        return [F.relu(output(level), inplace=True) for output, level in zip(self.output, summed, strict=True)]


def resized(volume: Tensor, size: Sequence[int]) -> Tensor:
    """Trilinear, between the middles of the voxels [QUIRK: the warps go between their corners]."""
    return F.interpolate(volume, size=tuple(size), mode='trilinear', align_corners=False)


def projected_encoder_table(blocks: Sequence[int]) -> Table:
    """Published names of a ``ProjectedEncoder`` with so many blocks in its stages; each but the first halves."""
    table = {'projection.conv.': 'input_proj.0.', 'projection.bn.': 'input_proj.1.'}
    for stage, count in enumerate(blocks):
        for block in range(count):
            place = f'layers.{stage}.{block}.'
            for conv in '12':
                table |= {
                    f'stages.{place}conv{conv}.conv.': f'{place}conv{conv}.',
                    f'stages.{place}conv{conv}.bn.': f'{place}bn{conv}.',
                }
        if stage:
            place = f'layers.{stage}.0.downsample.'
            table |= {f'stages.{place}conv.': f'{place}0.', f'stages.{place}bn.': f'{place}1.'}
    return table


def volume_pyramid_table(levels: int) -> Table:
    """Published names of a ``VolumePyramid``."""
    return {
        f'{ours}.{level}.': f'{published}.{level}.0.'
        for level in range(levels)
        for ours, published in (('lateral', 'lateral_convs'), ('output', 'fpn_convs'))
    }
