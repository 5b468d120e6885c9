"""The whole ALOcc family against its description, written down step by step: what no recording reaches.

``Definition`` knows nothing of the package's modules: it reads weights by their published names and follows alocc.md in
float64, sample by sample and corner by corner; C1 to C9 are its common parts.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from gdfusion_ros.model.interface import Calibration, Frame
from gdfusion_ros.model.network import OccupancyNetwork
from gdfusion_ros.model.networks import alocc
from gdfusion_ros.model.networks.alocc_specs import Sizes
from gdfusion_ros.model.networks.memories import FUSIONS, queue
from gdfusion_ros.model.sequence import SequenceRunner
from gdfusion_ros.model.spec import NetworkSpec
from gdfusion_ros.model.weights.checkpoint import published_state

LARGEST_ERROR, AGREEMENT = 2e-4, 0.999
REACH_BEHIND, QUEUE, ETA, LIMIT = 22, 3, 0.1, 20.0


class Definition:
    """``definition(frame)`` -> (Y, X, Z, K) float64 logits; it remembers the sequence's frames."""

    def __init__(self, network: OccupancyNetwork, kind: str, sizes: Sizes, *, fused: bool) -> None:
        self.weights = {name: value.double() for name, value in published_state(network).items()}
        self.spec, self.kind, self.sizes, self.fused, self.flat = network.spec, kind, sizes, fused, kind != '3d'
        self.stereo = self.beside = kind != 'mini'
        self.past: dict[str, Any] = {}

    # ---- layers by their published names ----

    def conv(self, x: Tensor, name: str, stride: int = 1, padding: int = 0, dilation: int = 1) -> Tensor:
        weight = self.weights[f'{name}.weight']
        bias = self.weights.get(f'{name}.bias')
        if weight.dim() == 2:
            return F.linear(x, weight, bias)
        return (F.conv3d if weight.dim() == 5 else F.conv2d)(x, weight, bias, stride, padding, dilation)

    def norm(self, x: Tensor, name: str) -> Tensor:
        mean, variance, weight, bias = (
            self.weights[f'{name}.{part}'].view(-1, *[1] * (x.dim() - 2))
            for part in ('running_mean', 'running_var', 'weight', 'bias')
        )
        return (x - mean) / torch.sqrt(variance + 1e-5) * weight + bias

    def residual(self, x: Tensor, name: str, stride: int = 1) -> Tensor:
        """C7 of volumes; alocc.md §9.6 and C4 of maps, whose shortcut has a bias and no norm."""
        inner, of = ('.conv', '{}.bn') if f'{name}.conv1.conv.weight' in self.weights else ('', '{}')
        norms = [of.format(f'{name}.conv{i}') if inner else f'{name}.bn{i}' for i in (1, 2)]
        found = self.norm(self.conv(x, f'{name}.conv1{inner}', stride, 1), norms[0]).relu()
        found = self.norm(self.conv(found, f'{name}.conv2{inner}', 1, 1), norms[1])
        shortcut = f'{name}.downsample{inner}'
        if f'{shortcut}.weight' in self.weights:
            x = self.conv(x, shortcut, stride, self.weights[f'{shortcut}.weight'].shape[-1] // 2)
            x = self.norm(x, f'{name}.downsample.bn') if inner else x
        return (found + x).relu()

    def stages(self, x: Tensor, name: str) -> list[Tensor]:
        levels = []
        for stage in range(len(self.sizes.encoder_blocks)):
            for block in range(self.sizes.encoder_blocks[stage]):
                x = self.residual(x, f'{name}.layers.{stage}.{block}', 2 if stage and not block else 1)
            levels.append(x)
        return levels

    # ---- C2 ----

    def encoded_images(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Cells at 1/16 and features at 1/4."""
        x = self.norm(self.conv(images.double(), 'img_backbone.conv1', 2, 3), 'img_backbone.bn1').relu()
        x, levels = F.max_pool2d(x, 3, 2, 1), []
        for stage in range(1, 5):
            name, stride = f'img_backbone.layer{stage}.0', 1 if stage == 1 else 2
            y = self.norm(self.conv(x, f'{name}.conv1'), f'{name}.bn1').relu()
            y = self.norm(self.conv(y, f'{name}.conv2', stride, 1), f'{name}.bn2').relu()
            y = self.norm(self.conv(y, f'{name}.conv3'), f'{name}.bn3')
            x = (y + self.norm(self.conv(x, f'{name}.downsample.0', stride), f'{name}.downsample.1')).relu()
            levels.append(x)
        fine = self.conv(levels[2], 'img_neck.lateral_convs.0.conv')
        coarse = F.interpolate(self.conv(levels[3], 'img_neck.lateral_convs.1.conv'), fine.shape[2:])
        return self.conv(fine + coarse, 'img_neck.fpn_convs.0.conv', 1, 1), levels[0]

    # ---- geometry of cameras ----

    def frustum(self, size: Sequence[int], n: int, c: Calibration, depths: Tensor) -> Tensor:
        """(K, h, w, 3): (u d, v d, d) in the source image."""
        height, width = self.spec.image_size
        v, u = torch.meshgrid(
            torch.linspace(0, height - 1, size[0]).double(),
            torch.linspace(0, width - 1, size[1]).double(),
            indexing='ij',
        )
        points = torch.stack([torch.stack([u, v, torch.full_like(u, float(depth))], -1) for depth in depths])
        points = (points - c.post_translation[n]) @ torch.linalg.inv(c.post_rotation[n].double()).t()
        return torch.cat([points[..., :2] * points[..., 2:], points[..., 2:]], -1)

    def reprojected(self, points: Tensor, n: int, c: Calibration, chain: Tensor) -> tuple[Tensor, Tensor]:
        """Source image now -> (u / d, v / d, d) in the previous one, and what lies behind it."""
        k, chain = c.intrinsics[n].double(), chain[n].double()
        seen = points @ torch.linalg.inv(k).t() @ chain[:3, :3].t() + chain[:3, 3]
        seen = seen @ k.t()
        return torch.cat([seen[..., :2] / seen[..., 2:], seen[..., 2:]], -1), seen[..., 2] < 1e-3

    def cost_volume(self, feature: Tensor, frame: Frame) -> Tensor:
        """C3."""
        then, c, (height, width) = self.past.get('feature', feature), frame.calibration, self.spec.image_size
        chain = frame.previous_camera_from_camera if self.past else torch.eye(4).expand(len(feature), 4, 4)
        costs = []
        for n in range(len(feature)):
            points = self.frustum(feature.shape[2:], n, c, self.spec.depth.values())
            seen, behind = self.reprojected(points, n, c, chain)
            pixels = seen[..., :2] @ c.post_rotation[n, :2, :2].double().t() + c.post_translation[n, :2]
            grid = pixels / torch.tensor([width - 1, height - 1]) * 2 - 1
            grid[behind] = -2
            for k in range(self.spec.depth.count):
                warped = F.grid_sample(then[n : n + 1], grid[k : k + 1], align_corners=True)[0]
                costs.append((feature[n] - warped).abs().sum(0) + 5.0 * (warped[-4] == 0))
        cost = torch.stack(costs).view(len(feature), -1, *feature.shape[2:])
        name = 'depth_net.cost_volumn_net'
        x = self.norm(self.conv((-cost).softmax(1), f'{name}.0', 2, 1), f'{name}.1')
        return self.norm(self.conv(x, f'{name}.2', 2, 1), f'{name}.3')

    # ---- C4, alocc.md §2, §3 ----

    def camera_gate(self, x: Tensor, c: Calibration, branch: str) -> Tensor:
        k, r, t, b = c.intrinsics, c.post_rotation, c.post_translation, c.bda.expand(len(x), 3, 3)
        entries = [
            k[:, 0, 0],
            k[:, 1, 1],
            k[:, 0, 2],
            k[:, 1, 2],
            r[:, 0, 0],
            r[:, 0, 1],
            t[:, 0],
            r[:, 1, 0],
            r[:, 1, 1],
            t[:, 1],
            b[:, 0, 0],
            b[:, 0, 1],
            b[:, 1, 0],
            b[:, 1, 1],
            b[:, 2, 2],
        ]
        vector = torch.cat([torch.stack(entries, 1), c.volume_from_camera[:, :3].flatten(1)], 1).double()
        name = f'depth_net.{branch}'
        e = self.conv(self.conv(self.norm(vector, 'depth_net.bn'), f'{name}_mlp.fc1').relu(), f'{name}_mlp.fc2')
        squeezed = self.conv(e[..., None, None], f'{name}_se.conv_reduce').relu()
        return x * self.conv(squeezed, f'{name}_se.conv_expand').sigmoid()

    def pyramid(self, x: Tensor) -> Tensor:
        name, found = 'depth_net.depth_conv.3', []
        for i, dilation in enumerate((1, 6, 12, 18), 1):
            branch = f'{name}.aspp{i}'
            y = self.conv(x, f'{branch}.atrous_conv', 1, 0 if i == 1 else dilation, dilation)
            found.append(self.norm(y, f'{branch}.bn').relu())
        mean = self.norm(
            self.conv(x.mean((2, 3), keepdim=True), f'{name}.global_avg_pool.1'), f'{name}.global_avg_pool.2'
        ).relu()
        x = torch.cat([*found, mean.expand_as(found[0])], 1)
        return self.norm(self.conv(x, f'{name}.conv1'), f'{name}.bn1').relu()

    def depth(self, cells: Tensor, feature: Tensor, frame: Frame) -> tuple[Tensor, Tensor, Tensor]:
        """What is lifted: the geometry G, the context, and y0, which says what lies beside the rays."""
        x = self.norm(self.conv(cells, 'depth_net.reduce_conv.0', 1, 1), 'depth_net.reduce_conv.1').relu()
        context = self.conv(self.camera_gate(x, frame.calibration, 'context'), 'depth_net.context_conv')
        y0 = self.camera_gate(x, frame.calibration, 'depth')
        looked_at = torch.cat([y0, self.cost_volume(feature, frame)], 1) if self.stereo else y0
        trunk = behind = looked_at
        for block in range(3):
            trunk = self.residual(trunk, f'depth_net.depth_conv.{block}')
            behind = self.residual(behind, f'depth_net.occ_conv.{block}')
        trunk = self.pyramid(trunk)
        head = 'depth_head' if self.fused else 'depth_conv.4'
        p = self.conv(trunk, f'depth_net.{head}').softmax(1)
        shares, o = self.conv(behind, 'depth_net.occ_conv.3').sigmoid(), p.clone()
        for j in range(p.shape[1]):
            for distance in range(1, min(j, REACH_BEHIND) + 1):
                o[:, j] += shares[:, distance - 1] * p[:, j - distance]
        if self.fused:
            o = self.fused_geometry(self.conv(trunk, 'depth_net.depth_head2'), o, frame)
        return o, context, y0

    # ---- C5, alocc.md §9.3 ----

    def fused_geometry(self, logits: Tensor, q: Tensor, frame: Frame) -> Tensor:
        y, hit = self.measured(frame)
        x, fused, stored = torch.where(hit, y, logits), logits, torch.where(hit, y, logits)
        if self.past:
            history = self.geometry_history(frame, q.shape)
            a = self.gate('depth_his_fusion_post_layer.gate_net', history, logits)
            known = history != 0
            fused = torch.where(known, a * history + (1 - a) * logits, logits)
            stored = torch.where(known, a * history + (1 - a) * x, x)
        self.past['geometry'] = stored
        softened = fused.softmax(1)
        b = self.gate('gate_net', softened, q)
        return b * softened + (1 - b) * torch.where(hit, y, q)

    def gate(self, name: str, one: Tensor, other: Tensor) -> Tensor:
        hidden = self.conv(torch.cat([one, other], 1), f'depth_net.{name}.0').relu()
        return self.conv(hidden, f'depth_net.{name}.2').sigmoid()

    def geometry_history(self, frame: Frame, size: torch.Size) -> Tensor:
        c, before, bins, (height, width) = frame.calibration, self.past['calibration'], self.spec.depth, size[2:]
        found = []
        for n in range(size[0]):
            seen, behind = self.reprojected(
                self.frustum(size[2:], n, c, bins.values()), n, c, frame.previous_camera_from_camera
            )
            seen = seen @ before.post_rotation[n].double().t() + before.post_translation[n]
            span = torch.tensor([16.0 * width - 1, 16.0 * height - 1, bins.step * (bins.count - 1)])
            grid = (seen - torch.tensor([0.0, 0.0, bins.first])) / span * 2 - 1
            grid[behind] = -2
            found.append(F.grid_sample(self.past['geometry'][n][None, None], grid[None], align_corners=True)[0, 0])
        return torch.stack(found)

    def measured(self, frame: Frame) -> tuple[Tensor, Tensor]:
        """One-hot bins of the nearest LiDAR depth of each 16 x 16 patch, and where there is one."""
        bins, (height, width), count = self.spec.depth, self.spec.cells, len(frame.images)
        y = torch.zeros(count, bins.count, height, width, dtype=torch.float64)
        if frame.lidar_depth is not None and self.spec.lidar_depth:
            for n, row, column in product(range(count), range(height), range(width)):
                patch = frame.lidar_depth[n, 16 * row : 16 * row + 16, 16 * column : 16 * column + 16]
                if patch.any():
                    t = int((float(patch[patch > 0].min()) - (bins.first - bins.step)) / bins.step)
                    if 1 <= t < bins.count + 1:
                        y[n, t - 1, row, column] = 1
        return y, y.any(1, keepdim=True)

    # ---- alocc.md §4, §5, §9.6 ----

    def lifted(self, g: Tensor, context: Tensor, y0: Tensor, c: Calibration) -> Tensor:
        (x_count, y_count, z_count), depths = self.spec.grid.shape, self.spec.depth.values()
        volume = torch.zeros(context.shape[1], y_count, x_count, z_count, dtype=torch.float64)
        for n in range(len(g)):
            points = self.frustum(g.shape[2:], n, c, depths)
            self.fill(volume, points, g[n], context[n], n, c)
            if self.beside:
                self.fill_beside(volume, g, context[n], y0[n : n + 1], n, c)
        return (volume[..., 0] if self.flat else volume)[None]

    def fill(self, volume: Tensor, points: Tensor, values: Tensor, context: Tensor, n: int, c: Calibration) -> None:
        """Points (…, h, w, 3) of the source image, with values (…, h, w) -> the eight voxels round each."""
        grid, pose = self.spec.grid, c.volume_from_camera[n].double()
        places = points @ torch.linalg.inv(c.intrinsics[n].double()).t() @ pose[:3, :3].t() + pose[:3, 3]
        places = (places @ c.bda.double().t() - torch.tensor(grid.lower)) / torch.tensor(grid.voxel_size)
        for corner in product((0, 1), repeat=3):
            index = places.floor().long() + torch.tensor(corner)
            share = (1 - (places - index).abs()).prod(-1) * values
            inside = ((index >= 0) & (index < torch.tensor(grid.shape))).all(-1)
            x, y, z = index[inside].unbind(-1)
            features = context.expand(*values.shape[:-2], *context.shape).movedim(-3, -1)[inside]
            volume.permute(1, 2, 3, 0).index_put_((y, x, z), share[inside][:, None] * features, accumulate=True)

    def fill_beside(self, volume: Tensor, g: Tensor, context: Tensor, y0: Tensor, n: int, c: Calibration) -> None:
        weights = self.conv(y0, 'depth_net.depth2occ_inter_weight_net').sigmoid().view(3, 3, 3, *g.shape[2:])
        offsets = (4 * self.conv(y0, 'depth_net.depth2occ_inter_bias_net')).clamp(-8, 8).view(3, 3, 2, *g.shape[2:])
        likeliest, spec, (height, width), (h, w) = g[n].argmax(0), self.spec, self.spec.image_size, g.shape[2:]
        v, u = torch.meshgrid(
            *(torch.arange(count) * (size - 1) / (count - 1) for count, size in ((h, height), (w, width))),
            indexing='ij',
        )
        for a, b, step in product(range(3), repeat=3):
            if (a, b) == (1, 1):
                continue
            j = likeliest + step - 1
            k = j.clamp(0, len(g) - 1)  # the axis of cameras
            value = g[n].gather(0, k[None])[0] * weights[a, b, step] * (j >= 0)
            depth = spec.depth.first + spec.depth.step * k
            points = torch.stack([u + offsets[a, b, 0], v + offsets[a, b, 1], depth], -1) - c.post_translation[n]
            points = points @ torch.linalg.inv(c.post_rotation[n].double()).t()
            points = torch.cat([points[..., :2] * points[..., 2:], points[..., 2:]], -1)
            self.fill(volume, points, value, context, n, c)

    # ---- C8, C9, alocc.md §9.6, §9.7; maps are volumes of one height ----

    def alignment(self, frame: Frame) -> Tensor:
        """p (voxels, 3), in voxels of the previous grid; for a map on the plane z = 1 m."""
        grid, now = self.spec.grid, torch.eye(4).double()
        to_metres, then = torch.eye(4).double(), torch.eye(4).double()
        steps, lower = list(grid.voxel_size), list(grid.lower)
        if self.flat:
            steps[2], lower[2] = 1.0, 0.0
        to_metres[:3, :3], to_metres[:3, 3] = torch.diag(torch.tensor(steps)), torch.tensor(lower)
        now[:3, :3] = frame.calibration.bda
        then[:3, :3] = self.past['calibration'].bda if self.past.get('volume') is not None else now[:3, :3]
        way = frame.previous_ego_from_ego.double() if self.past.get('volume') is not None else torch.eye(4).double()
        whole = torch.linalg.inv(to_metres) @ then @ way @ torch.linalg.inv(now) @ to_metres
        x_count, y_count, z_count = grid.shape
        indices = torch.tensor(
            [[x, y, 1 if self.flat else z, 1] for y, x, z in product(range(y_count), range(x_count), range(z_count))]
        ).double()
        moved = (indices @ whole.t())[:, :3]
        return torch.cat([moved[:, :2], torch.zeros_like(moved[:, 2:])], 1) if self.flat else moved

    def corners(self, field: Tensor, places: Tensor, *, clamped: bool) -> list[tuple[Tensor, Tensor]]:
        """Values (voxels, C) of ``field`` (voxels, C) at the eight corners round ``places``, and which (3,) each is."""
        x_count, y_count, z_count = self.spec.grid.shape
        counts, found = torch.tensor([x_count, y_count, z_count]), []
        for corner in product((0, 1), repeat=3):
            index = places.floor().long() + torch.tensor(corner)
            inside = ((index >= 0) & (index < counts)).all(-1)
            x, y, z = index.clamp(min=torch.zeros(3).long(), max=counts - 1).unbind(-1)
            values = field[(y * x_count + x) * z_count + z]
            found.append((values if clamped else values * inside[:, None], torch.tensor(corner)))
        return found

    def sampled(self, field: Tensor, places: Tensor, *, clamped: bool = False) -> Tensor:
        f = places - places.floor()
        total = torch.zeros(len(places), field.shape[1], dtype=torch.float64)
        for values, corner in self.corners(field, places, clamped=clamped):
            total += torch.where(corner.bool(), f, 1 - f).prod(-1)[:, None] * values
        return total

    def moved(self, rows: Tensor, p: Tensor) -> Tensor:
        """Motion fusion: offsets (voxels, 3) of the frame."""
        axes = 2 if self.flat else 3
        name = 'his_stream_offset_net.history_stream_offset_net'
        m = F.linear(rows, self.weights[f'{name}.weight'].flatten(1), self.weights[f'{name}.bias']).clamp(-LIMIT, LIMIT)
        m = torch.cat([m, torch.zeros(len(m), 3 - axes)], 1)
        if (before := self.past.get('motion')) is not None:
            u = p + m
            f, s, slope = u - u.floor(), self.sampled(before, u, clamped=True), torch.zeros(len(m), 3, 3).double()
            for values, corner in self.corners(before, u, clamped=True):
                for a in range(axes):
                    shares = torch.where(corner.bool(), f, 1 - f)
                    shares[:, a] = 2 * corner[a] - 1
                    slope[:, a] += shares.prod(1)[:, None] * values
            delta = 2 * (s - m)
            g = ((torch.einsum('nai,ni->na', slope, delta) - delta) / axes).clamp(-LIMIT, LIMIT)
            inside = ((u >= 0) & (u <= torch.tensor(self.spec.grid.shape) - 1))[:, :axes].all(1, keepdim=True)
            m = torch.where(inside, m - ETA * g, m)
            m[:, axes:] = 0
        self.past['motion'] = m
        return m

    def pointwise(self, rows: Tensor, name: str) -> Tensor:
        x = F.linear(rows, self.weights[f'{name}.0.weight'].flatten(1), self.weights[f'{name}.0.bias'])
        return self.norm(x, f'{name}.1').relu()

    def embedded(self, time: float, channels: int) -> Tensor:
        angles = [time * 10000 ** (-2 * i / channels) for i in range(channels // 2)]
        e = torch.tensor([wave(angle) for angle in angles for wave in (math.sin, math.cos)], dtype=torch.float64)
        return self.conv(self.conv(e, 'time_emb_net.0').relu(), 'time_emb_net.2')

    def fused_volume(self, rows: Tensor, frame: Frame) -> Tensor:
        """Motion, voxel and scene fusion."""
        start = self.past.get('volume') is None
        p = self.alignment(frame)
        m, k = self.moved(rows, p), 0 if start else self.past['frames']
        history = self.sampled(rows if start else self.past['volume'], p + m)
        channels = rows.shape[1]
        parts = [
            self.pointwise(volume + self.embedded(0.5 * time, channels), 'history_keyframe_time_conv')
            for volume, time in ((rows, k), (history, max(k - 1, 0)))
        ]
        fused = self.pointwise(torch.cat(parts, 1), 'history_keyframe_cat_conv')
        self.past |= {'volume': fused, 'frames': k + 1}
        return self.scene(rows if start else fused)

    def scene(self, v: Tensor) -> Tensor:
        prefix = 'scene_his_func_after_vox_his.scene_his_'
        qo, q1, q2, w0, b0, gamma, beta = (
            self.weights[prefix + name].squeeze()
            for name in (
                'q.weight',
                'k.weight',
                'v.weight',
                'learnable_weight',
                'learnable_bias',
                'norm_weight',
                'norm_bias',
            )
        )
        dw, db = self.past.get('scene', (torch.zeros_like(w0), torch.zeros_like(b0)))

        def normed(x: Tensor) -> tuple[Tensor, Tensor]:
            sigma = torch.sqrt(x.var(1, correction=0, keepdim=True) + 1e-6)
            return (x - x.mean(1, keepdim=True)) / sigma, sigma

        x, (n, c) = v @ q1.t(), v.shape
        z, sigma = normed(x @ (w0 - dw).t() + (b0 - db))
        difference = gamma * z + beta + x - v @ q2.t()
        h = gamma * difference
        d = (h - h.mean(1, keepdim=True) - z * (h * z).mean(1, keepdim=True)) / sigma
        dw, db = dw + 2 * d.t() @ x / (n * c), db + 2 * d.sum(0) / (n * c)
        self.past['scene'] = dw, db
        gamma = gamma - 2 * (difference * z).sum(0) / (n * c)
        beta = beta - 2 * difference.sum(0) / (n * c)
        q = v @ qo.t()
        return gamma * normed(q @ (w0 - dw).t() + b0 - db)[0] + beta + q

    def queued(self, rows: Tensor, frame: Frame) -> Tensor:
        """alocc.md §9.6: all that is kept is sampled again; each is told its age."""
        if self.past.get('volume') is None:
            kept, ages = [rows] * QUEUE, [0] * QUEUE
        else:
            p = self.alignment(frame)
            kept = [self.sampled(volume, p) for volume in self.past['volume']]
            ages = [age + 1 for age in self.past['ages']]
        aged = [
            torch.cat([volume, torch.full((len(rows), 1), 0.5 * age)], 1)
            for volume, age in zip([rows, *kept], [0, *ages], strict=True)
        ]
        self.past |= {'volume': [rows, *kept[:-1]], 'ages': [0, *ages[:-1]]}
        stacked = torch.cat([self.pointwise(each, 'history_keyframe_time_conv') for each in aged], 1)
        return self.pointwise(stacked, 'history_keyframe_cat_conv')

    # ---- alocc.md §6, §7, §9.6 ----

    def decoded(self, view: Tensor) -> Tensor:
        levels = self.stages(view, 'img_bev_encoder_backbone')
        raised = [
            levels[0],
            *(
                F.interpolate(
                    level, scale_factor=2**i, align_corners=True, mode=('bilinear' if self.flat else 'trilinear')
                )
                for i, level in enumerate(levels[1:], 1)
            ),
        ]
        x, name = torch.cat(raised, 1), 'img_bev_encoder_neck.conv'
        if self.flat:
            for conv, norm in ((0, 1), (3, 4)):
                x = self.norm(self.conv(x, f'{name}.{conv}', 1, 1), f'{name}.{norm}').relu()
            x = self.conv(x, 'final_conv', 1, 1)
            x = x.view(1, self.sizes.voxel_channels, -1, *x.shape[2:]).permute(0, 1, 3, 4, 2)
        else:
            x = self.norm(self.conv(x, f'{name}.conv'), f'{name}.bn').relu()
        q = self.weights['alocc_head.query_feat.weight']
        q = F.layer_norm(
            q, q.shape[1:], self.weights['alocc_head.post_norm.weight'], self.weights['alocc_head.post_norm.bias'], 1e-5
        )
        q = self.conv(self.conv(q, 'alocc_head.mask_embed.0').relu(), 'alocc_head.mask_embed.2').relu()
        return torch.einsum('qc,cyxz->yxzq', self.conv(q, 'alocc_head.mask_embed.4'), x[0])[..., 1:]

    def __call__(self, frame: Frame) -> Tensor:
        cells, feature = self.encoded_images(frame.images)
        geometry, context, y0 = self.depth(cells, feature, frame)
        view = self.lifted(geometry, context, y0, frame.calibration)
        if self.kind != 'mini':
            view = self.residual(view, 'pre_process.layers.0.0')
        rows = view[0].flatten(1).t()
        rows = self.fused_volume(rows, frame) if self.fused else self.queued(rows, frame)
        self.past |= {'calibration': frame.calibration, 'feature': feature}
        return self.decoded(rows.t().reshape(view.shape))


KINDS: dict[str, Callable[..., OccupancyNetwork]] = {
    '3d': alocc.alocc_3d,
    '2d': alocc.alocc_2d,
    'mini': alocc.alocc_mini,
}


@pytest.fixture
def make(
    tiny_spec: NetworkSpec, filled: Callable[[OccupancyNetwork], OccupancyNetwork], alocc_sizes: Sizes
) -> Callable[..., Any]:
    def made(kind: str, *, fused: bool, lidar: bool = False) -> tuple[OccupancyNetwork, Definition]:
        spec, (x, y, z), (dx, dy, dz) = tiny_spec, tiny_spec.grid.shape, tiny_spec.grid.voxel_size
        if kind != '3d':
            flat = dataclasses.replace(spec.grid, voxel_size=(dx, dy, z * dz), shape=(x, y, 1))
            spec = dataclasses.replace(spec, grid=flat, heights=z)
        spec = dataclasses.replace(spec, lidar_depth=lidar, cues=spec.cues if fused else ())
        network = filled(KINDS[kind](spec, alocc_sizes, FUSIONS if fused else queue(QUEUE)))
        # What is matched has a channel that is nowhere exactly 0: whether it is may not be a matter of rounding.
        if kind != 'mini':
            network.get_parameter('images.backbone.layer1.0.bn3.bias')[-4] = 30.0
        return network, Definition(network, kind, alocc_sizes, fused=fused)

    return made


@pytest.mark.parametrize(
    ('kind', 'fused', 'lidar'),
    [
        ('3d', True, False),
        ('3d', True, True),
        ('2d', True, False),
        ('mini', True, False),
        ('3d', False, False),
        ('2d', False, False),
        ('mini', False, False),
    ],
    ids=['3d gf', '3d gf depth', '2d gf', 'mini gf', '3d', '2d', 'mini'],
)
@torch.inference_mode()
def test_frames_of_the_whole_network(
    make: Callable[..., Any], drive: Any, recalibrated: Callable[..., Frame], kind: str, fused: bool, lidar: bool
) -> None:
    network, definition = make(kind, fused=fused, lidar=lidar)
    runner, frames = SequenceRunner(network), drive.frames(3)
    frames[2] = recalibrated(frames[2], bda=torch.diag(torch.tensor([1.0, -1.0, 1.0])))
    depth = torch.zeros(2, *network.spec.image_size)
    drawn = torch.rand(depth[:, 20::3, ::5].shape, generator=torch.Generator().manual_seed(0))
    depth[:, 20::3, ::5] = 2.0 + 6.0 * drawn
    for step, frame in enumerate(frames):
        seen = dataclasses.replace(frame, lidar_depth=depth) if lidar and step < 2 else frame
        found, expected = runner.predict(seen), definition(seen)
        assert found.logits.shape == expected.shape == (16, 20, 4, 18)
        error = (found.logits - expected).abs().max() / expected.std()
        assert error <= LARGEST_ERROR, f'frame {step}: {float(error):.1e}'
        labels = expected.float().sigmoid().argmax(-1).transpose(0, 1)
        assert labels.unique().numel() > 3
        assert (found.labels == labels).float().mean() >= AGREEMENT
