"""Weights and inputs of the recordings, from names and numbers alone (numpy only). See README.md."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]

# What weights are multiplied with whose key contains the text; the first that fits counts.
GAINS = [
    ('pre_process.layers.0.0.conv1.conv.weight', 15.0),
    ('pre_process.layers.0.0.downsample.conv.weight', 15.0),
    ('history_keyframe_time_conv.0.weight', 2.0),
    ('history_keyframe_cat_conv.0.weight', 2.0),
    ('img_bev_encoder_backbone', 1.15),
    ('img_bev_encoder_neck', 1.0),
    ('occupancy_head.final_conv', 1.5),
    ('occupancy_head.predicter.0', 1.5),
    ('his_stream_offset_net.history_stream_offset_net.weight', 1.5),
    ('depth_net.depth_head.weight', 3.0),
    ('depth_net.depth_head2.weight', 3.0),
    ('occupancy_head.predicter.2.weight', 3.0),
    ('gate_net', 2.0),
    ('scene_his_', 0.7),
]
GSD_GAINS = [
    ('depth_net.context_conv.weight', 15.0),
    ('depth_net.depth_conv.', 1.2),
    ('history_keyframe_time_conv.0.weight', 3.0),
    ('history_keyframe_cat_conv.0.weight', 2.0),
    ('occupancy_head.occ_pred_conv.3', 3.0),
]

# Statistics of the camera vector.
MLP_MEAN = [1200, 1200, 810, 490, 0.4, 0, 0, 0, 0.4, -120, 1, 0, 0, 1, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, -1, 0, 1.5]
MLP_STD = [
    150, 150, 20, 10, 0.1, 1, 10, 1, 0.1, 40, 1, 1, 1, 1, 1, 0.6, 0.1, 0.6, 0.6, 0.6, 0.1, 0.6, 0.4, 0.1, 0.3, 0.1, 0.1,
]  # fmt: skip

CONST = ('view_transformer.dx', 'view_transformer.bx', 'view_transformer.nx')

# (sequence, key frame, the key frame before, whether the sequence starts)
FRAMES = [(0, 0, 0, True), (0, 1, 0, False), (0, 2, 1, False), (0, 3, 2, False), (1, 2, 2, True)]

CAMS = ['CAM_FRONT_LEFT', 'CAM_FRONT', 'CAM_FRONT_RIGHT', 'CAM_BACK_LEFT', 'CAM_BACK', 'CAM_BACK_RIGHT']
YAW = [55.2, 0.3, -56.4, 108.6, 180.1, -110.8]  # [degrees]
PLACE = [  # [m]
    (1.523, 0.494, 1.509),
    (1.701, 0.016, 1.511),
    (1.551, -0.493, 1.496),
    (1.036, 0.485, 1.591),
    (0.028, 0.003, 1.579),
    (1.015, -0.480, 1.562),
]
LENS = [  # focal length and principal point [px]
    (1272.6, 826.6, 479.8),
    (1266.4, 816.3, 491.5),
    (1260.8, 807.9, 495.3),
    (1256.7, 792.1, 492.8),
    (809.2, 829.2, 481.8),
    (1259.5, 807.3, 501.2),
]
DELAY = [-0.045, -0.037, -0.030, -0.015, -0.010, -0.022]  # a camera's time minus the key frame's [s]
EGO_FROM_OPTICAL = np.array([[0, 0, 1], [-1, 0, 0], [0, -1, 0]], float)


def rng(name: str) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(zlib.crc32(name.encode())))


def tensor(
    key: str, shape: Sequence[int], dtype: str = 'float32', gains: Sequence[tuple[str, float]] = GAINS
) -> NDArray[Any] | None:
    """Value of the parameter or buffer ``key``; None: keep what the constructor computes."""
    shape, random = tuple(shape), rng(key)
    if key in CONST:
        return None
    if dtype == 'int64':
        return np.zeros(shape, np.int64)
    if key.endswith('depth_net.bn.running_mean') and shape == (27,):
        return np.asarray(MLP_MEAN, np.float32)
    if key.endswith('depth_net.bn.running_var') and shape == (27,):
        return (np.asarray(MLP_STD, np.float64) ** 2).astype(np.float32)
    return np.asarray(_drawn(key, shape, random, gains), np.float32)


def _drawn(key: str, shape: tuple[int, ...], random: np.random.Generator, gains: Sequence[tuple[str, float]]) -> Floats:
    normal = random.standard_normal(shape)
    if key.endswith('running_var'):
        return 0.5 + random.random(shape)
    if key.endswith(('running_mean', 'scene_his_norm_bias', 'scene_his_learnable_bias')):
        return 0.1 * normal
    if key.endswith('scene_his_learnable_weight'):
        return normal / np.sqrt(shape[-1])
    if len(shape) <= 1 or key.endswith('scene_his_norm_weight'):
        return 1 + 0.1 * normal if key.endswith('weight') else 0.05 * normal
    gain = next((gain for text, gain in gains if text in key), 1.0)
    return gain * normal / np.sqrt(int(np.prod(shape[1:])))


def sample_idx(name: str, numel: int, k: int = 512) -> NDArray[np.int64]:
    """Which elements of a flattened tensor are recorded."""
    return rng('idx/' + name).integers(0, numel, min(k, numel))


def rpy(roll: float, pitch: float, yaw: float) -> Floats:
    """(3, 3) rotation by three angles [degrees]."""
    r, p, y = np.deg2rad([roll, pitch, yaw])
    cr, sr, cp, sp, cy, sy = np.cos(r), np.sin(r), np.cos(p), np.sin(p), np.cos(y), np.sin(y)
    return (
        np.array([[cy, -sy, 0], [sy, cy, 0], [0, 0, 1]])
        @ np.array([[cp, 0, sp], [0, 1, 0], [-sp, 0, cp]])
        @ np.array([[1, 0, 0], [0, cr, -sr], [0, sr, cr]])
    )


def sensor2ego(cam: str) -> Floats:
    """(4, 4) of a camera's mounting."""
    index, pose = CAMS.index(cam), np.eye(4)
    pose[:3, :3] = rpy(0.3 * (index - 2), 0.4 * (index % 3) - 0.3, YAW[index]) @ EGO_FROM_OPTICAL
    pose[:3, 3] = PLACE[index]
    return pose


