"""The contract of an exported network, which lies beside its graphs as JSON: what goes in, what comes out, of what.

Needs neither torch nor a runtime.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any, Literal

import msgspec

from gdfusion_ros import __version__
from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.files import digest
from gdfusion_ros.model.spec import NetworkSpec

FORMAT = 3
"""Counted up by whoever adds what earlier versions do not know: a tensor, a label set, another way to see images."""

REMEMBERED = ('post_rotation', 'post_translation', 'visible')
"""What of the last frame's calibration counts for the next one's geometry."""

_DIGEST = 'sha256'
"""Of the contract, in its file, as of the graphs."""

Precision = Literal['fp32', 'fp16', 'int8']
"""That the convolutions of a network's graph compute with; int8: those that have 8 bits in the network's weights."""


class TensorFacts(msgspec.Struct, frozen=True):
    """A tensor that goes into a graph or comes out of it.

    Attributes:
        name: In the graph.
        shape: Sizes; a word where a size depends on the calibration.
        dtype: As numpy calls it.
        unit: Of the values; empty where they have none.
        frame: That they are given in; empty where that says nothing.
        about: One sentence.
    """

    name: str
    shape: list[int | str]
    dtype: str
    unit: str
    frame: str
    about: str


class GraphFacts(msgspec.Struct, frozen=True):
    """A graph: its file beside the contract, the SHA-256 of that, and its tensors in order."""

    file: str
    sha256: str
    inputs: list[TensorFacts]
    outputs: list[TensorFacts]


class Contract(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an exported network is.

    Attributes:
        spec: Of the network.
        title: As every output names it.
        weights: SHA-256 of the weights.
        version: Of this package, which has written it.
        opset: Of the graphs.
        precision: That the network's convolutions compute with.
        geometry: What follows from calibration and poses; computed on a CPU, in float32, in the order of the nodes.
        network: The rest.
        format: Of the contract.
    """

    spec: NetworkSpec
    title: str
    weights: str
    version: str
    opset: int
    precision: Precision
    geometry: GraphFacts
    network: GraphFacts
    format: int = FORMAT

    @property
    def gives_scores(self) -> bool:
        """Whether the scores come out beside the labels."""
        return any(tensor.name == 'scores' for tensor in self.network.outputs)


def contract_path(model: Path) -> Path:
    """Where the contract of the graph ``model`` (.onnx) lies."""
    return model.with_suffix('.json')


def geometry_path(model: Path) -> Path:
    """Where the geometry graph of the network graph ``model`` (.onnx) lies."""
    return model.with_suffix('.geometry.onnx')


def encoded(contract: Contract) -> bytes:
    """The contract as its file has it: with a digest of all that it says."""
    facts = msgspec.to_builtins(contract)
    return msgspec.json.format(msgspec.json.encode({**facts, _DIGEST: _digest_of(facts)}))


def read_contract(model: Path) -> Contract:
    """The contract of the network graph ``model``, whose files are those that it was written with.

    Raises:
        GdfusionError: one of the files is missing, damaged or changed, of another export or of another version.
    """
    path = contract_path(model)
    if not model.is_file():
        raise GdfusionError(f"there is no exported network {model}; 'gdfusion export MODEL --out {model}' makes one")
    try:
        contract = _decoded(path)
    except FileNotFoundError as error:
        raise GdfusionError(f'{path} is missing: the contract belongs beside {model.name}') from error
    except (OSError, msgspec.DecodeError, ValueError, RecursionError) as error:
        raise GdfusionError(
            f'{path} is no contract of an exported network: export it again ({" ".join(str(error).split())})'
        ) from error
    for graph, file in ((contract.network, model), (contract.geometry, geometry_path(model))):
        if not file.is_file():
            raise GdfusionError(f'{file} is missing: it belongs beside {path.name}')
        if digest(file) != graph.sha256:
            raise GdfusionError(f'{file} is not the one that {path.name} was written with: export it again')
    return contract


def _decoded(path: Path) -> Contract:
    facts = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    if 'format' not in facts:
        raise ValueError('it names no format')
    written = f'{path} was written by gdfusion_ros {facts.get("version")}'
    if facts['format'] != FORMAT:
        raise GdfusionError(
            f'{written} in format {facts["format"]}, but {__version__}, which is here, reads {FORMAT}: export it again'
        )
    if facts.pop(_DIGEST, None) != _digest_of(facts):
        raise GdfusionError(f'{path} was changed since it was written: export it again')
    contract = msgspec.convert(facts, Contract)
    if unknown := facts['spec'].keys() - {field.name for field in dataclasses.fields(NetworkSpec)}:
        raise GdfusionError(
            f'{written}, whose networks have "{min(unknown)}", but {__version__} is here, which does not know that: '
            'export it again'
        )
    return contract


def _digest_of(facts: dict[str, Any]) -> str:
    """SHA-256 of what a contract says, however it is laid out in its file."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
