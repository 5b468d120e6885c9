"""Links of Markdown pages: found, resolved against the repository, and written as the site has its files.

A page of the repository links other files of it by relative paths, as a code host shows them. On the site, the pages of
``docs/`` stand at the root and every other file that a page links stands below ``repository/``.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ELSEWHERE = 'repository/'
LINK = re.compile(r'(?<!\\)(\]\()([^)\s]+)(\))')
CODE = re.compile(r'^(```|~~~).*?^\1|`[^`\n]+`', re.DOTALL | re.MULTILINE)

UNSPACED = re.compile(r'^((?!\s|[*-] |\d+\. |\||#).+)\n(?=[*-] |1\. |\|)', re.MULTILINE)
"""A line of text right before a list or a table."""


def targets(text: str) -> list[str]:
    """What a page links, in order, but for what stands in code: with the anchor, if there is one."""
    return [match[2] for match in LINK.finditer(CODE.sub('', text))]


def is_outside(target: str) -> bool:
    """Whether a link leaves the repository, or stays on its page."""
    return target.startswith(('http://', 'https://', 'mailto:', '#'))


def resolved(page: str, target: str) -> str:
    """The path of a linked file, from the root of the repository as ``page``, without the anchor."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(page), target.partition('#')[0]))


def site_path(path: str) -> str:
    """Where the site has a file of the repository."""
    return path.removeprefix('docs/') if path.startswith('docs/') else ELSEWHERE + path


def in_repository(uri: str) -> str:
    """The file of the repository that the site has there."""
    return uri.removeprefix(ELSEWHERE) if uri.startswith(ELSEWHERE) else f'docs/{uri}'


def rewritten(page: str, text: str, exists: Callable[[str], bool]) -> str:
    """The page's text with links as the site has them; links to what does not exist there stay as they are."""

    def replaced(match: re.Match[str]) -> str:
        if is_outside(match[2]):
            return match[0]
        path, (_, hash_sign, anchor) = resolved(page, match[2]), match[2].partition('#')
        if not exists(path):
            return match[0]
        home = posixpath.relpath(site_path(path), posixpath.dirname(site_path(page)) or '.')
        return f'{match[1]}{home}{hash_sign}{anchor}{match[3]}'

    return outside_code(lambda prose: LINK.sub(replaced, prose), text)


def spaced(text: str) -> str:
    """The page with an empty line before lists and tables that follow a line of text: Python-Markdown wants one."""
    return outside_code(lambda prose: UNSPACED.sub(r'\1\n\n', prose), text)


def outside_code(change: Callable[[str], str], text: str) -> str:
    """The text with all that is no code changed."""
    pieces, start = [], 0
    for code in CODE.finditer(text):
        pieces += [change(text[start : code.start()]), code[0]]
        start = code.end()
    return ''.join([*pieces, change(text[start:])])
