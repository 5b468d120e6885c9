"""Workers as actors of Ray: on this machine, or on all of a cluster."""

from __future__ import annotations

import itertools
import logging
import math
import os
import secrets
import shutil
import signal
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from gdfusion_ros import __version__
from gdfusion_ros.datasets.nuscenes import Dataset
from gdfusion_ros.errors import LONGEST, GdfusionError
from gdfusion_ros.files import private_folder
from gdfusion_ros.fleet.dispatch import Died, Done, Event, Ready
from gdfusion_ros.fleet.job import Job, JobSettings
from gdfusion_ros.fleet.record import Outcome
from gdfusion_ros.names import printable

_REACH = 5.0  # seconds in which the head of a cluster answers
_LOOK = 5.0  # seconds without news after which it is seen whether news can come
_OBJECTS = 100 * 2**20  # bytes: nothing large goes through Ray's store


@dataclass(frozen=True)
class Share:
    """What one worker takes of its machine. ``gpus`` may be a part of one."""

    cpus: float
    gpus: float


class Worker:
    """What an actor runs: a process with the network, on a machine of its own choice."""

    def __init__(self, settings: JobSettings) -> None:
        """Take the settings; ``load`` comes later, so that its errors are answers and not the end of the process."""
        self._settings = settings
        tempfile.tempdir = str(_own_folder())

    def load(self, version: str) -> str:
        """Load the network, if the package there is of that version; what is wrong, in one line, or nothing."""
        from gdfusion_ros.model.runtime.process import prepare_process

        prepare_process()
        from gdfusion_ros.fleet.work import workplace

        try:
            if version != __version__:
                raise GdfusionError(f'gdfusion {__version__} is installed there, {version} here; install the same')
            self._workplace = workplace(self._settings)
        except GdfusionError as error:
            return f'{socket.gethostname()}: {error}'
        return ''

    def run(self, job: Job, dataset: Dataset | None) -> Outcome:
        """See ``Workplace.attempt``."""
        return self._workplace.attempt(job, dataset)


def _shared_folder() -> Path:
    return Path(tempfile.gettempdir()) / f'gdfusion-fleet-{os.getuid()}'


def _own_folder() -> Path:
    """A folder for the temporary files of this process; those of processes that were killed are removed."""
    shared = _shared_folder()
    if not private_folder(shared):
        return Path(tempfile.mkdtemp(prefix='gdfusion-fleet-'))
    own = shared / str(os.getpid())
    shutil.rmtree(own, ignore_errors=True)
    own.mkdir()
    _remove_left(shared)
    return own


def _remove_left(shared: Path) -> None:
    """Remove the temporary files of processes that are gone."""
    for left in shared.iterdir():
        if not _runs(int(left.name)):
            shutil.rmtree(left, ignore_errors=True)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


class RayPool:
    """A Pool whose workers are actors; made by ``ray_pool``."""

    def __init__(
        self,
        ray: ModuleType,
        settings: JobSettings,
        share: Share,
        dataset_of: Callable[[Job], Dataset | None],
        worker: type,
    ) -> None:
        """See ``ray_pool``."""
        self._ray, self._settings, self._dataset_of, self._share = ray, settings, dataset_of, share
        self._class = ray.remote(num_cpus=share.cpus, num_gpus=share.gpus, max_restarts=0, max_task_retries=0)(worker)
        self._actors: dict[int, Any] = {}
        self._answers: dict[Any, tuple[int, Job | None]] = {}  # what comes -> of whom, and of which job
        self._numbers = itertools.count()

    def capacity(self) -> int:
        """How many workers the machines have room for."""
        return sum(self._room(node['Resources']) for node in self._ray.nodes() if node['Alive'])

    def _room(self, resources: Mapping[str, float]) -> int:
        wanted = {'CPU': self._share.cpus, 'GPU': self._share.gpus}
        return min(int(resources.get(name, 0.0) / share) for name, share in wanted.items() if share)

    def start(self) -> int:
        """See Pool."""
        number = next(self._numbers)
        self._actors[number] = actor = self._class.remote(self._settings)
        self._answers[actor.load.remote(__version__)] = number, None
        return number

    def give(self, worker: int, job: Job) -> None:
        """See Pool."""
        self._answers[self._actors[worker].run.remote(job, self._dataset_of(job))] = worker, job

    def stop(self, worker: int) -> None:
        """See Pool."""
        self._ray.kill(self._actors.pop(worker))
        self._answers = {answer: of for answer, of in self._answers.items() if of[0] != worker}

    def close(self) -> None:
        """End all workers, whatever they are doing."""
        for worker in list(self._actors):
            self.stop(worker)

    def events(self) -> list[Event]:
        """See Pool."""
        arrived, _ = self._ray.wait(list(self._answers), num_returns=1, timeout=_LOOK)
        if not arrived:
            self._require_node()
        return [self._event(answer, *self._answers.pop(answer)) for answer in arrived]

    def _require_node(self) -> None:
        """Ray hands no work out when its process beside the driver is gone; it says so in no answer, and waits.

        Raises:
            GdfusionError: it is gone.
        """
        own = self._ray.get_runtime_context().get_node_id()
        if not any(node['Alive'] for node in self._ray.nodes() if node['NodeID'] == own):
            raise GdfusionError(
                "Ray's own process on this machine (raylet) is gone, and with it the workers: was it killed, or "
                'memory short? What is whole stays; go on with --resume'
            )

    def _event(self, answer: Any, worker: int, job: Job | None) -> Event:
        """What an answer means.

        Raises:
            GdfusionError: the worker cannot load the network, as no other could.
        """
        try:
            value = self._ray.get(answer)
        except self._ray.exceptions.RayError as error:
            self._ray.kill(self._actors.pop(worker))  # it may be out of reach and not gone
            return Died(worker, printable(f'its worker is gone: {_cause(error)}', LONGEST))
        if job is not None:
            return Done(worker, value)
        if value:
            raise GdfusionError(value)
        return Ready(worker)


