"""Errors that a user can mend. Every entry point prints them as one line, without a traceback."""

from __future__ import annotations


class GdfusionError(Exception):
    """A fault of the input or the set-up.

    The message is one line that says what is wrong, with what (topic, stamp, path, key), and how to mend it.
    """


class RepeatedError(GdfusionError):
    """The same work failed several times in a row by errors that nobody expected: to go on is of no use."""
