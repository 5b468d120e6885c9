"""What a grid costs the thread that shows it, and what it costs to know what of it was seen."""

from __future__ import annotations

import argparse
import dataclasses
from typing import Any

from gdfusion_ros.benchmark import view as benchmark
from gdfusion_ros.benchmark import visibility
from gdfusion_ros.cli.benchmark.columns import columns
from gdfusion_ros.cli.common import counted, progress


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Show one grid in every viewer whose libraries are installed."""
    with progress(args.frames * (len(benchmark.VIEWERS) + 1), 'grid') as bar:
        costs = benchmark.run(args.frames, bar.update)
        seen = visibility.run(args.frames, bar.update)
    rows = [(name, f'{1e3 * cost:.1f}', f'{1 / cost:.0f}') for name, cost in costs.items()]
    print(f'one grid of 200 x 200 x 16 voxels, six images of 704 x 256, medians of {args.frames}: processor time')
    print(columns(rows, 'viewer', 'ms a grid', 'grids/s at most'))
    print(
        f'which voxels the six cameras saw: {1e3 * seen.seconds:.1f} ms a grid with {counted(seen.threads, "thread")}, '
        f'{1e3 * seen.processor:.1f} ms of processor time in all'
    )
    return {'seconds': costs, 'visibility': dataclasses.asdict(seen)}
