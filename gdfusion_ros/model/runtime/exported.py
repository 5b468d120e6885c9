"""An exported network, run by onnxruntime or OpenVINO. Needs no torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.model.export.contract import TensorFacts, geometry_path, read_contract
from gdfusion_ros.model.runtime.malloc import keep_freed_memory
from gdfusion_ros.model.runtime.onnxruntime_graph import OnnxruntimeGraph
from gdfusion_ros.model.runtime.openvino_graph import OpenvinoGraph
from gdfusion_ros.model.spec import NetworkSpec

Tensors = dict[str, NDArray[Any]]


class Graph(Protocol):
    """A graph that a runtime has made ready.

    Attributes:
        device: what runs it, to be printed.
    """

    device: str

    def __call__(self, given: Mapping[str, NDArray[Any]], wanted: Sequence[str]) -> list[NDArray[Any]]:
        """The outputs ``wanted``, all new arrays."""


RUNTIMES: dict[str, Callable[[Path, str], Graph]] = {'onnxruntime': OnnxruntimeGraph, 'openvino': OpenvinoGraph}
"""By the names of backends: makes the graph of a file ready for a provider or device."""


class ExportedNetwork:
    """``network(inputs) -> outputs``: the two graphs of an export, tensors by the names of its contract.

    Attributes:
        contract: what goes in and comes out.
        device: the execution provider, or OpenVINO's device, that runs the network.
    """

    def __init__(self, path: Path, provider: str = 'CPU', runtime: str = 'onnxruntime') -> None:
        """The network graph ``path`` (.onnx), the other files beside it.

        ``runtime``: one of RUNTIMES. Geometry, of which the last bit counts, is always onnxruntime's.

        Raises:
            GdfusionError: the runtime is missing or has no such provider, a file is missing or of another export.
        """
        self.contract = read_contract(path)
        self._network = RUNTIMES[runtime](path, provider)
        self._geometry = OnnxruntimeGraph(geometry_path(path), 'CPU', exact=True)
        self.device = self._network.device
        keep_freed_memory()  # runtimes have stores of their own for what a network needs

    @property
    def spec(self) -> NetworkSpec:
        """What the network is."""
        return self.contract.spec

    @property
    def title(self) -> str:
        """As every output names it."""
        return self.contract.title

    def geometry(self, frame: Mapping[str, NDArray[Any]]) -> Tensors:
        """What follows from calibration and poses."""
        graph = self.contract.geometry
        return _run(self._geometry, frame, graph.inputs, graph.outputs)

    def __call__(self, tensors: Mapping[str, NDArray[Any]]) -> Tensors:
        """See one camera set."""
        graph = self.contract.network
        return _run(self._network, tensors, graph.inputs, graph.outputs)

    def warm_up(self) -> None:
        """Have all that is allocated and compiled on first use done."""
        given = trial_inputs(self)
        self({**given, **self.geometry(given), **self.blank_state()})

    def blank_state(self) -> Tensors:
        """What is given as the state at the start of a sequence, where it does not count."""
        return {
            tensor.name: np.zeros([size for size in tensor.shape if isinstance(size, int)], tensor.dtype)
            for tensor in self.contract.network.inputs
            if tensor.name.startswith('state.')
        }


def trial_inputs(network: ExportedNetwork) -> Tensors:
    """A first frame that shows nothing, of a ring of cameras that stand still: to try a network with."""
    spec, count = network.spec, network.spec.cameras
    height, width = spec.image_size
    yaw = np.arange(count) * (2 * np.pi / count)
    zero, one = np.zeros(count), np.ones(count)
    pose = np.tile(np.eye(4, dtype=np.float32), (count, 1, 1))
    # Columns: the camera's right, down and forward in the vehicle's frame.
    pose[:, :3, :3] = np.stack(
        [
            np.stack([np.sin(yaw), zero, np.cos(yaw)], -1),
            np.stack([-np.cos(yaw), zero, np.sin(yaw)], -1),
            np.stack([zero, -one, zero], -1),
        ],
        1,
    )
    pose[:, 2, 3] = 1.5
    lens = np.array([[0.8 * width, 0, width / 2], [0, 0.8 * width, height / 2], [0, 0, 1]], np.float32)
    eye, shift = np.tile(np.eye(4, dtype=np.float32), (count, 1, 1)), np.zeros((count, 3), np.float32)
    seen = np.ones(count, bool)
    return {
        'images': np.zeros((count, 3, height, width), np.float32),
        'first': np.array(True),
        'lidar_depth': np.zeros((count, height, width), np.float32),
        'intrinsics': np.tile(lens, (count, 1, 1)),
        'post_rotation': eye[:, :3, :3],
        'post_translation': shift,
        'volume_from_camera': pose,
        'visible': seen,
        'previous_post_rotation': eye[:, :3, :3],
        'previous_post_translation': shift,
        'previous_visible': seen,
        'previous_camera_from_camera': eye,
        'previous_ego_from_ego': eye[0],
    }


def _run(
    runs: Graph, given: Mapping[str, NDArray[Any]], inputs: Iterable[TensorFacts], outputs: Iterable[TensorFacts]
) -> Tensors:
    names = [tensor.name for tensor in outputs]
    for tensor in inputs:
        shape = np.shape(given[tensor.name])
        if len(shape) != len(tensor.shape) or any(
            isinstance(size, int) and size != found for size, found in zip(tensor.shape, shape, strict=True)
        ):
            raise GdfusionError(
                f'{tensor.name} has shape {list(shape)}, but the network was exported for '
                f'{tensor.shape}: export it for these images'
            )
    found = runs({tensor.name: np.asarray(given[tensor.name]) for tensor in inputs}, names)
    return dict(zip(names, found, strict=True))
