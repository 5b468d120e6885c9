"""Two nodes of one name, in two processes."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gdfusion_ros.ros import environment
from gdfusion_ros.ros.process import stop

WARNING = 'there is another node named /car/occ'

Start = Callable[..., Path]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts an unconfigured node in a namespace; the file with its output, once it says that it waits."""
    processes = []

    def run(name: str, namespace: str) -> Path:
        log = tmp_path / name
        with log.open('wb') as output:
            processes.append(subprocess.Popen(
                [sys.executable, '-m', 'gdfusion_ros', 'node', '--set', 'autostart=false', '--ros-args', '-r',
                 f'__ns:={namespace}'], stdout=output, stderr=output, env=environment.for_child()))
        wait_for('unconfigured', log)
        return log

    yield run
    for process in processes:
        stop(process)


def wait_for(said: str, log: Path) -> None:
    while said not in log.read_text():
        time.sleep(0.01)


def test_each_of_two_nodes_warns_once_of_the_other(start: Start) -> None:
    first, other, second = start('first', '/car'), start('other', '/truck'), start('second', '/car')
    wait_for(WARNING, first)
    wait_for(WARNING, second)
    third = start('third', '/car')
    for log in (first, second, third):
        wait_for('there are 2 other nodes named /car/occ', log)
    assert [log.read_text().count(WARNING) for log in (first, second)] == [1, 1]
    assert 'named' not in other.read_text()
