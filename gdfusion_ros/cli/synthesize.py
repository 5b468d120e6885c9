"""Make a dataset in nuScenes format, with Occ3D labels: drives through towns that do not exist.

  gdfusion synthesize made --scenes 10 --frames 40
  gdfusion synthesize held_out --scenes 4 --seed 100000 --weather night rain
  gdfusion synthesize made --scenes 2 --frames 20 --sweeps --lidar --resolution 1600x900
  gdfusion synthesize made --check

Writes OUT with tables (v1.0-synthetic), six cameras' JPEG files, and gts/ with classes and masks of the voxels, which
gdfusion convert and the nuscenes-devkit read as they read nuScenes. Cameras, their places and their timing are like
nuScenes' own. The default image size, 704x256, is what the network sees of an image of 1600x900.

Every choice comes from the seed: the same arguments give the same files, and scene k of a seed is the same in a larger
dataset. The light stays the same within a scene.

--check compares a dataset that is there, or is being made, with what its seed says: are the images the ones rendered,
and does every labelled voxel, projected with the tables' calibration and poses, meet its class? It fails below 97 %.

OUT appears when it is whole; what is stopped leaves nothing. Nothing is overwritten.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from gdfusion_ros.cli.common import counted, progress
from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.renamed import add_old_flag

if TYPE_CHECKING:
    from gdfusion_ros.synthetic.consistency_check import Consistency
    from gdfusion_ros.synthetic.recipes import Recipe

HELP = 'make a synthetic dataset in nuScenes format, with ground truth'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the verb."""
    parser.add_argument('out', type=Path, help="the dataset's folder")
    parser.add_argument('--scenes', type=int, help='how many scenes; needed unless OUT is only checked')
    parser.add_argument('--seed', type=int, default=0, help='where every choice comes from; default: %(default)s')
    parser.add_argument(
        '--frames', type=int, default=40, help='key frames of a scene, about two a second; default: %(default)s'
    )
    parser.add_argument('--resolution', default='704x256', metavar='WxH', help='of the images; default: %(default)s')
    parser.add_argument(
        '--weather',
        nargs='+',
        default=(),
        metavar='WEATHER',
        help='light and weather to choose from; default: all. An unknown one gives the list',
    )
    add_old_flag(parser, '--moods', nargs='+')
    parser.add_argument(
        '--crowded',
        action='store_true',
        help='streets full of people, cycles, trucks, roadworks and '
        'all else that is rare on an ordinary day: more to learn from in every image',
    )
    parser.add_argument('--sweeps', action='store_true', help='images at 12 Hz, and LiDAR at 20 Hz with --lidar')
    parser.add_argument('--lidar', action='store_true', help='points of LIDAR_TOP, 32 beams')
    parser.add_argument(
        '--jobs', type=int, default=os.cpu_count() or 1, help='processes; default: the cores, %(default)s'
    )
    parser.add_argument(
        '--check', action='store_true', help='compare images, calibration and labels; exit code 1 where they disagree'
    )


def run(args: argparse.Namespace) -> int:
    """Make the dataset, check it, or both."""
    if args.jobs < 1:
        raise GdfusionError(f'--jobs {args.jobs}: at least one process is needed')
    if args.scenes is None and not args.check:
        raise GdfusionError('--scenes: how many scenes shall be made? (or --check, for a dataset that is there)')
    if args.scenes is not None:
        _make(args.out, _recipe(args), args.jobs)
    return _check(args.out, args.jobs) if args.check else 0


def _recipe(args: argparse.Namespace) -> Recipe:
    from gdfusion_ros.synthetic.recipes import Recipe
    from gdfusion_ros.synthetic.weather import WEATHER

    width, separator, height = args.resolution.partition('x')
    if not (separator and width.isdecimal() and height.isdecimal()):
        raise GdfusionError(f'--resolution {args.resolution}: expected WIDTHxHEIGHT, e.g. 704x256')
    return Recipe(
        args.seed,
        args.scenes,
        args.frames,
        int(width),
        int(height),
        args.sweeps,
        args.lidar,
        tuple(args.weather) or tuple(WEATHER),
        args.crowded,
    )


def _make(out: Path, recipe: Recipe, jobs: int) -> None:
    from gdfusion_ros.synthetic.synthesize import synthesize

    begin, frames = time.monotonic(), recipe.scenes * recipe.frames
    with progress(frames, 'frame', 'making') as bar:
        synthesize(out, recipe, jobs, bar.update)
    took = time.monotonic() - begin
    print(
        f'{out}: {counted(recipe.scenes, "scene")} of {counted(recipe.frames, "key frame")}, seed {recipe.seed}, '
        f'in {took:.0f} s ({frames / took:.2f} key frames/s)'
    )


def _check(out: Path, jobs: int) -> int:
    from gdfusion_ros.synthetic import recipes
    from gdfusion_ros.synthetic.consistency_check import examine

    recipe = recipes.read(out)
    with progress(recipe.scenes * recipe.frames, 'frame', 'checking') as bar:
        consistency = examine(out, jobs, bar.update)
    _report(consistency)
    return 0 if consistency.holds else 1


def _report(consistency: Consistency) -> None:
    from tabulate import tabulate

    from gdfusion_ros.perception.labels import OCC3D_NUSCENES
    from gdfusion_ros.synthetic.consistency_check import REQUIRED

    counts = [
        (label.name, int(consistency.visible[label.id]), int(consistency.agreeing[label.id]))
        for label in OCC3D_NUSCENES.classes
        if consistency.visible[label.id]
    ]
    print(
        tabulate(
            [(name, visible, f'{agreeing / visible:.2%}') for name, visible, agreeing in counts],
            headers=('class', 'visible voxels', 'agree'),
            disable_numparse=True,
            colalign=('left', 'right', 'right'),
        )
    )
    if consistency.differing:
        print(
            f'{len(consistency.differing)} images are not the ones that the seed gives: '
            f'{", ".join(consistency.differing[:3])}{", …" if len(consistency.differing) > 3 else ""}'
        )
    print(
        f'{consistency.share:.2%} of the visible voxels agree with the images ({REQUIRED:.0%} required): '
        f'{"passed" if consistency.holds else "FAILED"}'
    )
