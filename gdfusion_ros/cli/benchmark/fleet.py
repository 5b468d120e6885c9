"""'gdfusion fleet' on all cores against replays one after the other."""

from __future__ import annotations

import argparse
import dataclasses
import os
from pathlib import Path
from typing import Any

from tabulate import tabulate

from gdfusion_ros.benchmark import fleet
from gdfusion_ros.benchmark.alone import alone
from gdfusion_ros.cli.common import counted, model_settings, progress
from gdfusion_ros.fleet.job import JobSettings
from gdfusion_ros.fleet.listing import list_jobs


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Replay the bags both ways, then give out empty ones."""
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
        (
            'the fleet',
            f'{speed.fleet:.1f} s, {counted(workers, "worker")} of one thread; {speed.started:.1f} s once started',
        ),
        ('replays / fleet', f'{speed.replays / speed.fleet:.2f}'),
        ('  without all starts', f'{speed.replaying / speed.started:.2f}'),
        ('empty bags', f'{engine.bags / engine.seconds:.0f} bags/s, {counted(engine.bags, "bag")}'),
        ('of a bag of 40 frames', f'{overhead:.3%}'),
        ('memory of the driver', f'{engine.peak_memory / 1e6:.0f} MB; {engine.before / 1e6:.0f} MB after a tenth'),
    ]
    print(f'{counted(speed.bags, "bag")}, {counted(speed.grids, "grid")}')
    print(tabulate(rows, tablefmt='plain', disable_numparse=True))
    return {
        'throughput': dataclasses.asdict(speed),
        'engine': dataclasses.asdict(engine),
        'ratio': speed.replays / speed.fleet,
        'ratio_once_started': speed.replaying / speed.started,
        'overhead': overhead,
    }
