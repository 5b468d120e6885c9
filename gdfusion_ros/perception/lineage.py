"""Which of the many frames on /tf matter here."""

from __future__ import annotations


class Lineage:
    """Which frames decide on the poses that are asked for: those frames themselves and all above them."""

    def __init__(self, *frames: str) -> None:
        """``frames`` will be asked for."""
        self._asked = set(frames)
        self._parents: dict[str, str] = {}
        self._members = set(frames)

    def ask(self, *frames: str) -> None:
        """Poses of these frames are asked for, too."""
        if not self._asked.issuperset(frames):
            self._asked.update(frames)
            self._trace()

    def add(self, parent: str, child: str) -> None:
        """A transform says that ``child`` is placed in ``parent``."""
        if self._parents.get(child) != parent:
            self._parents[child] = parent
            if child in self._members:
                self._trace()

    def __contains__(self, frame: str) -> bool:
        return frame in self._members

    def _trace(self) -> None:
        """Find the frames again: those that are asked for and all above them."""
        self._members = set()
        for frame in self._asked:
            while frame and frame not in self._members:
                self._members.add(frame)
                frame = self._parents.get(frame, '')  # noqa: PLW2901 - the way up
