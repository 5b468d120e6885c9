"""All networks of the zoo on one device in one run: time, floor and memory beside the accuracy that others report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from gdfusion_ros.benchmark.alone import alone
from gdfusion_ros.benchmark.network import BenchmarkResult
from gdfusion_ros.benchmark.network import run as run_network
from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.files import written_whole
from gdfusion_ros.model.networks.about import ABOUT, Scores
from gdfusion_ros.model.runtime.process import prepare_process
from gdfusion_ros.model.zoo import ZOO, load_network
from gdfusion_ros.settings import ModelSettings


def run(
    frames: int, device: str, tick: Callable[[], object] = lambda: None, names: Sequence[str] = ()
) -> dict[str, BenchmarkResult]:
    """Measure the networks of these ``names``, or all, each in a process of its own with random weights.

    Raises:
        GdfusionError: no such network or device; a process was ended from outside.
    """
    found = {}
    for name in names or ZOO:
        settings = ModelSettings(model=name, untrained=True, device=device)
        found[name] = alone(name, measure, settings, frames)
        tick()
    return found


def measure(settings: ModelSettings, frames: int) -> BenchmarkResult:
    """One network in this process."""
    prepare_process()
    return run_network(load_network(settings), frames, precision=settings.precision)


def reported(name: str) -> Scores | None:
    """The scores that are first named of a network; None where nobody reports any."""
    scores = ABOUT[name].scores if name in ABOUT else ()
    return scores[0] if scores else None


def draw(results: dict[str, BenchmarkResult], path: Path) -> None:
    """Write a PNG: each network's frame and floor, and beside it the mIoU that is reported of it.

    Raises:
        GdfusionError: matplotlib is missing, or the file cannot be written.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise GdfusionError("a figure needs matplotlib: pip install 'gdfusion-ros[train]'") from error
    names = list(results)[::-1]
    figure = Figure(figsize=(10, 1 + 0.32 * len(names)), layout='constrained')
    time, accuracy = figure.subplots(1, 2, sharey=True)
    time.barh(names, [results[name].frame for name in names], label='frame')
    time.barh(names, [results[name].floor for name in names], height=0.4, label='floor: its products alone')
    time.set(xlabel='seconds')
    time.legend()
    for name in names:
        scores = reported(name)
        if scores is None:
            accuracy.text(0.5, name, 'nobody reports any', va='center')
            continue
        accuracy.barh([name], [scores.miou], color='tab:green' if scores.real else 'tab:gray')
        said = f'{scores.miou:.1f}' if scores.real else f'{scores.miou:.1f}, on synthetic scenes'
        accuracy.text(scores.miou + 0.5, name, said, va='center')
    accuracy.set(xlabel='mIoU [%] as reported, each on its own labels', xlim=(0, 70))
    for axes in (time, accuracy):
        axes.grid(axis='x', alpha=0.3)
    with written_whole(path) as draft:
        figure.savefig(draft, format='png', dpi=110)
