"""What remembering costs: the networks that keep their last volumes against the one that fuses them, in memory."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from gdfusion_ros.benchmark.alone import alone
from gdfusion_ros.benchmark.network import peak_memory
from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.files import written_whole
from gdfusion_ros.model.networks.bevdetocc import BEVDETOCC_SF, bevdetocc
from gdfusion_ros.model.networks.memories import FUSIONS, queue
from gdfusion_ros.model.runtime.prepare import prepare
from gdfusion_ros.model.runtime.process import prepare_process
from gdfusion_ros.model.runtime.trial import trial_frames
from gdfusion_ros.model.sequence import SequenceRunner
from gdfusion_ros.model.spec import NetworkSpec
from gdfusion_ros.model.weights.initialise import untrained

LENGTHS = (1, 2, 4, 8, 16)
"""Of the queues, in frames."""

WARM_UP = 2
MATCHED = 'depth.features.'


@dataclass(frozen=True)
class MemoryUse:
    """What a network needed.

    Attributes:
        model: its name.
        length: how many volumes it keeps; 0 where it keeps one, fused from all.
        state: bytes of the whole recurrent state.
        history: bytes of it without the last images' features, which both kinds match: what they remember of a volume.
        growth: bytes between the smallest and the largest state of all frames.
        peak_memory: bytes, as in BenchmarkResult.
        frame: median seconds of a frame.
    """

    model: str
    length: int
    state: int
    history: int
    growth: int
    peak_memory: int
    frame: float


def run(
    spec: NetworkSpec,
    frames: int,
    device: torch.device,
    tick: Callable[[], object] = lambda: None,
    lengths: Sequence[int] = LENGTHS,
) -> list[MemoryUse]:
    """Measure queues of all ``lengths``, then the recurrent network of that ``spec``, which is of BEVDetOcc-GF's kind.

    Raises:
        GdfusionError: a process was ended from outside.
    """
    return list(_each_alone(spec, frames, device, tick, (*lengths, 0)))


def _each_alone(
    spec: NetworkSpec, frames: int, device: torch.device, tick: Callable[[], object], lengths: Sequence[int]
) -> Iterator[MemoryUse]:
    for length in lengths:
        yield alone(f'{length or "fused"} frames', measure, spec, length, frames, device)
        tick()


@torch.inference_mode()
def measure(spec: NetworkSpec, length: int, frames: int, device: torch.device) -> MemoryUse:
    """One network over ``frames`` frames, after two that warm up, in this process."""
    prepare_process()
    if length:
        spec = replace(spec, name=BEVDETOCC_SF.name, cues=())
    network = bevdetocc(spec, memory=queue(length) if length else FUSIONS)
    untrained(network)
    runner = SequenceRunner.forgetful(prepare(network, device))
    times, sizes = [], []
    for frame in trial_frames(network, WARM_UP + frames):
        start = time.perf_counter()
        runner.predict(frame).labels.cpu()
        times.append(time.perf_counter() - start)
        assert runner.state is not None
        sizes.append(runner.state.sizes())
    history = sum(size for name, size in sizes[-1].items() if not name.startswith((MATCHED, 'calibration.')))
    totals = [sum(size.values()) for size in sizes]
    return MemoryUse(
        spec.name,
        length,
        totals[-1],
        history,
        max(totals) - min(totals),
        peak_memory(device),
        statistics.median(times[WARM_UP:]),
    )


def compared(uses: Sequence[MemoryUse]) -> str:
    """What the recurrent network keeps of what the longest queue keeps, in one line."""
    fused, longest = uses[-1], max(uses, key=lambda use: use.length)
    return (
        f'{fused.model} keeps {fused.state / longest.state:.1%} of the bytes of {longest.model} with '
        f'{longest.length} frames, and {fused.history / longest.history:.1%} without the features that both match'
    )


def draw(uses: Sequence[MemoryUse], path: Path) -> None:
    """Write a PNG: the queues' state and peak over their length, beside the recurrent network's.

    Raises:
        GdfusionError: matplotlib is missing, or the file cannot be written.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise GdfusionError("a figure needs matplotlib: pip install 'gdfusion-ros[train]'") from error
    queues, fused = [use for use in uses if use.length], [use for use in uses if not use.length]
    figure = Figure(figsize=(9, 3.5), layout='constrained')
    panels = {'history [MB]': ('history', 1e6), 'peak memory [GB]': ('peak_memory', 1e9)}
    for axes, (label, (name, unit)) in zip(figure.subplots(1, 2), panels.items(), strict=True):
        axes.plot(
            [use.length for use in queues], [getattr(use, name) / unit for use in queues], 'o-', label=BEVDETOCC_SF.name
        )
        for use in fused:
            axes.axhline(getattr(use, name) / unit, color='tab:green', label=f'{use.model}, any number')
        axes.set(xlabel='remembered frames', ylabel=label, ylim=(0, None), xticks=[use.length for use in queues])
        axes.grid(alpha=0.3)
        axes.legend()
    with written_whole(path) as draft:
        figure.savefig(draft, format='png', dpi=120)
