"""The network by turns with another commit: ratios of frame and memory."""

from __future__ import annotations

import argparse
import dataclasses
from typing import Any

from tabulate import tabulate

from gdfusion_ros.benchmark import against
from gdfusion_ros.cli.common import counted, model_flags, progress


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Measure in pairs."""
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
    print(f'{args.against} and this one by turns, medians of {counted(args.frames, "frame")}')
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
