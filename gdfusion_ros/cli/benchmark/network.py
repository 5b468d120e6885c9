"""The network alone, by stage, against its floor."""

from __future__ import annotations

import argparse
import dataclasses
from typing import Any

from tabulate import tabulate

from gdfusion_ros.benchmark import exported, network
from gdfusion_ros.cli.benchmark.columns import columns
from gdfusion_ros.cli.common import counted, model_settings, progress
from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.model.runtime.backends import load_backend
from gdfusion_ros.model.runtime.exported import ExportedNetwork
from gdfusion_ros.model.runtime.process import prepare_process
from gdfusion_ros.model.zoo import load_network
from gdfusion_ros.settings import ModelSettings


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Measure by stage; of an exported network, what can be told from outside."""
    prepare_process()
    settings = model_settings(args)
    if settings.backend != 'torch':
        if args.plain:
            raise GdfusionError(f'--plain is by the operators of torch, not by backend {settings.backend}')
        return _exported(settings, args.frames)
    with progress(args.frames, 'frame') as bar:
        loaded = load_network(settings)
        result = network.run(loaded, args.frames, bar.update, precision=settings.precision, plain=args.plain)
    print(_table(result))
    summary = {
        'fps': 1 / result.frame,
        'frame_over_floor': result.frame / result.floor,
        'fusion_share': result.fusion_share,
    }
    return {**dataclasses.asdict(result), **summary}


def _exported(settings: ModelSettings, frames: int) -> dict[str, Any]:
    loaded = load_backend(settings)
    assert isinstance(loaded, ExportedNetwork)
    with progress(frames, 'frame') as bar:
        result = exported.run(loaded, frames, bar.update)
    print(
        f'{result.model}, {settings.backend} with {result.device}, medians of {counted(frames, "frame")}\n'
        f'geometry {result.geometry * 1e3:.1f} ms, network {result.network * 1e3:.1f} ms, '
        f'{1 / result.frame:.2f} frames per second, state {result.state / 1e6:.1f} MB'
    )
    return dataclasses.asdict(result)


def _table(result: network.BenchmarkResult) -> str:
    rows = [
        (
            name,
            f'{result.stages[name] * 1e3:.1f}',
            f'{result.stages[name] / result.frame:.1%}',
            f'{result.gmac[name]:.2f}',
        )
        for name in network.in_order(result.stages)
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
    head = f'{result.model} on {result.device}, {result.precision}, medians of {counted(result.frames, "frame")}'
    return '\n'.join([head, columns(rows, 'stage', 'ms', 'share', 'GMAC'), '', tabulate(facts, tablefmt='plain')])
