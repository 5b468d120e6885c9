"""Log lines: held back where they repeat, harmless whatever they quote."""

from __future__ import annotations

import pytest

from gdfusion_ros.errors import LONGEST
from gdfusion_ros.ros.log import Log


class Logger:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def warning(self, line: str) -> None:
        self.lines.append(line)


def test_what_others_named_does_nothing_to_the_terminal() -> None:
    logger = Logger()
    Log(logger).warning('set dropped', "no transform of 'odd\x1b[2J\u202e\r\nframe" + 100_000 * 'x')
    (line,) = logger.lines
    assert line.startswith("no transform of 'odd\\x1b[2J\\u202e frame")
    assert line.isprintable()
    assert len(line) <= LONGEST


def test_the_same_matter_is_said_once_a_period_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    logger, moments = Logger(), iter([0.0, 0.5, 0.9, 0.9, 2.0])
    monkeypatch.setattr('time.monotonic', lambda: next(moments))
    log = Log(logger)
    for key in ('a', 'a', 'a', 'b', 'a'):
        log.warning(key, key)
    assert logger.lines == ['a', 'b', 'a (2 more like this)']
