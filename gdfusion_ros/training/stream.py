"""Which frame a slot sees at which step: streams of whole scenes, each walked through from first to last.

One endless list of scenes, permutation after permutation, is dealt out to the slots in turn; so every slot shows an
uninterrupted video, and any two slots are at unrelated places. Where a step holds few frames, the slots take turns, so
that neighbouring steps are unrelated too. Nothing here is random but the seed: a run that goes on at step k sees what
it would have seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np


@dataclass(frozen=True)
class Item:
    """One frame of a stream.

    Attributes:
        scene: index of the scene.
        frame: index of the key frame in it; 0 starts a sequence.
        draw: how many scenes the list had before this one; with ``frame`` it seeds the augmentation.
    """

    scene: int
    frame: int
    draw: int


def scenes(count: int, seed: int) -> Iterator[int]:
    """Indices of ``count`` scenes, one random permutation after the other, without end."""
    random = np.random.default_rng([seed, count])
    while True:
        yield from map(int, random.permutation(count))


def slot(lengths: Sequence[int], seed: int, index: int, slots: int) -> Iterator[Item]:
    """What slot ``index`` of ``slots`` sees, turn by turn; ``lengths`` are the key frames of the scenes."""
    dealt = islice(enumerate(scenes(len(lengths), seed)), index, None, slots)
    return (Item(scene, frame, draw) for draw, scene in dealt for frame in range(lengths[scene]))


@dataclass(frozen=True)
class Stream:
    """The items of some neighbouring slots, turn by turn, slot by slot.

    Attributes:
        lengths: key frames of every scene; at least one is not 0.
        seed: of the order of scenes.
        first, count: which slots are seen here, out of
        slots: all of them.
        steps: (first, end) of the steps.
        turns: steps until each slot has had its turn; divides ``count``.
    """

    lengths: Sequence[int]
    seed: int
    first: int
    count: int
    slots: int
    steps: tuple[int, int]
    turns: int = 1

    def __iter__(self) -> Iterator[Item]:
        """``count / turns`` items a step."""
        own = [self._begun(self.first + index) for index in range(self.count)]
        first, end = (step * self.count // self.turns for step in self.steps)
        return islice((item for row in zip(*own, strict=True) for item in row), first, end)

    def _begun(self, index: int) -> Iterator[Item]:
        """A slot's items. Slots that take turns begin at different places of their first scenes: so they do not start
        their sequences all at about the same step.
        """
        first = next(islice(scenes(len(self.lengths), self.seed), index, None))
        skipped = self.lengths[first] * index // self.slots if self.turns > 1 else 0
        return islice(slot(self.lengths, self.seed, index, self.slots), skipped, None)

    def __len__(self) -> int:
        return self.count // self.turns * (self.steps[1] - self.steps[0])
