"""Scenes by name, range and official split."""

from __future__ import annotations

import sys

import pytest

from gdfusion_ros.datasets.scene_names import SPLITS, chosen
from gdfusion_ros.errors import GdfusionError

KNOWN = ('scene-0061', 'scene-0103', 'scene-0553', 'scene-0916')


def test_takes_all_where_nothing_is_wanted() -> None:
    assert chosen([], KNOWN) == set(KNOWN)


@pytest.mark.parametrize(
    ('wanted', 'found'),
    [
        (['scene-0103'], {'scene-0103'}),
        (['scene-0001..scene-0103'], {'scene-0061', 'scene-0103'}),
        (['scene-0100..scene-0553', 'scene-0061'], {'scene-0061', 'scene-0103', 'scene-0553'}),
    ],
)
def test_names_and_ranges(wanted: list[str], found: set[str]) -> None:
    assert chosen(wanted, KNOWN) == found


def test_official_splits_are_those_of_the_devkit() -> None:
    splits = pytest.importorskip('nuscenes.utils.splits').create_splits_scenes()
    assert set(SPLITS) == set(splits)
    assert chosen(['mini_val'], KNOWN) == {'scene-0103', 'scene-0916'}
    assert chosen(['mini_train', 'scene-0103'], KNOWN) == {'scene-0061', 'scene-0553', 'scene-0103'}
    assert len(chosen(['val'], splits['val'] + splits['train'])) == 150


@pytest.mark.parametrize(
    ('wanted', 'unknown'),
    [
        (['scene-0061', 'scene-0007', 'nope'], 'no scene scene-0007, nope; there are scene-0061'),
        (['scene-0200..scene-0300'], 'no scene scene-0200..scene-0300'),
        (['test'], 'no scene test'),
    ],
)
def test_what_is_not_there_is_named(wanted: list[str], unknown: str) -> None:
    if wanted == ['test']:
        pytest.importorskip('nuscenes')
    with pytest.raises(GdfusionError, match=unknown):
        chosen(wanted, KNOWN)


def test_lists_only_some_of_many_scenes() -> None:
    with pytest.raises(GdfusionError, match=r'scene-9 and 40 more$'):
        chosen(['x'], [f'scene-{number}' for number in range(50)])


def test_a_split_without_the_devkit_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, 'nuscenes.utils.splits', None)
    with pytest.raises(GdfusionError, match=r"pip install 'gdfusion-ros\[nuscenes\]'$"):
        chosen(['val'], KNOWN)
    assert chosen(['scene-0061'], KNOWN) == {'scene-0061'}
