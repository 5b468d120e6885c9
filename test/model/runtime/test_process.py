"""What a process sets first."""

from __future__ import annotations

import gc
import subprocess
import sys
from pathlib import Path

import pytest

from gdfusion_ros.model.runtime import malloc
from gdfusion_ros.model.runtime.process import loading


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


def test_what_is_loaded_is_never_looked_through_for_garbage() -> None:
    try:
        with loading():
            assert not gc.isenabled()
            loaded: list[list[int]] = [[]]
        assert gc.isenabled()
        assert not any(each is loaded for each in gc.get_objects())
    finally:
        gc.unfreeze()
