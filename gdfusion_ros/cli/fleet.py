"""Run the network over many bags, on all cores of this machine or of many (pip install 'gdfusion-ros[fleet]').

  gdfusion fleet recordings --out grids                               every bag in a folder, this machine
  gdfusion fleet '/data/2026-*/drive_*' list.txt --out grids --evaluate --render
  gdfusion fleet /data/nuscenes --scenes val --out grids --weights w.pth --evaluate --address auto --gpus-per-worker 0.5
  gdfusion fleet s3://bucket/july --out s3://bucket/grids --address head:6379 --cpus-per-worker 2
  gdfusion fleet recordings --out grids --resume                      goes on where a run was stopped
  gdfusion fleet recordings --out grids --plan jobs                   a file for every bag, for other engines

BAGS are bags, folders with bags in them, globs, text files with one of them a line, folders of nuScenes (converted on
the way); paths that every machine sees, or URLs (file://, s3://, gs://, …), whose bags are copied to the disk of the
machine that works on them.

OUT gets a folder for every bag, whole or not at all: the bag grids, what 'gdfusion replay' would have written,
record.json, and last.png with --render. In the end OUT/report.html has a table of the bags, and OUT/scores.json the
scores of all together, what one 'gdfusion evaluate' over all would say. With --evaluate every bag needs its labels: on
/ground_truth/occupancy, or in the folder of nuScenes.

A bag stays on one worker, in order, since the network remembers. A bag that gives an error is tried once more on
another worker, and named; a worker that dies costs the bag that it was on, which is done again. The exit code is 0 if
all bags are whole.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gdfusion_ros.cli.common import (
    add_bag_arguments,
    add_model_arguments,
    add_pipeline_arguments,
    add_version_argument,
    bev_settings,
    counted,
    model_settings,
    pipeline_settings,
    progress,
    tell,
    topic_settings,
)
from gdfusion_ros.errors import GdfusionError

if TYPE_CHECKING:
    from tqdm import tqdm

    from gdfusion_ros.fleet.job import Job, JobSettings
    from gdfusion_ros.fleet.listing import Listing
    from gdfusion_ros.fleet.record import Failure, Record
    from gdfusion_ros.fleet.storage import Output
    from gdfusion_ros.fleet.summary import Summary
    from gdfusion_ros.settings import ModelSettings

HELP = 'run the network over many bags, on one machine or many'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the verb."""
    parser.add_argument('bags', nargs='+', metavar='BAGS', help='see above')
    parser.add_argument('--out', required=True, help='folder or URL for the results')
    parser.add_argument('--resume', action='store_true', help='skip the bags that are whole in OUT')
    parser.add_argument(
        '--plan',
        type=Path,
        metavar='DIR',
        help="do nothing but write a file for every bag, for 'gdfusion replay --job FILE'",
    )
    add_version_argument(parser)
    parser.add_argument('--scenes', nargs='+', default=(), metavar='SCENE', help="of nuScenes, see 'gdfusion convert'")
    result = parser.add_argument_group('results')
    result.add_argument('--evaluate', action='store_true', help='score the grids')
    result.add_argument('--no-rays', action='store_true', help='leave out RayIoU')
    result.add_argument('--render', action='store_true', help='draw the last grid of every bag')
    result.add_argument('--released-protocol', action='store_true', help="see 'gdfusion replay'")
    add_bag_arguments(result)
    workers = parser.add_argument_group('workers')
    workers.add_argument(
        '--address',
        default='',
        metavar='HOST:PORT',
        help='head of a Ray cluster; auto: the one that this machine belongs to; default: this machine alone',
    )
    workers.add_argument('--workers', type=int, default=0, metavar='N', help='default: as many as there is room for')
    workers.add_argument('--cpus-per-worker', type=float, default=1.0, metavar='N', help='default: %(default)g')
    workers.add_argument(
        '--gpus-per-worker',
        type=float,
        default=0.0,
        metavar='F',
        help='may be a part, such as 0.5; default: none, the network runs on CPUs',
    )
    workers.add_argument(
        '--threads',
        type=int,
        metavar='N',
        help='of the network on CPUs; default: cpus per worker. '
        'The grids of some networks depend on it (docs/fleet.md)',
    )
    add_model_arguments(parser)
    add_pipeline_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """List, work, report."""
    from gdfusion_ros.fleet.listing import list_jobs
    from gdfusion_ros.fleet.run import PAGE, begin_folder, check_folder
    from gdfusion_ros.fleet.storage import is_url, output
    from gdfusion_ros.fleet.summary import Summary
    from gdfusion_ros.fleet.work import sealed

    _check(args)
    out = args.out if is_url(args.out) else str(Path(args.out).absolute())
    settings = sealed(_settings(args))
    listing = list_jobs(args.bags, out, settings, version=args.version or '', scenes=args.scenes)
    results, summary = output(out), Summary()
    check_folder(results, args.out, settings, resume=args.resume)
    if args.plan:
        begin_folder(results, settings)
        return _plan(listing, args.plan, args.out)
    with results.claimed():
        _go_on(args, listing, settings, results, summary)
    missing = len(listing.jobs) - len(summary.rows)
    if (scores := summary.total.report) is not None:
        print(scores.render('text') + '\n')
    print(f'{len(summary.rows)} of {len(listing.jobs)} bags are whole, {summary.grids} grids: {args.out}/{PAGE}')
    return 1 if missing else 0


