"""Graphs run by OpenVINO.

It converts GridSample of images alone; that of volumes is said here in operators that it has.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gdfusion_ros.errors import GdfusionError

if TYPE_CHECKING:
    from openvino import Core, Node


class OpenvinoGraph:
    """A graph compiled by OpenVINO for one of its devices, in float32 where the graph says so; see ``Graph``."""

    def __init__(self, path: Path, device: str) -> None:
        """``device``: CPU, GPU, NPU, or whatever OpenVINO finds.

        Raises:
            GdfusionError: OpenVINO is missing, has no such device or cannot run the graph.
        """
        core = _core()
        there = {each.lower(): each for each in core.available_devices}
        if device.lower() not in there:
            raise GdfusionError(f"openvino has no device '{device}' here; there are {', '.join(there.values())}")
        name = there[device.lower()]
        self.device = f'OpenVINO {name}'
        try:
            self._compiled = core.compile_model(core.read_model(path), name, _options(name))
        except Exception as error:
            raise GdfusionError(f'{path} cannot be run by openvino on {name}: {error}') from error

    def __call__(self, given: Mapping[str, NDArray[Any]], wanted: Sequence[str]) -> list[NDArray[Any]]:
        """See ``Graph``."""
        found = self._compiled(dict(given))
        return [found[name] for name in wanted]


def _core() -> Core:
    try:
        from openvino import Core
        from openvino.frontend.onnx import ConversionExtension
    except ImportError as error:
        raise GdfusionError(
            f"backend 'openvino' needs openvino: pip install 'gdfusion-ros[openvino]' ({error})"
        ) from error
    core = Core()
    core.add_extension(ConversionExtension('GridSample', _grid_sample))
    return core


def _options(device: str) -> dict[str, Any]:
    options: dict[str, Any] = {'PERFORMANCE_HINT': 'LATENCY', 'INFERENCE_PRECISION_HINT': 'f32'}
    if device == 'CPU':
        options['CPU_DENORMALS_OPTIMIZATION'] = True
        if threads := int(os.environ.get('OMP_NUM_THREADS', '0')):
            options['INFERENCE_NUM_THREADS'] = threads
    return options


def _grid_sample(node: Any) -> list[Any]:
    """ONNX' operator, of opset 20, in OpenVINO's; 5-D: linear, 0 outside."""
    from openvino import opset15 as ops

    values, grid = node.get_input(0), node.get_input(1)
    mode, padding = node.get_attribute('mode', 'linear'), node.get_attribute('padding_mode', 'zeros')
    align = bool(node.get_attribute('align_corners', 0))
    if len(values.get_partial_shape()) == 4:
        mode = {'linear': 'bilinear', 'cubic': 'bicubic'}.get(mode, mode)
        return ops.grid_sample(values, grid, {'align_corners': align, 'mode': mode, 'padding_mode': padding}).outputs()
    if (mode, padding) != ('linear', 'zeros'):
        raise GdfusionError(f"GridSample of volumes is there as 'linear' with 'zeros' alone, not {mode} with {padding}")
    return _sampled(values, grid, align=align).outputs()


def _sampled(volume: Any, grid: Any, *, align: bool) -> Node:
    """Rows of (N, C, Z, Y, X) gathered at the eight voxels round each place of ``grid`` (N, z, y, x, 3), -1 to 1."""
    from openvino import opset15 as ops

    count, channels, *sizes = (size.get_length() for size in volume.get_partial_shape())
    rows = ops.reshape(ops.transpose(volume, [0, 2, 3, 4, 1]), [count, -1, channels], special_zero=False)
    places = ops.reshape(grid, [count, -1, 3], special_zero=False)
    corners, stride = [], 1
    for axis, size in enumerate(reversed(sizes)):
        place = ops.gather(places, np.int64(axis), np.int64(2))
        at = (place + ops.constant(1, np.float32)) * ops.constant((size - 1) / 2, np.float32)
        if not align:
            at = (place + ops.constant(1, np.float32)) * ops.constant(size / 2, np.float32) - ops.constant(
                0.5, np.float32
            )
        corners.append([_corner(at, upper, size, stride) for upper in (False, True)])
        stride *= size
    total: Any = None
    for (x, in_x), (y, in_y), (z, in_z) in product(*corners):
        share = ops.unsqueeze(in_x * in_y * in_z, np.int64(2))
        part = ops.gather(rows, x + y + z, np.int64(1), batch_dims=1) * share
        total = part if total is None else total + part
    shape = [count, *(size.get_length() for size in list(grid.get_partial_shape())[1:4]), channels]
    return ops.transpose(ops.reshape(total, shape, special_zero=False), [0, 4, 1, 2, 3])


def _corner(at: Any, upper: bool, size: int, stride: int) -> tuple[Any, Any]:
    """Of the voxels below and above ``at`` along an axis: what it adds to the row's number, and its share."""
    from openvino import opset15 as ops

    below = ops.floor(at)
    index = below + ops.constant(1, np.float32) if upper else below
    share = at - below if upper else ops.constant(1, np.float32) - (at - below)
    inside = ops.logical_and(
        ops.greater_equal(index, ops.constant(0, np.float32)), ops.less_equal(index, ops.constant(size - 1, np.float32))
    )
    row = ops.convert(ops.clamp(index, 0.0, float(size - 1)), 'i32') * ops.constant(stride, np.int32)
    return row, share * ops.convert(inside, 'f32')
