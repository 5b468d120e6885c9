"""A network written down as graphs in ONNX, with their contract."""

from __future__ import annotations

import hashlib
import logging
import warnings
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from gdfusion_ros import __version__
from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.files import digest, refuse_existing, written_whole
from gdfusion_ros.model.export.contract import (
    Contract,
    GraphFacts,
    Precision,
    TensorFacts,
    contract_path,
    encoded,
    geometry_path,
)
from gdfusion_ros.model.export.graphs import (
    FIRST,
    GeometryGraph,
    NetworkGraph,
    frame_tensors,
    geometry_tensors,
    state_tensors,
)
from gdfusion_ros.model.export.words import words
from gdfusion_ros.model.graph_form import graph_form
from gdfusion_ros.model.interface import Frame
from gdfusion_ros.model.network import OccupancyNetwork
from gdfusion_ros.model.runtime.trial import trial_frames
from gdfusion_ros.model.sequence import SequenceRunner
from gdfusion_ros.model.weights.registry import find, name_of
from gdfusion_ros.model.zoo import load_network, select_model
from gdfusion_ros.settings import ModelSettings

if TYPE_CHECKING:
    from onnxscript import ir

OPSET = 20
"""The first in which GridSample takes volumes."""

VIEWS = 'views'
_COUNTED_BY_VIEWS = 'geometry.view.backward.pillars.'
"""Place of the tensors whose first size depends on the calibration."""


@torch.no_grad()
def export(
    network: OccupancyNetwork, weights: str, out: Path, *, scores: bool = False, precision: Precision = 'fp32'
) -> Contract:
    """Write ``network`` to ``out`` (.onnx), its geometry and its contract beside it.

    Args:
        network: As ``load_network`` gives it, on the CPU.
        weights: SHA-256 of the weights.
        out: Of the network's graph; nothing of the three may exist.
        scores: Whether the graph gives the scores, too.
        precision: fp32, fp16 for the network's convolutions, or int8 for a network that has layers in 8 bits.

    Raises:
        GdfusionError: a file exists or cannot be written, or the libraries that export are missing.
    """
    require_exporter()
    if out.suffix != '.onnx':
        raise GdfusionError(f'{out}: expected a name that ends in .onnx')
    paths = out, geometry_path(out), contract_path(out)
    for path in paths:
        refuse_existing(path)
    with graph_form(), ExitStack() as stack:
        model, geometry, contract = (stack.enter_context(written_whole(path)) for path in paths)
        frame = next(trial_frames(network, 1))
        tensors, module = _network_graph(network, frame, scores=scores)
        counted = {name: {0: VIEWS} for name in tensors if name.startswith(_COUNTED_BY_VIEWS)}
        network_facts = _write(module, tensors, model, counted, precision)
        wanted = [tensor.name for tensor in network_facts.inputs if tensor.name.startswith('geometry.')]
        geometry_facts = _write(
            GeometryGraph(network, wanted), frame_tensors(frame.calibration, None), geometry, {}, 'fp32'
        )
        spec = replace(network.spec, any_cameras=False)  # the graphs are for as many as they are
        written = Contract(spec, network.title, weights, __version__, OPSET, precision, geometry_facts, network_facts)
        contract.write_bytes(encoded(written))
    return written


def export_settings(settings: ModelSettings, out: Path, *, scores: bool, precision: Precision = 'fp32') -> Contract:
    """Export the network that the settings ask for.

    Raises:
        GdfusionError: it cannot be loaded, or see ``export``.
    """
    require_exporter()
    return export(*_loaded(_in_torch(settings, precision)), out=out, scores=scores, precision=precision)


def same_weights(settings: ModelSettings, contract: Contract) -> OccupancyNetwork:
    """The network in torch that was exported with that contract, with the weights of the settings.

    Raises:
        GdfusionError: it cannot be loaded, or was exported with other weights.
    """
    settings = _in_torch(settings, contract.precision)
    if not settings.untrained:  # random ones lie nowhere
        path = find(name_of(settings))
        if path.is_file() and digest(path) != contract.weights:
            raise _other_weights(contract, str(path))  # before they are loaded: that their precision differs says less
    network, weights = _loaded(settings)
    if weights != contract.weights:
        raise _other_weights(contract, network.title)
    return network


