"""Files of weights as training tools write them -> a flat dictionary of tensors.

Nothing of a file is executed: pickles go through torch's ``weights_only`` loader, which takes tensors and plain
containers. Allowed beside those are numpy's numbers and texts, and arrays of them: mmcv writes the best score so.
"""

from __future__ import annotations

import pickle
import re
import zipfile
from codecs import BOM_UTF8
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save
from torch import Tensor

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.files import written_whole
from gdfusion_ros.model.weights.metadata import WeightsMetadata
from gdfusion_ros.model.weights.torch_files import require_loadable

_WRAPPERS = ('state_dict', 'model_state_dict', 'model')
"""Where training tools put the weights, beside the epoch, the optimizer and the like."""

_AVERAGED = 'ema_'
"""mmcv's EMAHook keeps a second set of weights: this prefix, and underscores for dots."""

_AVERAGES = 'n_averaged'
"""torch's AveragedModel counts its averages beside the weights, which stand behind ``module.``."""

_REFUSED = re.compile(r'GLOBAL ([\w.]+)')
_CAUSE = re.compile(r'WeightsUnpickler error:\s*(\S[^\n]*)')
_NAMED = 12  # how many keys of a file an error names

_OTHERS = {
    b'version https://git-lfs': "a Git LFS pointer and not the file: 'git lfs pull' brings it",
    b'<': 'a web page, perhaps of a login or a warning: download the file itself',
    b'{': 'JSON, perhaps the index of several files: join them into one',
    b'\x1f\x8b': 'packed by gzip: unpack it first',
    b'BZh': 'packed by bzip2: unpack it first',
    b'\xfd7zXZ': 'packed by xz: unpack it first',
    b'\x28\xb5\x2f\xfd': 'packed by zstd: unpack it first',
    b'\x89HDF': 'HDF5, which Keras writes',
    b'GGUF': 'GGUF, of language models',
    b'Rar!': 'packed by rar: unpack it first',
    b"7z\xbc\xaf'\x1c": 'packed by 7z: unpack it first',
}
"""How files begin that are found in the place of a checkpoint -> what they are."""


