"""Where predictions come from: grids in bags, files of the Occ3D benchmark, or a network that runs."""

from __future__ import annotations

import tempfile
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Protocol

from gdfusion_ros.bags.grid_stream import SILENT, ReplayListener, grid_stream
from gdfusion_ros.bags.messages import GRID_TYPE
from gdfusion_ros.bags.reader import BagReader, bag_reader
from gdfusion_ros.bags.released import nearest
from gdfusion_ros.datasets.convert import convert
from gdfusion_ros.datasets.grid_file import read_prediction
from gdfusion_ros.datasets.labels import FRAME_IDS
from gdfusion_ros.datasets.nuscenes import Dataset
from gdfusion_ros.datasets.plan import Content, plan
from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.evaluation.frames import KeyFrame
from gdfusion_ros.messages import decode
from gdfusion_ros.perception.estimator import PoseProtocol
from gdfusion_ros.perception.labels import LabelSet
from gdfusion_ros.perception.runners import Network
from gdfusion_ros.perception.types import SemanticGrid
from gdfusion_ros.settings import PipelineSettings, TopicSettings

Pair = tuple[KeyFrame, SemanticGrid]


@dataclass
class Tally:
    """What became of the predictions.

    Attributes:
        scored: belong to a key frame each.
        unlabelled: belong to none.
        surplus: belong to a key frame that has a prediction nearer in time, or an earlier one with the same stamp.
    """

    scored: int = 0
    unlabelled: int = 0
    surplus: int = 0


class Predictions(Protocol):
    """A source of predictions."""

    def pairs(self, frames: Sequence[KeyFrame], tally: Tally) -> Iterator[Pair]:
        """Every key frame of ``frames`` for which there is a prediction, with it; ``tally`` counts them all.

        Raises:
            GdfusionError: the source cannot be read.
        """
        ...


@dataclass(frozen=True)
class BagPredictions:
    """Grids on a topic of bags, matched by stamp."""

    paths: Sequence[Path]
    topic: str

    def pairs(self, frames: Sequence[KeyFrame], tally: Tally) -> Iterator[Pair]:
        """See Predictions."""
        return _by_stamp(self._runs(), frames, tally)

    def _runs(self) -> Iterator[_Run]:
        for path in self.paths:
            with bag_reader(path) as bag:
                bag.require({self.topic: GRID_TYPE})
                yield (
                    _scene(bag),
                    (decode.semantic_grid(item.message, self.topic) for item in bag.messages([self.topic])),
                )


@dataclass(frozen=True)
class NpzPredictions:
    """Files of a folder, named after the sample token: labels in the grid of the label set, as ``.npz`` or ``.npy``.

    ``<token>.npz`` is the Occ3D benchmark's layout, ``<scene>/<token>.npz`` that of GDFusion's release; a file that is
    called otherwise belongs to the token that its folder is called (``<scene>/<token>/pred.npz``).
    Those in the ego frame are taken to be of the reference camera's stamp.
    """

    folder: Path
    label_set: LabelSet

    def pairs(self, frames: Sequence[KeyFrame], tally: Tally) -> Iterator[Pair]:
        """See Predictions."""
        if not self.folder.is_dir():
            raise GdfusionError(f'no folder {self.folder}; expected one with <sample token>.npz')
        by_token = {frame.token: frame for frame in frames if frame.token}
        files: dict[str, Path] = {}
        for path in sorted(path for path in self.folder.rglob('*') if path.suffix in ('.npz', '.npy')):
            token = path.stem if path.stem in by_token else path.parent.name
            if token not in by_token:
                tally.unlabelled += 1
            elif token in files:
                raise GdfusionError(f'two predictions of sample {token}: {files[token]} and {path}; leave one of them')
            else:
                files[token] = path
        for token, frame in by_token.items():
            if token in files:
                tally.scored += 1
                yield frame, self._grid(files[token], frame)

    def _grid(self, path: Path, frame: KeyFrame) -> SemanticGrid:
        stamp = frame.stamp
        if self.label_set.frame == 'ego' and frame.camera_stamp is not None:
            stamp = frame.camera_stamp
        labels = read_prediction(path, self.label_set)
        return SemanticGrid.of_labels(stamp, FRAME_IDS[self.label_set.frame], labels, self.label_set, str(self.folder))


@dataclass(frozen=True)
class ModelPredictions:
    """What a network makes of bags with images, matched by stamp.

    Attributes:
        bags: The bags; each is open only while it is used.
        network, pipeline, topics, protocol, listener: See ``grid_stream``.
    """

    bags: Iterable[Path]
    network: Network
    pipeline: PipelineSettings
    topics: TopicSettings
    protocol: PoseProtocol = 'live'
    listener: ReplayListener = SILENT

    def pairs(self, frames: Sequence[KeyFrame], tally: Tally) -> Iterator[Pair]:
        """See Predictions."""
        return _by_stamp(self._runs(), frames, tally)

    def _runs(self) -> Iterator[_Run]:
        for path in self.bags:
            with (
                bag_reader(path) as bag,
                grid_stream(
                    bag, self.network, self.pipeline, self.topics, protocol=self.protocol, listener=self.listener
                ) as stream,
            ):
                yield _scene(bag), (grid for grid, _ in stream)


def converted(dataset: Dataset, content: Content) -> Generator[Path, None, None]:
    """A bag of every scene of ``dataset`` with that content, which is there until the next is asked for.

    Raises:
        GdfusionError: images are missing, or the bag cannot be written.
    """
    for scene in dataset.scenes:
        with tempfile.TemporaryDirectory(prefix='gdfusion-') as folder:
            for job in plan(Dataset(dataset.root, dataset.version, (scene,)), Path(folder), content):
                convert(job)
                yield job.path


_Run = tuple[str, Iterator[SemanticGrid]]
"""Grids in the order of their making, and the scene that they are of (empty: not known)."""


def _scene(bag: BagReader) -> str:
    return bag.custom_data.get('nuscenes.scene_token', '')


def _by_stamp(runs: Iterable[_Run], frames: Sequence[KeyFrame], tally: Tally) -> Iterator[Pair]:
    """The nearest of the grids of every key frame; where a bag loops or comes again, those of its first run."""
    used: set[KeyFrame] = set()
    for scene, grids in runs:
        # As far as scenes are known they are told apart: two vehicles may have driven at the same time.
        known = {
            frame.stamp: frame for frame in frames if not scene or not frame.drive.token or frame.drive.token == scene
        }
        yield from _of_run(grids, known, used, tally)


def _of_run(
    grids: Iterator[SemanticGrid], frames: Mapping[int, KeyFrame], used: set[KeyFrame], tally: Tally
) -> Iterator[Pair]:
    """The same for one run; ``frames`` by stamp [ns], those in ``used`` have their grid already."""
    stamps = sorted(frames)
    for stamp, group in groupby(grids, lambda grid: nearest(stamps, grid.stamp)):
        count, best = _nearest_grid(group, stamp or 0)
        if stamp is None:
            tally.unlabelled += count
        elif frames[stamp] in used:
            tally.surplus += count
        else:
            used.add(frames[stamp])
            tally.scored += 1
            tally.surplus += count - 1
            yield frames[stamp], best


def _nearest_grid(grids: Iterator[SemanticGrid], stamp: int) -> tuple[int, SemanticGrid]:
    """How many there are (one at least), and the one nearest to ``stamp`` [ns]; never holds more than two."""
    count, best = 1, next(grids)
    for grid in grids:
        count += 1
        best = min(best, grid, key=lambda candidate: abs(candidate.stamp - stamp))
    return count, best