def _other_weights(contract: Contract, these: str) -> GdfusionError:
    return GdfusionError(f"'{contract.title}' was exported with other weights than {these}: set 'weights' to those")


def _in_torch(settings: ModelSettings, precision: Precision) -> ModelSettings:
    """What loads the network that is exported so; it has floats unless its weights have 8 bits."""
    own = 'int8' if precision == 'int8' else 'fp32'
    return replace(settings, device='cpu', precision=own, backend='torch')


def _loaded(settings: ModelSettings) -> tuple[OccupancyNetwork, str]:
    """The network, and the SHA-256 of its weights."""
    chosen, network = select_model(settings), load_network(settings)
    return network, digest_of(network) if chosen.weights is None else digest(chosen.weights)


def require_exporter() -> None:
    """Refuse where the libraries that export are missing.

    Raises:
        GdfusionError: names the command that installs them.
    """
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise GdfusionError(
            f"exporting needs onnx and onnxscript: pip install 'gdfusion-ros[export]' ({error})"
        ) from error


def digest_of(network: nn.Module) -> str:
    """SHA-256 of all weights of a network that were not read from a file."""
    hashed = hashlib.sha256()
    for name, value in network.state_dict().items():
        hashed.update(name.encode() + value.cpu().contiguous().numpy().tobytes())
    return hashed.hexdigest()


def _network_graph(network: OccupancyNetwork, frame: Frame, *, scores: bool) -> tuple[dict[str, Tensor], NetworkGraph]:
    """The graph, and all that it might take in."""
    runner = SequenceRunner(network)
    geometry = runner.geometry(frame)
    runner.predict(frame)
    assert runner.state is not None
    tensors = {
        'images': frame.images.contiguous(),
        FIRST: torch.tensor(True),
        **geometry_tensors(geometry),
        **state_tensors(runner.state),
    }
    if network.spec.lidar_depth:
        tensors['lidar_depth'] = torch.zeros(len(frame.images), *network.spec.image_size)
    return tensors, NetworkGraph(network, geometry, runner.state, scores=scores)


def _write(
    module: nn.Module, tensors: Mapping[str, Tensor], path: Path, dynamic: Mapping[str, Any], precision: Precision
) -> GraphFacts:
    """Write a graph; inputs that it does not look at are left out."""
    tensors = {name: tensor.clone() for name, tensor in tensors.items()}  # torch takes one that is given twice for one
    outputs = module(tensors)
    shapes = {'tensors': {name: dynamic.get(name) for name in tensors}} if dynamic else None
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # torch's own use of what it deprecates
        logging.getLogger('torch.onnx').setLevel(logging.ERROR)
        program = torch.onnx.export(
            module.eval(),
            kwargs={'tensors': tensors},
            dynamo=True,
            opset_version=OPSET,
            input_names=list(tensors),
            output_names=list(outputs),
            dynamic_shapes=shapes,
            verbose=False,
        )
    assert program is not None
    graph = program.model.graph
    unused = [value for value in graph.inputs if not value.uses()]
    for value in unused:
        graph.inputs.remove(value)
    if precision == 'fp16':
        from gdfusion_ros.model.export.half import halve

        halve(program.model)
    if precision == 'int8':
        from gdfusion_ros.model.export.zeros import tell_zeros

        tell_zeros(program.model)
    program.save(str(path), external_data=False)
    return GraphFacts(
        path.name, digest(path), [_facts(value) for value in graph.inputs], [_facts(value) for value in graph.outputs]
    )


def _facts(value: ir.Value) -> TensorFacts:
    assert value.name is not None
    assert value.shape is not None
    assert value.dtype is not None
    told = words(value.name)
    return TensorFacts(
        value.name,
        [size if isinstance(size, int) else VIEWS for size in value.shape],
        str(value.dtype.numpy()),
        told.unit,
        told.frame,
        told.about,
    )
