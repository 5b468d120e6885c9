"""The bag of a job on this machine's disk, and the labels that belong to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from gdfusion_ros.datasets import nuscenes
from gdfusion_ros.datasets.labels import FORMATS
from gdfusion_ros.datasets.nuscenes import Dataset
from gdfusion_ros.datasets.plan import Content
from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.evaluation.frames import Truth
from gdfusion_ros.evaluation.predictions import converted
from gdfusion_ros.evaluation.truth import truth_of_bags, truth_of_dataset
from gdfusion_ros.fleet.job import Job
from gdfusion_ros.fleet.storage import local_copy
from gdfusion_ros.model.spec import NetworkSpec

ReadTruth = Callable[[], Truth]


@contextmanager
def opened(job: Job, spec: NetworkSpec, dataset: Dataset | None = None) -> Iterator[tuple[Path, ReadTruth]]:
    """The bag of a job, there until the end of the block, and the function that reads its labels.

    Args:
        job: Names a bag, or a scene of nuScenes, which is converted.
        spec: Of the network, which says whether clouds are needed and what kind of labels it is scored with.
        dataset: With that scene alone; None reads the tables.

    Raises:
        GdfusionError: it cannot be fetched or converted.
    """
    if not job.scene:
        with local_copy(job.bag) as bag:
            yield bag, lambda: truth_of_bags([bag], job.settings.of_pipeline, job.settings.of_topics)
        return
    scene = dataset or nuscenes.load(Path(job.bag), job.version or None, [job.scene])
    with closing(converted(scene, Content(lidar=spec.lidar_depth))) as bags:
        yield next(bags), lambda: _labels(scene, spec.label_set, job)


def _labels(dataset: Dataset, label_set: str, job: Job) -> Truth:
    if label_set not in FORMATS:
        raise GdfusionError(f'there are no labels of the label set {label_set} for scenes of nuScenes')
    form = FORMATS[label_set]
    return truth_of_dataset(dataset, form, dataset.root / form.folder, job.settings.of_pipeline)
