"""Trees of dataclasses and tuples whose leaves are tensors: what slots need of a frame, and what they remember."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass, replace
from functools import cache
from typing import Any, TypeVar, cast

from torch import Tensor

D = TypeVar('D')


def children(part: Any) -> Iterator[tuple[str, Any]]:
    """What a dataclass or a tuple is made of, by name; of anything else, nothing."""
    if is_dataclass(part):
        kind: type = type(part)
        yield from ((name, getattr(part, name)) for name in _names(kind))
    elif isinstance(part, tuple):
        yield from ((str(index), value) for index, value in enumerate(part))


@cache
def _names(kind: type) -> tuple[str, ...]:
    """Of the fields of a dataclass, which ``fields`` would look for anew with every frame."""
    return tuple(item.name for item in fields(kind))


def leaves(part: Any, prefix: str = '') -> Iterator[tuple[str, Any]]:
    """Everything in the tree that is no tree itself, by its name, e.g. ``voxel.volume``; None is left out."""
    for name, value in children(part):
        if is_dataclass(value) or isinstance(value, tuple):
            yield from leaves(value, f'{prefix}{name}.')
        elif value is not None:
            yield prefix + name, value


def named_tensors(part: Any) -> Iterator[tuple[str, Tensor]]:
    """Every tensor of the tree by its name."""
    yield from ((name, value) for name, value in leaves(part) if isinstance(value, Tensor))


def mapped(part: D, change: Callable[[Tensor], Tensor]) -> D:
    """The same tree with every tensor changed."""
    return renewed(part, lambda _, value: change(value) if isinstance(value, Tensor) else value)


def renewed(part: D, change: Callable[[str, Any], Any], prefix: str = '') -> D:
    """The same tree with every leaf, of that name, changed."""
    changed = {}
    for name, value in children(part):
        inner = is_dataclass(value) or isinstance(value, tuple)
        changed[name] = (
            renewed(value, change, f'{prefix}{name}.')
            if inner
            else value
            if value is None
            else change(prefix + name, value)
        )
    if isinstance(part, tuple):
        return cast(D, tuple(changed.values()))
    return cast(D, replace(part, **changed)) if is_dataclass(part) else part  # type: ignore[type-var]
