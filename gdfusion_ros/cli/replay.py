"""Run the network over a bag and write its grids to a new bag. Needs no ROS; deterministic.

  gdfusion replay bags/scene-0001 --out grids/scene-0001
  gdfusion replay bags/scene-0103 --out grids/scene-0103 --weights bevdetocc_gf
  gdfusion replay recording --out grids --weights w.pth --params-file config/occ.yaml --set missing_camera=mask
  gdfusion replay bags/scene-0103 --out grids/old --format humble --storage sqlite3
  gdfusion replay bags/scene-0103 --out trial --untrained --model bevdetocc_gf_small
  gdfusion replay bags/scene-0103 --out grids/onnx --backend onnxruntime --weights nano.onnx    needs no torch
  gdfusion replay --job jobs/00042.json                one bag of a fleet ('gdfusion fleet --plan' writes such files)

The same pipeline as the live node, which gives the same grids, bit for bit. Every camera set is used (the node's
lossless). Writes /occ/occupancy, /occ/points, /occ/markers, /occ/bev and /occ/label_info, and copies the transforms to
/tf and /tf_static, so that the new bag can be looked at alone. Header stamps are those of the reference camera's
images, record times those of the messages that completed the sets.

--released-protocol takes the ego poses as the authors' evaluation does (at the LiDAR's stamps, rounded to float32), to
compare numbers with theirs; that needs a bag made by 'gdfusion convert'.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from gdfusion_ros.cli.common import (
    add_bag_arguments,
    add_model_arguments,
    add_pipeline_arguments,
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
    from gdfusion_ros.bags.replay import ReplayResult
    from gdfusion_ros.perception.estimator import PoseProtocol

HELP = 'run the network over a bag, without ROS; grids go to a new bag'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the verb."""
    parser.add_argument('bag', type=Path, nargs='?', help='bag with camera images, CameraInfo, /tf and /tf_static')
    parser.add_argument('--out', type=Path, help='the new bag; must not exist')
    parser.add_argument(
        '--job',
        type=Path,
        metavar='FILE',
        help='instead of all else: bag, settings and place of the result as JSON. Done already, it is not done again',
    )
    parser.add_argument('--threads', type=int, metavar='N', help='of the network on a CPU; default: as torch chooses')
    parser.add_argument(
        '--released-protocol',
        action='store_true',
        help="ego poses as in the authors' evaluation, not as a live node sees them",
    )
    add_bag_arguments(parser)
    add_model_arguments(parser)
    add_pipeline_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Replay, then print what went in and what came out."""
    if args.job:
        return _run_job(args)
    if not (args.bag and args.out):
        raise GdfusionError('what shall be replayed, and where to? Give BAG and --out, or --job FILE')

    from tabulate import tabulate

    from gdfusion_ros.bags.grid_stream import ReplayListener, require_inputs
    from gdfusion_ros.bags.reader import bag_reader
    from gdfusion_ros.bags.replay import BagForm, replay
    from gdfusion_ros.files import refuse_existing
    from gdfusion_ros.messages.inputs import input_topics
    from gdfusion_ros.model.runtime.backends import load_backend, specification_of
    from gdfusion_ros.model.runtime.process import prepare_process, set_threads

    prepare_process()
    if args.threads is not None:
        if args.threads < 1:
            raise GdfusionError(f'--threads {args.threads}: expected at least 1')
        set_threads(args.threads)
    pipeline, topics, model = pipeline_settings(args), topic_settings(args), model_settings(args)
    refuse_existing(args.out)
    with bag_reader(args.bag) as bag:
        lidar = specification_of(model).lidar_depth
        require_inputs(bag, pipeline, topics, lidar=lidar)
        total = bag.count(list(input_topics(pipeline, topics, lidar=lidar)))
    network = load_backend(model, scores=pipeline.confidence)
    protocol: PoseProtocol = 'released' if args.released_protocol else 'live'
    with progress(total, 'msg') as bar:
        listener = ReplayListener(message=bar.update, warning=tell)
        result = replay(
            args.bag,
            args.out,
            network,
            pipeline,
            topics,
            protocol=protocol,
            listener=listener,
            form=BagForm(args.storage, args.format),
            bev=bev_settings(args),
        )
    print(tabulate(_rows(result), tablefmt='plain', disable_numparse=True))
    print(f'{network.title}, {protocol} protocol: {counted(result.counts.grids, "grid")} in {args.out}')
    return 0


def _run_job(args: argparse.Namespace) -> int:
    """Do one bag of a fleet; nothing is left of it if it fails."""
    from gdfusion_ros.fleet.job import read_job
    from gdfusion_ros.model.runtime.process import prepare_process

    prepare_process()
    from gdfusion_ros.fleet.work import workplace

    if args.bag or args.out:
        raise GdfusionError('--job says which bag and where to; drop BAG and --out')
    job = read_job(args.job)
    record = workplace(job.settings).run(job, tell=lambda line: print(line, file=sys.stderr))
    print(f'{record.model}: {counted(record.counts.grids, "grid")} of {record.source} in {job.out}/{job.name}')
    return 0


def _rows(result: ReplayResult) -> list[tuple[str, object]]:
    """What went in, what was dropped for which reason, what came out."""
    counts = result.counts
    rows: list[tuple[str, object]] = [('images in', counts.images)]
    rows += [
        (f'  dropped, {name}: {reason}', count)
        for name, camera in counts.cameras.items()
        for reason, count in sorted(camera.dropped.items())
    ]
    if counts.lidar.received or counts.lidar.missing:
        rows += [('clouds in', counts.lidar.received), ('  sets without one', counts.lidar.missing)]
    rows += [(f'messages refused on {topic}', count) for topic, count in sorted(counts.refused.items())]
    rows += [(f'jumps of the clock, {stream}', count) for stream, count in sorted(counts.jumps.items())]
    rows += [('sets made', counts.sets)]
    rows += [(f'  dropped: {reason}', count) for reason, count in sorted(counts.lost.items())]
    rows += [('grids out', counts.grids), ('resets of the memory', counts.resets.total())]
    rows += [(f'  {reason}', count) for reason, count in sorted(counts.resets.items())]
    return [*rows, ('time', f'{result.seconds:.1f} s, {counts.grids / result.seconds:.2f} grids/s')]
