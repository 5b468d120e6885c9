"""What a file of weights says of itself; read without torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.names import printable


@dataclass(frozen=True)
class WeightsMetadata:
    """What a file of weights says of itself; empty where it says nothing.

    Attributes:
        model: name of the network in the zoo.
        trained_on: the data, in words.
        precision: 'int8' of a network in 8 bits (see quantization).
    """

    model: str = ''
    trained_on: str = ''
    precision: str = ''


def read_metadata(path: Path) -> WeightsMetadata:
    """What the file says of itself; nothing where it is no safetensors file that was written here.

    Raises:
        GdfusionError: there is no file.
    """
    if path.is_dir():
        raise GdfusionError(
            f'the weights {path} are a folder; give the file in it (of a distributed checkpoint torch makes one: '
            "'python -m torch.distributed.checkpoint.format_utils dcp_to_torch FOLDER FILE')"
        )
    if not path.is_file():
        raise GdfusionError(f"there are no weights {path}; 'gdfusion weights list' has the known names")
    try:
        with safe_open(path, 'np') as file:
            said = file.metadata() or {}
    except (OSError, SafetensorError):
        return WeightsMetadata()
    return WeightsMetadata(
        *(
            printable(said.get(name, ''), length)
            for name, length in (('model', 80), ('trained_on', 200), ('precision', 20))
        )
    )
