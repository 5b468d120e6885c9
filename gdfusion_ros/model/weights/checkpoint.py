"""Published checkpoints in and out, key by key (bevdetocc_gf.md §10).

Files carry the published names (see keys.py). Files that are written here also say which network they are of, and what
it was trained on.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.model.network import OccupancyNetwork
from gdfusion_ros.model.weights.forms import described, take_form
from gdfusion_ros.model.weights.keys import to_published
from gdfusion_ros.model.weights.metadata import WeightsMetadata
from gdfusion_ros.model.weights.saved_state import read_state, write_state

CONSTANTS = frozenset({'dx', 'bx', 'nx'})
"""Last parts of the names of a lift's voxels, which are no weights."""

COUNTER = 'num_batches_tracked'
VARIANCE = 'running_var'
NAMES_SHOWN = 6


def published_state(network: OccupancyNetwork) -> dict[str, Tensor]:
    """The network's state dict under published names, in its order. The network must not be folded."""
    return {to_published(key, network.mounts): value for key, value in network.state_dict().items()}


def load_checkpoint(network: OccupancyNetwork, path: Path) -> None:
    """Load a published checkpoint into a freshly built network.

    ``read_state`` says which files can be read; keys may share a prefix (``module.``). Every key must be there with its
    shape, as floats where the network has floats, nothing else, every number finite, and the constants must agree as
    far as the file's precision tells. Batch normalisation's counters, which only training reads, may be missing,
    or lists of one. Of tied tensors (``network.ties``) the one that wins is taken for both. A network of which files
    have two forms takes the one that the file has.

    Raises:
        GdfusionError: the file cannot be read, or does not fit; every key that does not is named.
    """
    found = _without_prefix(read_state(path), published_state(network))
    take_form(network, found)
    own = network.state_dict()
    expected = {to_published(key, network.mounts): key for key in own}
    for name, key in expected.items():
        if name.endswith(COUNTER) and found.get(name, own[key]).numel() == 1:
            found[name] = found.get(name, own[key]).reshape(own[key].shape)
    faults = _faults(found, {name: own[key] for name, key in expected.items()})
    if faults:
        said = '; '.join(f'{len(names)} {kind}: {_listed(names)}' for kind, names in faults.items())
        raise GdfusionError(
            f'{path} does not fit {described(network, network.spec.name)}: {said}. {_remedy(set(faults))}'
        )
    # The constants agree, but a file of 16-bit numbers has them rounded.
    state = {key: own[key] if _is_constant(name) else found[name].to(own[key].dtype) for name, key in expected.items()}
    state |= {expected[copy]: state[expected[winner]] for copy, winner in network.ties.items()}
    overflown = [name for name, key in expected.items() if not torch.isfinite(state[key]).all()]
    if overflown:
        raise GdfusionError(
            f'{path} has {len(overflown)} tensors that are not finite: {_listed(overflown)}; a '
            'training that diverged, or statistics beyond the range of 16-bit floats: take an earlier '
            'checkpoint, or the one of 32 bits'
        )
    negative = [name for name, key in expected.items() if name.endswith(VARIANCE) and (state[key] < 0).any()]
    if negative:
        raise GdfusionError(
            f'{path} has {len(negative)} variances below zero: {_listed(negative)}; the file is damaged: fetch or '
            'write it again'
        )
    network.load_state_dict(state)


def save_checkpoint(network: OccupancyNetwork, path: Path, facts: WeightsMetadata, *, half: bool = False) -> None:
    """Write the network's weights under published names as safetensors, and the facts with them.

    ``half`` writes kernels and matrices as 16-bit floats; vectors, the statistics above all, keep their 32 bits.

    Raises:
        GdfusionError: the file cannot be written.
    """
    state = {name: value.cpu().contiguous() for name, value in published_state(network).items()}
    state |= {copy: state[copy].clone() for copy in network.ties}  # safetensors writes no tensor twice
    if half:
        state = {name: value.half() if value.squeeze().dim() > 1 else value for name, value in state.items()}
    write_state(state, path, facts)


