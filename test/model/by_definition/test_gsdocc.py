"""GSD-Occ against its description (gsdocc.md), as it was trained and re-parameterised."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from definition import Definition
from torch import Tensor

from gdfusion_ros.model.interface import Frame
from gdfusion_ros.model.network import OccupancyNetwork
from gdfusion_ros.model.weights.checkpoint import published_state

LARGEST_ERROR, AGREEMENT = 2e-4, 0.999
BRANCHES = ((5, 1), (5, 2), (3, 3), (3, 4), (3, 5))
BLOCK = 'occupancy_head.unirep_3dconv_layer'


class Gsdocc(Definition):
    """The whole network; ``past`` maps are kept."""

    def __init__(self, network: OccupancyNetwork, past: int) -> None:
        super().__init__(network)
        self.length = past

    def forward(self, frame: Frame) -> Tensor:
        cells, _ = self.image_features(frame.images)
        context, _, _, trunk = self.depth_trunks(cells, None, frame.calibration)
        geometry = self.conv(trunk, 'depth_net.depth_conv.4').softmax(1)
        volume = self.lift(geometry, context, frame.calibration)
        history = self.queue(volume.mean(3, keepdim=True), frame, self.length, flat=True)[..., 0]
        return self.head(self.encoded(history[None]), history[None], volume[None])[0].permute(1, 2, 3, 0)

    def encoded(self, x: Tensor) -> Tensor:
        """gsdocc.md §3."""
        levels: dict[int, Tensor] = {}
        for stage, name, first in self.blocks('img_bev_encoder_backbone.layers'):
            levels[stage] = x = self.residual(x, name, 2 if first else 1)
        x = torch.cat([levels[0], F.interpolate(levels[1], scale_factor=2, mode='bilinear', align_corners=True)], 1)
        name = 'img_bev_encoder_neck'
        for conv, norm in ((0, 1), (3, 4)):
            x = self.norm(self.conv(x, f'{name}.conv.{conv}', 1, 1), f'{name}.conv.{norm}').relu()
        x = F.interpolate(x, scale_factor=2, mode='bilinear', align_corners=True)
        return self.conv(self.norm(self.conv(x, f'{name}.up2.1', 1, 1), f'{name}.up2.2').relu(), f'{name}.up2.4')

    def branch(self, x: Tensor, name: str) -> Tensor:
        """CB."""
        name = f'occupancy_head.{name}'
        return self.conv(self.norm(self.conv(x, f'{name}.0', 1, 1), f'{name}.1').relu(), f'{name}.3', 1, 1)

    def head(self, e: Tensor, h: Tensor, volume: Tensor) -> Tensor:
        """gsdocc.md §4."""
        name, w = 'occupancy_head', self.weights
        x = F.conv_transpose2d(e, w[f'{name}.deblock.0.weight'], stride=2)
        assert (x.shape[2] - 1, x.shape[3] - 1) == (2 * e.shape[2], 2 * e.shape[3])
        x = self.conv(self.norm(x, f'{name}.deblock.1').relu(), f'{name}.deblock.3')
        g, s = self.branch(x, 'geo_occ_conv').sigmoid(), self.branch(x, 'semantic_occ_conv')
        from_above = torch.einsum('bcyx,bzyx->bcyxz', s, g)
        g, s = self.branch(h, 'recover_geo_occ_conv').sigmoid(), self.branch(h, 'recover_semantic_occ_conv')
        r = self.large_kernel(torch.einsum('bcyx,bzyx->bcyxz', s, g) + volume)
        for number, stride, padding in ((0, 1, 1), (3, 2, 0)):
            weight, bias = w[f'{name}.up0.{number}.weight'], w[f'{name}.up0.{number}.bias']
            r = F.conv_transpose3d(r, weight, bias, stride, padding)
            r = self.norm(r, f'{name}.up0.{number + 1}').relu()
        x = self.conv(from_above + r, f'{name}.occ_pred_conv.0', 1, 1)
        return self.conv(self.norm(x, f'{name}.occ_pred_conv.1').relu(), f'{name}.occ_pred_conv.3')

    def large_kernel(self, x: Tensor) -> Tensor:
        """gsdocc.md §5 of (1, C, Y, X, Z)."""
        y = self.norm(self.depth_wise(x), f'{BLOCK}.norm')
        t = self.conv(self.conv(y.mean((2, 3, 4), keepdim=True), f'{BLOCK}.se.down').relu(), f'{BLOCK}.se.up')
        y = F.gelu(self.linear((y * t).movedim(1, -1), f'{BLOCK}.pwconv1.1'))
        size = y.square().sum((1, 2, 3), keepdim=True).sqrt()
        scaled = size / (size.mean(-1, keepdim=True) + 1e-6)
        y = (self.weights[f'{BLOCK}.act.1.gamma'] * scaled + 1) * y + self.weights[f'{BLOCK}.act.1.beta']
        y = self.norm(self.linear(y, f'{BLOCK}.pwconv2.0').movedim(-1, 1), f'{BLOCK}.pwconv2.2')
        return x + y * self.weights[f'{BLOCK}.gamma'].view(1, -1, 1, 1, 1)

    def depth_wise(self, x: Tensor) -> Tensor:
        """gsdocc.md §5, step 1."""
        kernel = self.weights[f'{BLOCK}.dwconv.lk_origin.weight']
        y = F.conv3d(x, kernel, padding=(5, 5, 0), groups=x.shape[1])
        y = self.norm(y, f'{BLOCK}.dwconv.origin_bn')
        for k, r in BRANCHES:
            kernel, reach = self.weights[f'{BLOCK}.dwconv.dil_conv_k{k}_{r}.weight'], r * (k - 1) // 2
            part = F.conv3d(x, kernel, padding=(reach, reach, 0), dilation=(r, r, 1), groups=x.shape[1])
            y = y + self.norm(part, f'{BLOCK}.dwconv.dil_bn_k{k}_{r}')
        return y


class Merged(Gsdocc):
    """The same of weights of the merged form, by the names that the reference gives them."""

    def large_kernel(self, x: Tensor) -> Tensor:
        """gsdocc.md §5, merged."""
        name, w = f'{BLOCK}.dwconv.lk_origin', self.weights
        y = F.conv3d(x, w[f'{name}.weight'], w[f'{name}.bias'], padding=(5, 5, 0), groups=x.shape[1])
        t = self.conv(self.conv(y.mean((2, 3, 4), keepdim=True), f'{BLOCK}.se.down').relu(), f'{BLOCK}.se.up')
        y = F.gelu(self.linear((y * t).movedim(1, -1), f'{BLOCK}.pwconv1.1'))
        size = y.square().sum((1, 2, 3), keepdim=True).sqrt()
        y = (w[f'{BLOCK}.act.1.gamma'] * (size / (size.mean(-1, keepdim=True) + 1e-6)) + 1) * y
        return x + self.linear(y, f'{BLOCK}.pwconv2.0').movedim(-1, 1)


def merged_weights(w: dict[str, Tensor]) -> dict[str, Tensor]:
    """Those of the block that merging makes, from those it was trained with."""

    def scale(norm: str) -> tuple[Tensor, Tensor]:
        weight, bias, mean, variance = (
            w[f'{BLOCK}.{norm}.{part}'].double() for part in ('weight', 'bias', 'running_mean', 'running_var')
        )
        factor = weight / torch.sqrt(variance + 1e-5)
        return factor, bias - mean * factor

    factor, bias = scale('dwconv.origin_bn')
    kernel = w[f'{BLOCK}.dwconv.lk_origin.weight'].double() * factor.view(-1, 1, 1, 1, 1)
    for k, r in BRANCHES:
        factor, shift = scale(f'dwconv.dil_bn_k{k}_{r}')
        taps, first = w[f'{BLOCK}.dwconv.dil_conv_k{k}_{r}.weight'].double(), (11 - (r * (k - 1) + 1)) // 2
        for i in range(k):
            for j in range(k):
                kernel[:, :, first + r * i, first + r * j] += taps[:, :, i, j] * factor.view(-1, 1, 1)
        bias = bias + shift
    factor, shift = scale('norm')
    found = {
        'dwconv.lk_origin.weight': kernel * factor.view(-1, 1, 1, 1, 1),
        'dwconv.lk_origin.bias': bias * factor + shift,
    }
    factor, shift = scale('pwconv2.2')
    gamma, old = w[f'{BLOCK}.gamma'].double(), w[f'{BLOCK}.pwconv2.0.weight'].double()
    found['pwconv2.0.weight'] = old * (factor * gamma)[:, None]
    found['pwconv2.0.bias'] = (shift + old @ w[f'{BLOCK}.act.1.beta'].double().flatten() * factor) * gamma
    return {f'{BLOCK}.{name}': value for name, value in found.items()}


@pytest.fixture
def merged(tiny_gsdocc: OccupancyNetwork) -> Any:
    network: Any = copy.deepcopy(tiny_gsdocc)
    network.decoder.head.block.merge()
    return network


@pytest.mark.parametrize('form', ['trained', 're-parameterised'])
@torch.inference_mode()
def test_frames_of_the_whole_network(
    tiny_gsdocc: OccupancyNetwork, merged: OccupancyNetwork, drive: Any, journey: Callable[..., None], form: str
) -> None:
    if form == 'trained':
        journey(tiny_gsdocc, Gsdocc(tiny_gsdocc, past=3))
    else:
        journey(merged, Merged(merged, past=3))


def test_weights_of_the_merged_form(tiny_gsdocc: OccupancyNetwork, merged: OccupancyNetwork) -> None:
    trained, found = published_state(tiny_gsdocc), published_state(merged)
    expected = merged_weights(trained)
    changed = {key for key in found if key not in trained or not torch.equal(found[key], trained[key])}
    assert changed == set(expected)
    for key, value in expected.items():
        assert (found[key] - value).abs().max() <= 1e-6 * value.abs().max(), key
