"""One bag: what its result holds, that it is done once, and what its errors are."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch

from gdfusion_ros.bags.replay import replay
from gdfusion_ros.cli import main
from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.evaluation.evaluator import evaluate
from gdfusion_ros.evaluation.predictions import ModelPredictions
from gdfusion_ros.evaluation.protocol import ScoringProtocol
from gdfusion_ros.evaluation.truth import truth_of_bags
from gdfusion_ros.fleet import work
from gdfusion_ros.fleet.job import Job, JobSettings, write_jobs
from gdfusion_ros.fleet.record import Failure, Record
from gdfusion_ros.fleet.scores import Sum, scores_of
from gdfusion_ros.fleet.work import Workplace, sealed
from gdfusion_ros.model.zoo import select_model
from gdfusion_ros.settings import PipelineSettings, TopicSettings

Tiny = Callable[..., Workplace]


def job(place: Workplace, bag: object, out: object, name: str = 'a', **facts: str) -> Job:
    return Job(bag=str(bag), out=str(out), name=name, settings=place.settings, **facts)


def test_grids_are_those_of_a_replay_and_scores_those_of_an_evaluation(
    tiny: Tiny, labelled_bags: list[Path], tmp_path: Path
) -> None:
    place, total = tiny(evaluate=True), Sum()
    for number, bag in enumerate(labelled_bags):
        record = place.run(job(place, bag, tmp_path / 'out', str(number)))
        assert record.scores is not None
        total.add(scores_of(record.scores))
        replay(bag, tmp_path / str(number) / 'grids', place.network, PipelineSettings(), TopicSettings())
        ours, plain = (folder / str(number) / 'grids' / 'grids.mcap' for folder in (tmp_path / 'out', tmp_path))
        assert ours.read_bytes() == plain.read_bytes()
    predictions = ModelPredictions(labelled_bags, place.network, PipelineSettings(), TopicSettings())
    whole = evaluate(
        truth_of_bags(labelled_bags, PipelineSettings(), TopicSettings()), predictions, ScoringProtocol('camera')
    )
    assert total.report is not None
    assert total.report.as_json() == whole.as_json()


def test_the_record_says_what_was_done(tiny: Tiny, labelled_bags: list[Path], tmp_path: Path) -> None:
    place = tiny(render=True)
    record = place.run(job(place, f'file://{labelled_bags[0]}', f'file://{tmp_path}/out'))
    folder = tmp_path / 'out' / 'a'
    assert sorted(path.name for path in folder.iterdir()) == ['grids', 'last.png', 'record.json']
    assert msgspec.json.decode((folder / 'record.json').read_bytes(), type=Record) == record
    assert (record.counts.images, record.counts.grids, record.device, record.model) == (
        18,
        3,
        'cpu',
        'tiny (untrained)',
    )
    assert record.source == f'file://{labelled_bags[0]}'
    assert list(record.seconds) == ['fetch', 'replay', 'evaluate', 'render']
    assert record.scores is None


def test_what_is_done_is_not_done_again(tiny: Tiny, labelled_bags: list[Path], tmp_path: Path) -> None:
    place = tiny()
    first = place.run(job(place, labelled_bags[0], tmp_path))
    assert place.run(job(place, labelled_bags[0], tmp_path)) == first
    other = tiny(storage='sqlite3')
    assert other.run(job(other, labelled_bags[0], tmp_path)).fingerprint != first.fingerprint
    assert [path.name for path in (tmp_path / 'a' / 'grids').glob('grids.*')] == ['grids.db3']


def test_a_scene_of_nuscenes_is_converted_on_the_way(
    tiny: Tiny, nuscenes_complete: Path, labelled_bags: list[Path], tmp_path: Path
) -> None:
    place = tiny(evaluate=True, rays=False)
    converted = place.run(job(place, nuscenes_complete, tmp_path, scene='scene-0002'))
    of_bag = place.run(job(place, labelled_bags[1], tmp_path, 'b'))
    assert converted.scores == of_bag.scores
    assert converted.source == f'{nuscenes_complete} scene-0002'


def test_errors_are_one_line_and_leave_nothing(
    tiny: Tiny, scene_bag: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tiny(evaluate=True)

    def failure(of_job: Job) -> Failure:
        outcome = place.attempt(of_job)
        assert isinstance(outcome, Failure)
        assert list(tmp_path.iterdir()) == []
        return outcome

    assert 'nothing is there' in failure(job(place, tmp_path / 'missing', tmp_path)).reason
    unlabelled = failure(job(place, scene_bag, tmp_path))
    assert 'no messages on /ground_truth/occupancy' in unlabelled.reason
    assert not unlabelled.unexpected

    def full(*_: object, **__: object) -> None:
        try:
            raise OSError(errno.ENOSPC, 'No space left on device')
        except OSError as error:
            raise GdfusionError(f'bag cannot be written: {error}') from error

    monkeypatch.setattr(work, 'replay', full)
    assert failure(job(place, scene_bag, tmp_path)).full_disk

    def broken(*_: object, **__: object) -> None:
        raise IndexError('list index out of range')

    monkeypatch.setattr(work, 'replay', broken)
    unforeseen = failure(job(place, scene_bag, tmp_path))
    assert (unforeseen.reason, unforeseen.unexpected) == ('IndexError: list index out of range', True)


def test_a_job_is_a_plain_command(
    tiny: Tiny, labelled_bags: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tiny()
    write_jobs([job(place, labelled_bags[0], tmp_path / 'out')], tmp_path / 'jobs')
    file = str(tmp_path / 'jobs' / '00000.json')
    for _ in range(2):
        assert main(['replay', '--job', file]) == 0
        assert capsys.readouterr().out == (f'tiny (untrained): 3 grids of {labelled_bags[0]} in {tmp_path}/out/a\n')


@pytest.mark.parametrize(
    ('change', 'reason'),
    [
        ({'bga': 'x'}, 'contains unknown field `bga`'),
        ({'settings': {'threads': 0}}, 'Expected `int` >= 1'),
        ({'settings': {'model': {'nope': 1}}}, "unknown setting 'nope'"),
        ({'settings': {'weights_sha256': 64 * '0'}}, 'are another file (SHA-256 '),
    ],
)
def test_a_job_that_is_none_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change: dict[str, Any], reason: str
) -> None:
    (tmp_path / 'job.json').write_text(json.dumps({'bag': 'x', 'out': str(tmp_path), 'name': 'a', **change}))
    assert main(['replay', '--job', str(tmp_path / 'job.json')]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith('gdfusion replay: ')
    assert reason in line


def test_where_weights_lie_does_not_count_but_what_they_are(tmp_path: Path) -> None:
    ours = sealed(JobSettings())
    assert len(ours.weights_sha256) == 64
    copy = tmp_path / 'w.safetensors'
    path = select_model(ours.of_model).weights
    assert path is not None
    copy.write_bytes(path.read_bytes())
    theirs = sealed(JobSettings(model={'weights': f'file://{copy}'}))
    assert theirs.fingerprint == ours.fingerprint
    assert sealed(JobSettings(threads=2)).fingerprint != ours.fingerprint
    assert sealed(JobSettings(model={'untrained': True})).fingerprint != ours.fingerprint


def test_runtimes_that_are_not_torch_s_take_as_many_threads(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('OMP_NUM_THREADS', '7')  # as Ray sets it, to the CPUs of a worker
    tiny(threads=2)
    assert (os.environ['OMP_NUM_THREADS'], torch.get_num_threads()) == ('2', 2)
