"""Names that come from others (tokens, scenes, topics, models): made fit to be printed, judged as names of files."""

from __future__ import annotations

import re

_FILE_NAME = re.compile(r'(?![.\s-])[^/\\]+(?<!\s)')
_LONGEST_NAME = 200  # bytes; the system allows 255, and endings are added
_RELATIVE_PATH = re.compile(r'(?![/~]|\w:)(?!.*(?:^|/)\.\.(?:/|$))[^\\]{1,1000}(?<!/)')


def printable(text: str, limit: int) -> str:
    """``text`` as one line of at most ``limit`` characters (10 or more): a terminal and a page show it as it is.

    Control characters are written as in Python (``\\x1b``), runs of line ends and tabs as a space. Of what is too long
    the middle is left out: the beginning says what, the end how to mend it. What is printable already stays.
    """
    if len(text) > limit:
        tail = limit // 3
        text = f'{text[: limit - tail - 3]} … {text[-tail:]}'
    if text.isprintable():
        return text
    text = re.sub(r'\s*[\t\r\n]\s*', ' ', text)
    line = ''.join(char if char.isprintable() else char.encode('unicode_escape').decode() for char in text)
    return line if len(line) <= limit else printable(line, limit)


def is_file_name(text: str) -> bool:
    """Whether ``text`` can name a file or folder of its own: no separator, no ``..``, nothing hidden or unprintable."""
    return _FILE_NAME.fullmatch(text) is not None and text.isprintable() and len(text.encode()) <= _LONGEST_NAME


def is_relative_path(text: str) -> bool:
    """Whether ``text`` names a file below a folder, with ``/`` between folders: not absolute, no ``..``."""
    return _RELATIVE_PATH.fullmatch(text) is not None and text.isprintable()
