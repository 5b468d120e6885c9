"""Frames that end early, because the process shall."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn


class InterruptedFrameError(BaseException):
    """A network was stopped in the middle of a frame. As KeyboardInterrupt, it is no fault of what was being done."""


def make_interruptible(network: nn.Module, stopped: Callable[[], bool]) -> None:
    """Look at ``stopped`` before each layer of ``network``: a frame then takes no longer than one layer.

    From then on a call of the network raises InterruptedFrameError once ``stopped()`` is true.
    """
    def look(_layer: nn.Module, _arguments: object) -> None:
        if stopped():
            raise InterruptedFrameError

    for layer in network.modules():
        layer.register_forward_pre_hook(look)
