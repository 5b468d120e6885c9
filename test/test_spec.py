"""References to the descriptions of the networks: each names a file of docs/spec and a section that it has."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SPEC = ROOT / 'docs' / 'spec'
SECTION = r'§(C?\d+(?:\.\d+)?)'
REFERENCE = re.compile(rf'(\w+\.md)((?:,? {SECTION})+)')
LOOSE = re.compile(rf'(?<!\.md )(?<!\d, )(?:{SECTION})|[Ss]pec section|[Ss]pec QUIRK')
HEADING = re.compile(r'^##+ (C?\d+(?:\.\d+)?)[. ]', re.MULTILINE)


def texts() -> list[Path]:
    """Every text of the repository that may cite."""
    listed = subprocess.run(
        ['git', 'ls-files', '--', '*.py', '*.md', '*.yaml', '*.msg'],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split('\n')
    return [ROOT / name for name in listed if name and (ROOT / name).is_file()]


def sections(name: str) -> set[str]:
    """Of a file of docs/spec; none where there is no such file."""
    return set(HEADING.findall((SPEC / name).read_text())) if (SPEC / name).is_file() else set()


@pytest.mark.skipif(not (ROOT / '.git').exists(), reason='not a checkout')
def test_every_reference_to_a_section_resolves() -> None:
    found = [
        (path, name, section)
        for path in texts()
        for name, list_of in ((match[1], match[2]) for match in REFERENCE.finditer(path.read_text()))
        for section in re.findall(SECTION, list_of)
    ]
    assert len(found) > 50
    assert [
        (str(path.relative_to(ROOT)), name, section) for path, name, section in found if section not in sections(name)
    ] == []


@pytest.mark.skipif(not (ROOT / '.git').exists(), reason='not a checkout')
def test_every_reference_says_of_which_file() -> None:
    others = [path for path in texts() if path.parent != SPEC and path != Path(__file__)]
    assert [
        (str(path.relative_to(ROOT)), match[0]) for path in others for match in LOOSE.finditer(path.read_text())
    ] == []


def test_what_resolves() -> None:
    assert re.findall(SECTION, ' §5, §2.1') == ['5', '2.1']
    assert {'5', '2.1', '16'} <= sections('bevdetocc_gf.md')
    assert 'C8' in sections('alocc.md')
    assert sections('none.md') == set()
    assert LOOSE.search('as §4 says')
    assert not LOOSE.search('(alocc.md §5, §6)')
