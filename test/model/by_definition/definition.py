"""What the published networks compute, written down a second time: the parts that they share (C1 to C9).

Nothing here knows the package's modules: weights are read by their published names, and every step follows the text,
in float64, one camera and one corner after the other. Volumes are (C, Y, X, Z), and maps are volumes of one height;
places are (…, 3) along x, y, z, in voxels.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from itertools import product
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from gdfusion_ros.model.interface import Calibration, Frame
from gdfusion_ros.model.network import OccupancyNetwork
from gdfusion_ros.model.weights.checkpoint import published_state

LIMIT, STEP = 20.0, 0.1
"""Of offsets and their gradient [voxels]; the step of motion fusion."""


def found_at(volume: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
    """What lies at whole places (…, 3), those outside moved to the border: (C, …), and which are inside."""
    counts = torch.tensor([volume.shape[2], volume.shape[1], volume.shape[3]])
    inside = ((index >= 0) & (index < counts)).all(-1)
    x, y, z = index.clamp(torch.zeros_like(counts), counts - 1).unbind(-1)
    return volume[:, y, x, z], inside


def eight_corners(places: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Whole places round each, the weights (…, 3) along the axes, and whether it is the far one (3,)."""
    below = places.floor()
    for corner in product((0.0, 1.0), repeat=3):
        far = torch.tensor(corner, dtype=torch.float64)
        yield (below + far).long(), 1 - (places - below - far).abs(), far


def sampled(volume: Tensor, places: Tensor) -> Tensor:
    """Trilinear, zero outside: (C, …)."""
    total = torch.zeros(len(volume), *places.shape[:-1], dtype=torch.float64)
    for index, weights, _ in eight_corners(places):
        values, inside = found_at(volume, index)
        total += weights.prod(-1) * inside * values
    return total


