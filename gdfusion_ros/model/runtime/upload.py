"""From the CPU onto the device of a network."""

from __future__ import annotations

import torch
from torch import Tensor


def upload(tensor: Tensor, device: torch.device) -> Tensor:
    """The tensor on that device, without waiting until the device has caught up.

    CUDA copies by itself only from pinned memory; of any other, what is large waits for its turn. What is pinned here
    torch keeps until the copy is done, and then for the next one.
    """
    if device.type == 'cuda' and tensor.device.type == 'cpu':
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)
