"""A 1x1 or 1x1x1 convolution, its batch normalisation and ReLU, as a product of matrices over rows of voxels."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from gdfusion_ros.model.layers.fusing import NORMS, FusibleSequential


def pointwise(conv: type[nn.Conv2d | nn.Conv3d], in_channels: int, out_channels: int) -> FusibleSequential:
    """The block; ``conv`` says whether it is of maps or of volumes."""
    return FusibleSequential(conv(in_channels, out_channels, 1), NORMS[conv](out_channels), nn.ReLU())


class PointwiseLinear(nn.Linear):
    """A linear layer over the rows of many cells."""

    def forward(self, cells: Tensor) -> Tensor:
        """(n, in) -> (n, out)."""
        return linear(cells, self.weight, self.bias)


def linear(cells: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """(n, in) -> (n, out); where nothing is learned as a 1x1 convolution, which CPUs do in half the time."""
    if torch.is_grad_enabled() or cells.device.type != 'cpu':
        return F.linear(cells, weight, bias)
    out = F.conv2d(cells[None, None].permute(0, 3, 1, 2), weight[..., None, None], bias)
    return out.permute(0, 2, 3, 1).reshape(len(cells), -1)


def applied(block: nn.Sequential, voxels: Tensor) -> Tensor:
    """(n, in) -> (n, out), layer by layer: in training, the normalisation sees these rows as its batch."""
    conv, norm = block[0], block[1]
    assert isinstance(conv, (nn.Conv2d, nn.Conv3d))
    product = F.linear(voxels, conv.weight.flatten(1), conv.bias)
    return F.relu(norm(product[(..., *[None] * (conv.weight.dim() - 2))]).flatten(1))


def folded_weights(block: nn.Sequential) -> tuple[Tensor, Tensor]:
    """Weight (out, in) and bias (out,) of the convolution with its batch normalisation, where it still has one."""
    conv, norm = block[0], block[1]
    assert isinstance(conv, (nn.Conv2d, nn.Conv3d))
    weight, bias = conv.weight, conv.bias
    assert bias is not None
    if isinstance(norm, (nn.BatchNorm2d, nn.BatchNorm3d)):
        assert norm.running_mean is not None
        assert norm.running_var is not None
        weight, bias = fuse_conv_bn_weights(
            weight, bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
        )
    return weight.flatten(1), bias
