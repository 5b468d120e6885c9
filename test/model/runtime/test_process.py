"""What a process sets first."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from gdfusion_ros.model.runtime import malloc


def test_no_thread_computes_with_subnormal_numbers() -> None:
    script = Path(__file__).with_name('subnormals.py')
    done = subprocess.run([sys.executable, str(script)], check=True, capture_output=True, text=True)
    assert done.stdout == '0.0 0.0\n' * 2


@pytest.mark.parametrize(
    ('text', 'found'),
    [
        ('always [madvise] never\n', True),
        ('[always] madvise never\n', True),
        ('always madvise [never]\n', False),
        (None, False),
    ],
)
def test_huge_pages_are_asked_for_where_the_system_has_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None, found: bool
) -> None:
    monkeypatch.setattr(malloc, 'HUGE_PAGES', tmp_path / 'enabled')
    if text is not None:
        malloc.HUGE_PAGES.write_text(text)
    assert malloc.has_huge_pages() is found
