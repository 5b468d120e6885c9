"""Files of weights as training tools write them -> their tensors by key.

Nothing of a file is executed: pickles go through torch's ``weights_only`` loader, which takes tensors and plain
containers. Allowed beside those are numpy's numbers and texts, and arrays of them, as mmcv writes the best score so.
Of some objects that trainings keep beside the weights only the names are known here: nothing is made of them.
"""

from __future__ import annotations

import pickle
import re
import warnings
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
from gdfusion_ros.model.weights.wrappings import weights_in

_REFUSED = re.compile(r'GLOBAL ([\w.]+)')
_CAUSE = re.compile(r'WeightsUnpickler error:\s*(\S[^\n]*)')

_BESIDE = (
    'argparse.Namespace',
    'mmengine.logging.history_buffer.HistoryBuffer',
    'pathlib.PosixPath',
    'pathlib._local.PosixPath',  # of Python 3.13
)
"""Objects that trainings keep beside the weights: arguments, curves of losses, folders."""

_OTHERS = {
    b'version https://git-lfs': "a Git LFS pointer and not the file: 'git lfs pull' brings it",
    b'<?xml': (
        "XML, a server's refusal or OpenVINO's form of a network: download the file itself, or take the weights that "
        'the network was made of'
    ),
    b'<': 'a web page, perhaps of a login or a warning: download the file itself',
    b'{': 'JSON, perhaps the index of several files: join them into one',
    b'\x1f\x8b': 'packed by gzip: unpack it first',
    b'BZh': 'packed by bzip2: unpack it first',
    b'\xfd7zXZ': 'packed by xz: unpack it first',
    b'\x28\xb5\x2f\xfd': 'packed by zstd: unpack it first',
    b'\x93NUMPY': 'an array of NumPy, which has no keys: save a state dict of tensors',
    b'\x89HDF': 'HDF5, which Keras writes',
    b'GGUF': 'GGUF, of language models',
    b'Rar!': 'packed by rar: unpack it first',
    b"7z\xbc\xaf'\x1c": 'packed by 7z: unpack it first',
}
"""How files begin that are found in the place of a checkpoint -> what they are."""

_SAID = {
    'not valid UTF-8': 'in a folder or has a name that is not UTF-8, which safetensors cannot open: rename it',
    'TorchScript': 'a TorchScript program, not weights: where it runs, save its state_dict() with torch.save',
    'legacy .tar': 'a tar archive, or nothing but zeros: unpack it, or fetch it again',
    'Unsupported operand 149': (  # a frame, with which every pickle of protocol 4 or 5 begins
        'pickled in protocol 4 or 5, which is not loaded: load it where it was written, and save it with '
        'torch.save(state_dict, file) and no pickle_protocol'
    ),
}
"""What the libraries say of other files -> what they are."""

_ARCHIVES = {
    '.npy': 'an archive of arrays of NumPy (npz): make tensors of them, and save those with torch.save',
    '/archive_format': 'a program of torch.export, not weights: where it was made, save its state_dict with torch.save',
    '': 'a zip archive that torch.save did not write: unpack it first',
}
"""How a name in a zip archive ends that is no checkpoint -> what it is."""


def read_state(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors or ``torch.save`` file, by the keys of the file, on the CPU.

    Which of both it is say its first bytes; ``weights_in`` says what may stand round the weights.

    Raises:
        GdfusionError: the file is missing or damaged, holds objects that are not loaded, or no tensors.
    """
    if not path.is_file():
        raise GdfusionError(f'there is no checkpoint {path}')
    return weights_in(_safetensors(path) if _is_safetensors(path) else _pickle(path), path)


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
        with torch.serialization.safe_globals(_harmless()), path.open('rb') as file, warnings.catch_warnings():
            warnings.simplefilter('ignore')  # of what is refused anyway, in a sentence
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
    for words, kind in _SAID.items():
        if words in said:
            return kind
    names = zipfile.ZipFile(path).namelist() if zipfile.is_zipfile(path) else []
    if any(name.endswith('/data.pkl') for name in names):
        return ''
    return next((kind for ending, kind in _ARCHIVES.items() if any(name.endswith(ending) for name in names)), '')


def _harmless() -> list[Callable[..., object] | tuple[Callable[..., object], str]]:
    """What makes numpy's scalars and arrays of numbers and texts (names of numpy 1 and 2), and stands for the rest."""
    scalar: Any = np.float64(0).__reduce__()[0]
    rebuild: Any = np.zeros(0).__reduce__()[0]
    kinds = [type(np.dtype(code)) for code in '?bhilqBHILQefdgSU']
    named = [
        (function, f'{module}.{name}')
        for module in ('numpy.core.multiarray', 'numpy._core.multiarray')
        for function, name in ((scalar, 'scalar'), (rebuild, '_reconstruct'))
    ]
    beside = [(type(name.rpartition('.')[2], (_Unmade,), {}), name) for name in _BESIDE]
    return [np.dtype, np.ndarray, *kinds, *named, *beside]


class _Unmade:
    """Stands for an object that holds no weights, and forgets what it was made of."""

    def __init__(self, *_: object) -> None:
        """Take what the object would."""

    def __setstate__(self, _: object) -> None:
        """Take the attributes."""
