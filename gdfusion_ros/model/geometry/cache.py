"""What depends on calibration alone, kept by whoever runs a network over frames."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import is_dataclass, replace
from typing import Any, TypeVar

import torch
from torch import Tensor

from gdfusion_ros.model.parts import children

T = TypeVar('T')


class CalibrationCache:
    """The last value of each function of matrices: computed again only when one of its arguments changes.

    Belongs to one caller and one thread. It can hold nothing that depends on weights: a network's geometry has none.
    """

    def __init__(self) -> None:
        """Empty: the first call of each function computes."""
        self._kept: dict[Callable[..., Any], tuple[tuple[Any, ...], Any]] = {}

    def __call__(self, function: Callable[..., T], *arguments: Any) -> T:
        """``function(*arguments)``, or what it gave for equal ones: tensors, dataclasses of tensors, plain values."""
        then, value = self._kept.get(function, (None, None))
        if then is None or not _equal(then, arguments):
            value = function(*arguments)
            self._kept[function] = _copied(arguments), value
        kept: T = value  # type: ignore[assignment]
        return kept


class NoCache(CalibrationCache):
    """Computes everything every time, and compares nothing: what a graph does."""

    def __call__(self, function: Callable[..., T], *arguments: Any) -> T:
        """``function(*arguments)``."""
        return function(*arguments)


def _equal(one: Any, other: Any) -> bool:
    if one is other:
        return True
    if isinstance(one, Tensor):
        return torch.equal(one, other)
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(_equal, one, other))
    if is_dataclass(one):
        return all(_equal(value, getattr(other, name)) for name, value in children(one))
    return bool(one == other)


def _copied(value: Any) -> Any:
    """The same, safe from changes in place of the caller's small matrices; what the cache itself gave is not copied."""
    if isinstance(value, tuple):
        return tuple(map(_copied, value))
    if isinstance(value, Tensor):
        return value.clone()
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{name: _copied(inner) for name, inner in children(value)})
    return value