def _cause(error: Exception) -> str:
    """Ray tells a story of many lines; which line says why depends on what happened."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return ' '.join(
        dict.fromkeys(
            [
                type(error).__name__,
                *lines[:1],
                *(line for line in lines if 'exit' in line.lower() or 'memory' in line.lower()),
            ]
        )
    )[:300]


@contextmanager
def ray_pool(
    settings: JobSettings,
    share: Share,
    address: str,
    workers: int,
    dataset_of: Callable[[Job], Dataset | None] = lambda _: None,
    worker: type = Worker,
) -> Iterator[RayPool]:
    """Workers on a cluster, or with a Ray of their own on this machine; ended at the end of the block.

    Args:
        settings: Of all jobs.
        share: What a worker takes of its machine.
        address: HOST:PORT of a cluster's head, auto for the one that this machine belongs to; empty: no cluster.
        workers: How many there shall be; 0: as many as there is room for.
        dataset_of: The scene of a job of nuScenes.
        worker: What the actors are: a Worker, or what has its methods.

    Raises:
        GdfusionError: Ray is not installed, there is no cluster at the address, or no room for a worker.
    """
    ray = _ray()
    handler = signal.getsignal(signal.SIGTERM)  # Ray sets one of its own
    _connect(ray, address, share, workers)
    try:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)
        with closing(RayPool(ray, settings, share, dataset_of, worker)) as pool:
            if not (pool.capacity() or (address and workers)):  # a cluster may grow when workers wait
                raise GdfusionError(
                    f'no machine has {share.cpus:g} CPUs and {share.gpus:g} GPUs for a worker; ask for '
                    'less (--cpus-per-worker, --gpus-per-worker)'
                )
            yield pool
    finally:
        ray.shutdown()
        if _shared_folder().exists() and private_folder(_shared_folder()):
            _remove_left(_shared_folder())


def _ray() -> ModuleType:
    """Ray, without its usage statistics."""
    os.environ.setdefault('RAY_USAGE_STATS_ENABLED', '0')
    os.environ.setdefault('RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO', '0')  # else it warns of what it will do one day
    try:
        import ray
    except ImportError as error:
        raise GdfusionError(f"a fleet needs Ray: pip install 'gdfusion-ros[fleet]' ({error})") from error
    module: ModuleType = ray
    return module


def _connect(ray: ModuleType, address: str, share: Share, workers: int) -> None:
    options: dict[str, Any] = {'log_to_driver': False, 'logging_level': logging.ERROR}
    if not address:
        cpus = max(os.cpu_count() or 1, math.ceil(workers * share.cpus))
        options |= {'num_cpus': cpus, 'include_dashboard': False, 'object_store_memory': _OBJECTS}
        # Without it Ray leaves a token in the home folder, and every later 'ray start --head' there asks for that.
        os.environ.setdefault('RAY_AUTH_TOKEN', secrets.token_hex())
    try:
        if address:
            _require_head(_noted_head() if address == 'auto' else address)
        ray.init(address or 'local', **options)
    except (ConnectionError, OSError, RuntimeError, ValueError) as error:
        token = '' if 'RAY_AUTH_MODE' in os.environ else '; where it asks for a token, set RAY_AUTH_MODE=token'
        where = {'': 'on this machine', 'auto': "that this machine belongs to ('ray start' makes one)"}.get(
            address, f'at {address}'
        )
        raise GdfusionError(f'no Ray cluster {where}: {printable(str(error), 300)}{token}') from error


def _noted_head() -> str:
    """What Ray takes for auto: RAY_ADDRESS, or what the last 'ray start' noted here, be that cluster gone or not."""
    from ray._private.services import canonicalize_bootstrap_address  # no other way asks without connecting

    return str(canonicalize_bootstrap_address('auto'))


def _require_head(address: str) -> None:
    """Look whether anybody is there: Ray itself would try for minutes and end the process."""
    host, _, port = address.rpartition(':')
    if not host or not port.isdecimal():
        raise GdfusionError(f'--address {address}: expected HOST:PORT of the head of a Ray cluster, or auto')
    try:
        socket.create_connection((host.strip('[]'), int(port)), _REACH).close()
    except (OSError, OverflowError) as error:
        raise GdfusionError(
            f"no Ray cluster at {address}: {error}; 'ray start --head' says the address of a new one"
        ) from error
