"""A node whose program is at fault: the set that it comes with is lost, three in a row end the process."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gdfusion_ros.bags.reader import bag_reader
from gdfusion_ros.messages.outputs import OCCUPANCY
from gdfusion_ros.ros import environment
from gdfusion_ros.ros.player import Playback, play
from gdfusion_ros.ros.process import EVERY_SET
from gdfusion_ros.ros.recorder import record

FAULTY = """
import sys
from gdfusion_ros.perception.estimator import OccupancyEstimator
from gdfusion_ros.model.state import SequenceState

number, process = 0, OccupancyEstimator._place

def faulty(self, posed):
    global number
    number += 1
    if number == 2 or number > 6:
        raise ZeroDivisionError('by a fault of the program')
    SequenceState.is_finite = lambda state: number != 5
    return process(self, posed)

OccupancyEstimator._place = faulty
from gdfusion_ros.cli import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture
def node(tmp_path: Path, wait_until: Callable[..., None]) -> Iterator[subprocess.Popen[bytes]]:
    """A node that is at fault with its sets 2, 7, 8 and 9, and whose memory set 5 would spoil; the file ``log``."""
    log = tmp_path / 'log'
    with (
        log.open('wb') as output,
        subprocess.Popen(
            [
                sys.executable,
                '-c',
                FAULTY,
                'node',
                '--untrained',
                '--model',
                'gdfusion_nano',
                '--device',
                'cpu',
                *EVERY_SET,
            ],
            stdout=output,
            stderr=output,
            env=environment.for_child(),
        ) as process,
    ):
        wait_until(lambda: 'active: waiting' in log.read_text() or process.poll() is not None, log.read_text)
        yield process
        process.kill()


def test_a_fault_costs_its_set_and_three_in_a_row_end_the_node(
    node: subprocess.Popen[bytes], drive: Path, tmp_path: Path, strung: Callable[..., Path], patience: float
) -> None:
    with record(tmp_path / 'grids', {'/occ/occupancy': OCCUPANCY.type_name}) as recorder:
        recorder.wait_for_publishers(patience)
        play([strung(drive, 3)], Playback(wait=patience, rate=4))
        assert recorder.wait_for('/occ/occupancy', 4, patience)
        assert node.wait() == 1
    with bag_reader(tmp_path / 'grids') as bag:
        grids = [message for _, _, message in bag.messages(['/occ/occupancy'])]
    assert [grid.frames_since_reset for grid in grids] == [1, 1, 2, 1]
    log = (tmp_path / 'log').read_text()
    assert 'unexpected ZeroDivisionError in <string>:12: by a fault of the program\n' in log
    assert 'by a fault of the program; 3 sets in a row failed by errors like this' in log
    assert 'the memory would no longer be finite; look at the calibration and the poses of this set' in log
    assert '9 sets, 4 grids; sets without a grid: 4 error, 1 not_finite' in log