def read_state(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors or ``torch.save`` file, by the keys of the file, on the CPU.

    Which of both it is say its first bytes. A dictionary round the weights (``state_dict``, ``model_state_dict``,
    ``model``, or the only one that holds nothing but tensors) is looked through, and the second set of mmcv's EMAHook
    left out. NumPy arrays in the place of tensors are taken for such.

    Raises:
        GdfusionError: the file is missing or damaged, holds objects that are not loaded, or no tensors.
    """
    if not path.is_file():
        raise GdfusionError(f'there is no checkpoint {path}')
    content = _safetensors(path) if _is_safetensors(path) else _pickle(path)
    state = {
        str(key): tensor
        for key, value in _unwrapped(content, path).items()
        if (tensor := _as_tensor(value)) is not None
    }
    twins = {_AVERAGED + key.replace('.', '_') for key in state}
    return {key: value for key, value in state.items() if key not in twins and key != _AVERAGES}


def write_state(state: Mapping[str, Tensor], path: Path, facts: WeightsMetadata) -> None:
    """Write tensors of the CPU as safetensors, and what is known of them; no two may share memory.

    Raises:
        GdfusionError: the file cannot be written.
    """
    said = {name: fact for name, fact in asdict(facts).items() if fact}
    with written_whole(path) as draft:
        draft.write_bytes(save(dict(state), said))  # whose own way to a file has errors of its own for a full disk


def _is_safetensors(path: Path) -> bool:
    """Whether the length of a header stands at the beginning, and JSON behind it."""
    return _first_bytes(path)[8:9] == b'{'


def _first_bytes(path: Path) -> bytes:
    try:
        with path.open('rb') as file:
            return file.read(64)
    except OSError as error:
        raise GdfusionError(f'checkpoint {path} cannot be read: {error.strerror}') from error


def _safetensors(path: Path) -> object:
    try:
        return load_file(path)
    except Exception as error:
        raise _unreadable(path, error) from error


def _pickle(path: Path) -> object:
    require_loadable(path)
    try:
        # As an open file: of a path, torch would look at the ending.
        with torch.serialization.safe_globals(_numpy_values()), path.open('rb') as file:
            return torch.load(file, map_location='cpu', weights_only=True)
    except pickle.UnpicklingError as error:
        refused = _REFUSED.search(str(error))
        if refused is None:
            raise _unreadable(path, error) from error
        raise GdfusionError(
            f'checkpoint {path} holds a {refused[1]}, which is not loaded, as it could run code; where '
            "it was trained, save the weights alone: torch.save({'state_dict': "
            'model.state_dict()}, file)'
        ) from error
    except Exception as error:  # the bytes of a damaged file can make an unpickler raise anything
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> GdfusionError:
    if kind := _kind_of_other(path, str(error)):
        return GdfusionError(f'checkpoint {path} cannot be read: it is {kind}')
    cause = _CAUSE.search(str(error))
    reason = cause[1] if cause else str(error).strip().partition('\n')[0].partition('. ')[0]
    return GdfusionError(
        f'checkpoint {path} cannot be read ({type(error).__name__}: {reason or "it ends too early"}); '
        'is the download complete, and is it a state dict of tensors alone?'
    )


def _kind_of_other(path: Path, said: str) -> str:
    """What a file is that could not be read, and what to do; empty where that cannot be told."""
    first = _first_bytes(path).removeprefix(BOM_UTF8).lstrip()
    for start, kind in _OTHERS.items():
        if first.startswith(start):
            return kind
    if 'not valid UTF-8' in said:
        return 'in a folder or has a name that is not UTF-8, which safetensors cannot open: rename it'
    if 'TorchScript' in said:
        return 'a TorchScript program, not weights: where it runs, save its state_dict() with torch.save'
    if 'legacy .tar' in said:
        return 'a tar archive, or nothing but zeros: unpack it, or fetch it again'
    if zipfile.is_zipfile(path) and not any(name.endswith('/data.pkl') for name in zipfile.ZipFile(path).namelist()):
        return 'a zip archive that torch.save did not write: unpack it first'
    return ''


def _numpy_values() -> list[Callable[..., object] | tuple[Callable[..., object], str]]:
    """What makes numpy's scalars and arrays of numbers and texts, under its names in numpy 1 and in numpy 2."""
    scalar: Any = np.float64(0).__reduce__()[0]
    rebuild: Any = np.zeros(0).__reduce__()[0]
    kinds = [type(np.dtype(code)) for code in '?bhilqBHILQefdgSU']
    named = [
        (function, f'{module}.{name}')
        for module in ('numpy.core.multiarray', 'numpy._core.multiarray')
        for function, name in ((scalar, 'scalar'), (rebuild, '_reconstruct'))
    ]
    return [np.dtype, np.ndarray, *kinds, *named]


def _unwrapped(content: object, path: Path) -> Mapping[object, object]:
    """The dictionary inside all wrappers. A wrapper that holds itself is not opened twice."""
    opened: list[object] = []
    while isinstance(content, Mapping) and not any(content is other for other in opened):
        opened.append(content)
        inner = _inner(content)
        if inner is None:
            if not any(_as_tensor(value) is not None for value in content.values()):
                raise GdfusionError(
                    f'checkpoint {path} has no weights among its keys ({_keys(content)}); save them '
                    "alone: torch.save({'state_dict': model.state_dict()}, file)"
                )
            return content
        content = inner
    raise GdfusionError(f'checkpoint {path} holds a {type(content).__name__}, not a state dict of tensors')


def _inner(content: Mapping[object, object]) -> object:
    """What a dictionary wraps; None where it wraps nothing, or nobody can tell what."""
    for name in _WRAPPERS:
        if isinstance(content.get(name), Mapping):  # 'model' may be the name of one
            return content[name]
    if any(_as_tensor(value) is not None for value in content.values()):
        return None
    full = [
        value
        for value in content.values()
        if isinstance(value, Mapping) and value and all(_as_tensor(item) is not None for item in value.values())
    ]
    if len(full) == 1:
        return full[0]
    return next((content[name] for name in _WRAPPERS if name in content), None)


def _as_tensor(value: object) -> Tensor | None:
    """A tensor, or an array of numbers as one; None for anything else."""
    if isinstance(value, np.ndarray) and value.dtype.kind in 'biuf':
        return torch.from_numpy(np.array(value, value.dtype.newbyteorder('=')))
    return value if isinstance(value, Tensor) else None


def _keys(content: Mapping[object, object]) -> str:
    """Its first keys."""
    names = [str(key) for key in content]
    return (', '.join(names[:_NAMED]) + (', …' if len(names) > _NAMED else '')) or 'none'
