"""Render grids as a picture, a video or a page to explore in the browser; ground truth beside them, if it is there.

  gdfusion render grids --images scene-0103 --out last.png       the last grid, with the images that it was made from
  gdfusion render grids --stamp 1533151605.5 --out picture.png   the one nearest to that time
  gdfusion render grids --images scene-0103 --out drive.mp4      every grid, in real time
  gdfusion render grids --images scene-0103 --out drive.html     every grid in 3-D: turn, zoom, play, switch classes
  gdfusion render grids --images a b --truth c --out x.html      grids of two scenes, ground truth from a third bag
  gdfusion render scene-0103 --topic /ground_truth/occupancy --out truth.html
  gdfusion render gts/scene-0103/TOKEN/labels.npz --out labels.png
  gdfusion render TOKEN.npz --truth gts/scene-0103/TOKEN/labels.npz --out compared.html

SOURCE is a bag that 'gdfusion replay' has written, a recording of the live node, or an .npz file: labels of Occ3D or a
prediction in the form of its benchmark. Ground truth is what 'gdfusion convert --labels' puts on
/ground_truth/occupancy, in the same bag, in one with the images or in that of --truth; a grid is shown with the one
whose stamp is nearest, within 0.1 s.

The ending of FILE decides: .png is 1920 x 1080, .mp4 the same as H.264 (needs pip install 'gdfusion-ros[video]'), .html
one file that needs no network and can be sent to anybody. A file that exists is never overwritten.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from gdfusion_ros.cli.common import add_pipeline_arguments, progress, tell, topic_settings
from gdfusion_ros.errors import GdfusionError

if TYPE_CHECKING:
    from gdfusion_ros.bags.snapshots import BagSnapshots
    from gdfusion_ros.visualization.snapshot import Parts, Snapshot

HELP = 'render grids as a picture, a video or an HTML page'
KINDS = ('.png', '.mp4', '.html')
PAGE_FRAMES = 120
"""How many frames a page has at most unless told otherwise: about 20 MB with images."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the verb."""
    parser.add_argument('source', type=Path, metavar='SOURCE', help='bag with grids, or .npz file')
    parser.add_argument(
        '--images',
        type=Path,
        nargs='+',
        default=(),
        metavar='BAG',
        help='bags with the camera images; default: the same bag',
    )
    parser.add_argument(
        '--truth', type=Path, metavar='BAG', help='bag with the ground truth; beside an .npz file another one'
    )
    parser.add_argument('--topic', default='/occ/occupancy', help='topic of the grids; default: %(default)s')
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        '--index', type=int, metavar='N', help='only this grid, counted from 0; from -1 back from the end'
    )
    which.add_argument('--stamp', type=_stamp, metavar='SECONDS', help='only the grid nearest to this stamp')
    which.add_argument(
        '--max-frames',
        type=_positive,
        metavar='N',
        help=f'at most so many frames, evenly taken; default: all, {PAGE_FRAMES} in a page',
    )
    parser.add_argument(
        '--fps', type=_rate, metavar='RATE', help='frames a second of a video; default: real time, after the stamps'
    )
    parser.add_argument('--out', type=Path, required=True, metavar='FILE', help='file to write: .png, .mp4 or .html')
    add_pipeline_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Render, and say what was written."""
    from gdfusion_ros.bags.snapshots import Sources, bag_snapshots
    from gdfusion_ros.visualization.video import frame_rate

    _check(args)
    if args.source.suffix == '.npz':
        frame = _frame_of_files(args)
        _write(args.out, [frame], frame.parts, args.fps or frame_rate([]))
        _report(args.out, 1, frame.parts)
        return 0
    sources = Sources(args.source, args.topic, tuple(args.images), args.truth, topic_settings(args))
    with bag_snapshots(sources, tell) as frames:
        chosen = _chosen(args, frames)
        parts = frames.parts if len(chosen) > 1 else frames[chosen[0]].parts
        _write(args.out, _read(frames, chosen), parts, args.fps or frame_rate([frames.stamps[i] for i in chosen]))
        _report(args.out, len(chosen), parts)
        if args.out.suffix == '.html' and not args.max_frames and 1 < len(chosen) < len(frames):
            print(f'these are {len(chosen)} of {len(frames)} grids, evenly taken; --max-frames takes more')
    return 0


def _check(args: argparse.Namespace) -> None:
    """Refuse, before the work, what cannot be done."""
    from gdfusion_ros.files import refuse_existing
    from gdfusion_ros.visualization.video import require_encoder

    if args.out.suffix not in KINDS:
        raise GdfusionError(f"{args.out}: unknown format '{args.out.suffix}'; known are {', '.join(KINDS)}")
    refuse_existing(args.out)
    if args.out.suffix == '.mp4':
        require_encoder()
    elif args.fps:
        raise GdfusionError(f'--fps is the rate of a video; {args.out} is none')
    if args.out.suffix == '.png' and args.max_frames:
        raise GdfusionError(f'{args.out} shows one grid; choose it with --index or --stamp')
    if args.source.suffix == '.npz' and args.images:
        raise GdfusionError(f'{args.source} has no stamp by which --images could be found; render a bag')


def _frame_of_files(args: argparse.Namespace) -> Snapshot:
    from gdfusion_ros.datasets.grid_file import read_grid
    from gdfusion_ros.visualization.snapshot import Snapshot

    return Snapshot(read_grid(args.source), read_grid(args.truth) if args.truth else None)


def _chosen(args: argparse.Namespace, frames: BagSnapshots) -> Sequence[int]:
    """Numbers of the grids to show."""
    count = len(frames)
    if args.stamp is not None:
        return [frames.nearest(args.stamp)]
    if args.index is not None or args.out.suffix == '.png':
        index = -1 if args.index is None else args.index
        if not -count <= index < count:
            raise GdfusionError(
                f'bag {args.source} has {count} grids on {args.topic}, there is no number {index}: '
                'count from 0, or from -1 back from the end'
            )
        return [index % count]
    most = args.max_frames or (PAGE_FRAMES if args.out.suffix == '.html' else count)
    return range(0, count, -(-count // most))


def _read(frames: BagSnapshots, chosen: Sequence[int]) -> Iterator[Snapshot]:
    """The chosen frames, with a progress bar where there are several."""
    if len(chosen) == 1:
        yield frames[chosen[0]]
        return
    with progress(len(chosen), 'frame') as bar:
        for index in chosen:
            yield frames[index]
            bar.update()


def _write(out: Path, frames: Iterable[Snapshot], parts: Parts, rate: Fraction) -> None:
    from gdfusion_ros.visualization import page, sheet, video

    if out.suffix == '.mp4':
        video.write(out, frames, parts, rate)
    elif out.suffix == '.html':
        page.write(out, frames, parts)
    else:
        (frame,) = frames
        sheet.write(out, frame)


def _report(out: Path, count: int, parts: Parts) -> None:
    from gdfusion_ros.bags.info import format_size

    size = out.stat().st_size
    what = [name for name, there in (('ground truth', parts.truth), ('camera images', parts.images)) if there]
    print(
        f'{out}: {count} grid{"s" if count > 1 else ""}{" with " if what else ""}{" and ".join(what)}, '
        f'{format_size(size)}' + (f', {format_size(size // count)} each' if count > 1 else '')
    )


def _stamp(text: str) -> int:
    """Decimal seconds as nanoseconds, exactly."""
    try:
        return int(Decimal(text) * 1_000_000_000)
    except (InvalidOperation, OverflowError, ValueError) as error:
        raise argparse.ArgumentTypeError(f'expected seconds, got {text}') from error


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f'expected a number from 1, got {text}')
    return int(text)


def _rate(text: str) -> Fraction:
    try:
        rate = Fraction(text).limit_denominator(1000)
    except (ValueError, ZeroDivisionError) as error:
        raise argparse.ArgumentTypeError(f'expected a rate, got {text}') from error
    if not 0 < rate <= 240:
        raise argparse.ArgumentTypeError(f'expected a rate above 0 and up to 240, got {text}')
    return rate