def more_cameras(frame: Frame, count: int) -> Frame:
    """The same two, looking in other directions."""
    c, images, poses, chains = frame.calibration, [], [], []
    which = [n % 2 for n in range(count)]
    for n in range(count):
        angle = torch.tensor(1.1 * (n // 2))
        turn = torch.eye(4)
        turn[0, 0] = turn[1, 1] = angle.cos()
        turn[1, 0] = angle.sin()
        turn[0, 1] = -turn[1, 0]
        images.append(frame.images[n % 2].roll(17 * n, -1))
        poses.append(turn @ c.volume_from_camera[n % 2])
        chains.append(frame.previous_camera_from_camera[n % 2])
    calibration = Calibration(
        c.intrinsics[which],
        c.post_rotation[which],
        c.post_translation[which],
        torch.stack(poses),
        c.bda,
        c.visible[which],
    )
    return dataclasses.replace(
        frame, images=torch.stack(images), calibration=calibration, previous_camera_from_camera=torch.stack(chains)
    )


class Definition:
    """``definition(frame)`` -> (Y, X, Z, K) logits in float64; it remembers the frames of a sequence."""

    def __init__(self, network: OccupancyNetwork) -> None:
        self.weights = {name: value.double() for name, value in published_state(network).items()}
        self.spec = network.spec
        self.past: dict[str, Any] = {}
        self.now: dict[str, Any] = {}

    def __call__(self, frame: Frame) -> Tensor:
        self.now = {'calibration': frame.calibration}
        logits = self.forward(frame)
        self.past = self.now
        return logits

    def forward(self, frame: Frame) -> Tensor:
        raise NotImplementedError

    def labels(self, logits: Tensor) -> Tensor:
        """(X, Y, Z) of the logits."""
        return logits.argmax(-1).transpose(0, 1)

    def forget(self) -> None:
        """The next frame starts a sequence."""
        self.past = {}

    # ---- layers by their published names ----

    def conv(self, x: Tensor, name: str, stride: int = 1, padding: int = 0, dilation: int = 1) -> Tensor:
        weight, bias = self.weights[f'{name}.weight'], self.weights.get(f'{name}.bias')
        return (F.conv3d if weight.dim() == 5 else F.conv2d)(x, weight, bias, stride, padding, dilation)

    def linear(self, x: Tensor, name: str) -> Tensor:
        return F.linear(x, self.weights[f'{name}.weight'], self.weights.get(f'{name}.bias'))

    def norm(self, x: Tensor, name: str, axis: int = 1) -> Tensor:
        shape = [-1 if each == axis else 1 for each in range(x.dim())]
        mean, variance, weight, bias = (
            self.weights[f'{name}.{part}'].view(shape) for part in ('running_mean', 'running_var', 'weight', 'bias')
        )
        return (x - mean) / torch.sqrt(variance + 1e-5) * weight + bias

    def residual(self, x: Tensor, name: str, stride: int = 1) -> Tensor:
        """Of maps: its shortcut has a bias and no norm (C4, gsdocc.md §3)."""
        y = self.norm(self.conv(x, f'{name}.conv1', stride, 1), f'{name}.bn1').relu()
        y = self.norm(self.conv(y, f'{name}.conv2', 1, 1), f'{name}.bn2')
        if (shortcut := self.weights.get(f'{name}.downsample.weight')) is not None:
            x = self.conv(x, f'{name}.downsample', stride, shortcut.shape[-1] // 2)
        return (y + x).relu()

    def residual_3d(self, x: Tensor, name: str, stride: int = 1) -> Tensor:
        """C7."""
        y = self.norm(self.conv(x, f'{name}.conv1.conv', stride, 1), f'{name}.conv1.bn').relu()
        y = self.norm(self.conv(y, f'{name}.conv2.conv', 1, 1), f'{name}.conv2.bn')
        if f'{name}.downsample.conv.weight' in self.weights:
            x = self.norm(self.conv(x, f'{name}.downsample.conv', stride, 1), f'{name}.downsample.bn')
        return (y + x).relu()

    def blocks(self, name: str) -> Iterator[tuple[int, str, bool]]:
        """Of an encoder: stage, name, and whether it is its stage's first."""
        stage = 0
        while any(key.startswith(f'{name}.{stage}.') for key in self.weights):
            block = 0
            while any(key.startswith(f'{name}.{stage}.{block}.') for key in self.weights):
                yield stage, f'{name}.{stage}.{block}', block == 0
                block += 1
            stage += 1

    def pointwise(self, volume: Tensor, name: str) -> Tensor:
        """ReLU(BN(conv1(·) + b)) of (C, Y, X, Z)."""
        x = torch.einsum('oc,cyxz->oyxz', self.weights[f'{name}.0.weight'].flatten(1), volume)
        return self.norm(x + self.weights[f'{name}.0.bias'].view(-1, 1, 1, 1), f'{name}.1', axis=0).relu()

    # ---- C2 ----

    def image_features(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """F at 1/16, and the stereo feature at 1/4."""
        x = self.norm(self.conv(images.double(), 'img_backbone.conv1', 2, 3), 'img_backbone.bn1').relu()
        x, levels = F.max_pool2d(x, 3, 2, 1), []
        for layer in range(1, 5):
            block = 0
            while f'img_backbone.layer{layer}.{block}.conv1.weight' in self.weights:
                name, stride = f'img_backbone.layer{layer}.{block}', 2 if layer > 1 and block == 0 else 1
                y = self.norm(self.conv(x, f'{name}.conv1'), f'{name}.bn1').relu()
                y = self.norm(self.conv(y, f'{name}.conv2', stride, 1), f'{name}.bn2').relu()
                y = self.norm(self.conv(y, f'{name}.conv3'), f'{name}.bn3')
                if block == 0:
                    x = self.norm(self.conv(x, f'{name}.downsample.0', stride), f'{name}.downsample.1')
                x, block = (x + y).relu(), block + 1
            levels.append(x)
        fine = self.conv(levels[2], 'img_neck.lateral_convs.0.conv')
        coarse = self.conv(levels[3], 'img_neck.lateral_convs.1.conv')
        added = fine + F.interpolate(coarse, size=fine.shape[2:], mode='nearest')
        return self.conv(added, 'img_neck.fpn_convs.0.conv', 1, 1), levels[0]

    # ---- C1: cameras ----

    def frustum(self, size: tuple[int, int]) -> Tensor:
        """(K, h, w, 3) points (u, v, d)."""
        (height, width), (h, w), bins = self.spec.image_size, size, self.spec.depth
        points = torch.empty(bins.count, h, w, 3, dtype=torch.float64)
        points[..., 0] = torch.linspace(0, width - 1, w, dtype=torch.float64)
        points[..., 1] = torch.linspace(0, height - 1, h, dtype=torch.float64)[:, None]
        points[..., 2] = (bins.first + bins.step * torch.arange(bins.count).double())[:, None, None]
        return points

    def seen_by(self, points: Tensor, c: Calibration, n: int) -> Tensor:
        """(u, v, d) of the network's image -> places in the frame of camera n."""
        source = (points - c.post_translation[n].double()) @ c.post_rotation[n].double().inverse().T
        source = torch.cat([source[..., :2] * source[..., 2:], source[..., 2:]], -1)
        return source @ c.intrinsics[n].double().inverse().T

    def seen_before(self, points: Tensor, frame: Frame, n: int) -> tuple[Tensor, Tensor]:
        """Places in camera n -> (u, v, z) in its previous source image, and what lies behind it then."""
        chain = frame.previous_camera_from_camera[n].double() if self.past else torch.eye(4).double()
        q = points @ chain[:3, :3].T + chain[:3, 3]
        r = q @ frame.calibration.intrinsics[n].double().T
        return torch.cat([r[..., :2] / r[..., 2:], r[..., 2:]], -1), q[..., 2] < 1e-3

    def in_volume(self, points: Tensor, c: Calibration, n: int) -> Tensor:
        """(u, v, d) -> voxels (C6)."""
        pose, grid = c.volume_from_camera[n].double(), self.spec.grid
        places = (self.seen_by(points, c, n) @ pose[:3, :3].T + pose[:3, 3]) @ c.bda.double().T
        return (places - torch.tensor(grid.lower).double()) / torch.tensor(grid.voxel_size).double()

    # ---- C3 ----

    def cost_volume(self, feature: Tensor, frame: Frame) -> Tensor:
        """What the depth net is given of it: (N, K, h, w).

        The released code cuts the previous image anew, as the current one; a stream keeps its features, and so its cut.
        """
        before, c, (height, width) = self.past.get('feature', feature), frame.calibration, self.spec.image_size
        self.now['feature'], cut = feature, self.past.get('calibration', c)
        found = []
        for n in range(len(feature)):
            points = self.seen_by(self.frustum((feature.shape[2], feature.shape[3])), c, n)
            seen, behind = self.seen_before(points, frame, n)
            pixels = seen[..., :2] @ cut.post_rotation[n, :2, :2].double().T + cut.post_translation[n, :2].double()
            grid = pixels / torch.tensor([width - 1, height - 1]) * 2 - 1
            grid[behind] = -2
            warped = F.grid_sample(before[n].expand(len(grid), -1, -1, -1), grid, align_corners=True)
            cost = (feature[n] - warped).abs().sum(1)
            found.append(cost + 5 * (warped[:, warped.shape[1] - 4] == 0))
        x, name = F.softmax(-torch.stack(found), 1), 'depth_net.cost_volumn_net'
        x = self.norm(self.conv(x, f'{name}.0', 2, 1), f'{name}.1')
        return self.norm(self.conv(x, f'{name}.2', 2, 1), f'{name}.3')

    # ---- C4 ----

    def camera_vectors(self, c: Calibration) -> Tensor:
        rows = []
        for n in range(len(c.intrinsics)):
            k, pr, pt, a = c.intrinsics[n], c.post_rotation[n], c.post_translation[n], c.bda
            inner = [k[0, 0], k[1, 1], k[0, 2], k[1, 2], pr[0, 0], pr[0, 1], pt[0], pr[1, 0], pr[1, 1], pt[1]]
            bda = [a[0, 0], a[0, 1], a[1, 0], a[1, 1], a[2, 2]]
            rows.append(torch.cat([torch.stack(inner + bda), c.volume_from_camera[n, :3].flatten()]))
        return self.norm(torch.stack(rows).double(), 'depth_net.bn')

    def camera_gated(self, x: Tensor, c: Calibration, branch: str) -> Tensor:
        name = f'depth_net.{branch}'
        e = self.linear(self.linear(self.camera_vectors(c), f'{name}_mlp.fc1').relu(), f'{name}_mlp.fc2')
        g = self.conv(self.conv(e[..., None, None], f'{name}_se.conv_reduce').relu(), f'{name}_se.conv_expand')
        return x * g.sigmoid()

    def pyramid(self, x: Tensor) -> Tensor:
        """ASPP."""
        name, branches = 'depth_net.depth_conv.3', []
        for number, dilation in ((1, 1), (2, 6), (3, 12), (4, 18)):
            y = self.conv(x, f'{name}.aspp{number}.atrous_conv', 1, 0 if number == 1 else dilation, dilation)
            branches.append(self.norm(y, f'{name}.aspp{number}.bn').relu())
        y = self.conv(x.mean((2, 3), keepdim=True), f'{name}.global_avg_pool.1')
        branches.append(self.norm(y, f'{name}.global_avg_pool.2').relu().expand_as(branches[0]))
        return self.norm(self.conv(torch.cat(branches, 1), f'{name}.conv1'), f'{name}.bn1').relu()

    def depth_trunks(self, cells: Tensor, cost: Tensor | None, c: Calibration) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Context, y0, y0c and feat."""
        x = self.norm(self.conv(cells, 'depth_net.reduce_conv.0', 1, 1), 'depth_net.reduce_conv.1').relu()
        context = self.conv(self.camera_gated(x, c, 'context'), 'depth_net.context_conv')
        y0 = self.camera_gated(x, c, 'depth')
        y0c = trunk = y0 if cost is None else torch.cat([y0, cost], 1)
        for block in range(3):
            trunk = self.residual(trunk, f'depth_net.depth_conv.{block}')
        return context, y0, y0c, self.pyramid(trunk)

    # ---- C5 ----

    def gate(self, name: str, one: Tensor, other: Tensor) -> Tensor:
        hidden = self.conv(torch.cat([one, other], 1), f'depth_net.{name}.0').relu()
        return self.conv(hidden, f'depth_net.{name}.2').sigmoid()

    def geometry_before(self, frame: Frame) -> Tensor:
        """What was known of the cells' depths, seen from where the cameras are now."""
        c, then, logits = frame.calibration, self.past['calibration'], self.past['geometry']
        bins, (h, w), found = self.spec.depth, logits.shape[2:], []
        last = bins.first + bins.step * (bins.count - 1)
        for n in range(len(logits)):
            seen, behind = self.seen_before(self.seen_by(self.frustum((h, w)), c, n), frame, n)
            seen = seen @ then.post_rotation[n].double().T + then.post_translation[n].double()
            span = torch.tensor([16 * w - 1, 16 * h - 1, last - bins.first]).double()
            grid = (seen - torch.tensor([0, 0, bins.first])) / span * 2 - 1
            grid[behind] = -2
            found.append(F.grid_sample(logits[n][None, None], grid[None], align_corners=True)[0, 0])
        return torch.stack(found)

    def fused_geometry(self, logits: Tensor, q: Tensor, frame: Frame, measured: Tensor | None = None) -> Tensor:
        """G; ``measured`` is one-hot where LiDAR hit (alocc.md §9.3)."""
        hit = torch.zeros_like(q[:, :1]).bool() if measured is None else measured.any(1, keepdim=True)
        blended = q if measured is None else torch.where(hit, measured, q)
        x = logits if measured is None else torch.where(hit, measured, logits)
        fused, kept = logits, x
        if self.past:
            history = self.geometry_before(frame)
            a = self.gate('depth_his_fusion_post_layer.gate_net', history, logits)
            fused = torch.where(history != 0, a * history + (1 - a) * logits, logits)
            kept = torch.where(history != 0, a * history + (1 - a) * x, x)
        self.now['geometry'] = kept
        softened = fused.softmax(1)
        b = self.gate('gate_net', softened, q)
        return b * softened + (1 - b) * blended

    # ---- C6 ----

    def lift(self, geometry: Tensor, context: Tensor, c: Calibration) -> Tensor:
        x_count, y_count, z_count = self.spec.grid.shape
        volume = torch.zeros(y_count, x_count, z_count, context.shape[1], dtype=torch.float64)
        for n in range(len(geometry)):
            index = self.in_volume(self.frustum((geometry.shape[2], geometry.shape[3])), c, n).trunc().long()
            for k in range(geometry.shape[1]):
                x, y, z = index[k].unbind(-1)
                inside = (x >= 0) & (x < x_count) & (y >= 0) & (y < y_count) & (z >= 0) & (z < z_count)
                rows = (geometry[n, k] * context[n]).permute(1, 2, 0)[inside]
                volume.index_put_((y[inside], x[inside], z[inside]), rows, accumulate=True)
        return volume.permute(3, 0, 1, 2)

    # ---- C8, C9 ----

    def rigid(self, frame: Frame, *, flat: bool = False) -> Tensor:
        """p of every voxel of this frame's grid in the previous one's: (Y, X, Z, 3); ``flat``: of the plane z = 1 m."""
        (x_count, y_count, z_count), lower, size = (
            self.spec.grid.shape,
            self.spec.grid.lower,
            self.spec.grid.voxel_size,
        )
        metres, now, then = (torch.eye(4, dtype=torch.float64) for _ in range(3))
        for axis in range(2 if flat else 3):
            metres[axis, axis], metres[axis, 3] = size[axis], lower[axis]
        now[:3, :3], way = frame.calibration.bda, frame.previous_ego_from_ego.double()
        then[:3, :3] = self.past['calibration'].bda if self.past else frame.calibration.bda
        way = way if self.past else torch.eye(4).double()
        matrix = metres.inverse() @ then @ way @ now.inverse() @ metres
        index = torch.ones(y_count, x_count, 1 if flat else z_count, 4, dtype=torch.float64)
        index[..., 0] = torch.arange(x_count)[:, None]
        index[..., 1] = torch.arange(y_count)[:, None, None]
        if not flat:
            index[..., 2] = torch.arange(z_count)
        places = (index @ matrix.T)[..., :3]
        if flat:
            places[..., 2] = 0
        return places

    def offsets(self, volume: Tensor, p: Tensor) -> Tensor:
        """Motion fusion: M_f (Y, X, Z, 3)."""
        name = 'his_stream_offset_net.history_stream_offset_net'
        weight, bias = self.weights[f'{name}.weight'].flatten(1), self.weights[f'{name}.bias']
        axes, m = len(weight), torch.zeros_like(p)
        m[..., :axes] = (torch.einsum('oc,cyxz->yxzo', weight, volume) + bias).clamp(-LIMIT, LIMIT)
        if self.past:
            u, before = p + m, self.past['motion'].permute(3, 0, 1, 2)
            s, slope = torch.zeros_like(u), torch.zeros(*u.shape, 3, dtype=torch.float64)
            for index, weights, far in eight_corners(u):
                values = found_at(before, index)[0].permute(1, 2, 3, 0)
                s += weights.prod(-1, keepdim=True) * values
                for a in range(axes):
                    others = [weights[..., each] for each in range(3) if each != a]
                    slope[..., a, :] += ((2 * far[a] - 1) * others[0] * others[1])[..., None] * values
            delta = 2 * (s - m)
            g = (torch.einsum('yxzai,yxzi->yxza', slope, delta) - delta) / axes
            counts = torch.tensor([u.shape[1], u.shape[0], u.shape[2]])
            inside = ((u >= 0) & (u <= counts - 1))[..., :axes].all(-1, keepdim=True)
            m = torch.where(inside, m - STEP * g.clamp(-LIMIT, LIMIT), m)
            m[..., axes:] = 0
        self.now['motion'] = m
        return m

    def time_embedding(self, time: float, channels: int) -> Tensor:
        e = torch.empty(channels, dtype=torch.float64)
        for i in range(channels // 2):
            angle = time * 10000 ** (-2 * i / channels)
            e[2 * i], e[2 * i + 1] = math.sin(angle), math.cos(angle)
        return self.linear(self.linear(e, 'time_emb_net.0').relu(), 'time_emb_net.2').view(-1, 1, 1, 1)

    def recurrent(self, volume: Tensor, frame: Frame, *, flat: bool = False) -> Tensor:
        """Motion and voxel fusion (C8), then scene fusion."""
        k, p = self.past.get('count', 0), self.rigid(frame, flat=flat)
        history = sampled(self.past.get('volume', volume), p + self.offsets(volume, p))
        now = volume + self.time_embedding(0.5 * k, len(volume))
        history = history + self.time_embedding(0.5 * max(k - 1, 0), len(volume))
        both = [self.pointwise(each, 'history_keyframe_time_conv') for each in (now, history)]
        self.now['volume'] = self.pointwise(torch.cat(both), 'history_keyframe_cat_conv')
        self.now['count'] = k + 1
        return self.scene(self.now['volume'] if self.past else volume)

    def scene(self, volume: Tensor) -> Tensor:
        """C9."""

        def weight(name: str) -> Tensor:
            return self.weights[f'scene_his_func_after_vox_his.scene_his_{name}'].squeeze(0)

        def normed(z: Tensor) -> tuple[Tensor, Tensor]:
            sigma = torch.sqrt(z.var(0, correction=0) + 1e-6)
            return (z - z.mean(0)) / sigma, sigma

        v, gamma, beta = volume.flatten(1), weight('norm_weight'), weight('norm_bias')
        w, b = weight('learnable_weight'), weight('learnable_bias')
        dw, db = self.past.get('scene', (torch.zeros_like(w), torch.zeros_like(b)))
        x, nc = weight('k.weight') @ v, v.numel()
        z, sigma = normed((w - dw) @ x + (b - db))
        difference = gamma * z + beta + x - weight('v.weight') @ v
        h = gamma * difference
        d = (h - h.mean(0) - z * (h * z).mean(0)) / sigma
        dw, db = dw + 2 * d @ x.T / nc, db + 2 * d.sum(1, keepdim=True) / nc
        self.now['scene'] = dw, db
        gamma = gamma - 2 * (difference * z).sum(1, keepdim=True) / nc
        beta = beta - 2 * difference.sum(1, keepdim=True) / nc
        q = weight('q.weight') @ v
        return (gamma * normed((w - dw) @ q + b - db)[0] + beta + q).view(volume.shape)

    # ---- bevdetocc_sf.md §3, gsdocc.md §2, alocc.md §9.6 ----

    def queue(self, volume: Tensor, frame: Frame, length: int, *, flat: bool = False) -> Tensor:
        """The queue of past volumes, or maps; all are sampled anew at every frame."""
        if self.past:
            p = self.rigid(frame, flat=flat)
            kept = [sampled(each, p) for each in self.past['queue']]
            ages = [age + 1 for age in self.past['ages']]
        else:
            kept, ages = [volume] * length, [0] * length
        self.now |= {'queue': [volume, *kept[:-1]], 'ages': [0, *ages[:-1]]}
        told = []
        for each, age in zip([volume, *kept], [0, *ages], strict=True):
            aged = torch.cat([each, torch.full_like(each[:1], 0.5 * age)])
            told.append(self.pointwise(aged, 'history_keyframe_time_conv'))
        return self.pointwise(torch.cat(told), 'history_keyframe_cat_conv')