def _without_prefix(found: dict[str, Tensor], expected: Mapping[str, object]) -> dict[str, Tensor]:
    """The same keys without what stands before the first expected name, where they have it."""
    anchor = next(iter(expected))
    prefix = next((key[: -len(anchor)] for key in found if key.endswith('.' + anchor)), '')
    if anchor in found or not prefix:
        return found
    return {key.removeprefix(prefix): value for key, value in found.items()}


def _is_constant(name: str) -> bool:
    return name.rpartition('.')[2] in CONSTANTS


_MISSING, _UNEXPECTED, _CONSTANTS_DIFFER = 'missing', 'unexpected', 'constants that differ'


def _remedy(kinds: set[str]) -> str:
    """What these kinds of faults tell of the file."""
    if kinds == {_UNEXPECTED}:
        return (
            'All that the network needs is there: if the rest was for the training only (a loss, an optimizer), '
            'save the file without it; otherwise it is the checkpoint of another model'
        )
    if kinds == {_MISSING}:
        return (
            'All that is in it fits: if it is one of several files (…-of-…), join them into one; otherwise it is the '
            'checkpoint of another model'
        )
    if kinds == {_CONSTANTS_DIFFER}:
        return 'It was trained for voxels of another size or place: take the model with that grid'
    return 'Is it the checkpoint of another model? Then name that one as the model'


def _faults(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> dict[str, list[str]]:
    """What keeps ``found`` from being ``expected``: kind -> what is so."""
    shared = [key for key in expected if key in found]
    shapes = [
        f'{key} {tuple(found[key].shape)} instead of {tuple(expected[key].shape)}'
        for key in shared
        if found[key].shape != expected[key].shape
    ]
    types = [
        f'{key} {_type_of(found[key])} instead of {_type_of(expected[key])}'
        for key in shared
        if not _holds_numbers_of(found[key], expected[key])
    ]
    constants = [
        f'{key} {found[key].tolist()} instead of {expected[key].tolist()}'
        for key in shared
        if _is_constant(key)
        and found[key].shape == expected[key].shape
        and _holds_numbers_of(found[key], expected[key])
        and not _equal_as_stored(found[key], expected[key])
    ]
    kinds = {
        _MISSING: [key for key in expected if key not in found],
        _UNEXPECTED: [key for key in found if key not in expected],
        'of another shape': shapes,
        'of another type': types,
        _CONSTANTS_DIFFER: constants,
    }
    return {kind: names for kind, names in kinds.items() if names}


def _holds_numbers_of(found: Tensor, expected: Tensor) -> bool:
    """Whether the values of ``found`` are numbers that a weight like ``expected`` can have, not codes or parts of them.

    Integers in the place of floats are codes: whoever quantised them keeps scale and offset elsewhere.
    """
    plain = found.layout == torch.strided and found.device.type == 'cpu' and not found.is_quantized
    numbers = found.is_floating_point() or not (expected.is_floating_point() or found.is_complex())
    return plain and numbers


def _type_of(tensor: Tensor) -> str:
    """How its values are stored, in words."""
    place = '' if tensor.device.type == 'cpu' else f' on {tensor.device.type}'
    layout = '' if tensor.layout == torch.strided else f' {str(tensor.layout).removeprefix("torch.")}'
    return str(tensor.dtype).removeprefix('torch.') + layout + place


def _equal_as_stored(found: Tensor, expected: Tensor) -> bool:
    """Whether ``found`` is ``expected`` but for rounding to the type that it is stored in."""
    kind = found.dtype if found.is_floating_point() else torch.float64
    tolerance = 2 * torch.finfo(kind).eps
    return torch.allclose(found.double(), expected.to(kind).double(), rtol=tolerance, atol=tolerance)


def _listed(names: list[str]) -> str:
    more = f' and {len(names) - NAMES_SHOWN} more' if len(names) > NAMES_SHOWN else ''
    return ', '.join(names[:NAMES_SHOWN]) + more
