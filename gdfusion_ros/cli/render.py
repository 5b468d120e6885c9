"""Render a grid of a bag as a picture: 3-D view, bird's-eye view, camera images, legend.

  gdfusion render grids --images scene-0103 --out last.png       the last grid, with the images that it was made from
  gdfusion render grids --index 0 --out first.png                the first one, without images
  gdfusion render grids --stamp 1533151605.5 --out picture.png   the one nearest to that time

BAG is what 'gdfusion replay' writes, or a recording of the live node. Writes one PNG, 1920 px wide; a file that exists
is never overwritten.
"""

from __future__ import annotations

import argparse
from decimal import Decimal, InvalidOperation
from pathlib import Path

from gdfusion_ros.errors import GdfusionError

HELP = 'render a grid of a bag as a picture'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the verb."""
    parser.add_argument('bag', type=Path, metavar='BAG', help='bag with grids')
    parser.add_argument('--images', type=Path, metavar='BAG', help='bag with the camera images; default: the same bag')
    parser.add_argument('--topic', default='/occ/occupancy', help='topic of the grids; default: %(default)s')
    which = parser.add_mutually_exclusive_group()
    which.add_argument('--index', type=int, default=-1, metavar='N',
                       help='number of the grid, from 0; negative ones count from the end; default: the last')
    which.add_argument('--stamp', type=_stamp, metavar='SECONDS', help='the grid nearest to this stamp')
    parser.add_argument('--out', type=Path, required=True, metavar='FILE', help='picture to write (.png)')


def run(args: argparse.Namespace) -> int:
    """Render, and say what was written."""
    from gdfusion_ros.bags.grids import grid_at, grid_near, images_of
    from gdfusion_ros.bags.reader import bag_reader
    from gdfusion_ros.perception.types import stamp_text
    from gdfusion_ros.settings import TopicSettings
    from gdfusion_ros.visualization.files import check, save
    from gdfusion_ros.visualization.sheet import picture

    check(args.out)
    with bag_reader(args.bag) as bag:
        grid = grid_at(bag, args.topic, args.index) if args.stamp is None else grid_near(bag, args.topic, args.stamp)
    with bag_reader(args.images or args.bag) as bag:
        images = images_of(bag, grid, TopicSettings())
    if args.images and not images:
        raise GdfusionError(f'{args.images} has no image of {", ".join(grid.cameras)} at {stamp_text(grid.stamp)}')
    save(picture(grid, images), args.out)
    print(f'{args.out}: grid at {stamp_text(grid.stamp)} by {grid.model}, with {len(images)} camera images')
    return 0


def _stamp(text: str) -> int:
    """Decimal seconds as nanoseconds, exactly."""
    try:
        return int(Decimal(text) * 1_000_000_000)
    except (InvalidOperation, OverflowError, ValueError) as error:
        raise argparse.ArgumentTypeError(f'expected seconds, got {text}') from error
