"""What training tools put round the weights, and what names they give them -> a flat dictionary of tensors."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from gdfusion_ros.errors import GdfusionError

_WRAPPERS = ('state_dict', 'model_state_dict', 'model')
"""Where training tools put the weights, beside the epoch, the optimizer and the like."""

_AVERAGED = 'ema_'
"""mmcv's EMAHook keeps a second set of weights: this prefix, and underscores for dots."""

_AVERAGES = 'n_averaged'
"""torch's AveragedModel counts its averages beside the weights, which stand behind ``module.``."""

_WRAPPED = re.compile(r'(?<![^.])(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.')
"""Parts of keys that torch puts in between where a module is compiled, sharded or computed again for gradients."""

_NAMED = 12  # how many keys of a file an error names


def weights_in(content: object, path: Path) -> dict[str, Tensor]:
    """The weights in the ``content`` of a file, by the keys of the file.

    A dictionary round them (``state_dict``, ``model_state_dict``, ``model``, or the one that holds nothing but tensors,
    and more than there are beside it) is looked through. Left out are the second set of mmcv's EMAHook, and the parts
    of keys that torch's wrappers of modules put in between. NumPy arrays in the place of tensors are taken for such.

    Raises:
        GdfusionError: there are none, or several sets.
    """
    state = {
        str(key): tensor
        for key, value in _unwrapped(content, path).items()
        if (tensor := _as_tensor(value)) is not None
    }
    bare = {_WRAPPED.sub('', key): value for key, value in state.items()}
    state = bare if len(bare) == len(state) else state  # else there are two of one name, which nobody can choose from
    twins = {_AVERAGED + key.replace('.', '_') for key in state}
    return {key: value for key, value in state.items() if key not in twins and key != _AVERAGES}


def _unwrapped(content: object, path: Path) -> Mapping[object, object]:
    """The dictionary inside all wrappers. A wrapper that holds itself is not opened twice."""
    opened: list[object] = []
    while isinstance(content, Mapping) and not any(content is other for other in opened):
        opened.append(content)
        inner = _inner(content)
        if inner is None:
            if not _tensors(content):
                raise GdfusionError(f'checkpoint {path} has {_why_none(content)}')
            return content
        content = inner
    raise GdfusionError(
        f'checkpoint {path} holds a {type(content).__name__}, not a state dict of tensors; save the weights alone: '
        "torch.save({'state_dict': model.state_dict()}, file)"
    )


def _inner(content: Mapping[object, object]) -> object:
    """What a dictionary wraps; None where it wraps nothing, or nobody can tell what."""
    for name in _WRAPPERS:
        if isinstance(content.get(name), Mapping):  # 'model' may be the name of one
            return content[name]
    full = _full(content)
    largest = max(full.values(), key=len, default={})
    if 2 * len(largest) > _tensors(content) + sum(map(len, full.values())):  # a loss or a random state lies beside it
        return largest
    if _tensors(content):
        return None
    return next((content[name] for name in _WRAPPERS if name in content), None)


def _full(content: Mapping[object, object]) -> dict[str, Mapping[object, object]]:
    """The dictionaries in it that hold nothing but tensors."""
    return {
        str(name): value
        for name, value in content.items()
        if isinstance(value, Mapping) and value and _tensors(value) == len(value)
    }


def _tensors(content: Mapping[object, object]) -> int:
    """How many tensors it holds itself."""
    return sum(_as_tensor(value) is not None for value in content.values())


def _why_none(content: Mapping[object, object]) -> str:
    """What a file without a set of weights has instead, and how to mend that."""
    if full := _full(content):
        return (
            f'several sets of weights ({_keys(full)}); save one of them alone: '
            f"torch.save({{'state_dict': torch.load(file)[{next(iter(full))!r}]}}, new_file)"
        )
    return (
        f"no weights among its keys ({_keys(content)}); save them alone: torch.save({{'state_dict': "
        'model.state_dict()}, file)'
    )


def _as_tensor(value: object) -> Tensor | None:
    """A tensor, or an array of numbers as one; None for anything else."""
    if isinstance(value, np.ndarray) and value.dtype.kind in 'biuf':
        return torch.from_numpy(np.array(value, value.dtype.newbyteorder('=')))
    return value if isinstance(value, Tensor) else None


def _keys(content: Iterable[object]) -> str:
    """Its first keys."""
    names = [str(key) for key in content]
    return (', '.join(names[:_NAMED]) + (', …' if len(names) > _NAMED else '')) or 'none'
