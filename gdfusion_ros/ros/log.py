"""Log lines that do not flood: the same matter at most once a second."""

from __future__ import annotations

import time
from typing import Any

from gdfusion_ros.errors import LONGEST
from gdfusion_ros.names import printable


class Log:
    """A node's log. ``key`` tells matters apart; what is held back is counted and said with the next line."""

    PERIOD = 1.0

    def __init__(self, logger: Any) -> None:
        """``logger`` is the node's."""
        self._logger = logger
        self._next: dict[str, float] = {}
        self._held_back: dict[str, int] = {}

    def info(self, text: str) -> None:
        """Say what is as it should be."""
        self._logger.info(printable(text, LONGEST))

    def warning(self, key: str, text: str) -> None:
        """Warn of ``key``, unless there was a warning of it within the last second."""
        now = time.monotonic()
        if now < self._next.get(key, 0.0):
            self._held_back[key] = self._held_back.get(key, 0) + 1
            return
        self._next[key] = now + self.PERIOD
        held_back = self._held_back.pop(key, 0)
        said = printable(text, LONGEST)  # it may quote frames and topics of others
        self._logger.warning(f'{said} ({held_back} more like this)' if held_back else said)
