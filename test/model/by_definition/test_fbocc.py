"""FB-Occ-GF against its description (fbocc.md)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import torch
import torch.nn.functional as F
from definition import Definition, more_cameras, sampled
from torch import Tensor

from gdfusion_ros.model.geometry.voxel_grid import VoxelGrid
from gdfusion_ros.model.interface import Calibration, Frame
from gdfusion_ros.model.network import OccupancyNetwork
from gdfusion_ros.model.networks.fbocc import fbocc
from gdfusion_ros.model.spec import NetworkSpec

LARGEST_ERROR = 1e-3
"""Its attention amplifies rounding, as in the recordings' gate."""
HEADS, HEIGHTS = 8, (-0.2, 1.4, 3.0, 4.6)
LAYER = 'backward_projection.transformer.encoder.layers.0'


def looked_up(image: Tensor, u: Tensor, v: Tensor) -> Tensor:
    """(C, h, w) at u, v in 0..1 of its width and height; bilinear, zero outside, align_corners=False."""
    places = torch.stack([u * image.shape[2] - 0.5, v * image.shape[1] - 0.5, torch.zeros_like(u)], -1)
    return sampled(image[..., None], places)


class Fbocc(Definition):
    """The whole network."""

    def forward(self, frame: Frame) -> Tensor:
        cells, _ = self.image_features(frame.images)
        context, _, _, trunk = self.depth_trunks(cells, None, frame.calibration)
        p = self.conv(trunk, 'depth_net.depth_head').softmax(1)
        geometry = self.fused_geometry(self.conv(trunk, 'depth_net.depth_head2'), p, frame)
        volume = self.lift(geometry, context, frame.calibration)
        volume = volume + self.backward_projection(volume, geometry, context, frame.calibration)[..., None]
        return self.decoded(self.recurrent(volume, frame)[None])[0, 1:].permute(1, 2, 3, 0)

    # ---- fbocc.md §2 ----

    def layer_norm(self, q: Tensor, number: int) -> Tensor:
        weight, bias = (self.weights[f'{LAYER}.norms.{number}.{part}'] for part in ('weight', 'bias'))
        return (q - q.mean(-1, keepdim=True)) / torch.sqrt(q.var(-1, correction=0, keepdim=True) + 1e-5) * weight + bias

    def backward_projection(self, volume: Tensor, geometry: Tensor, context: Tensor, c: Calibration) -> Tensor:
        x_count, y_count, _ = self.spec.grid.shape
        q = self.weights['backward_projection.bev_embedding.weight'] + volume.mean(3).flatten(1).T
        rows, columns = (
            self.weights[f'backward_projection.positional_encoding.{name}_embed.weight'] for name in ('row', 'col')
        )
        pos = torch.stack([torch.cat([columns[ix], rows[iy]]) for iy in range(y_count) for ix in range(x_count)])
        q = self.layer_norm(q + self.self_attention(q, pos), 0)
        q = self.layer_norm(q + self.cross_attention(q, pos, geometry, context, c), 1)
        hidden = self.linear(q, f'{LAYER}.ffns.0.layers.0.0').relu()
        q = self.layer_norm(q + self.linear(hidden, f'{LAYER}.ffns.0.layers.1'), 2)
        return q.T.reshape(-1, y_count, x_count)

    # ---- fbocc.md §3 ----

    def self_attention(self, q: Tensor, pos: Tensor) -> Tensor:
        name, (x_count, y_count, _) = f'{LAYER}.attentions.0', self.spec.grid.shape
        value = self.linear(q, f'{name}.value_proj').T.reshape(HEADS, -1, y_count, x_count)
        offsets = self.linear(q + pos, f'{name}.sampling_offsets').view(len(q), HEADS, 4, 2)
        weights = self.linear(q + pos, f'{name}.attention_weights').view(len(q), HEADS, 4).softmax(-1)
        index = torch.arange(len(q))
        x, y = (index % x_count + 0.5) / x_count, (index // x_count + 0.5) / y_count
        heads = []
        for head in range(HEADS):
            total = torch.zeros(value.shape[1], len(q), dtype=torch.float64)
            for point in range(4):
                dx, dy = offsets[:, head, point].unbind(-1)
                seen = looked_up(value[head], x + dx / x_count, y + dy / y_count)
                total += weights[:, head, point] * seen
            heads.append(total.T)
        return self.linear(torch.cat(heads, 1), f'{name}.output_proj')

    # ---- fbocc.md §4 ----

    def pillars(self, c: Calibration, n: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """u, v in 0..1, depth, and whether it is seen: (queries, heights)."""
        grid, (height, width) = self.spec.grid, self.spec.image_size
        (x_count, y_count, _), points = grid.shape, []
        for iy in range(y_count):
            for ix in range(x_count):
                x = grid.lower[0] + (ix + 0.5) * grid.voxel_size[0]
                y = grid.lower[1] + (iy + 0.5) * grid.voxel_size[1]
                points.append([[x, y, z] for z in HEIGHTS])
        pose, k = c.volume_from_camera[n].double(), c.intrinsics[n].double()
        p = torch.tensor(points).double() @ torch.linalg.inv(c.bda.double()).T - pose[:3, 3]
        seen = p @ torch.linalg.inv(pose[:3, :3] @ torch.linalg.inv(k)).T
        depth = seen[..., 2]
        seen = torch.cat([seen[..., :2] / depth.clamp(min=1e-5)[..., None], depth[..., None]], -1)
        seen = seen @ c.post_rotation[n].double().T + c.post_translation[n].double()
        u, v = seen[..., 0] / width, seen[..., 1] / height
        valid = (depth > 1e-5) & (u > 1e-5) & (u < 1 - 1e-5) & (v > 1e-5) & (v < 1 - 1e-5)
        return u, v, seen[..., 2], valid

    def cross_attention(self, q: Tensor, pos: Tensor, geometry: Tensor, context: Tensor, c: Calibration) -> Tensor:
        name, bins = f'{LAYER}.attentions.1', self.spec.depth
        h, w = context.shape[2:]
        inner = f'{name}.deformable_attention'
        offsets = self.linear(q + pos, f'{inner}.sampling_offsets').view(len(q), HEADS, 8, 2)
        weights = self.linear(q + pos, f'{inner}.attention_weights').view(len(q), HEADS, 8).softmax(-1)
        total, count = torch.zeros_like(q), torch.zeros(len(q), 1).double()
        for n in range(len(context)):
            u, v, depth, valid = self.pillars(c, n)
            sees = valid.any(1)
            count += sees[:, None]
            value = self.linear(context[n].permute(1, 2, 0), f'{inner}.value_proj').permute(2, 0, 1)
            value = value.reshape(HEADS, -1, h, w)
            bin_of = ((depth - bins.first) / bins.step).floor().clamp(0, bins.count - 1).long()
            omega = looked_up(geometry[n], u, v).gather(0, bin_of[None])[0]
            heads = []
            for head in range(HEADS):
                found = torch.zeros(value.shape[1], len(q), dtype=torch.float64)
                for t in range(8):
                    height = t % 4
                    du, dv = offsets[:, head, t].unbind(-1)
                    seen = looked_up(value[head], u[:, height] + du / w, v[:, height] + dv / h)
                    found += weights[:, head, t] * omega[:, height] * seen
                heads.append(found.T)
            total += torch.where(sees[:, None], torch.cat(heads, 1), torch.zeros_like(q))
        return self.linear(total / count.clamp(min=1), f'{name}.output_proj')

    # ---- fbocc.md §5, §6, §7 ----

    def convolved(self, x: Tensor, conv: str, norm: str, padding: int = 0) -> Tensor:
        return self.norm(self.conv(x, conv, 1, padding), norm).relu()

    def basic_block(self, x: Tensor, name: str, stride: int) -> Tensor:
        y = self.norm(self.conv(x, f'{name}.conv1', stride, 1), f'{name}.bn1').relu()
        y = self.norm(self.conv(y, f'{name}.conv2', 1, 1), f'{name}.bn2')
        if f'{name}.downsample.0.weight' in self.weights:
            x = self.norm(self.conv(x, f'{name}.downsample.0', stride), f'{name}.downsample.1')
        return (x + y).relu()

    def decoded(self, x: Tensor) -> Tensor:
        name = 'img_bev_encoder_backbone'
        x = self.convolved(x, f'{name}.input_proj.0', f'{name}.input_proj.1')
        levels: dict[int, Tensor] = {}
        for stage, block, first in self.blocks(f'{name}.layers'):
            levels[stage] = x = self.basic_block(x, block, 2 if stage and first else 1)
        name = 'img_bev_encoder_neck'
        maps = [
            self.convolved(levels[i], f'{name}.lateral_convs.{i}.0.conv', f'{name}.lateral_convs.{i}.0.bn')
            for i in range(3)
        ]
        for i in (2, 1):
            size = maps[i - 1].shape[2:]
            maps[i - 1] = maps[i - 1] + F.interpolate(maps[i], size=size, mode='trilinear', align_corners=False)
        name = f'{name}.fpn_convs'
        return self.head([self.convolved(maps[i], f'{name}.{i}.0.conv', f'{name}.{i}.0.bn', 1) for i in range(3)])

    def head(self, levels: list[Tensor]) -> Tensor:
        name = 'occupancy_head'
        x = F.conv_transpose3d(levels[0], self.weights[f'{name}.deblock.0.weight'], stride=2)
        o = [self.norm(x, f'{name}.deblock.1').relu()]
        for i, level in enumerate(levels):
            o.append(self.convolved(level, f'{name}.occ_convs.{i}.0', f'{name}.occ_convs.{i}.1', 1))
        x = self.convolved(o[0], f'{name}.voxel_soft_weights.0', f'{name}.voxel_soft_weights.1')
        shares, fused = self.conv(x, f'{name}.voxel_soft_weights.3').softmax(1), torch.zeros_like(o[0])
        for i, each in enumerate(o):
            raised = F.interpolate(each, size=o[0].shape[2:], mode='trilinear', align_corners=False)
            fused += shares[:, i : i + 1] * raised
        x = self.convolved(fused, f'{name}.occ_pred_conv.0', f'{name}.occ_pred_conv.1')
        return self.conv(x, f'{name}.occ_pred_conv.3')


@torch.inference_mode()
def test_frames_of_the_whole_network(
    build_sized: Callable[..., OccupancyNetwork], tiny_spec: NetworkSpec, journey: Callable[..., None]
) -> None:
    grid = VoxelGrid(lower=(-8.0, -6.0, -1.0), voxel_size=(0.8, 0.75, 0.8), shape=(20, 16, 8))
    spec = dataclasses.replace(tiny_spec, grid=grid, refinement=2, context_channels=16, cameras=3)
    network = build_sized(fbocc, spec)

    def seen(_: int, frame: Frame) -> Frame:
        return more_cameras(frame, 3)  # some pillars are seen by two

    journey(network, Fbocc(network), seen, LARGEST_ERROR)
