"""3-D residual blocks, the volume encoder and its neck (bevdetocc_gf.md §4, §8).

Volumes are (1, C, Y, X, Z) tensors in channels_last_3d memory, so that their voxels are rows of C values in the order
y, x, z and nothing is transposed between convolutions and the per-voxel modules.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gdfusion_ros.model.graph_form import in_graph_form
from gdfusion_ros.model.layers.fusing import folded

CHUNK = 8192


def rows(volume: Tensor) -> Tensor:
    """(1, C, Y, X, Z) or (1, C, Y, X) -> (cells, C), a view where the memory is channels_last."""
    return volume.movedim(1, -1).reshape(-1, volume.shape[1])


def chunks(voxels: Tensor) -> tuple[Tensor, ...]:
    """(n, C) rows in parts whose activations stay in a CPU's cache; on other devices and in a graph in one part."""
    whole = voxels.device.type != 'cpu' or in_graph_form()
    return (voxels,) if whole else torch.split(voxels, CHUNK)


def by_chunks(function: Callable[..., Tensor], *voxels: Tensor) -> Tensor:
    """``function`` of rows (n, C), of all ``voxels`` the same ones at once, in ``chunks``; its rows put together.

    The result is there once: joined in the end, all parts would stand beside it.
    """
    parts = zip(*map(chunks, voxels), strict=True)
    first = function(*next(parts))
    if len(first) == len(voxels[0]):
        return first
    whole, end = first.new_empty(len(voxels[0]), *first.shape[1:]), len(first)
    whole[:end] = first
    for part in parts:
        begin, end = end, end + len(part[0])
        whole[begin:end] = function(*part)
    return whole


def volume_of(voxels: Tensor, size: Sequence[int]) -> Tensor:
    """(Y X Z, C) rows -> (1, C, Y, X, Z) view in channels-last memory; ``size`` is (Y, X, Z), or (Y, X) of a map."""
    return voxels.reshape(1, *size, -1).movedim(-1, 1)


class ConvNorm3d(nn.Module):
    """Convolution, then batch normalisation."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int, stride: int = 1, *, bias: bool = False
    ) -> None:
        """``kernel`` is the edge of the cubic kernel; the padding keeps the size at stride 1."""
        super().__init__()
        self.conv = nn.Conv3d(in_channels, out_channels, kernel, stride, kernel // 2, bias=bias)
        self.bn: nn.Module = nn.BatchNorm3d(out_channels)

    def forward(self, volume: Tensor) -> Tensor:
        """(1, in, Y, X, Z) -> (1, out, Y / stride, X / stride, Z / stride)."""
        normed: Tensor = self.bn(self.conv(volume))
        return normed

    def fuse(self) -> None:
        """Fold the normalisation."""
        self.conv, self.bn = folded(self.conv, self.bn), nn.Identity()


class ResidualBlock3d(nn.Module):
    """Two 3x3x3 convolutions beside an identity, or beside a third one where ``downsample``."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int,
        downsample: bool,
        *,
        shortcut_kernel: int = 3,
        bias: bool = False,
    ) -> None:
        """``downsample`` puts a strided convolution on the shortcut; ``bias`` is of all convolutions."""
        super().__init__()
        self.conv1 = ConvNorm3d(in_channels, out_channels, 3, stride, bias=bias)
        self.conv2 = ConvNorm3d(out_channels, out_channels, 3, bias=bias)
        shortcut = ConvNorm3d(in_channels, out_channels, shortcut_kernel, stride, bias=bias) if downsample else None
        self.downsample = shortcut

    def forward(self, volume: Tensor) -> Tensor:
        """(1, in, Y, X, Z) -> (1, out, Y / stride, X / stride, Z / stride)."""
        y = self.conv2(F.relu(self.conv1(volume), inplace=True))
        y += volume if self.downsample is None else self.downsample(volume)
        return F.relu(y, inplace=True)

    def chains(self) -> Sequence[tuple[nn.Module, nn.Module]]:
        """The second after the first."""
        return [(self.conv1.conv, self.conv2.conv)]


class VolumeEncoder(nn.Module):
    """Stages of residual blocks; the first block of each stage changes size and channels."""

    def __init__(
        self,
        in_channels: int,
        channels: Sequence[int],
        blocks: Sequence[int],
        strides: Sequence[int],
        block: Callable[[int, int, int, bool], nn.Module] = ResidualBlock3d,
    ) -> None:
        """One entry a stage in ``channels``, ``blocks`` and ``strides``.

        ``block`` makes one from its channels in and out, its stride, and whether it is the first of its stage.
        """
        super().__init__()
        self.layers = nn.ModuleList()
        for width, count, stride in zip(channels, blocks, strides, strict=True):
            others = (block(width, width, 1, False) for _ in range(count - 1))
            self.layers.append(nn.Sequential(block(in_channels, width, stride, True), *others))
            in_channels = width

    def forward(self, volume: Tensor) -> list[Tensor]:
        """(1, C, Y, X, Z) -> the output of every stage."""
        levels = []
        for stage in self.layers:
            volume = stage(volume)
            levels.append(volume)
        return levels


class VolumeNeck(nn.Module):
    """All levels at the finest one's size, concatenated and mixed by a 1x1x1 convolution.

    The convolution is linear, so each level goes through its share of the kernel before it is upsampled: the same
    numbers with a seventh of the memory traffic.
    """

    def __init__(self, channels: Sequence[int], out_channels: int) -> None:
        """``channels`` of the levels, finest first."""
        super().__init__()
        self.conv = ConvNorm3d(sum(channels), out_channels, 1)

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        """Levels of the encoder, finest first -> (1, out, Y, X, Z)."""
        size = levels[0].shape[2:]
        shares = torch.split(self.conv.conv.weight, [level.shape[1] for level in levels], dim=1)
        fused = F.conv3d(levels[0], shares[0], self.conv.conv.bias)
        for level, share in zip(levels[1:], shares[1:], strict=True):
            fused += F.interpolate(F.conv3d(level, share), size=size, mode='trilinear', align_corners=True)
        return F.relu(self.conv.bn(fused), inplace=True)
