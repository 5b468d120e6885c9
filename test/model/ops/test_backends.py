"""Every backend of every operation against its reference, on odd sizes and on places outside."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from gdfusion_ros.model.geometry.camera import camera_points
from gdfusion_ros.model.geometry.reprojection import Reprojection
from gdfusion_ros.model.geometry.voxel_grid import VoxelGrid
from gdfusion_ros.model.interface import Previous
from gdfusion_ros.model.ops import (
    argmax,
    backends,
    codes,
    compiled,
    cost_volume,
    deformable_attention,
    depth_warp,
    lift,
    motion_step,
    scene_layer,
    soft_filling,
    voxel_index,
    warp,
)
from gdfusion_ros.model.ops.deformable_attention import Views
from gdfusion_ros.model.ops.voxel_index import Placement, VoxelIndex

SIZES = [(1, 1, 2), (5, 7, 3), (8, 4, 6)]  # Y, X, Z
IMAGE, DEPTHS = (64, 96), torch.tensor([1.0, 2.0, 3.5, 8.0, 30.0])
CPU = torch.device('cpu')
GRID = VoxelGrid((-3.0, -2.0, -1.0), (0.5, 0.4, 0.8), (6, 4, 2))


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


def matching_cost(drive: Any, channels: int, cells: tuple[int, int], layout: torch.memory_format) -> tuple[Any, ...]:
    frame = drive.frame(2)
    chain, now = frame.previous_camera_from_camera.clone(), frame.calibration
    chain[1, 2, 3] -= 4
    then = dataclasses.replace(now, post_rotation=0.9 * now.post_rotation, post_translation=now.post_translation + 3)
    current, previous = (torch.randn(2, channels, *cells).relu().contiguous(memory_format=layout) for _ in range(2))
    return current, previous, Reprojection.between(now, Previous(then, chain, torch.eye(4))), IMAGE, DEPTHS


def remembered_depth(drive: Any, cells: tuple[int, int], layout: torch.memory_format) -> tuple[Any, ...]:
    """Of two cameras, the second behind or beside what it looks at now; a third one is not remembered."""
    *_, way, image, depths = matching_cost(drive, 4, cells, layout)
    way = Reprojection(*(torch.cat([each, each[:1]]) for each in vars(way).values()))
    way.remembered[2] = False
    frustum = camera_points(image, cells, depths, way.source_from_input, way.post_translation)
    return torch.randn(3, len(depths), *cells).contiguous(memory_format=layout), frustum, way, image, depths


def points_in_space(_: Any, parts: int) -> tuple[Any, ...]:
    """Of two cameras, the second masked or not, more of them around the grid than in it."""
    placement = Placement(
        torch.eye(3) + 0.1 * torch.randn(3, 3, 3), torch.randn(3, 3), torch.eye(3), torch.tensor([True, False, True])
    )
    return 3 * torch.randn(3, 4, 5, 6, 3), placement, GRID, parts


def index_of(rows: int, count: int) -> VoxelIndex:
    return VoxelIndex(
        *voxel_index.reference.sorted_by_row(torch.randint(-1, rows, (count,), dtype=torch.int32), rows), None
    )


def lifted(_: Any, channels: int, cells: tuple[int, int], bins: int) -> tuple[Any, ...]:
    points = 3 * bins * cells[0] * cells[1]
    return torch.rand(3, bins, *cells), torch.randn(3, channels, *cells), index_of(60, points)


def places_round(grid: VoxelGrid, cells: tuple[int, int], points: int) -> Tensor:
    """Of three cameras' points, in and round the grid; some exactly on voxels' borders."""
    places = torch.rand(3, *cells, points, 3) * (torch.tensor(grid.shape) + 4) - 2
    return torch.where(torch.rand(places.shape) < 0.2, places.round(), places)


def filled(_: Any, channels: int, points: tuple[int, ...]) -> tuple[Any, ...]:
    cells = 3, 5
    filling = [
        (torch.rand(3, count, *cells), soft_filling.place_points(places_round(GRID, cells, count), GRID))
        for count in points
    ]
    return torch.randn(3, channels, *cells), GRID.shape, filling


def fields(_: Any, size: tuple[int, int, int], reach: float) -> tuple[Any, ...]:
    voxels = size[0] * size[1] * size[2]
    return torch.randn(voxels, 3), 30 * torch.randn(voxels, 3), turned(reach), size


def flat_fields(_: Any, size: tuple[int, int, int], reach: float) -> tuple[Any, ...]:
    """Of a map, of which nothing moves along z."""
    offsets, history, transform, _ = fields(_, size, reach)
    for field in (offsets, history):
        field[:, 2] = 0
    transform[2] = 0
    return offsets, history, transform, size, 2


def warped(_: Any, size: tuple[int, int, int], channels: int, reach: float, moved: bool) -> tuple[Any, ...]:
    voxels = size[0] * size[1] * size[2]
    return torch.randn(voxels, channels), torch.randn(voxels, 3) if moved else None, turned(reach), size


def warped_map(_: Any, size: tuple[int, int, int], reach: float) -> tuple[Any, ...]:
    """A volume of one layer, which is left by nothing."""
    transform = turned(reach)
    transform[2] = 0
    return torch.randn(size[0] * size[1], 5), None, transform, size


def scores(_: Any, shape: tuple[int, int, int], first: int) -> tuple[Any, ...]:
    drawn = torch.randint(-3, 4, shape).float()  # many are equal
    drawn[..., :first] = 9
    return drawn, first


def features_of_a_layer(_: Any, shape: tuple[int, ...], dense: bool) -> tuple[Any, ...]:
    """Channels last; halves of a step, and far and infinite ones, among them."""
    features = 40 * torch.randn(shape[0], *shape[2:], shape[1])
    features.view(-1)[::2] = (features.view(-1)[::2] * 2).round() * 0.25
    features.view(-1)[::97] *= 1e9
    features.view(-1)[:2] = torch.tensor([float('inf'), -float('inf')])
    features = features.movedim(-1, 1)
    return features if dense else features[:, ::2], 0.5, 101


def attended(_: Any, heads: int, channels: int, points: int, around: int, reach: float) -> tuple[Any, ...]:
    """Of 7 queries, the first without a view; places far outside among them."""
    queries = torch.tensor([1, 1, 1, 2, 3, 3, 4, 5, 6, 6])
    starts = torch.searchsorted(queries, torch.arange(8))
    views = Views(starts, queries, torch.randint(3, (10,)), reach * torch.randn(10, around, 2))
    views.anchors[3] *= 1e9
    return (
        torch.randn(3, 4, 6, heads * channels),
        3 * torch.randn(7, heads, points, 2),
        torch.randn(7, heads, points).softmax(-1),
        views,
        torch.rand(10, around),
    )


def mapped_voxels(_: Any, voxels: int, channels: int) -> tuple[Any, ...]:
    """The last one alike in all channels, and so without a deviation."""
    mapped = torch.randn(voxels, 2 * channels)
    mapped[:, :channels] -= mapped[:, :channels].mean(-1, keepdim=True)
    mapped[-1, :channels] = 0
    return mapped, torch.randn(channels)


@dataclasses.dataclass(frozen=True)
class Case:
    """A function of an operation, arguments for it, and how far a backend may be from the reference.

    ``interpreted``: whether Triton's interpreter, which is slow, is to run it as well; None where there is no kernel.
    """

    operation: ModuleType
    name: str
    arguments: Callable[[Any], tuple[Any, ...]]
    tolerance: float = 0.0
    interpreted: bool | None = True


def rows_of_points(_: Any, rows: int, others: tuple[int, ...]) -> tuple[Any, ...]:
    return torch.randint(-1, rows, (3, 4, 5, 6), dtype=torch.int32), *others


def scene_cases() -> Iterator[Case]:
    for voxels, channels in [(1, 8), (300, 5), (257, 32), (513, 80)]:
        arguments = partial(mapped_voxels, voxels=voxels, channels=channels)
        yield Case(scene_layer, 'loss_slopes', arguments, 1e-4, None)
        yield Case(scene_layer, 'normed_onto', arguments, 1e-4, None)


def codes_cases() -> Iterator[Case]:
    for shape, dense in product([(1, 1, 1, 2), (2, 5, 7, 3), (3, 16, 40, 20)], [True, False]):
        yield Case(codes, 'codes', partial(features_of_a_layer, shape=shape, dense=dense), interpreted=None)


def cases() -> Iterator[Case]:
    layouts = torch.contiguous_format, torch.channels_last
    for (channels, cells), layout in product([(4, (2, 3)), (19, (7, 11)), (48, (6, 8))], layouts):
        yield Case(
            cost_volume,
            'matching_cost',
            partial(matching_cost, channels=channels, cells=cells, layout=layout),
            1e-4,
            layout is torch.channels_last,
        )
        yield Case(depth_warp, 'depth_warp', partial(remembered_depth, cells=cells, layout=layout))
    for parts in (1, 2):
        yield Case(voxel_index, 'locate', partial(points_in_space, parts=parts), interpreted=None)
    yield Case(voxel_index, 'places', lambda drive: points_in_space(drive, 1)[:-1], interpreted=None)
    yield Case(soft_filling, 'lowest_voxels', lambda _: (places_round(GRID, (3, 5), 7), GRID.shape), interpreted=None)
    for channels, sets in product([1, 16, 33], [(7,), (1, 5)]):
        yield Case(soft_filling, 'soft_filling', partial(filled, channels=channels, points=sets), 1e-5, channels == 33)
    for count in (1, 60):
        yield Case(
            voxel_index, 'renumbered', partial(rows_of_points, rows=8 * count, others=(count, 8)), interpreted=None
        )
        yield Case(voxel_index, 'sorted_by_row', partial(rows_of_points, rows=count, others=(count,)), interpreted=None)
    for channels, (cells, bins) in product([1, 16, 33], [((1, 1), 3), ((3, 5), 7)]):
        yield Case(lift, 'lift', partial(lifted, channels=channels, cells=cells, bins=bins), 1e-5)
    for size, reach in product(SIZES, [0.1, 2.0, 50.0]):
        yield Case(motion_step, 'motion_step', partial(fields, size=size, reach=reach), 1e-4)
    for size, reach in product([(5, 7, 1), (8, 4, 1)], [0.1, 2.0]):
        yield Case(motion_step, 'motion_step', partial(flat_fields, size=size, reach=reach), 1e-4)
    for size, channels, reach, moved in product(SIZES[1:], [1, 8, 33], [0.1, 2.0, 1e9], [True, False]):
        yield Case(
            warp,
            'warp',
            partial(warped, size=size, channels=channels, reach=reach, moved=moved),
            1e-4,
            channels == 33 and reach != 2.0,
        )
    for size, reach in product([(5, 7, 1), (8, 4, 1)], [0.1, 2.0]):
        yield Case(warp, 'warp', partial(warped_map, size=size, reach=reach), 1e-4)
    yield from scene_cases()
    for (heads, channels), (points, around), reach in product([(1, 3), (8, 10)], [(1, 1), (8, 4)], [3.0, 30.0]):
        yield Case(
            deformable_attention,
            'deformable_attention',
            partial(attended, heads=heads, channels=channels, points=points, around=around, reach=reach),
            1e-5,
            around == 4,
        )
    for shape, first in [((1, 1, 2), 0), ((1, 1, 2), 1), ((7, 3, 5), 2), ((50, 64, 19), 0), ((50, 64, 19), 1)]:
        yield Case(argmax, 'argmax', partial(scores, shape=shape, first=first))
    yield from codes_cases()


def moved_to(device: torch.device, part: Any) -> Any:
    """The same arguments on another device."""
    if isinstance(part, (tuple, list)):
        return type(part)(moved_to(device, each) for each in part)
    return part.to(device) if hasattr(part, 'to') else part


def checked(case: Case, form: Callable[..., Any], arguments: tuple[Any, ...], device: torch.device = CPU) -> None:
    """That ``form`` gives on the device what the reference gives, and changes no argument."""
    expected, there = getattr(case.operation.reference, case.name)(*arguments), moved_to(device, arguments)
    kept = [argument.clone() if isinstance(argument, Tensor) else None for argument in there]
    found = moved_to(CPU, form(*there))
    torch.testing.assert_close(found, expected, rtol=case.tolerance, atol=case.tolerance, check_stride=False)
    assert all(before is None or torch.equal(before, argument) for before, argument in zip(kept, there, strict=True)), (
        'inputs stay as they were'
    )


@pytest.mark.parametrize('case', list(cases()), ids=lambda case: case.name)
def test_the_compiled_form_gives_what_the_reference_gives(drive: Any, case: Case) -> None:
    checked(case, getattr(case.operation.cpu, case.name), case.arguments(drive))


@pytest.mark.parametrize('case', [case for case in cases() if case.interpreted], ids=lambda case: case.name)
def test_triton_s_interpreter_gives_what_the_reference_gives(drive: Any, case: Case, interpreter: None) -> None:
    checked(case, backends.on_cuda(getattr(case.operation.reference, case.name)), case.arguments(drive))


@pytest.mark.gpu
@pytest.mark.parametrize('case', [case for case in cases() if case.interpreted is not None], ids=lambda case: case.name)
def test_the_kernel_gives_on_a_gpu_what_the_reference_gives(drive: Any, case: Case) -> None:
    near = dataclasses.replace(case, tolerance=max(case.tolerance, 1e-5))
    checked(
        near,
        backends.on_cuda(getattr(case.operation.reference, case.name)),
        case.arguments(drive),
        torch.device('cuda'),
    )


@pytest.mark.parametrize('form', ['plain', 'interpreted'])
def test_points_behind_the_last_row_fill_nothing(form: str, request: pytest.FixtureRequest) -> None:
    """Which are not left out on a GPU."""
    context, shape, [(weights, placed)] = filled(None, 5, (7,))
    expected = soft_filling.reference.soft_filling(context, shape, [(weights, placed)])
    left_out = torch.tensor([point for point in range(weights.numel()) if point not in placed.points])
    assert len(left_out) > 0
    more = dataclasses.replace(placed, points=torch.cat([placed.points, left_out]))
    if form == 'interpreted':
        request.getfixturevalue('interpreter')
        fill = backends.on_cuda(soft_filling.reference.soft_filling)
    else:
        fill = soft_filling.reference.soft_filling
    torch.testing.assert_close(fill(context, shape, [(weights, more)]), expected, rtol=1e-5, atol=1e-5)


def test_points_are_sorted_by_row_and_in_order_within() -> None:
    index = index_of(20, 500)
    assert index.starts[0] == 0
    assert (index.starts.diff() >= 0).all()
    for points in index.points.tensor_split(index.starts[1:-1]):
        assert (points.diff() > 0).all()


def test_warp_by_nothing_gives_the_same_back() -> None:
    field = torch.randn(5 * 7 * 3, 9)
    assert torch.equal(warp.warp(field, None, torch.eye(4), (5, 7, 3)), field)


def test_no_voxel_has_no_class() -> None:
    assert argmax.argmax(torch.zeros(0, 3, 5)).shape == (0, 3)


@pytest.mark.slow
def test_the_number_of_threads_changes_no_bit(drive: Any) -> None:
    operations = [case for case in cases() if case.name not in {'renumbered', 'sorted_by_row'}]
    calls = [(getattr(case.operation.cpu, case.name), case.arguments(drive)) for case in operations]
    threads, kept = torch.get_num_threads(), [kernel(*arguments) for kernel, arguments in calls]
    try:
        torch.set_num_threads(1)
        alone = [kernel(*arguments) for kernel, arguments in calls]
    finally:
        torch.set_num_threads(threads)
    torch.testing.assert_close(alone, kept, rtol=0, atol=0)


def test_only_float32_on_the_cpu_without_gradients_is_compiled() -> None:
    x = torch.zeros(1)
    assert compiled.usable(x, x)
    assert not compiled.usable(x, x.double())
    assert not compiled.usable(x, x.half())
    assert not compiled.usable(torch.zeros(1, device='meta'), x)
    with torch.inference_mode(False), torch.enable_grad():
        assert not compiled.usable(x)


HASH_OF_A_COST = """
import hashlib, torch
from gdfusion_ros.model.geometry.reprojection import Reprojection
from gdfusion_ros.model.interface import Calibration, Previous
from gdfusion_ros.model.ops.cost_volume import cpu
torch.set_grad_enabled(False)
generator = torch.Generator().manual_seed(0)
current, previous = torch.randn(2, 1, 64, 8, 12, generator=generator).relu()
chain = torch.eye(4)[None].clone()
chain[:, 2, 3] = 0.5
intrinsics = torch.tensor([[[60.0, 0, 48], [0, 60, 32], [0, 0, 1]]])
calibration = Calibration(intrinsics, torch.eye(3)[None], torch.zeros(1, 3), torch.eye(4)[None], torch.eye(3),
                          torch.ones(1, dtype=torch.bool))
reprojection = Reprojection.between(calibration, Previous(calibration, chain, torch.eye(4)))
cost = cpu.matching_cost(current, previous, reprojection, (64, 96), torch.arange(1, 9.0))
print(hashlib.sha256(cost.contiguous().numpy().tobytes()).hexdigest())
"""


@pytest.mark.slow
def test_a_kernel_gives_the_same_bits_just_compiled_and_from_disk(tmp_path: Path) -> None:
    environment = os.environ | {'NUMBA_CACHE_DIR': str(tmp_path)}
    hashes = [
        subprocess.run(
            [sys.executable, '-c', HASH_OF_A_COST], env=environment, check=True, capture_output=True, text=True
        ).stdout
        for _ in range(2)
    ]
    assert list(tmp_path.rglob('*_matching_cost*.nbc')), 'the first run has kept the kernel'
    assert hashes[0] == hashes[1]


@pytest.mark.slow
def test_kernels_leave_torch_its_threads() -> None:
    script = HASH_OF_A_COST + 'print(torch.get_num_threads())'
    done = subprocess.run(
        [sys.executable, '-c', script],
        env=os.environ | {'OMP_NUM_THREADS': '1'},
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.split()[1] == '1'