def _go_on(
    args: argparse.Namespace, listing: Listing, settings: JobSettings, results: Output, summary: Summary
) -> None:
    """Do what is not whole yet, and report."""
    from gdfusion_ros.fleet.run import begun, report, survey

    left = survey(listing.jobs, results, settings, summary)
    if args.resume:
        print(f'{len(summary.rows)} of {len(listing.jobs)} bags are whole already', flush=True)
    try:
        if left:
            _work(args, listing, left, settings, results, summary)
    finally:
        if begun(results):  # not where there are no workers
            results.clean()
            report(results, summary, f'Fleet {args.out}', pictures=args.render)


def _check(args: argparse.Namespace) -> None:
    """Raises GdfusionError for numbers that cannot be."""
    if args.workers < 0 or args.cpus_per_worker <= 0 or args.gpus_per_worker < 0 or (args.threads or 1) < 1:
        raise GdfusionError('--workers, --cpus-per-worker, --gpus-per-worker, --threads: expected positive numbers')
    if args.no_rays and not args.evaluate:
        raise GdfusionError('--no-rays says how grids are scored: give --evaluate')


def _settings(args: argparse.Namespace) -> JobSettings:
    from gdfusion_ros.fleet.job import JobSettings, changed

    return JobSettings(
        model=changed(_reachable(model_settings(args))),
        pipeline=changed(pipeline_settings(args)),
        topics=changed(topic_settings(args)),
        bev=changed(bev_settings(args)),
        protocol='released' if args.released_protocol else 'live',
        threads=args.threads or max(1, int(args.cpus_per_worker)),
        evaluate=args.evaluate,
        rays=not args.no_rays,
        render=args.render,
        storage=args.storage,
        format=args.format,
    )


def _reachable(model: ModelSettings) -> ModelSettings:
    """Weights that are a file by their whole path: workers have folders of their own."""
    from dataclasses import replace

    path = Path(model.weights).expanduser()
    return replace(model, weights=str(path.absolute())) if model.weights and path.is_file() else model


def _plan(listing: Listing, folder: Path, out: str) -> int:
    from gdfusion_ros.fleet.job import write_jobs

    write_jobs(listing.jobs, folder)
    print(
        f"{counted(len(listing.jobs), 'job')} in {folder}: 'gdfusion replay --job FILE' does one, and the same "
        f"'gdfusion fleet' with --resume instead of --plan does what is left and reports on {out}"
    )
    return 0


def _work(
    args: argparse.Namespace,
    listing: Listing,
    left: list[Job],
    settings: JobSettings,
    results: Output,
    summary: Summary,
) -> None:
    from gdfusion_ros.fleet.ray_pool import Share, ray_pool
    from gdfusion_ros.fleet.run import begin_folder, work

    share = Share(args.cpus_per_worker, args.gpus_per_worker)
    with (
        ray_pool(settings, share, args.address, args.workers, listing.dataset_of) as pool,
        progress(len(left), 'bag') as bar,
    ):
        begin_folder(results, settings)
        room = pool.capacity()
        if room < args.workers:
            bar.write(f'room for {room} of {args.workers} workers so far; the others wait for machines')
        work(left, args.workers or room, pool, summary, _Told(bar))


class _Told:
    """Shows on a progress bar how it goes on."""

    def __init__(self, bar: tqdm[Any]) -> None:
        self._bar = bar
        self._grids = 0

    def done(self, record: Record) -> None:
        self._grids += record.counts.grids
        seconds = max(self._bar.format_dict['elapsed'], 1e-3)
        self._bar.set_postfix_str(f'{self._grids / seconds:.2f} grids/s', refresh=False)
        self._bar.update()

    def failed(self, failure: Failure) -> None:
        tell(f'failed: {failure.source}: {failure.reason}')
        self._bar.update()

    def again(self, job: Job, reason: str) -> None:
        tell(f'again: {job.source}: {reason}')
