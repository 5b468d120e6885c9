"""Look at the grids of a bag in Foxglove, in Rerun, or in a browser; with images, cameras, transforms and diagnostics.

  gdfusion view scene-0103 grids --rerun drive.rrd      a file that Rerun opens: rerun drive.rrd
  gdfusion view scene-0103 grids --rerun                starts Rerun's viewer and fills it
  gdfusion view scene-0103 grids --foxglove             plays the grids, again and again, to Foxglove: open a
                                                        connection to ws://127.0.0.1:8765
  gdfusion view scene-0103 grids --page 8080            the same to a browser: http://127.0.0.1:8080
  gdfusion view scene-0103 --topic /ground_truth/occupancy --rerun truth.rrd

BAG has the images, GRIDS is what 'gdfusion replay' has made of it; without GRIDS the grids are in BAG, too. The live
node serves Foxglove and browsers itself: gdfusion node --foxglove --page 8080. Needs pip install with the viewer's
extra: 'gdfusion-ros[rerun]', 'gdfusion-ros[foxglove]', 'gdfusion-ros[page]'.
"""

from __future__ import annotations

import argparse
import itertools
import time
from pathlib import Path
from typing import TYPE_CHECKING

from gdfusion_ros.cli.common import add_pipeline_arguments, counted, pipeline_settings, progress, tell, topic_settings
from gdfusion_ros.cli.node import FOXGLOVE_PORT
from gdfusion_ros.errors import GdfusionError

if TYPE_CHECKING:
    from gdfusion_ros.viewers.from_bag import BagViews
    from gdfusion_ros.viewers.view import Viewer

HELP = 'look at grids in Foxglove, in Rerun or in a browser'
_LONGEST = 2.0
"""A grid stays no longer than this, however long the next one took [s]."""
_VIEWER = Path()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The bags, and where they are looked at."""
    parser.add_argument('bag', type=Path, metavar='BAG', help='bag with images, calibration and transforms')
    parser.add_argument('grids', type=Path, nargs='?', metavar='GRIDS', help='bag with the grids; default: BAG')
    parser.add_argument('--topic', default='/occ/occupancy', help='topic of the grids; default: %(default)s')
    where = parser.add_argument_group('viewer (one of them)').add_mutually_exclusive_group(required=True)
    where.add_argument(
        '--rerun',
        type=Path,
        nargs='?',
        const=_VIEWER,
        metavar='FILE',
        help='write FILE (.rrd) for Rerun; without FILE: start its viewer',
    )
    where.add_argument('--foxglove', action='store_true', help='serve Foxglove')
    where.add_argument('--page', type=int, metavar='PORT', help='serve a page for browsers')
    parser.add_argument('--port', type=int, default=FOXGLOVE_PORT, help='of --foxglove; default: %(default)s')
    parser.add_argument(
        '--host',
        default='127.0.0.1',
        help='address that is listened on; default: %(default)s, which is this computer only',
    )
    parser.add_argument('--rate', type=float, default=1.0, help='times real time that is played; default: %(default)s')
    parser.add_argument('--once', action='store_true', help='play once, not again and again')
    add_pipeline_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Show all grids; exit code 0."""
    from gdfusion_ros.evaluation.frame_scores import frame_scores
    from gdfusion_ros.viewers.from_bag import bag_views

    if args.rate <= 0:
        raise GdfusionError(f'--rate {args.rate:g}: expected more than 0')
    if args.rerun not in (None, _VIEWER) and args.rerun.suffix != '.rrd':
        raise GdfusionError(f'--rerun {args.rerun}: expected a file that ends in .rrd')
    pipeline, topics = pipeline_settings(args), topic_settings(args)
    with bag_views(
        args.bag, args.grids, args.topic, pipeline=pipeline, topics=topics, measure=frame_scores, tell=tell
    ) as views:
        viewer = _viewer(args)
        try:
            _fill(viewer, views) if args.rerun is not None else _play(viewer, views, args.rate, once=args.once)
        finally:
            viewer.close()
    if args.rerun not in (None, _VIEWER):
        print(f'{args.rerun}: {counted(len(views), "grid")}; rerun {args.rerun} shows them')
    return 0


def _viewer(args: argparse.Namespace) -> Viewer:
    """The viewer that was asked for."""
    if args.foxglove:
        from gdfusion_ros.viewers.foxglove import FoxgloveServer

        server = FoxgloveServer(args.host, args.port)
        print(f'Foxglove: open a connection to {server.url}', flush=True)
        return server
    if args.page is not None:
        from gdfusion_ros.viewers.page import LivePage

        page = LivePage(args.host, args.page)
        print(f'open {page.url} in a browser', flush=True)
        return page
    from gdfusion_ros.viewers.rerun import to_file, to_viewer

    return to_viewer() if args.rerun == _VIEWER else to_file(args.rerun)


def _fill(viewer: Viewer, views: BagViews) -> None:
    """Every grid at once: Rerun has a player of its own."""
    with progress(len(views), 'grid') as bar:
        for index in range(len(views)):
            viewer.show(views[index])
            bar.update()


def _play(viewer: Viewer, views: BagViews, rate: float, *, once: bool) -> None:
    """In the time of the stamps, from the start again at the end."""
    from gdfusion_ros.perception.types import NANOSECONDS

    gaps = [(after - before) / NANOSECONDS for before, after in itertools.pairwise(views.stamps)]
    stays = [min(max(gap, 0.0) / rate, _LONGEST) for gap in gaps]
    while True:
        for index in range(len(views)):
            begin = time.monotonic()
            viewer.show(views[index])
            stay = [*stays, _LONGEST][index]
            time.sleep(max(begin + stay - time.monotonic(), 0.0))
        if once:
            return
