"""Fixtures that every test may use."""

from __future__ import annotations

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parent.parent.parent / 'shared'


@pytest.fixture(scope='session')
def shared() -> Path:
    """Folder of recorded numbers and real nuScenes images beside the checkout; the test is skipped without it."""
    if not SHARED.is_dir():
        pytest.skip('no folder "shared" (recordings, real images) beside the checkout')
    return SHARED
