"""The networks by name: which there are, which one the settings mean, and how it is made ready to run."""

from __future__ import annotations

import copy
import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.model.network import OccupancyNetwork
from gdfusion_ros.model.networks.alocc import alocc_2d, alocc_3d, alocc_mini
from gdfusion_ros.model.networks.alocc_specs import (
    ALOCC_2D,
    ALOCC_2D_GF,
    ALOCC_2D_GF_OPENOCCUPANCY,
    ALOCC_3D,
    ALOCC_3D_DEPTH,
    ALOCC_3D_GF,
    ALOCC_3D_GF_DEPTH,
    ALOCC_3D_GF_SURROUNDOCC,
    ALOCC_3D_GF_WAYMO,
    ALOCC_MINI,
    ALOCC_MINI_GF,
    OPENOCCUPANCY_SIZES,
    SURROUNDOCC_SIZES,
    WAYMO_SIZES,
)
from gdfusion_ros.model.networks.bevdetocc import BEVDETOCC, BEVDETOCC_GF, BEVDETOCC_GF_SMALL, BEVDETOCC_SF, bevdetocc
from gdfusion_ros.model.networks.fbocc import FBOCC_GF, fbocc
from gdfusion_ros.model.networks.gsdocc import GSDOCC, gsdocc
from gdfusion_ros.model.networks.memories import NOTHING, queue
from gdfusion_ros.model.networks.nano import GDFUSION_NANO, nano
from gdfusion_ros.model.objectives.alocc import AloccWeights
from gdfusion_ros.model.objectives.bevdetocc import LossWeights
from gdfusion_ros.model.objectives.focal import FocalWeights
from gdfusion_ros.model.objectives.gsdocc import GsdoccWeights
from gdfusion_ros.model.objectives.interface import ObjectiveSettings
from gdfusion_ros.model.quantization.file import load_quantized
from gdfusion_ros.model.runtime.device import select_device
from gdfusion_ros.model.runtime.prepare import prepare
from gdfusion_ros.model.spec import NetworkSpec
from gdfusion_ros.model.weights.checkpoint import load_checkpoint
from gdfusion_ros.model.weights.initialise import initialise, untrained
from gdfusion_ros.model.weights.metadata import WeightsMetadata
from gdfusion_ros.model.weights.registry import find, identify, known, name_of
from gdfusion_ros.settings import DEFAULT_MODEL, ModelSettings


@dataclass(frozen=True)
class Entry:
    """A network of the zoo.

    Attributes:
        spec: what it is.
        build: the function that builds one of that spec.
        objective: the settings of what it is trained for; unless another is given, the BEVDetOcc family's.
    """

    spec: NetworkSpec
    build: Callable[[NetworkSpec], OccupancyNetwork]
    objective: type[ObjectiveSettings] = LossWeights


ZOO = {
    each.spec.name: each
    for each in (
        Entry(BEVDETOCC_GF, bevdetocc),
        Entry(BEVDETOCC_GF_SMALL, bevdetocc),
        Entry(GDFUSION_NANO, nano),
        Entry(BEVDETOCC, partial(bevdetocc, memory=NOTHING)),
        Entry(BEVDETOCC_SF, partial(bevdetocc, memory=queue())),
        Entry(ALOCC_3D, partial(alocc_3d, memory=queue()), AloccWeights),
        Entry(ALOCC_3D_DEPTH, partial(alocc_3d, memory=queue()), AloccWeights),
        Entry(ALOCC_2D, partial(alocc_2d, memory=queue()), AloccWeights),
        Entry(ALOCC_MINI, partial(alocc_mini, memory=queue()), AloccWeights),
        Entry(ALOCC_3D_GF, alocc_3d, AloccWeights),
        Entry(ALOCC_3D_GF_DEPTH, alocc_3d, AloccWeights),
        Entry(ALOCC_3D_GF_SURROUNDOCC, partial(alocc_3d, sizes=SURROUNDOCC_SIZES), AloccWeights),
        Entry(ALOCC_3D_GF_WAYMO, partial(alocc_3d, sizes=WAYMO_SIZES), AloccWeights),
        Entry(ALOCC_2D_GF_OPENOCCUPANCY, partial(alocc_2d, sizes=OPENOCCUPANCY_SIZES), AloccWeights),
        Entry(ALOCC_2D_GF, alocc_2d, AloccWeights),
        Entry(ALOCC_MINI_GF, alocc_mini, AloccWeights),
        Entry(FBOCC_GF, fbocc, FocalWeights),
        Entry(GSDOCC, gsdocc, GsdoccWeights),
    )
}


def entry(name: str) -> Entry:
    """The network of that name.

    Raises:
        GdfusionError: there is none.
    """
    if name not in ZOO:
        near = difflib.get_close_matches(name, ZOO, 3)
        raise GdfusionError(
            f"unknown model '{name}'; "
            + (f'did you mean {", ".join(near)}? ' if near else '')
            + f"there are {', '.join(ZOO)}: 'gdfusion models' says what they are"
        )
    return ZOO[name]


def specification(name: str) -> NetworkSpec:
    """What the network of that name is.

    Raises:
        GdfusionError: there is none.
    """
    return entry(name).spec


