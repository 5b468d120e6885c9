"""Scenes as a user names them: by name, by range, by official split."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from gdfusion_ros.errors import GdfusionError

SPLITS = ('train', 'val', 'test', 'mini_train', 'mini_val', 'train_detect', 'train_track')
"""The official splits of nuScenes."""

_RANGE = '..'
_SOME = 10  # how many scenes an error lists


def chosen(wanted: Sequence[str], known: Sequence[str]) -> set[str]:
    """Those of the ``known`` scene names that are ``wanted``; all of them where nothing is.

    Args:
        wanted: Names, ranges ``scene-0001..scene-0010`` in alphabetical order, or SPLITS. What a split or a range names
            beyond the known scenes is left out.
        known: Names of all scenes of a dataset.

    Raises:
        GdfusionError: an unknown name, a range or split of which nothing is known, or a split without nuscenes-devkit.
    """
    if not wanted:
        return set(known)
    found = {name: _named(name, known) for name in wanted}
    unknown = [name for name, scenes in found.items() if not scenes]
    if unknown:
        some = ', '.join(known[:_SOME]) + (f' and {len(known) - _SOME} more' if len(known) > _SOME else '')
        raise GdfusionError(f'no scene {", ".join(unknown)}; there are {some}')
    return set().union(*found.values())


def _named(name: str, known: Sequence[str]) -> Collection[str]:
    """The known scenes that one name, range or split means."""
    if name in known:
        return {name}
    if _RANGE in name:
        first, last = name.split(_RANGE, 1)
        return {scene for scene in known if first <= scene <= last}
    return set(known).intersection(_split(name)) if name in SPLITS else ()


def _split(name: str) -> Collection[str]:
    """Scene names of an official split."""
    try:
        from nuscenes.utils.splits import create_splits_scenes
    except ImportError as error:
        raise GdfusionError(
            f"the scenes of the split '{name}' are named by nuscenes-devkit, which cannot be imported "
            f"({error}); pip install 'gdfusion-ros[nuscenes]'"
        ) from error
    scenes: Sequence[str] = create_splits_scenes()[name]
    return scenes
