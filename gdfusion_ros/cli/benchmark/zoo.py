"""Every network of the zoo beside the accuracy that others report."""

from __future__ import annotations

import argparse
import dataclasses
from typing import Any

from gdfusion_ros.benchmark import zoo
from gdfusion_ros.cli.benchmark.columns import columns
from gdfusion_ros.cli.common import counted, model_settings, progress
from gdfusion_ros.model.zoo import ZOO


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Measure each in a process of its own; draw the figure that is asked for."""
    settings = model_settings(args)
    names = (settings.model,) if settings.model else tuple(ZOO)
    with progress(len(names), 'network') as bar:
        results = zoo.run(args.frames, settings.device, bar.update, names)
    print(f'random weights, medians of {counted(args.frames, "frame")}, each network in a process of its own')
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
    heads = 'frame [ms]', 'floor [ms]', 'frame / floor', 'fusions', 'GMAC', 'peak [GB]', 'state [MB]'
    print(columns(rows, 'model', *heads, 'reported mIoU [%]'))
    if args.figure is not None:
        zoo.draw(results, args.figure)
        print(f'figure in {args.figure}')
    return {name: dataclasses.asdict(result) for name, result in results.items()}
