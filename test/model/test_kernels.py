"""Compiled kernels against their plain torch forms, on odd sizes and on places outside."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from gdfusion_ros.model import kernels, stereo
from gdfusion_ros.model.depth.stereo import StereoGeometry
from gdfusion_ros.model.geometry.alignment import sampled_positions
from gdfusion_ros.model.geometry.voxel_grid import VoxelGrid
from gdfusion_ros.model.layers.volume import rows
from gdfusion_ros.model.temporal.motion import gradient_step
from gdfusion_ros.model.temporal.voxel import warp
from gdfusion_ros.model.view.lift import Lift

SIZES = [(1, 1, 2), (5, 7, 3), (8, 4, 6)]  # Y, X, Z


@pytest.fixture(autouse=True)
def _without_gradients() -> Iterator[None]:
    torch.manual_seed(0)
    with torch.inference_mode():
        yield


def turned(reach: float) -> Tensor:
    """An index transform that takes part of the voxels out of the grid."""
    matrix = torch.eye(4)
    matrix[:3, :3] += 0.2 * torch.randn(3, 3)
    matrix[:3, 3] = reach * torch.randn(3)
    return matrix


def cost_inputs(drive: Any, channels: int, cells: tuple[int, int]) -> tuple[Tensor, Tensor, StereoGeometry]:
    frame = drive.frame(2)
    chain = frame.previous_camera_from_camera.clone()
    chain[1, 2, 3] -= 4
    geometry = StereoGeometry((64, 96), torch.tensor([1.0, 2.0, 3.5, 8.0, 30.0]), frame.intrinsics,
                              frame.post_rotation, frame.post_translation, chain, 0.9 * frame.post_rotation,
                              frame.post_translation + 3)
    current, previous = (torch.randn(2, channels, *cells).relu() for _ in range(2))
    return current, previous, geometry


@pytest.mark.parametrize(('channels', 'cells'), [(4, (2, 3)), (19, (7, 11)), (48, (16, 24))])
@pytest.mark.parametrize('layout', [torch.contiguous_format, torch.channels_last])
def test_matching_cost(drive: Any, channels: int, cells: tuple[int, int], layout: torch.memory_format) -> None:
    current, previous, geometry = cost_inputs(drive, channels, cells)
    plain = stereo.matching_cost(current, previous, geometry)
    compiled = kernels.matching_cost(current.contiguous(memory_format=layout),
                                     previous.contiguous(memory_format=layout), geometry)
    assert compiled.shape == plain.shape == (2, 5, *cells)
    torch.testing.assert_close(compiled, plain, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('channels', [1, 16, 33])
@pytest.mark.parametrize(('cells', 'bins'), [((1, 1), 3), ((3, 5), 7)])
def test_lift(monkeypatch: pytest.MonkeyPatch, channels: int, cells: tuple[int, int], bins: int) -> None:
    lift = Lift(VoxelGrid((0, 0, 0), (1, 1, 1), (5, 4, 3)))
    geometry, context = torch.rand(3, bins, *cells), torch.randn(3, channels, *cells)
    voxels = torch.randint(-1, 60, (3, bins, *cells), dtype=torch.int32)
    voxels[1] = -1
    compiled = kernels.lift(geometry, context, voxels, 60)
    monkeypatch.setattr(kernels, 'usable', lambda *_: False)
    torch.testing.assert_close(compiled, rows(lift(geometry, context, voxels)), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize('size', SIZES)
@pytest.mark.parametrize('reach', [0.1, 2.0, 50.0])
def test_motion_step(size: tuple[int, int, int], reach: float) -> None:
    voxels = size[0] * size[1] * size[2]
    offsets, history, matrix = torch.randn(voxels, 3), 30 * torch.randn(voxels, 3), turned(reach)
    compiled = kernels.motion_step(offsets, history, matrix, size)
    torch.testing.assert_close(compiled, gradient_step(offsets, history, matrix, size), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('size', SIZES[1:])
@pytest.mark.parametrize('channels', [1, 8, 33])
@pytest.mark.parametrize('reach', [0.1, 2.0, 1e9])
@pytest.mark.parametrize('moved', [True, False])
def test_warp(size: tuple[int, int, int], channels: int, reach: float, moved: bool) -> None:
    voxels = size[0] * size[1] * size[2]
    field, matrix = torch.randn(voxels, channels), turned(reach)
    offsets = torch.randn(voxels, 3) if moved else None
    compiled = kernels.warp(field, offsets, matrix, size)
    plain = warp(field, sampled_positions(offsets, matrix, size), size)
    torch.testing.assert_close(compiled, plain, rtol=1e-4, atol=2e-5)


def test_warp_by_nothing_gives_the_same_back() -> None:
    field = torch.randn(5 * 7 * 3, 9)
    assert torch.equal(kernels.warp(field, None, torch.eye(4), (5, 7, 3)), field)


@pytest.mark.parametrize('shape', [(1, 1, 2), (7, 3, 5), (50, 64, 19)])
def test_best(shape: tuple[int, int, int]) -> None:
    scores = torch.randint(-3, 4, shape).float()  # many are equal
    scores[..., 0] = 9
    assert torch.equal(kernels.best(scores), scores[..., 1:].argmax(-1).to(torch.uint8))
    assert kernels.best(scores[:0]).shape == (0, shape[1])


def one_of_each(drive: Any) -> list[Callable[[], Tensor]]:
    current, previous, geometry = cost_inputs(drive, 40, (16, 24))
    distribution, context = torch.rand(2, 12, 4, 6), torch.randn(2, 40, 4, 6)
    voxels = torch.randint(-1, 20, (2, 12, 4, 6), dtype=torch.int32)
    offsets, history, field, matrix = torch.randn(192, 3), torch.randn(192, 3), torch.randn(192, 20), turned(0.5)
    return [lambda: kernels.matching_cost(current, previous, geometry),
            lambda: kernels.lift(distribution, context, voxels, 20),
            lambda: kernels.motion_step(offsets, history, matrix, (8, 4, 6)),
            lambda: kernels.warp(field, offsets, matrix, (8, 4, 6))]


def test_the_number_of_threads_changes_no_bit(drive: Any) -> None:
    threads, calls = torch.get_num_threads(), one_of_each(drive)
    kept = [kernel() for kernel in calls]
    try:
        torch.set_num_threads(1)
        alone = [kernel() for kernel in calls]
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(a, b) for a, b in zip(kept, alone, strict=True))


def test_inputs_stay_as_they_were() -> None:
    offsets, history, field = torch.randn(192, 3), torch.randn(192, 3), torch.randn(192, 5)
    kept = [tensor.clone() for tensor in (offsets, history, field)]
    kernels.motion_step(offsets, history, turned(1.0), (8, 4, 6))
    kernels.warp(field, offsets, turned(1.0), (8, 4, 6))
    assert all(torch.equal(a, b) for a, b in zip((offsets, history, field), kept, strict=True))


def test_only_float32_on_the_cpu_without_gradients_is_compiled() -> None:
    x = torch.zeros(1)
    assert kernels.usable(x, x)
    assert not kernels.usable(x, x.double())
    assert not kernels.usable(x, x.half())
    assert not kernels.usable(torch.zeros(1, device='meta'), x)
    with torch.inference_mode(False), torch.enable_grad():
        assert not kernels.usable(x)


HASH_OF_A_COST = """
import hashlib, torch
from gdfusion_ros.model import kernels
from gdfusion_ros.model.depth.stereo import StereoGeometry
torch.set_grad_enabled(False)
generator = torch.Generator().manual_seed(0)
current, previous = torch.randn(2, 1, 64, 8, 12, generator=generator).relu()
chain = torch.eye(4)[None].clone()
chain[:, 2, 3] = 0.5
intrinsics = torch.tensor([[[60.0, 0, 48], [0, 60, 32], [0, 0, 1]]])
post = torch.eye(3)[None], torch.zeros(1, 3)
geometry = StereoGeometry((64, 96), torch.arange(1, 9.0), intrinsics, *post, chain, *post)
print(hashlib.sha256(kernels.matching_cost(current, previous, geometry).contiguous().numpy().tobytes()).hexdigest())
"""


@pytest.mark.slow
def test_a_kernel_gives_the_same_bits_just_compiled_and_from_disk(tmp_path: Path) -> None:
    environment = os.environ | {'NUMBA_CACHE_DIR': str(tmp_path)}
    hashes = [subprocess.run([sys.executable, '-c', HASH_OF_A_COST], env=environment, check=True, capture_output=True,
                             text=True).stdout for _ in range(2)]
    assert list(tmp_path.rglob('*_matching_cost*.nbc')), 'the first run has kept the kernel'
    assert hashes[0] == hashes[1]


@pytest.mark.slow
def test_kernels_leave_torch_its_threads() -> None:
    script = HASH_OF_A_COST + 'print(torch.get_num_threads())'
    done = subprocess.run([sys.executable, '-c', script], env=os.environ | {'OMP_NUM_THREADS': '1'}, check=True,
                          capture_output=True, text=True)
    assert done.stdout.split()[1] == '1'
