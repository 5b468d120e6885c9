"""The node's end while something computes that does not end by itself: it is not waited for."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState

from gdfusion_ros.ros import environment
from gdfusion_ros.ros.context import ros_node, spinning
from gdfusion_ros.ros.player import Playback, play

ARGUMENTS = (
    'node',
    '--untrained',
    '--model',
    'gdfusion_nano',
    '--device',
    'cpu',
    '--set',
    'lossless=true',
    '--set',
    'input_reliability=reliable',
)
STUCK = """
import signal, sys, time
# As the node does, before numpy starts threads that would take the signals.
signal.pthread_sigmask(signal.SIG_BLOCK, {{signal.SIGINT, signal.SIGTERM, signal.SIGHUP}})
from {module} import {place}

def stuck(*_):
    print('stuck', flush=True)
    while True:
        time.sleep(1)

{place}.{function} = stuck
from gdfusion_ros.cli import main
sys.exit(main(sys.argv[1:]))
"""
IMAGES = '/CAM_BACK/image/compressed'
FRAME = ('gdfusion_ros.perception.estimator', 'OccupancyEstimator', 'process')

Start = Callable[..., 'subprocess.Popen[bytes]']
Stuck = Callable[['subprocess.Popen[bytes]'], None]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts Python, whose output goes to the file ``log``."""
    processes = []

    def run(*arguments: str, **variables: str) -> subprocess.Popen[bytes]:
        with (tmp_path / 'log').open('wb') as log:
            processes.append(
                subprocess.Popen(
                    [sys.executable, *arguments], stdout=log, stderr=log, env={**environment.for_child(), **variables}
                )
            )
        return processes[-1]

    yield run
    for process in processes:
        process.kill()
        process.wait()


def stuck_in(module: str, place: str, function: str) -> tuple[str, ...]:
    """Arguments of Python for a node that is stuck as soon as it calls this function."""
    return '-c', STUCK.format(module=module, place=place, function=function), *ARGUMENTS


@pytest.fixture
def stuck(tmp_path: Path, wait_until: Callable[..., None]) -> Callable[[subprocess.Popen[bytes]], None]:
    """Waits until the process is stuck."""

    def wait(process: subprocess.Popen[bytes]) -> None:
        log = tmp_path / 'log'
        wait_until(lambda: 'stuck' in log.read_text() or process.poll() is not None)
        assert process.poll() is None, log.read_text()

    return wait


def shared_memory(pid: int | str) -> set[str]:
    """Segments of Fast DDS that a process sees: its own, and those of whom it talks to.

    Ports (``fastrtps_port7002``) are not among them: participants share those, and one that was killed before leaves
    its count in them.
    """
    return set(re.findall(r'/dev/shm/(?:fastrtps|fastdds)_[0-9a-f]{16}\b', Path(f'/proc/{pid}/maps').read_text()))


def assert_ends(process: subprocess.Popen[bytes], number: int, log: Path) -> None:
    """That it ends at all is what is shown: what it does goes on for ever. Nothing that it leaves behind does."""
    segments = shared_memory(process.pid) - shared_memory('self')
    assert segments or 'rclpy' not in Path(f'/proc/{process.pid}/maps').read_text()
    process.send_signal(number)
    assert process.wait() == 0, log.read_text()
    assert 'Traceback' not in log.read_text()
    assert 'ERROR' not in log.read_text()
    assert not [segment for segment in segments if Path(segment).exists()]


@pytest.mark.parametrize(
    ('number', 'stage'),
    [
        (signal.SIGHUP, ('gdfusion_ros.model', 'zoo', 'load_network')),
        (signal.SIGINT, ('gdfusion_ros.model.runtime', 'trial', 'warm_up')),
    ],
)
def test_it_does_not_wait_for_weights_or_compilers(
    start: Start, stuck: Stuck, tmp_path: Path, number: int, stage: tuple[str, str, str]
) -> None:
    process = start(*stuck_in(*stage))
    stuck(process)
    assert_ends(process, number, tmp_path / 'log')
    assert 'stopped while it was being configured' in (tmp_path / 'log').read_text()
    assert 'active' not in (tmp_path / 'log').read_text(), 'no further stage began'


def test_a_node_that_waits_for_images_gives_its_shared_memory_back(
    start: Start, tmp_path: Path, wait_until: Callable[..., None]
) -> None:
    process = start('-m', 'gdfusion_ros', *ARGUMENTS)
    wait_until(lambda: 'active: waiting' in (tmp_path / 'log').read_text() or process.poll() is not None)
    assert_ends(process, signal.SIGTERM, tmp_path / 'log')


def test_it_does_not_wait_for_imports(start: Start, stuck: Stuck, tmp_path: Path) -> None:
    (tmp_path / 'rclpy').mkdir()
    (tmp_path / 'rclpy' / '__init__.py').write_text("import time\nprint('stuck', flush=True)\ntime.sleep(1e6)\n")
    process = start('-m', 'gdfusion_ros', *ARGUMENTS, PYTHONPATH=str(tmp_path))
    stuck(process)
    assert_ends(process, signal.SIGINT, tmp_path / 'log')


def test_it_does_not_wait_for_a_frame(start: Start, stuck: Stuck, tmp_path: Path, drive: Path, patience: float) -> None:
    process = start(*stuck_in(*FRAME))
    play([drive], Playback(wait=patience))
    stuck(process)
    assert_ends(process, signal.SIGINT, tmp_path / 'log')
    assert re.search(r'stopped: \d+ images, \d+ sets, 0 grids', (tmp_path / 'log').read_text())


def test_it_does_not_wait_for_a_deactivation_that_waits_for_a_frame(
    start: Start, stuck: Stuck, tmp_path: Path, drive: Path, wait_until: Callable[..., None], patience: float
) -> None:
    process = start(*stuck_in(*FRAME))
    play([drive], Playback(wait=patience))
    stuck(process)
    with ros_node('manager') as node, spinning(node):
        client = node.create_client(ChangeState, '/occ/change_state')
        assert client.wait_for_service(patience)
        wait_until(lambda: node.count_subscribers(IMAGES))
        client.call_async(ChangeState.Request(transition=Transition(id=Transition.TRANSITION_DEACTIVATE)))
        wait_until(lambda: not node.count_subscribers(IMAGES))  # these it takes away first
    assert_ends(process, signal.SIGINT, tmp_path / 'log')
