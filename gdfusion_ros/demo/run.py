"""The steps of the demo.

Imports ROS: ``ros.environment.prepare`` comes first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from gdfusion_ros.bags.reader import bag_reader
from gdfusion_ros.bags.recording import Row, counts, latencies
from gdfusion_ros.bags.snapshots import BagSnapshots, Sources, bag_snapshots
from gdfusion_ros.datasets import nuscenes
from gdfusion_ros.datasets.convert import convert
from gdfusion_ros.datasets.nuscenes import Dataset
from gdfusion_ros.datasets.plan import LABELS, Content, Job, plan
from gdfusion_ros.demo.folder import Folder
from gdfusion_ros.demo.live import GRIDS_TOPIC, LATENCY, Bar, run_node
from gdfusion_ros.evaluation.evaluator import evaluate
from gdfusion_ros.evaluation.predictions import BagPredictions
from gdfusion_ros.evaluation.protocol import ScoringProtocol, usual_mask
from gdfusion_ros.evaluation.report import Report
from gdfusion_ros.evaluation.truth import truth_of_bags
from gdfusion_ros.files import written_whole
from gdfusion_ros.messages.diagnostics import DIAGNOSTICS_TOPIC
from gdfusion_ros.model.runtime.backends import specification_of
from gdfusion_ros.settings import ModelSettings, PipelineSettings, TopicSettings
from gdfusion_ros.synthetic.recipes import Recipe
from gdfusion_ros.synthetic.synthesize import synthesize
from gdfusion_ros.synthetic.weather import EVERYDAY
from gdfusion_ros.visualization import page, sheet, video
from gdfusion_ros.visualization.snapshot import Snapshot


class ProgressBars(Protocol):
    """Makes progress bars."""

    def __call__(self, total: int, unit: str, description: str, *, scaled: bool = False) -> AbstractContextManager[Bar]:
        """A bar of ``total`` units; ``scaled`` writes large numbers short."""
        ...


@dataclass(frozen=True, eq=False)
class DemoResult:
    """What a demo did.

    Attributes:
        expected: Camera sets in the bags.
        grids: Grids that the node published.
        counts: What the node counted, as lines of a table.
        latencies: Milliseconds in each stage of the node (see ros/timing.py), one value a frame.
        scores: The grids against the ground truth; None where the dataset has no labels.
        model: What made the grids; says so if it is untrained.
    """

    expected: int
    grids: int
    counts: Sequence[Row]
    latencies: Mapping[str, NDArray[np.float64]]
    scores: Report | None
    model: str


def check(model: ModelSettings) -> None:
    """Make sure, before the work, that the demo can end well.

    Raises:
        GdfusionError: there is no such network, its weights are missing, or videos cannot be written.
    """
    specification_of(model)
    video.require_encoder()


def make_scene(folder: Folder, seed: int, frames: int, jobs: int, progress: ProgressBars) -> Dataset:
    """A scene that nobody has driven through, in nuScenes' format with ground truth."""
    recipe = Recipe(seed, scenes=1, frames=frames, width=704, height=256, sweeps=False, lidar=False, weather=EVERYDAY)
    with progress(frames, 'frame', 'synthesize') as bar:
        synthesize(folder.dataset, recipe, jobs, bar.update)
    return nuscenes.load(folder.dataset)


def run(
    dataset: Dataset,
    folder: Folder,
    model: ModelSettings,
    progress: ProgressBars,
    *,
    storage: str = 'mcap',
    bag_format: str = 'jazzy',
) -> DemoResult:
    """Convert ``dataset``, run the node on it, score and render the grids.

    ``storage`` and ``bag_format`` are those of the bags, see ``bag_writer``.

    Raises:
        GdfusionError: images are missing; the node fails or is silent.
    """
    jobs = plan(dataset, folder.bags, Content(labels=True))
    with progress(sum(job.size for job in jobs), 'B', 'convert', scaled=True) as bar:
        for job in jobs:
            convert(job, storage=storage, bag_format=bag_format, on_file=bar.update)
    bags, expected = [job.path for job in jobs], sum(len(job.scene.samples) for job in jobs)
    with progress(expected, 'grid', 'live node') as bar:
        grids = run_node(bags, folder, model, expected, bar, storage=storage, bag_format=bag_format)
    scores = _score(jobs, folder, progress)
    with bag_snapshots(Sources(folder.grids, GRIDS_TOPIC, tuple(bags))) as frames:
        _render(frames, folder, progress)
        title = frames[len(frames) - 1].grid.model
    with bag_reader(folder.grids) as bag:
        return DemoResult(expected, grids, list(counts(bag, DIAGNOSTICS_TOPIC)), latencies(bag, LATENCY), scores, title)


def _score(jobs: Sequence[Job], folder: Folder, progress: ProgressBars) -> Report | None:
    labelled = [job.path for job in jobs if len(job.files[LABELS]) > len(job.missing(LABELS))]
    if not labelled:
        return None
    truth = truth_of_bags(labelled, PipelineSettings(), TopicSettings())
    with progress(len(truth.frames), 'frame', 'evaluate') as bar:
        protocol = ScoringProtocol(usual_mask(truth.label_set))
        report = evaluate(truth, BagPredictions([folder.grids], GRIDS_TOPIC), protocol, lambda *_: bar.update(1))
    with written_whole(folder.scores) as draft:
        draft.write_text(report.render('markdown') + '\n', 'utf-8')
    return report


def _render(frames: BagSnapshots, folder: Folder, progress: ProgressBars) -> None:
    sheet.write(folder.picture, frames[len(frames) - 1])
    with progress(2 * len(frames), 'frame', 'render') as bar:
        video.write(folder.video, _read(frames, bar), frames.parts, video.frame_rate(frames.stamps))
        page.write(folder.page, _read(frames, bar), frames.parts)


def _read(frames: BagSnapshots, bar: Bar) -> Iterator[Snapshot]:
    for index in range(len(frames)):
        yield frames[index]
        bar.update(1)
