"""One bag to run the network over, as JSON: all that a worker on any machine has to be told."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from gdfusion_ros import __version__
from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.files import folder_written_whole
from gdfusion_ros.perception.estimator import PoseProtocol
from gdfusion_ros.settings import BevSettings, ModelSettings, PipelineSettings, TopicSettings, from_mapping


class JobSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What all bags of a fleet have in common.

    Attributes:
        model: fields of ModelSettings that are not the default. ``weights`` may be a URL.
        pipeline: the same of PipelineSettings.
        topics: the same of TopicSettings.
        bev: the same of BevSettings.
        protocol: see ``grid_stream``.
        threads: that torch takes for a network on a CPU. A network with a ResNet rounds otherwise with another number.
        evaluate: score the grids against the labels that belong to the bag.
        rays: RayIoU as well.
        render: draw the last grid.
        storage, format: of the bag that is written, see ``bag_writer``.
        weights_sha256: what the file of the weights has to be; empty: any.
    """

    model: dict[str, Any] = {}
    pipeline: dict[str, Any] = {}
    topics: dict[str, Any] = {}
    bev: dict[str, Any] = {}
    protocol: PoseProtocol = 'live'
    threads: Annotated[int, msgspec.Meta(ge=1)] = 1
    evaluate: bool = False
    rays: bool = True
    render: bool = False
    storage: Literal['mcap', 'sqlite3'] = 'mcap'
    format: Literal['jazzy', 'humble'] = 'jazzy'
    weights_sha256: str = ''

    @property
    def of_model(self) -> ModelSettings:
        """The network. Raises GdfusionError for a name or value that is not allowed, as the next three do."""
        return from_mapping(ModelSettings, self.model)

    @property
    def of_pipeline(self) -> PipelineSettings:
        """How images become frames."""
        return from_mapping(PipelineSettings, self.pipeline)

    @property
    def of_topics(self) -> TopicSettings:
        """Where they are."""
        return from_mapping(TopicSettings, self.topics)

    @property
    def of_bev(self) -> BevSettings:
        """What columns of the grids cost."""
        return from_mapping(BevSettings, self.bev)

    @property
    def facts(self) -> dict[str, Any]:
        """Every setting, defaults too, and the version. Of the weights counts what they are, not where they lie."""
        facts: dict[str, Any] = msgspec.to_builtins(self)
        return facts | {
            'model': _plain(replace(self.of_model, weights='')),
            'pipeline': _plain(self.of_pipeline),
            'topics': _plain(self.of_topics),
            'bev': _plain(self.of_bev),
            'gdfusion': __version__,
        }

    @property
    def fingerprint(self) -> str:
        """The same for all results that may stand in one table: the digest of ``facts``."""
        return hashlib.sha256(json.dumps(self.facts, sort_keys=True).encode()).hexdigest()


class Job(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One bag.

    Attributes:
        bag: its path or URL; with ``scene``, the folder of nuScenes.
        out: the folder, or its URL, that gets the result.
        name: of the result in ``out``.
        scene: name of a scene of nuScenes, which is converted on the way; empty for a bag.
        version: of nuScenes' tables; empty: the only one there.
        settings: what it has in common with other bags.
    """

    bag: str
    out: str
    name: str
    scene: str = ''
    version: str = ''
    settings: JobSettings = JobSettings()

    @property
    def source(self) -> str:
        """The bag as lines for people name it."""
        return f'{self.bag} {self.scene}' if self.scene else self.bag


def _plain(settings: Any) -> dict[str, Any]:
    """As JSON gives it back: lists, no tuples."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in vars(settings).items()}


def changed(settings: object) -> dict[str, Any]:
    """The fields of settings (a dataclass) that are not the default."""
    defaults = type(settings)()
    return {name: value for name, value in vars(settings).items() if value != getattr(defaults, name)}


def read_job(path: Path) -> Job:
    """The job in a file.

    Raises:
        GdfusionError: it cannot be read, or is no job.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=Job)
    except OSError as error:
        raise GdfusionError(f'job {path} cannot be read: {error.strerror}') from error
    except msgspec.DecodeError as error:
        raise GdfusionError(f"job {path} is none: {error}; 'gdfusion fleet --plan DIR' writes such files") from error


def write_jobs(jobs: list[Job], folder: Path) -> None:
    """A file ``00000.json`` (and so on) for every job, in a new folder: engines that run arrays of jobs count so.

    Raises:
        GdfusionError: the folder exists, or cannot be written.
    """
    with folder_written_whole(folder) as draft:
        draft.mkdir()
        for number, job in enumerate(jobs):
            (draft / f'{number:05d}.json').write_bytes(msgspec.json.format(msgspec.json.encode(job), indent=2))
