"""Which bags are meant: folders, globs, lists in text files, URLs of object stores, scenes of nuScenes."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from gdfusion_ros.bags.formats import SUFFIXES
from gdfusion_ros.bags.metadata import METADATA
from gdfusion_ros.datasets import nuscenes
from gdfusion_ros.datasets.nuscenes import Dataset
from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.fleet.job import Job, JobSettings
from gdfusion_ros.fleet.storage import file_system, is_url, reaching
from gdfusion_ros.names import is_file_name


@dataclass(frozen=True)
class Listing:
    """The jobs of a fleet, and the scene of every job of nuScenes by its name."""

    jobs: list[Job]
    scenes: Mapping[str, Dataset]

    def dataset_of(self, job: Job) -> Dataset | None:
        """The scene of a job; None for a bag."""
        return self.scenes.get(job.name)


def list_jobs(
    texts: Sequence[str], out: str, settings: JobSettings, *, version: str = '', scenes: Sequence[str] = ()
) -> Listing:
    """A job for every bag that ``texts`` mean, in their order.

    Args:
        texts: Paths and URLs of bags, of folders with bags in them at any depth, of folders of nuScenes; globs of such;
            ``.txt`` files with one of them a line.
        out: Where results go.
        settings: Of all jobs.
        version: Of nuScenes' tables.
        scenes: Of nuScenes, as ``gdfusion convert`` takes them; none: all.

    Raises:
        GdfusionError: nothing is there, a bag is named twice, or scenes are asked for without nuScenes.
    """
    bags: list[str] = []
    drives: list[tuple[Dataset, str]] = []
    for text in _lines(texts):
        if not is_url(text) and any(Path(text).glob('v1.0-*/scene.json')):
            dataset = nuscenes.load(Path(text), version or None, scenes)
            drives += [(Dataset(dataset.root, dataset.version, (scene,)), text) for scene in dataset.scenes]
        else:
            bags += _bags(text)
    if (scenes or version) and not drives:
        raise GdfusionError('--scenes and --version are of nuScenes: give its folder, which has v1.0-…/scene.json')
    keys = [*bags, *(f'{text}/{dataset.scenes[0].name}' for dataset, text in drives)]
    if not keys:
        raise GdfusionError('no bags: nothing was given')
    names = _names(keys)
    jobs = [Job(bag=bag, out=out, name=name, settings=settings) for bag, name in zip(bags, names, strict=False)]
    of_scenes = [
        Job(bag=text, out=out, name=name, scene=dataset.scenes[0].name, version=dataset.version, settings=settings)
        for (dataset, text), name in zip(drives, names[len(bags) :], strict=True)
    ]
    return Listing(jobs + of_scenes, {job.name: dataset for job, (dataset, _) in zip(of_scenes, drives, strict=True)})


def _lines(texts: Sequence[str]) -> Iterator[str]:
    """What is meant, with text files read; paths are absolute, since workers have folders of their own."""
    for text in texts:
        if text.endswith('.txt'):
            files, path = file_system(text)
            with reaching(text):
                content = files.cat_file(path).decode()
            yield from _lines([line for line in map(str.strip, content.splitlines()) if line and line[0] != '#'])
        else:
            yield text if is_url(text) else str(Path(text).expanduser().absolute())


def _bags(text: str) -> list[str]:
    """The bags that a path, a URL or a glob means.

    Raises:
        GdfusionError: there are none.
    """
    files, path = file_system(text)
    with reaching(text):
        roots = sorted(files.glob(path)) if re.search(r'[*?[]', path) and not files.exists(path) else [path]
        found = [bag for root in roots for bag in _below(files, root)]
    if not found:
        raise GdfusionError(f'no bags: {text} ' + ('has none in it' if roots else 'matches nothing'))
    return [files.unstrip_protocol(bag) if is_url(text) else bag for bag in found]


def _below(files: Any, path: str) -> list[str]:
    """The bag at ``path``, or those in that folder."""
    if not files.exists(path):
        raise GdfusionError(f'no bags: nothing is at {path}')
    if not files.isdir(path):
        return [path]
    entries = sorted((entry for entry in files.ls(path, detail=True) if not _name(entry).startswith('.')), key=_name)
    names = [_name(entry) for entry in entries if entry['type'] == 'file']
    recordings = defaultdict(list)
    for name in names:
        if name.endswith(SUFFIXES):
            recordings[re.sub(r'(_\d+)?\..*$', '', name)].append(f'{path}/{name}')
    if METADATA in names or len(recordings) == 1:
        return [path]
    if split := [of_one for of_one in recordings.values() if len(of_one) > 1]:
        raise GdfusionError(
            f'{path} has files of several recordings, one of them in several files, such as '
            f'{split[0][0]}; put the files of each recording into a folder of its own'
        )
    folders = [f'{path}/{_name(entry)}' for entry in entries if entry['type'] == 'directory']
    return [*(file for (file,) in recordings.values()), *(bag for folder in folders for bag in _below(files, folder))]


def _name(entry: Mapping[str, Any]) -> str:
    return PurePosixPath(entry['name']).name


def _names(keys: Sequence[str]) -> list[str]:
    """A name for the result of every bag: the end of its path, as much of it as tells it from the others.

    Raises:
        GdfusionError: a bag is there twice, or no folder can be called so.
    """
    if twice := [key for key, count in Counter(keys).items() if count > 1]:
        raise GdfusionError(f'a bag is named twice: {twice[0]}; name it once')
    parts = [PurePosixPath(re.sub(r'\.(mcap|db3|bag)(\.zstd)?$', '', key)).parts for key in keys]
    taken, names = 1, [path[-1] for path in parts]
    while clashing := {name for name, count in Counter(names).items() if count > 1}:
        taken += 1
        if taken > max(map(len, parts)):
            alike = ', '.join(key for key, name in zip(keys, names, strict=True) if name in clashing)
            raise GdfusionError(f'{alike} differ only in the endings of their names; rename one')
        names = [
            '_'.join(part.strip('/:') for part in path[-taken:]) if name in clashing else name
            for path, name in zip(parts, names, strict=True)
        ]
    for key, name in zip(keys, names, strict=True):
        if not is_file_name(name):
            raise GdfusionError(f'{key}: no result can be called {name!r}; rename the bag')
    return names
