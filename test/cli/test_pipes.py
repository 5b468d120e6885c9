"""A verb whose output nobody reads any more, or that has none, ends quietly."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gdfusion_ros.bags.messages import RosbagsFactory
from gdfusion_ros.bags.writer import bag_writer


@pytest.fixture
def bag(tmp_path: Path) -> Path:
    """Its description is longer than the buffer of standard output."""
    with bag_writer(tmp_path / 'bag') as writer:
        for number in range(300):
            writer.add_topic(f'/topic_{number:0100d}', 'std_msgs/msg/String')
        writer.write(f'/topic_{0:0100d}', 1, RosbagsFactory()('std_msgs/msg/String'))
    return tmp_path / 'bag'


@pytest.mark.parametrize(
    ('arguments', 'unread'), [(('info',), 'stdout'), (('info', '--verbose'), 'both'), (('replay', '--help'), 'stdout')]
)
def test_no_traceback_when_the_reader_has_gone(
    bag: Path, tmp_path: Path, arguments: tuple[str, ...], unread: str
) -> None:
    log = tmp_path / 'log'
    with log.open('wb') as errors:
        process = subprocess.Popen(
            [sys.executable, '-m', 'gdfusion_ros', *arguments, str(bag)],
            stdout=subprocess.PIPE,
            stderr=errors if unread == 'stdout' else subprocess.STDOUT,
        )
        assert process.stdout is not None
        process.stdout.close()
        # argparse itself passes over an error while it writes its help
        assert process.wait() in {128 + signal.SIGPIPE, 0 if '--help' in arguments else None}
    assert log.read_text() == ''


def test_no_traceback_without_standard_output(bag: Path) -> None:
    command = f'{sys.executable} -m gdfusion_ros info {bag} <&- >&-'
    ended = subprocess.run(['sh', '-c', command], stderr=subprocess.PIPE, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, '')