def build(spec: NetworkSpec) -> OccupancyNetwork:
    """The network of the zoo with the spec's name and the spec's cues; its weights are to be loaded or drawn."""
    return ZOO[spec.name].build(spec)


def fresh_network(
    name: str, cues: tuple[str, ...], seed: int, weights: str, device: torch.device, fresh_cues: Sequence[str] = ()
) -> OccupancyNetwork:
    """A network to train, on ``device``: with the weights in the file ``weights``, or random ones where that is empty.

    The fusions of ``fresh_cues`` start anew, with weights that change little of what goes through them.

    Raises:
        GdfusionError: unknown model or cue, weights that are missing or do not fit.
    """
    network = build(specification(name).with_cues(cues))
    initialise(network, seed)
    drawn = {cue: copy.deepcopy(network.fusion(cue).state_dict()) for cue in fresh_cues}
    if weights:
        load_checkpoint(network, find(weights))
    for cue, state in drawn.items():
        network.fusion(cue).load_state_dict(state)
        network.start_neutral(cue)
    return network.to(device)


@dataclass(frozen=True)
class ModelSelection:
    """Which network runs: its spec, the file of its weights (None: random ones), its training data, its precision."""

    spec: NetworkSpec
    weights: Path | None
    trained_on: str
    precision: str = 'fp32'

    @property
    def title(self) -> str:
        """The network as every output names it."""
        training = f'trained on {self.trained_on}' if self.trained_on else ''
        notes = [training, '8 bits' if self.precision == 'int8' else ''] if self.weights else ['untrained']
        note = ', '.join(filter(None, notes))
        return f'{self.spec.name} ({note})' if note else self.spec.name


def select_model(settings: ModelSettings) -> ModelSelection:
    """The network that the settings mean. Weights by name, and files that say so, know which network they are of.

    Raises:
        GdfusionError: unknown model or cue; weights that are not there, or not of that network.
    """
    if settings.model:
        entry(settings.model)
    if settings.untrained:
        if settings.precision == 'int8':
            raise GdfusionError("precision 'int8' is of trained weights, not of random ones; use 'fp32'")
        if settings.weights:
            raise GdfusionError(f"'weights' ({settings.weights}) and 'untrained' are set; drop one")
        return ModelSelection(specification(settings.model or DEFAULT_MODEL).with_cues(settings.cues), None, '')
    name = name_of(settings)
    if settings.weights.endswith('.onnx'):
        raise GdfusionError(
            f"weights '{settings.weights}' are an exported network where weights are needed: take those that it was "
            "made of, or, to run it, set 'backend' to onnxruntime or openvino"
        )
    if not settings.weights and name not in known():
        raise GdfusionError(
            f"model {specification(name).name} needs weights: set 'weights' to the path of a "
            "checkpoint, or set 'untrained' for a trial with random weights"
        )
    path, facts = identify(name)
    _require_precision(path, facts, settings.precision)
    if settings.model and facts.model in ZOO and facts.model != settings.model:  # else it is a word of other tools
        raise GdfusionError(
            f"weights '{name}' are of the model {facts.model}, not of {settings.model}; drop 'model', "
            'or take other weights'
        )
    model = settings.model or facts.model
    if not settings.model and facts.model not in ZOO:
        said = f"are of a model '{model}', which is not known here" if model else 'do not say which network they are of'
        raise GdfusionError(f"weights '{name}' {said}; set 'model'")
    return ModelSelection(specification(model).with_cues(settings.cues), path, facts.trained_on, settings.precision)


def _require_precision(path: Path, facts: WeightsMetadata, precision: str) -> None:
    if precision == 'int8' and facts.precision != 'int8':
        raise GdfusionError(
            f"weights {path} have no 8 bits, which precision 'int8' asks for: 'gdfusion quantize' makes such of them"
        )
    if precision != 'int8' and facts.precision == 'int8':
        raise GdfusionError(f"weights {path} have 8 bits: set precision to 'int8', or take the ones that they are of")


def load_network(settings: ModelSettings) -> OccupancyNetwork:
    """The network that the settings ask for, ready to run.

    Raises:
        GdfusionError: unknown model, cue or device; weights that are missing or do not fit.
    """
    chosen = select_model(settings)
    device = select_device(settings.device)
    if settings.precision == 'autocast' and device.type != 'cuda':
        raise GdfusionError(f"precision 'autocast' needs a CUDA device, but the device is {device}; use 'fp32'")
    if settings.precision == 'int8' and device.type != 'cpu':
        raise GdfusionError(f"precision 'int8' needs a CPU, but the device is {device}; set device=cpu, or use 'fp32'")
    network = build(chosen.spec)
    network.title = chosen.title
    if chosen.weights is None:
        untrained(network)
    elif settings.precision != 'int8':
        load_checkpoint(network, chosen.weights)
    network.autocast = settings.precision == 'autocast'
    prepared = prepare(network, device)
    if settings.precision == 'int8' and chosen.weights is not None:  # such a file is of what is prepared
        load_quantized(prepared, chosen.weights)
    return prepared
