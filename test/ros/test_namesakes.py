"""Two nodes of one name, in two processes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gdfusion_ros.ros import environment
from gdfusion_ros.ros.process import stop

WARNING = 'there is another node named /car/occ'

Start = Callable[..., Path]


@pytest.fixture
def start(tmp_path: Path, wait_until: Callable[..., None]) -> Iterator[Start]:
    """Starts an unconfigured node in a namespace; the file with its output, once it says that it waits."""
    processes = []

    def run(name: str, namespace: str) -> Path:
        log = tmp_path / name
        with log.open('wb') as output:
            processes.append(
                subprocess.Popen(
                    [
                        sys.executable,
                        '-m',
                        'gdfusion_ros',
                        'node',
                        '--set',
                        'autostart=false',
                        '--ros-args',
                        '-r',
                        f'__ns:={namespace}',
                    ],
                    stdout=output,
                    stderr=output,
                    env=environment.for_child(),
                )
            )
        wait_until(lambda: 'unconfigured' in log.read_text())
        return log

    yield run
    for process in processes:
        stop(process)


def test_each_of_two_nodes_warns_once_of_the_other(start: Start, wait_until: Callable[..., None]) -> None:
    first, other, second = start('first', '/car'), start('other', '/truck'), start('second', '/car')
    wait_until(lambda: WARNING in first.read_text() and WARNING in second.read_text())
    third = start('third', '/car')
    said = 'there are 2 other nodes named /car/occ'
    wait_until(lambda: all(said in log.read_text() for log in (first, second, third)))
    assert [log.read_text().count(WARNING) for log in (first, second)] == [1, 1]
    assert 'namespace:=NAME' in first.read_text(), 'the remedy where the launch file started it'
    assert 'named' not in other.read_text()
