"""Measure time and memory: of networks by stage, the live node, the converter, the reader of nuScenes, training.

  gdfusion benchmark                                  the default model, by stage, against its floor
  gdfusion benchmark --model bevdetocc_gf --device cuda:0 --precision autocast --json frame.json
  gdfusion benchmark --against main --pairs 5         the same by turns with another commit: ratios of frame and memory
  gdfusion benchmark cues --model bevdetocc_gf        what the four fusions take of a frame, and what their gradients
                                                      would take by autograd
  gdfusion benchmark memory --figure memory.png       bevdetocc_sf, which keeps 1 to 16 volumes, against bevdetocc_gf,
                                                      which fuses all into one: state and peak memory
  gdfusion benchmark zoo --frames 3 --figure zoo.png  every network of the zoo, each in a process of its own: frame,
                                                      floor and memory beside the accuracy that others report
  gdfusion benchmark node --bag bags/scene-0103       plays the bag to a node over DDS and times it from the last image
                                                      of a set to the published grid
  gdfusion benchmark view --frames 20                 what a grid costs the thread that shows it, by viewer, for those
                                                      viewers whose libraries are installed; and how long it takes to
                                                      find out which of its voxels the cameras saw
  gdfusion benchmark soak --frames 1600               sends synthetic camera sets to a node over DDS; an error if its
                                                      memory, open files or threads grow
  gdfusion benchmark convert --nuscenes /data/nuscenes --scenes scene-0061 scene-0103
                                                      against the same images written by rosbags alone, by turns
  gdfusion benchmark tables --share 0.1               reads generated tables of a tenth of v1.0-trainval (1: of all)
  gdfusion benchmark train --config config/train_nano.yaml --nuscenes made --frames 50
                                                      steps of training, and how long they wait for data
  gdfusion benchmark fleet --bag bags --bags 10000    'gdfusion fleet' on all cores against replays one after the other,
                                                      and what giving out 10,000 empty bags takes

The floor is the time of the network's own convolutions and matrix products run alone in the same process: what is above
it is overhead that better code could save. GMAC are multiply-adds of these products, counted while they run. Machines
are noisy: compare ratios from one run, not milliseconds of two.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gdfusion_ros.cli.common import add_model_arguments, add_version_argument, model_flags, model_settings, progress
from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.files import refuse_existing, written_whole
from gdfusion_ros.settings import ModelSettings

if TYPE_CHECKING:
    from gdfusion_ros.benchmark.network import BenchmarkResult

HELP = 'measure time and memory: networks, live node, converter, training, …'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to measure, how often, and the network."""
    parser.add_argument(
        'what',
        nargs='?',
        choices=tuple(_MEASURES),
        default='network',
        help='the network alone (default), its fusions (cues), what remembering costs (memory), all '
        'networks (zoo), the live node over DDS (needs ROS), what it does besides the network (steps), whether '
        'it grows (soak), the converter, '
        'the reader of the tables, training, the viewers (view), or many bags (fleet)',
    )
    parser.add_argument(
        '--frames',
        type=int,
        default=10,
        help='frames to measure, camera sets to send, and how often to convert. Default: 10.',
    )
    parser.add_argument('--bag', type=Path, help='bag to play to the node; folder of bags for the fleet')
    parser.add_argument(
        '--bags', type=int, default=10_000, metavar='N', help='empty bags that a fleet is given. Default: %(default)s.'
    )
    parser.add_argument(
        '--nuscenes', type=Path, metavar='DIR', help='folder of nuScenes, for the converter and for training'
    )
    add_version_argument(parser)
    parser.add_argument('--config', type=Path, help='YAML file of training settings')
    parser.add_argument('--scenes', nargs='+', default=(), metavar='SCENE', help="see 'gdfusion convert'")
    parser.add_argument(
        '--share',
        type=float,
        default=1.0,
        help="size of the generated tables as a share of v1.0-trainval's. Default: 1.",
    )
    parser.add_argument(
        '--against',
        metavar='COMMIT',
        help='benchmark the network by turns with that commit of this '
        'checkout, both with the libraries that are installed',
    )
    parser.add_argument('--pairs', type=int, default=3, help='turns of --against. Default: 3.')
    parser.add_argument('--figure', type=Path, metavar='FILE', help='draw memory or zoo into FILE, a PNG')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the numbers to FILE as well')
    add_model_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Measure, print the table, write the JSON file."""
    _require_sane(args)
    # Speed does not depend on what the weights are, so random ones will do where none are given.
    if not args.weights:
        args.untrained = True
    for path in (args.json, args.figure):
        if path is not None:
            refuse_existing(path)
    numbers = (_MEASURES[args.what] if args.against is None else _against)(args)
    if args.json is not None:
        with written_whole(args.json) as draft:
            draft.write_text(json.dumps(numbers, indent=2) + '\n')
        print(f'numbers in {args.json}')
    return 0


def _require_sane(args: argparse.Namespace) -> None:
    faults = (
        (args.frames < 1, f'--frames {args.frames}: expected at least 1'),
        (
            args.what == 'node' and args.bag is None,
            "which bag shall be played to the node? --bag DIR ('gdfusion convert' makes one)",
        ),
        (
            args.what == 'fleet' and (args.bag is None or args.bags < 10),
            'over which bags? --bag DIR, a folder with bags; and --bags of at least 10',
        ),
        (
            args.what == 'soak' and args.frames < 100,
            f'--frames {args.frames}: of less than 100 camera sets nothing can be told',
        ),
        (args.what == 'convert' and args.nuscenes is None, 'what shall be converted? --nuscenes DIR'),
        (
            args.what == 'train' and not (args.nuscenes and args.config),
            'what shall be trained on what? --config FILE --nuscenes DIR',
        ),
        (not 0 < args.share <= 1, f'--share {args.share}: expected more than 0 and at most 1'),
        (
            args.against is not None and (args.what != 'network' or args.pairs < 1),
            '--against compares the network alone, in --pairs of at least 1',
        ),
    )
    for wrong, said in faults:
        if wrong:
            raise GdfusionError(said)


def _network(args: argparse.Namespace) -> dict[str, Any]:
    from gdfusion_ros.benchmark import network as benchmark
    from gdfusion_ros.model.runtime.process import prepare_process
    from gdfusion_ros.model.zoo import load_network

    prepare_process()
    settings = model_settings(args)
    if settings.backend != 'torch':
        return _exported(settings, args.frames)
    network = load_network(settings)
    with progress(args.frames, 'frame') as bar:
        result = benchmark.run(network, args.frames, bar.update)
    print(_table(result))
    summary = {
        'fps': 1 / result.frame,
        'frame_over_floor': result.frame / result.floor,
        'fusion_share': result.fusion_share,
    }
    return {**dataclasses.asdict(result), **summary}


def _exported(settings: ModelSettings, frames: int) -> dict[str, Any]:
    from gdfusion_ros.benchmark import exported as benchmark
    from gdfusion_ros.model.runtime.backends import load_backend
    from gdfusion_ros.model.runtime.exported import ExportedNetwork

    network = load_backend(settings)
    assert isinstance(network, ExportedNetwork)
    with progress(frames, 'frame') as bar:
        result = benchmark.run(network, frames, bar.update)
    print(
        f'{result.model}, {settings.backend} with {result.device}, medians of {frames} frames\n'
        f'geometry {result.geometry * 1e3:.1f} ms, network {result.network * 1e3:.1f} ms, '
        f'{1 / result.frame:.2f} frames per second, state {result.state / 1e6:.1f} MB'
    )
    return dataclasses.asdict(result)


def _against(args: argparse.Namespace) -> dict[str, Any]:
    from tabulate import tabulate

    from gdfusion_ros.benchmark import against

    with progress(args.pairs, 'turn') as bar:
        turns = against.run(args.against, ['--frames', str(args.frames), *model_flags(args)], args.pairs, bar.update)
    rows = [
        (
            turn.frame[1] * 1e3,
            turn.frame[0] * 1e3,
            turn.frame[0] / turn.frame[1],
            turn.per_floor[1],
            turn.per_floor[0],
            turn.peak_memory[1] / 1e9,
            turn.peak_memory[0] / 1e9,
        )
        for turn in turns
    ]
    print(f'{args.against} and this one by turns, medians of {args.frames} frames')
    columns = ('frame [ms]', 'now', 'ratio', 'frame / floor', 'now', 'peak [GB]', 'now')
    print(tabulate(rows, headers=columns, floatfmt='.2f'))
    spreads = {
        name: against.Spread.of([getattr(turn, name) for turn in turns])
        for name in ('frame', 'per_floor', 'peak_memory')
    }
    ratios = [(name.replace('_', ' '), spread.median, spread.least, spread.most) for name, spread in spreads.items()]
    print(tabulate(ratios, headers=('ratio of', 'median', 'least', 'most'), floatfmt='.3f'))
    return {
        'against': args.against,
        'frames': args.frames,
        'turns': [dataclasses.asdict(turn) for turn in turns],
        **{name: dataclasses.asdict(spread) for name, spread in spreads.items()},
    }


def _table(result: BenchmarkResult) -> str:
    from tabulate import tabulate

    from gdfusion_ros.benchmark.network import in_order

    rows = [
        (
            name,
            f'{result.stages[name] * 1e3:.1f}',
            f'{result.stages[name] / result.frame:.1%}',
            f'{result.gmac[name]:.2f}',
        )
        for name in in_order(result.stages)
    ]
    rows.append(('frame', f'{result.frame * 1e3:.1f}', '100.0%', f'{sum(result.gmac.values()):.2f}'))
    facts = [
        ('frames per second', f'{1 / result.frame:.2f}'),
        ('floor: products alone', f'{result.floor * 1e3:.1f} ms'),
        ('frame / floor', f'{result.frame / result.floor:.2f}'),
        ('the four fusions', f'{result.fusion_share:.1%} of the frame'),
        ('peak memory', f'{result.peak_memory / 1e9:.2f} GB'),
        ('recurrent state', f'{result.state / 1e6:.1f} MB'),
    ]
    head = f'{result.model} on {result.device}, {result.precision}, medians of {result.frames} frames'
    return '\n'.join([head, _columns(rows, 'stage', 'ms', 'share', 'GMAC'), '', tabulate(facts, tablefmt='plain')])


def _columns(rows: Iterable[Sequence[object]], *headers: str) -> str:
    """A table of numbers that are written out already."""
    from tabulate import tabulate

    return tabulate(rows, headers=headers, stralign='right', disable_numparse=True)


def _cues(args: argparse.Namespace) -> dict[str, Any]:
    from gdfusion_ros.benchmark import cues
    from gdfusion_ros.benchmark import network as benchmark
    from gdfusion_ros.model.runtime.process import prepare_process
    from gdfusion_ros.model.zoo import load_network

    prepare_process()
    network = load_network(model_settings(args))
    if missing := set(benchmark.FUSIONS) - set(network.spec.cues):
        raise GdfusionError(
            f'model {network.spec.name} runs without {", ".join(sorted(missing))}: all four cues are compared'
        )
    with progress(args.frames + 2 * cues.REPEATS, 'step') as bar:
        result = benchmark.run(network, args.frames, bar.update)
        costs = cues.gradients(network, bar.update)
    shares = [
        (name, f'{result.stages[name] * 1e3:.1f}', f'{result.stages[name] / result.frame:.1%}')
        for name in benchmark.FUSIONS
    ]
    shares.append(('all four', f'{result.fusion_share * result.frame * 1e3:.1f}', f'{result.fusion_share:.1%}'))
    print(f'{result.model} on {result.device}, medians of {result.frames} frames of {result.frame * 1e3:.1f} ms')
    print(_columns(shares, 'fusion', 'ms', 'share'))
    steps = [
        (
            cost.cue,
            f'{cost.closed_form * 1e3:.1f}',
            f'{cost.autograd * 1e3:.1f}',
            f'{cost.autograd / cost.closed_form:.1f}',
            f'{cost.difference:.0e}',
        )
        for cost in costs
    ]
    print(_columns(steps, 'gradient step', 'closed form [ms]', 'autograd [ms]', 'times', 'difference'))
    return {**dataclasses.asdict(result), 'gradients': [dataclasses.asdict(cost) for cost in costs]}


def _memory(args: argparse.Namespace) -> dict[str, Any]:
    from gdfusion_ros.benchmark import memory
    from gdfusion_ros.model.networks.bevdetocc import BEVDETOCC_GF, BEVDETOCC_GF_SMALL
    from gdfusion_ros.model.runtime.device import select_device
    from gdfusion_ros.model.zoo import specification

    settings = model_settings(args)
    specs = {spec.name: spec for spec in (BEVDETOCC_GF, BEVDETOCC_GF_SMALL)}
    name = specification(settings.model or BEVDETOCC_GF.name).name
    if name not in specs:
        raise GdfusionError(f'model {name} has no sister that keeps its volumes; compare {" or ".join(specs)}')
    with progress(len(memory.LENGTHS) + 1, 'network') as bar:
        uses = memory.run(specs[name], args.frames, select_device(settings.device), bar.update)
    warm_up = f'{args.frames} frames after {memory.WARM_UP} that warm up'
    print(f'random weights, {warm_up}, each network in a process of its own')
    rows = [
        (
            use.model,
            use.length or 'all, fused',
            f'{use.state / 1e6:.1f}',
            f'{use.history / 1e6:.1f}',
            f'{use.growth / 1e6:.1f}',
            f'{use.peak_memory / 1e9:.2f}',
            f'{use.frame * 1e3:.0f}',
        )
        for use in uses
    ]
    print(_columns(rows, 'model', 'remembers', 'state [MB]', 'history [MB]', 'growth [MB]', 'peak [GB]', 'ms'))
    print(memory.compared(uses))
    if args.figure is not None:
        memory.draw(uses, args.figure)
        print(f'figure in {args.figure}')
    return {'frames': args.frames, 'networks': [dataclasses.asdict(use) for use in uses]}


def _zoo(args: argparse.Namespace) -> dict[str, Any]:
    from gdfusion_ros.benchmark import zoo
    from gdfusion_ros.model.zoo import ZOO

    settings = model_settings(args)
    names = (settings.model,) if settings.model else tuple(ZOO)
    with progress(len(names), 'network') as bar:
        results = zoo.run(args.frames, settings.device, bar.update, names)
    print(f'random weights, medians of {args.frames} frames, each network in a process of its own')
    rows = [
        (
            name,
            f'{result.frame * 1e3:.0f}',
            f'{result.floor * 1e3:.0f}',
            f'{result.frame / result.floor:.2f}',
            f'{result.fusion_share:.1%}',
            f'{sum(result.gmac.values()):.1f}',
            f'{result.peak_memory / 1e9:.2f}',
            f'{result.state / 1e6:.1f}',
            scores.miou if (scores := zoo.reported(name)) else '-',
        )
        for name, result in results.items()
    ]
    columns = 'frame [ms]', 'floor [ms]', 'frame / floor', 'fusions', 'GMAC', 'peak [GB]', 'state [MB]'
    print(_columns(rows, 'model', *columns, 'reported mIoU [%]'))
    if args.figure is not None:
        zoo.draw(results, args.figure)
        print(f'figure in {args.figure}')
    return {name: dataclasses.asdict(result) for name, result in results.items()}


def _node(args: argparse.Namespace) -> dict[str, Any]:
    from tabulate import tabulate

    from gdfusion_ros.bags.recording import percentiles
    from gdfusion_ros.model.runtime.backends import title_of
    from gdfusion_ros.ros import environment

    environment.isolate(os.environ)
    environment.prepare()
    from gdfusion_ros.benchmark import latency
    from gdfusion_ros.settings import model_arguments

    settings = model_settings(args)
    with progress(args.frames + 1, 'frame') as bar:
        measured = latency.run(args.bag, model_arguments(settings), args.frames, bar.update)
    stages = measured.stages
    rest = {name: times for name, times in stages.items() if name != 'network'}
    rows = [*percentiles(stages), ('total less network', *percentiles(rest)[-1][1:])]
    title = title_of(settings)
    print(f'{title} in a live node, {args.frames} camera sets of {args.bag}: ms from the last image to the grid')
    print(tabulate(rows, headers=('stage', 'median', '95 %', 'worst'), floatfmt='.1f'))
    print(f'from the start of the node to its first grid: {measured.start:.1f} s')
    return {
        'model': title,
        'frames': args.frames,
        'start': measured.start,
        'milliseconds': {name: dict(zip(('median', '95 %', 'worst'), row, strict=True)) for name, *row in rows},
    }


def _steps(args: argparse.Namespace) -> dict[str, Any]:
    from gdfusion_ros.model.runtime.process import prepare_process
    from gdfusion_ros.model.zoo import load_network
    from gdfusion_ros.ros import environment

    prepare_process()
    environment.prepare()
    from gdfusion_ros.benchmark import steps as benchmark

    network = load_network(model_settings(args))
    with progress(None, 'step') as bar:
        steps = list(benchmark.run(network, args.frames, bar.update))
    width, height = benchmark.SOURCE
    print(
        f'{network.title} on {network.device}, images of {width} x {height}, medians of {args.frames}: processor time'
    )
    rows = [
        (
            step.name,
            f'{1e3 * step.seconds:.2f}',
            str(step.times),
            f'{1e3 * step.seconds * step.times:.2f}',
            'always' if step.always else 'if subscribed to',
        )
        for step in steps
    ]
    print(_columns(rows, 'step', 'ms', 'times a frame', 'ms a frame', 'when'))
    return {'model': network.title, 'steps': [dataclasses.asdict(step) for step in steps]}


def _soak(args: argparse.Namespace) -> dict[str, Any]:
    from gdfusion_ros.model.runtime.backends import title_of
    from gdfusion_ros.ros import environment

    environment.isolate(os.environ)
    environment.prepare()
    from gdfusion_ros.benchmark import soak
    from gdfusion_ros.settings import model_arguments

    settings = model_settings(args)
    with progress(args.frames, 'set') as bar:
        usage = soak.run(model_arguments(settings), args.frames, bar.update)
    growth = usage.growth()
    title = title_of(settings)
    print(
        f'{title} in a live node, after {args.frames} camera sets: {usage.memory[-1]:.1f} MB allocated, '
        f'{usage.files[-1]} open files, {usage.threads[-1]} threads; growth with 1,000 sets, the first quarter left '
        'out: ' + ', '.join(f'{what} {more:+.3f}' for what, more in growth.items())
    )
    soak.require_steady(growth)
    return {'model': title, 'sets': args.frames, 'growth': growth}


def _convert(args: argparse.Namespace) -> dict[str, Any]:
    from tabulate import tabulate

    from gdfusion_ros.bags.info import format_size
    from gdfusion_ros.benchmark import dataset as benchmark
    from gdfusion_ros.datasets import nuscenes

    dataset = nuscenes.load(args.nuscenes, args.version, args.scenes)
    with progress((args.frames + 1) * len(benchmark.STORAGES), 'run') as bar:
        results = benchmark.conversion(dataset, args.frames, bar.update)
    rows = [
        (
            result.storage,
            f'{result.convert:.3f}',
            f'{format_size(round(result.size / result.convert))}/s',
            f'{result.plain:.3f}',
            f'{format_size(round(result.size / result.plain))}/s',
            f'{result.speed:.0%}',
        )
        for result in results
    ]
    print(f'{results[0].scenes} scenes, {format_size(results[0].size)} of images, medians of {args.frames} runs [s]')
    print(tabulate(rows, headers=('storage', 'convert', '', 'rosbags alone', '', 'speed'), disable_numparse=True))
    return {'bags': [{**dataclasses.asdict(result), 'speed': result.speed} for result in results]}


def _tables(args: argparse.Namespace) -> dict[str, Any]:
    from gdfusion_ros.benchmark import dataset as benchmark

    result = benchmark.loading(args.share)
    print(
        f'{result.scenes} scenes, {result.sample_data} rows of sample_data and ego_pose, {result.annotations} '
        f'annotations: read in {result.seconds:.1f} s with a peak memory of {result.peak_memory / 1e9:.2f} GB'
    )
    return dataclasses.asdict(result)


def _train(args: argparse.Namespace) -> dict[str, Any]:
    from gdfusion_ros.benchmark import training as benchmark
    from gdfusion_ros.cli.train import datasets
    from gdfusion_ros.model.runtime.device import select_device
    from gdfusion_ros.model.runtime.process import prepare_process
    from gdfusion_ros.training import settings as training_settings

    prepare_process()
    settings = training_settings.read(args.config, {'steps': args.frames + benchmark.WARM_UP})
    device = select_device(args.device or 'auto')
    with progress(settings.steps, 'step') as bar:
        result = benchmark.run(settings, datasets([args.nuscenes], args.version, args.scenes), device, bar.update)
    print(
        f'{result.model} on {result.device}, {settings.slots} slots, {settings.workers} workers, {result.steps} '
        f'steps: {result.frames_per_second:.2f} frames/s, {result.waiting:.1%} of the time spent waiting for data'
    )
    return dataclasses.asdict(result)


def _view(args: argparse.Namespace) -> dict[str, Any]:
    from gdfusion_ros.benchmark import view as benchmark
    from gdfusion_ros.benchmark import visibility

    with progress(args.frames * (len(benchmark.VIEWERS) + 1), 'grid') as bar:
        costs = benchmark.run(args.frames, bar.update)
        seen = visibility.run(args.frames, bar.update)
    rows = [(name, f'{1e3 * cost:.1f}', f'{1 / cost:.0f}') for name, cost in costs.items()]
    print(f'one grid of 200 x 200 x 16 voxels, six images of 704 x 256, medians of {args.frames}: processor time')
    print(_columns(rows, 'viewer', 'ms a grid', 'grids/s at most'))
    print(
        f'which voxels the six cameras saw: {1e3 * seen.seconds:.1f} ms a grid with {seen.threads} threads, '
        f'{1e3 * seen.processor:.1f} ms of processor time in all'
    )
    return {'seconds': costs, 'visibility': dataclasses.asdict(seen)}


def _fleet(args: argparse.Namespace) -> dict[str, Any]:
    from tabulate import tabulate

    from gdfusion_ros.benchmark import fleet
    from gdfusion_ros.benchmark.alone import alone
    from gdfusion_ros.fleet.job import JobSettings
    from gdfusion_ros.fleet.listing import list_jobs

    bags = [Path(job.bag) for job in list_jobs([str(args.bag)], '', JobSettings()).jobs]
    workers = os.cpu_count() or 1
    with progress(len(bags), 'bag') as bar:
        speed = fleet.throughput(bags, workers, model_settings(args), bar.update)
    engine = alone('the driver of the fleet', fleet.engine, args.bags, workers)
    forty = speed.bag * 40 * speed.bags / speed.grids
    overhead = engine.seconds / engine.bags * workers / forty
    rows = [
        (
            'one replay after the other',
            f'{speed.replays:.1f} s, {workers} threads; {speed.replaying:.1f} s without the start of each',
        ),
        ('the fleet', f'{speed.fleet:.1f} s, {workers} workers of one thread; {speed.started:.1f} s once started'),
        ('replays / fleet', f'{speed.replays / speed.fleet:.2f}'),
        ('  without all starts', f'{speed.replaying / speed.started:.2f}'),
        ('empty bags', f'{engine.bags / engine.seconds:.0f} bags/s, {engine.bags} bags'),
        ('of a bag of 40 frames', f'{overhead:.3%}'),
        ('memory of the driver', f'{engine.peak_memory / 1e6:.0f} MB; {engine.before / 1e6:.0f} MB after a tenth'),
    ]
    print(f'{speed.bags} bags, {speed.grids} grids')
    print(tabulate(rows, tablefmt='plain', disable_numparse=True))
    return {
        'throughput': dataclasses.asdict(speed),
        'engine': dataclasses.asdict(engine),
        'ratio': speed.replays / speed.fleet,
        'ratio_once_started': speed.replaying / speed.started,
        'overhead': overhead,
    }


_MEASURES: dict[str, Callable[[argparse.Namespace], dict[str, Any]]] = {
    'network': _network,
    'cues': _cues,
    'memory': _memory,
    'zoo': _zoo,
    'node': _node,
    'steps': _steps,
    'soak': _soak,
    'convert': _convert,
    'tables': _tables,
    'train': _train,
    'view': _view,
    'fleet': _fleet,
}