def ego_pose(time: float) -> Floats:
    """(4, 4) float64 ego -> global at a time [s]."""
    pose, heading = np.eye(4), np.deg2rad(17.0 + 3.5 * time)
    pose[:3, :3] = rpy(0.4 * np.sin(1.3 * time), 0.5 * np.cos(0.9 * time), 17.0 + 7.0 * time)
    pose[:3, 3] = [601.5 + 6.2 * time * np.cos(heading), 1647.2 + 6.2 * time * np.sin(heading), 0.05 * np.sin(time)]
    return pose


def image(cam: str, t: int, height: int, width: int) -> NDArray[np.float32]:
    """(3, H, W) normalised network input at key frame ``t``."""
    random, pixels = rng('img/' + cam), np.zeros((3, height, width))
    u, v = (np.arange(width) + 0.5) / width, (np.arange(height) + 0.5) / height
    for _ in range(24):
        fx, fy = random.uniform(-24, 24), random.uniform(-10, 10)
        amplitude, phases, speed = random.uniform(0.15, 0.6), random.uniform(0, 2 * np.pi, 3), random.uniform(-0.8, 0.8)
        for channel in range(3):
            pixels[channel] += amplitude * np.sin(
                2 * np.pi * (fx * u[None] + fy * v[:, None]) + phases[channel] + speed * t
            )
    return pixels.astype(np.float32)


def frame_inputs(
    t: int, prev_t: int, height: int, width: int, cams: Sequence[str] = CAMS
) -> dict[str, NDArray[np.float32]]:
    """Inputs of key frame ``t``; ``prev_t`` is the one before, or ``t`` itself at a start."""

    def pose(cam: str, frame: int) -> Floats:
        return ego_pose(0.5 * frame + DELAY[CAMS.index(cam)])

    scale, count = width / 1600, len(cams)
    top, left = int(900 * scale) - height, int(max(0, int(1600 * scale) - width) / 2)
    mountings = [sensor2ego(cam) for cam in cams]
    placed = np.stack(
        [
            np.linalg.inv(pose('CAM_FRONT', t)) @ pose(cam, t) @ mounting
            for cam, mounting in zip(cams, mountings, strict=True)
        ]
    )
    values: dict[str, Any] = {
        'imgs': [image(cam, frame, height, width) for cam in cams for frame in (t, prev_t)],
        'sensor2keyego_rot': placed[:, :3, :3],
        'sensor2keyego_tran': placed[:, :3, 3],
        'intrins': [[[f, 0, x], [0, f, y], [0, 0, 1]] for f, x, y in (LENS[CAMS.index(cam)] for cam in cams)],
        'post_rots': np.tile(np.diag([scale, scale, 1.0]), (count, 1, 1)),
        'post_trans': np.tile(np.array([-left, -top, 0.0]), (count, 1)),
        'bda': np.eye(3),
        'sensor2ego': mountings,
        'ego2global': [pose(cam, t) for cam in cams],
        'adj_sensor2ego': mountings,
        'adj_ego2global': [pose(cam, prev_t) for cam in cams],
        'curr_to_prev_ego_rt': np.linalg.inv(ego_pose(0.5 * prev_t)) @ ego_pose(0.5 * t),
    }
    return {name: np.asarray(value, np.float32) for name, value in values.items()}
