"""Where a network runs."""

from __future__ import annotations

import torch

from gdfusion_ros.errors import GdfusionError


def select_device(name: str) -> torch.device:
    """The torch device called ``name``: auto, cpu, cuda or cuda:<index>.

    From then on convolutions of 32-bit numbers keep 32 bits on CUDA, where torch would round to TF32.

    Raises:
        GdfusionError: no such device here.
    """
    torch.backends.cudnn.allow_tf32 = False
    if name == 'auto':
        return torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    kind, _, index = name.partition(':')
    if kind == 'cpu' and not index:
        return torch.device('cpu')
    if kind == 'cuda' and (name == 'cuda' or index.isdecimal()):
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if int(index or 0) < count:
            return torch.device(name)
        raise GdfusionError(f"device '{name}' is not there, torch sees {count} CUDA devices; use 'auto' or 'cpu'")
    raise GdfusionError(f"unknown device '{name}'; expected auto, cpu, cuda or cuda:<index>")
