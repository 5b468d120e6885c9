"""Published names of weights: tables relative to building blocks, and networks that mount them (bevdetocc_gf.md §10).

Inside the package modules have names that say what they are; files carry the published ones. A building block says in a
table how its own keys are called there, a network says where each of its blocks stands in both worlds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from gdfusion_ros.errors import GdfusionError

Table = Mapping[str, str]
"""Beginnings of a block's keys -> of their published names, the longest that fits counts."""

SAME: Table = {'': ''}
"""Of a block whose keys are called alike."""


@dataclass(frozen=True)
class Mount:
    """A building block of a network: where it stands in the network, and in files."""

    ours: str
    published: str
    table: Table = field(default_factory=lambda: SAME)

    @cached_property
    def full(self) -> Table:
        """The table with the places in front."""
        return {f'{self.ours}.{ours}': f'{self.published}.{published}' for ours, published in self.table.items()}


def renamed(key: str, table: Table) -> str:
    """The key as the table has it.

    Raises:
        GdfusionError: it has none for it.
    """
    fitting = [beginning for beginning in table if key.startswith(beginning)]
    if not fitting:
        raise GdfusionError(f"weight '{key}' has no published name; a table of the network's blocks has to give it one")
    best = max(fitting, key=len)
    return table[best] + key[len(best) :]


def to_published(key: str, mounts: Sequence[Mount]) -> str:
    """Published name of a key of the network's state dict.

    Raises:
        GdfusionError: no mounted table knows the key.
    """
    return renamed(key, {ours: published for mount in mounts for ours, published in mount.full.items()})
