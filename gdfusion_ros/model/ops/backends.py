"""Which form of an operation computes: the one of the device that its tensors lie on."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cache
from importlib import import_module
from subprocess import CalledProcessError
from typing import Any, TypeVar, cast

import torch
from torch import Tensor

from gdfusion_ros.model.ops import compiled

F = TypeVar('F', bound=Callable[..., Any])
PARTS = 'gdfusion_ros.model.ops.triton_parts'


def select(reference: F, cpu: F, *tensors: Tensor) -> F:
    """The form that takes these tensors: ``cpu``, the Triton kernel of the same name in ``cuda.py``, or ``reference``.

    Args:
        reference: of an operation's folder.
        cpu: the same, compiled.
        tensors: whose device, type and gradients decide.
    """
    if compiled.usable(*tensors):
        return cpu
    return on_cuda(reference) if usable_on_cuda(*tensors) else reference


def usable_on_cuda(*tensors: Tensor) -> bool:
    """Whether the Triton kernels can take these tensors: float32 on CUDA, no gradient asked for, and they can run."""
    return (
        not torch.is_grad_enabled()
        and all(t.is_cuda and t.dtype == torch.float32 for t in tensors)
        and triton_runs(tensors[0].device)
    )


def on_cuda(reference: F) -> F:
    """The Triton form of an operation's function; Triton is imported here, and only if it is wanted."""
    folder, _, _ = reference.__module__.rpartition('.')
    return cast(F, getattr(import_module(f'{folder}.cuda'), reference.__name__))


@cache
def triton_runs(device: torch.device) -> bool:
    """Whether Triton's kernels can run there; if not, that is logged, once.

    PyTorch for CUDA on Linux brings Triton, but not the C compiler that Triton needs.
    """
    try:
        import_module(PARTS).try_out(device)
    except (ImportError, OSError, RuntimeError, CalledProcessError) as error:
        logging.getLogger(__name__).warning(
            'on %s, gathers and scatters take their slow plain form, as the kernels in Triton cannot run (%s); '
            'install triton (pip), and a C compiler with the headers of Python',
            device,
            error,
        )
        return False
    return True
