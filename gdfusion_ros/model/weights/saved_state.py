"""Files of weights as training tools write them -> a flat dictionary of tensors.

Nothing of a file is executed: pickles go through torch's ``weights_only`` loader, which takes tensors and plain
containers. Allowed beside those are numpy's numbers and texts, and arrays of them: mmcv writes the best score so.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from gdfusion_ros.errors import GdfusionError

_WRAPPERS = ('state_dict', 'model_state_dict', 'model')
"""Where training tools put the weights, beside the epoch, the optimizer and the like."""

_AVERAGED = 'ema_'
"""mmcv's EMAHook keeps a second set of weights: this prefix, and underscores for dots."""

_REFUSED = re.compile(r'GLOBAL ([\w.]+)')


def read_state(path: Path) -> dict[str, Tensor]:
    """The tensors of a ``.safetensors`` or ``torch.save`` file, by the keys of the file, on the CPU.

    A dictionary round them (``state_dict``, ``model_state_dict``, ``model``) is looked through, and the second set of
    mmcv's EMAHook left out.

    Raises:
        GdfusionError: the file is missing or damaged, holds objects that are not loaded, or no tensors.
    """
    if not path.is_file():
        raise GdfusionError(f'there is no checkpoint {path}')
    content = _safetensors(path) if path.suffix == '.safetensors' else _pickle(path)
    state = {str(key): value for key, value in _unwrapped(content, path).items() if isinstance(value, Tensor)}
    twins = {_AVERAGED + key.replace('.', '_') for key in state}
    return {key: value for key, value in state.items() if key not in twins}


def _safetensors(path: Path) -> object:
    try:
        return load_file(path)
    except Exception as error:
        raise _unreadable(path, error) from error


def _pickle(path: Path) -> object:
    try:
        with torch.serialization.safe_globals(_numpy_values()):
            return torch.load(path, map_location='cpu', weights_only=True)
    except pickle.UnpicklingError as error:
        refused = _REFUSED.search(str(error))
        if refused is None:
            raise _unreadable(path, error) from error
        raise GdfusionError(f'checkpoint {path} holds a {refused[1]}, which is not loaded, as it could run code; where '
                            "it was trained, save the weights alone: torch.save({'state_dict': "
                            'model.state_dict()}, file)') from error
    except Exception as error:  # the bytes of a damaged file can make an unpickler raise anything
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> GdfusionError:
    reason = str(error).strip().partition('\n')[0].partition('. ')[0]
    return GdfusionError(f'checkpoint {path} cannot be read ({type(error).__name__}: {reason}); is the download '
                         'complete, and is it a state dict of tensors alone?')


def _numpy_values() -> list[Callable[..., object] | tuple[Callable[..., object], str]]:
    """What makes numpy's scalars and arrays of numbers and texts, under its names in numpy 1 and in numpy 2."""
    scalar: Any = np.float64(0).__reduce__()[0]
    rebuild: Any = np.zeros(0).__reduce__()[0]
    kinds = [type(np.dtype(code)) for code in '?bhilqBHILQefdgSU']
    named = [(function, f'{module}.{name}') for module in ('numpy.core.multiarray', 'numpy._core.multiarray')
             for function, name in ((scalar, 'scalar'), (rebuild, '_reconstruct'))]
    return [np.dtype, np.ndarray, *kinds, *named]


def _unwrapped(content: object, path: Path) -> Mapping[object, object]:
    """The dictionary inside all wrappers."""
    while isinstance(content, Mapping):
        inner = next((content[name] for name in _WRAPPERS if name in content), None)
        if inner is None:
            return content
        content = inner
    raise GdfusionError(f'checkpoint {path} holds a {type(content).__name__}, not a state dict of tensors')
