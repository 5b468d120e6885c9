"""A synthetic dataset: a folder as nuScenes has it, with Occ3D labels, written whole or not at all.

Several processes plan and film its scenes; the result does not depend on how many there are.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import as_completed
from pathlib import Path

from gdfusion_ros.datasets.nuscenes import SYNTHETIC
from gdfusion_ros.files import folder_written_whole
from gdfusion_ros.synthetic import recipes, tables
from gdfusion_ros.synthetic.recipes import Recipe
from gdfusion_ros.synthetic.tables import Rows
from gdfusion_ros.synthetic.workers import parts, recorder, result, workers

_NOTICE = """Made by gdfusion synthesize: no place, vehicle or person in it exists. CC0 1.0: do with it what you like.
recipe.json says what it follows from; the same recipe gives the same files.
LIDAR_TOP has rows in the tables, and files only where the recipe says lidar.
"""


def synthesize(out: Path, recipe: Recipe, jobs: int, on_frames: Callable[[int], object] = lambda _: None) -> None:
    """Write a dataset.

    Args:
        out: Its folder.
        recipe: What it shall hold.
        jobs: Processes that work on it.
        on_frames: Told how many more key frames have been written.

    Raises:
        GdfusionError: a recipe out of bounds, ``out`` exists or cannot be written, a process was killed.
    """
    recipes.check(recipe)
    with folder_written_whole(out) as draft, workers(jobs) as pool:
        draft.mkdir()
        films = [pool.submit(_film, recipe, index, frames, draft) for index, frames in parts(recipe)]
        for done in as_completed(films):
            on_frames(result(done))
        scenes = [pool.submit(_describe, recipe, index, draft) for index in range(recipe.scenes)]
        tables.write(draft / SYNTHETIC, [tables.shared_rows(recipe), *map(result, scenes)])
        recipes.write(draft, recipe)
        (draft / 'LICENSE').write_text(_NOTICE)


def _film(recipe: Recipe, index: int, frames: range, root: Path) -> int:
    """Write some key frames of a scene; returns how many."""
    recorder(recipe, index, root).record(frames)
    return len(frames)


def _describe(recipe: Recipe, index: int, root: Path) -> Rows:
    """Write the map of a scene; returns its rows of the tables."""
    there = recorder(recipe, index, root)
    there.record_map()
    return tables.scene_rows(there.drive)
