"""Every tensor of the graphs is told of in docs/deploy.md."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gdfusion_ros.model.export.words import _WORDS, words

PAGE = Path(__file__).resolve().parents[3] / 'docs' / 'deploy.md'


def test_the_page_tells_every_tensor() -> None:
    told = set(re.findall(r'`([a-z_.*]+)`', PAGE.read_text('utf-8')))
    assert set(_WORDS) - told == set()


def test_words_are_found_by_name_and_place() -> None:
    assert words('next_state.memory.volumes.3') is words('state.memory.volumes.0')
    assert words('state.memory.voxel.frames').unit == 'frames'
    with pytest.raises(KeyError):
        words('state.nothing')
