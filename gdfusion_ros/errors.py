"""Errors that a user can mend. Every entry point prints them as one line, without a traceback."""

from __future__ import annotations

from gdfusion_ros.names import printable

LONGEST = 4000
"""Characters of an error: a checkpoint that does not fit names its first keys of every kind."""


class GdfusionError(Exception):
    """A fault of the input or the set-up.

    The message is one line that says what is wrong, with what (topic, stamp, path, key), and how to mend it. What it
    quotes may come from anybody: control characters are escaped, and what is longer than LONGEST is cut.
    """

    def __init__(self, message: object = '') -> None:
        """Made fit to be printed here, so that no log and no terminal has to."""
        super().__init__(printable(str(message), LONGEST))


class RepeatedError(GdfusionError):
    """The same work failed several times in a row by errors that nobody expected: to go on is of no use."""
