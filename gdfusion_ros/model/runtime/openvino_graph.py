"""Graphs run by OpenVINO.

It converts GridSample of images alone, and its own rounds otherwise than torch's, which can turn a sample that is zero
into one that is not: the cost volume looks at that. So the operator is said here in others that it has, and what would
round divisions and products otherwise than the graph says is switched off.
"""

from __future__ import annotations

import math
import operator
import os
from collections.abc import Mapping, Sequence
from functools import reduce
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gdfusion_ros.errors import GdfusionError

if TYPE_CHECKING:
    from openvino import Core, Model, Node


_FAR = 1e6
"""From any place that counts, in GridSample's coordinates."""


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
            self._compiled = core.compile_model(_exact(core.read_model(path)), name, _options(name))
        except Exception as error:
            raise GdfusionError(
                f'{path} cannot be run by openvino on {name}: {" ".join(str(error).split())}'
            ) from error

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


def _exact(model: Model) -> Model:
    """Keeps it from multiplying with a rounded reciprocal where the graph divides.

    Places in the last images are such quotients. Not where the dividend is a constant, 1: that comes out wrong then.
    """
    for node in model.get_ops():
        if node.get_type_name() == 'Divide' and node.input_value(0).get_node().get_type_name() != 'Constant':
            node.get_rt_info()['nonconvertable_divide_0'] = True
    return model


def _options(device: str) -> dict[str, Any]:
    options: dict[str, Any] = {'PERFORMANCE_HINT': 'LATENCY', 'INFERENCE_PRECISION_HINT': 'f32'}
    if device == 'CPU':
        options['SNIPPETS_MODE'] = 'DISABLE'  # they fuse products with sums, which rounds otherwise
        options['CPU_DENORMALS_OPTIMIZATION'] = True
        if threads := int(os.environ.get('OMP_NUM_THREADS', '0')):
            options['INFERENCE_NUM_THREADS'] = threads
    return options


def _grid_sample(node: Any) -> list[Any]:
    """ONNX' operator, linear, 0 outside, in OpenVINO's own."""
    values, grid = node.get_input(0), node.get_input(1)
    mode, padding = node.get_attribute('mode', 'linear'), node.get_attribute('padding_mode', 'zeros')
    if (mode, padding) != ('linear', 'zeros'):
        raise GdfusionError(f"GridSample is there as 'linear' with 'zeros' alone, not as {mode} with {padding}")
    outputs: list[Any] = _sampled(values, grid, align=bool(node.get_attribute('align_corners', 0))).outputs()
    return outputs


def _sampled(values: Any, grid: Any, *, align: bool) -> Node:
    """(N, C, *sizes) at the places of ``grid`` (N, *shape, axes), x first, from -1 to 1: (N, C, *shape).

    A sum over the corners of the cell round each place, whose values are gathered as rows of channels. A place is
    computed in torch's order of operations, so that what lies on a pixel has no share of its neighbours.
    """
    from openvino import opset15 as ops

    count, channels, *sizes = _lengths(values)
    axes = len(sizes)
    rows = ops.reshape(
        ops.transpose(values, [0, *range(2, axes + 2), 1]), [count * math.prod(sizes), channels], special_zero=False
    )
    places = ops.split(ops.reshape(grid, [count, -1, axes], special_zero=False), 2, axes).outputs()
    corners, stride = [], 1
    for place, size in zip(places, reversed(sizes), strict=True):
        # Clamped far off, as otherwise the factor would be moved through the sum, which would round otherwise.
        from_edge = ops.clamp(ops.squeeze(place, [2]) + _one(), -_FAR, _FAR)
        at = from_edge * _float((size - 1 if align else size) / 2)
        corners.append(_corners(at if align else at - _float(0.5), size, stride))
        stride *= size
    begin = ops.constant(np.arange(count, dtype=np.int32)[:, None] * stride)
    total: Any = None
    for corner in product(*corners):
        row = reduce(operator.add, (along for along, _ in corner), begin)
        share = ops.unsqueeze(reduce(operator.mul, (along for _, along in corner)), 2)
        part = ops.gather(rows, row, 0) * share
        total = part if total is None else total + part
    shaped = ops.reshape(total, [count, *_lengths(grid)[1:-1], channels], special_zero=False)
    return ops.transpose(shaped, [0, axes + 1, *range(1, axes + 1)])


def _corners(at: Any, size: int, stride: int) -> list[tuple[Any, Any]]:
    """Of the cells below and above ``at`` along an axis: what they add to the row's number, and their shares."""
    from openvino import opset15 as ops

    below = ops.floor(at)
    found = []
    for index, share in ((below, _one() - (at - below)), (below + _one(), at - below)):
        inside = ops.logical_and(ops.greater_equal(index, _float(0)), ops.less_equal(index, _float(size - 1)))
        row = ops.convert(ops.clamp(index, 0.0, float(size - 1)), 'i32') * ops.constant(np.int32(stride))
        found.append((row, share * ops.convert(inside, 'f32')))
    return found


def _lengths(value: Any) -> list[int]:
    return [size.get_length() for size in value.get_partial_shape()]


def _float(value: float) -> Any:
    from openvino import opset15 as ops

    return ops.constant(np.float32(value))


def _one() -> Any:
    return _float(1)
