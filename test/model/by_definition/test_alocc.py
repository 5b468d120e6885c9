"""The ALOcc family against its description (alocc.md): volumes and maps, queues and the four cues, every label set."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from itertools import product
from typing import NamedTuple

import pytest
import torch
import torch.nn.functional as F
from definition import Definition, eight_corners, found_at, more_cameras
from torch import Tensor

from gdfusion_ros.model.interface import Calibration, Frame
from gdfusion_ros.model.network import OccupancyNetwork
from gdfusion_ros.model.networks.alocc import alocc_2d, alocc_3d, alocc_mini
from gdfusion_ros.model.networks.alocc_specs import Outputs, Sizes
from gdfusion_ros.model.networks.memories import FUSIONS, queue
from gdfusion_ros.model.spec import NetworkSpec

REACH_BEHIND = 22


class Variant(NamedTuple):
    """A network of the family, small. ``past``: of the queue; 0: the four cues."""

    family: str = '3d'
    past: int = 0
    lidar: bool = False
    cameras: int = 2
    classes: int = 18
    first: int = 1


VARIANTS = {
    '3d gf': Variant(),
    '3d gf depth': Variant(lidar=True),
    '3d gf surroundocc': Variant(first=2),
    '3d gf waymo': Variant(cameras=5, classes=16),
    '2d gf': Variant('2d'),
    'mini gf': Variant('mini'),
    '3d': Variant('3d', past=16),
    '3d depth': Variant('3d', past=3, lidar=True),
    '2d': Variant('2d', past=3),
    'mini': Variant('mini', past=3),
}


class Alocc(Definition):
    """alocc.md §1, §9.5, §9.6, §9.7."""

    def __init__(self, network: OccupancyNetwork, variant: Variant) -> None:
        super().__init__(network)
        self.variant, self.flat, self.large = variant, variant.family != '3d', variant.family != 'mini'

    def forward(self, frame: Frame) -> Tensor:
        cells, feature = self.image_features(frame.images)
        cost = self.cost_volume(feature, frame) if self.large else None
        context, y0, y0c, trunk = self.depth_trunks(cells, cost, frame.calibration)
        geometry = self.geometry(trunk, y0c, frame)
        volume = self.lifted(geometry, context, y0, frame.calibration)
        if self.large and self.flat:
            volume = self.residual(volume[None, ..., 0], 'pre_process.layers.0.0')[0, ..., None]
        elif self.large:
            volume = self.residual_3d(volume[None], 'pre_process.layers.0.0')[0]
        if self.variant.past:
            volume = self.queue(volume, frame, self.variant.past, flat=self.flat)
        else:
            volume = self.recurrent(volume, frame, flat=self.flat)
        features = self.raised(volume[None, ..., 0]) if self.flat else self.decoded(volume[None])
        return self.queried(features[0])

    def labels(self, logits: Tensor) -> Tensor:
        """alocc.md §8; alocc.md §9.2 for a first class that is never predicted."""
        first = self.variant.first - 1
        return (logits.float().sigmoid()[..., first:].argmax(-1) + first).transpose(0, 1)

    # ---- alocc.md §2, §3, §9.3, §9.5 ----

    def geometry(self, trunk: Tensor, y0c: Tensor, frame: Frame) -> Tensor:
        for block in range(3):
            y0c = self.residual(y0c, f'depth_net.occ_conv.{block}')
        w = self.conv(y0c, 'depth_net.occ_conv.3').sigmoid()
        if self.variant.past:
            p, y = self.conv(trunk, 'depth_net.depth_conv.4').softmax(1), self.measured(frame)
            return self.seen_behind(p if y is None else torch.where(y.any(1, keepdim=True), y, p), w)
        o = self.seen_behind(self.conv(trunk, 'depth_net.depth_head').softmax(1), w)
        return self.fused_geometry(self.conv(trunk, 'depth_net.depth_head2'), o, frame, self.measured(frame))

    def seen_behind(self, p: Tensor, w: Tensor) -> Tensor:
        o = p.clone()
        for j in range(p.shape[1]):
            for distance in range(1, REACH_BEHIND + 1):
                if distance <= j:
                    o[:, j] += w[:, distance - 1] * p[:, j - distance]
        return o

    def measured(self, frame: Frame) -> Tensor | None:
        """Y of the LiDAR's depth maps."""
        if frame.lidar_depth is None or not self.variant.lidar:
            return None
        (height, width), bins = self.spec.image_size, self.spec.depth
        y = torch.zeros(len(frame.lidar_depth), bins.count, height // 16, width // 16, dtype=torch.float64)
        for n, row, column in product(range(len(y)), range(height // 16), range(width // 16)):
            patch = frame.lidar_depth[n, 16 * row : 16 * (row + 1), 16 * column : 16 * (column + 1)]
            near = [float(depth) for depth in patch.flatten() if depth != 0]
            for k in range(bins.count):
                if near and bins.first + k * bins.step <= min(near) < bins.first + (k + 1) * bins.step:
                    y[n, k, row, column] = 1
        return y

    # ---- alocc.md §4, §5, §9.6 ----

    def lifted(self, geometry: Tensor, context: Tensor, y0: Tensor, c: Calibration) -> Tensor:
        x_count, y_count, z_count = self.spec.grid.shape
        volume = torch.zeros(y_count, x_count, z_count, context.shape[1], dtype=torch.float64)
        size = geometry.shape[2], geometry.shape[3]
        for n in range(len(geometry)):
            places = self.in_volume(self.frustum(size), c, n)
            for k in range(len(places)):
                self.fill(volume, places[k], geometry[n, k], context[n])
            if self.large:
                self.fill_beside(volume, geometry[n], context[n], y0[n : n + 1], (n, c))
        return volume.permute(3, 0, 1, 2)

    def fill(self, volume: Tensor, places: Tensor, values: Tensor, context: Tensor) -> None:
        """Context (C, h, w) times values (h, w) -> the eight voxels round each of the places (h, w, 3)."""
        for index, weights, _ in eight_corners(places):
            inside = found_at(volume.permute(3, 0, 1, 2), index)[1]
            x, y, z = index[inside].unbind(-1)
            rows = (context * (values * weights.prod(-1))).permute(1, 2, 0)[inside]
            volume.index_put_((y, x, z), rows, accumulate=True)

    def fill_beside(
        self, volume: Tensor, g: Tensor, context: Tensor, y0: Tensor, camera: tuple[int, Calibration]
    ) -> None:
        weights = self.conv(y0, 'depth_net.depth2occ_inter_weight_net').sigmoid()[0]
        offsets = (4 * self.conv(y0, 'depth_net.depth2occ_inter_bias_net')).clamp(-8, 8)[0]
        m, bins, (n, c) = g.argmax(0), self.spec.depth, camera
        for a, b, step in product(range(3), repeat=3):
            if (a, b) == (1, 1):
                continue
            j = (m + step - 1).clamp(0, len(c.intrinsics) - 1)  # the camera axis [QUIRK]
            values = g.gather(0, j[None])[0] * weights[(a * 3 + b) * 3 + step]
            values[m + step - 1 == -1] = 0
            points = self.frustum((g.shape[1], g.shape[2]))[0]
            points[..., :2] += offsets[(a * 3 + b) * 2 : (a * 3 + b) * 2 + 2].permute(1, 2, 0)
            points[..., 2] = bins.first + bins.step * j
            self.fill(volume, self.in_volume(points, c, n), values, context)

    # ---- alocc.md §6, §9.6 ----

    def levels(self, x: Tensor) -> Tensor:
        """All stages of the encoder at the first one's size, concatenated."""
        found: dict[int, Tensor] = {}
        block = self.residual if self.flat else self.residual_3d
        for stage, name, first in self.blocks('img_bev_encoder_backbone.layers'):
            found[stage] = x = block(x, name, 2 if stage and first else 1)
        mode = 'bilinear' if self.flat else 'trilinear'
        for stage in range(1, len(found)):
            found[stage] = F.interpolate(found[stage], scale_factor=2**stage, mode=mode, align_corners=True)
        return torch.cat([found[stage] for stage in range(len(found))], 1)

    def decoded(self, x: Tensor) -> Tensor:
        name = 'img_bev_encoder_neck.conv'
        return self.norm(self.conv(self.levels(x), f'{name}.conv'), f'{name}.bn').relu()

    def raised(self, x: Tensor) -> Tensor:
        x, name = self.levels(x), 'img_bev_encoder_neck.conv'
        for conv, norm in ((0, 1), (3, 4)):
            x = self.norm(self.conv(x, f'{name}.{conv}', 1, 1), f'{name}.{norm}').relu()
        x = self.conv(x, 'final_conv', 1, 1)
        heights = self.spec.heights
        return torch.stack([x[:, height::heights] for height in range(heights)], -1)

    # ---- alocc.md §7 ----

    def queried(self, features: Tensor) -> Tensor:
        name, w = 'alocc_head', self.weights
        q = w[f'{name}.query_feat.weight']
        q = (q - q.mean(1, keepdim=True)) / torch.sqrt(q.var(1, correction=0, keepdim=True) + 1e-5)
        q = q * w[f'{name}.post_norm.weight'] + w[f'{name}.post_norm.bias']
        for layer in (0, 2):
            q = self.linear(q, f'{name}.mask_embed.{layer}').relu()
        return torch.einsum('qc,cyxz->yxzq', self.linear(q, f'{name}.mask_embed.4'), features)[..., 1:]


@pytest.fixture
def make(
    build_sized: Callable[..., OccupancyNetwork], tiny_spec: NetworkSpec, alocc_sizes: Sizes
) -> Callable[[Variant], OccupancyNetwork]:
    def made(variant: Variant) -> OccupancyNetwork:
        spec, (x, y, z), (dx, dy, dz) = tiny_spec, tiny_spec.grid.shape, tiny_spec.grid.voxel_size
        if variant.family != '3d':
            flat = dataclasses.replace(spec.grid, voxel_size=(dx, dy, z * dz), shape=(x, y, 1))
            spec = dataclasses.replace(spec, grid=flat, heights=z)
        spec = dataclasses.replace(
            spec,
            lidar_depth=variant.lidar,
            cameras=variant.cameras,
            classes=variant.classes,
            cues=() if variant.past else spec.cues,
        )
        sizes = dataclasses.replace(
            alocc_sizes, context_queries=variant.cameras != 5, outputs=Outputs(first=variant.first)
        )
        build = {'3d': alocc_3d, '2d': alocc_2d, 'mini': alocc_mini}[variant.family]
        return build_sized(build, spec, sizes=sizes, memory=queue(variant.past) if variant.past else FUSIONS)

    return made


def with_lidar(step: int, frame: Frame) -> Frame:
    """Sparse depths, near and far beyond the bins; none in the fourth frame."""
    generator = torch.Generator().manual_seed(step)
    depth = torch.zeros(len(frame.images), *frame.images.shape[2:])
    depth[:, 20::3, ::5] = 0.5 + 11 * torch.rand(depth[:, 20::3, ::5].shape, generator=generator)
    depth[:, :, 40:60] = 0
    return frame if step == 3 else dataclasses.replace(frame, lidar_depth=depth)


@pytest.mark.parametrize('variant', VARIANTS.values(), ids=VARIANTS)
@torch.inference_mode()
def test_frames_of_the_whole_network(
    make: Callable[[Variant], OccupancyNetwork], journey: Callable[..., None], variant: Variant
) -> None:
    network = make(variant)

    def seen(step: int, frame: Frame) -> Frame:
        frame = more_cameras(frame, variant.cameras)
        return with_lidar(step, frame) if variant.lidar else frame

    journey(network, Alocc(network, variant), seen)
