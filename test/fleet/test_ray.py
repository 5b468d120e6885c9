"""A fleet on a Ray of its own: workers that are killed, a driver that stops, and the same numbers as without it."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest.mock import Mock

import pytest

from gdfusion_ros.cli import main
from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.fleet.job import Job, JobSettings
from gdfusion_ros.fleet.listing import list_jobs
from gdfusion_ros.fleet.ray_pool import RayPool, Share, ray_pool
from gdfusion_ros.fleet.record import Failure, Record
from gdfusion_ros.fleet.run import PAGE, SCORES, begin_folder, check_folder, report, survey, work
from gdfusion_ros.fleet.storage import output
from gdfusion_ros.fleet.summary import Summary
from gdfusion_ros.fleet.work import sealed

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != 'linux', reason='kills processes by their ids')]


@pytest.fixture(scope='session')
def settings() -> JobSettings:
    return sealed(JobSettings(evaluate=True))


@pytest.fixture(scope='session')
def pool(settings: JobSettings) -> Iterator[RayPool]:
    """Workers with the network that comes with the package."""
    pytest.importorskip('ray', reason='needs the extra fleet')
    token = Path.home() / '.ray' / 'auth_token'
    there = token.exists()
    with ray_pool(settings, Share(1, 0), '', 1) as pool:
        assert token.exists() == there, 'Ray left a token, for which later clusters of this user would ask'
        yield pool


class Deadly:
    """The same pool, but it kills the first worker while that is at work: its bag has a draft."""

    def __init__(self, pool: RayPool, out: Path, wait_until: Callable[..., None]) -> None:
        self.start, self.stop, self.events, self._pool = pool.start, pool.stop, pool.events, pool
        self._out, self._wait_until, self.killed = out, wait_until, 0

    def give(self, worker: int, job: Job) -> None:
        process = (
            0
            if self.killed
            else self._pool._ray.get(self._pool._actors[worker].__ray_call__.remote(lambda _: os.getpid()))
        )
        self._pool.give(worker, job)
        if process:
            self._wait_until(lambda: list(self._out.glob(f'.{job.name}.*')))
            os.kill(process, signal.SIGKILL)
            self.killed = process


class Told:
    """A watcher that writes down what it is told; ``end`` is called at every bag that is done."""

    def __init__(self, end: Callable[[], object] = lambda: None) -> None:
        self._end, self.repeated = end, list[tuple[str, str]]()

    def done(self, record: Record) -> None:
        self._end()

    def failed(self, failure: Failure) -> None:
        pass

    def again(self, job: Job, reason: str) -> None:
        self.repeated.append((job.name, reason))


def test_nothing_is_lost_and_nothing_double(
    pool: RayPool,
    settings: JobSettings,
    labelled_bags: list[Path],
    tmp_path: Path,
    wait_until: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A worker is killed, the driver ends, and goes on; one of three bags is bad."""
    out = tmp_path / 'out'
    (bad := tmp_path / 'bad.mcap').write_bytes(b'nothing')
    jobs = list_jobs([str(path) for path in (*labelled_bags, bad)], str(out), settings).jobs
    results, first, stopped = output(str(out)), labelled_bags[0].name, Told(Mock(side_effect=KeyboardInterrupt))
    begin_folder(results, settings)
    deadly = Deadly(pool, out, wait_until)
    with pytest.raises(KeyboardInterrupt):
        work(jobs, 1, deadly, Summary(), stopped)
    pool.close()
    assert deadly.killed
    assert [name for name, _ in stopped.repeated] == [first]
    assert 'its worker is gone: ActorDiedError' in stopped.repeated[0][1]

    check_folder(results, str(out), settings, resume=True)
    summary, told = Summary(), Told()
    left = survey(jobs, results, settings, summary)
    assert [row.name for row in summary.rows] == [first]
    work(left, 1, pool, summary, told)
    results.clean()
    report(results, summary, 'Fleet', pictures=False)
    assert [failure.name for failure in summary.failures] == ['bad'] == [name for name, _ in told.repeated]
    assert sorted(path.name for path in out.iterdir()) == [
        'fleet.json',
        PAGE,
        *sorted(bag.name for bag in labelled_bags),
        SCORES,
    ]

    assert main(['replay', str(labelled_bags[0]), '--out', str(tmp_path / 'grids'), '--threads', '1']) == 0
    assert (tmp_path / 'grids/grids.mcap').read_bytes() == (out / first / 'grids/grids.mcap').read_bytes()
    capsys.readouterr()
    grids = [str(out / bag.name / 'grids') for bag in labelled_bags]
    assert main(['evaluate', *grids, '--format', 'json', '--truth', *map(str, labelled_bags)]) == 0
    assert json.loads((out / SCORES).read_text()) == json.loads(capsys.readouterr().out)


def test_without_ray_s_own_process_it_ends(
    pool: RayPool, settings: JobSettings, labelled_bags: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last test of this pool: nobody hands work to its workers any more, and none of them says so."""
    monkeypatch.setattr('gdfusion_ros.fleet.ray_pool._LOOK', 0.1)
    children = Path(f'/proc/self/task/{os.getpid()}/children').read_text().split()
    (raylet,) = (int(child) for child in children if Path(f'/proc/{child}/comm').read_text() == 'raylet\n')
    os.kill(raylet, signal.SIGTERM)
    jobs = list_jobs([str(labelled_bags[0])], str(tmp_path / 'out'), settings).jobs
    with pytest.raises(GdfusionError, match=r'\(raylet\) is gone'):
        work(jobs, 1, pool, Summary(), Told())
