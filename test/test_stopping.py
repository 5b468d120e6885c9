"""Processes are started whole, whatever signal comes meanwhile."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from gdfusion_ros.stopping import starting_processes


@pytest.fixture
def other_thread() -> Iterator[None]:
    """A thread that blocks no signal: it takes those that the main thread blocks, as tqdm's does."""
    end = threading.Event()
    thread = threading.Thread(target=end.wait)
    thread.start()
    yield
    end.set()
    thread.join()


def test_a_signal_waits_for_the_end_of_the_block(other_thread: None) -> None:
    done = []

    def start() -> None:
        with starting_processes():
            os.kill(os.getpid(), signal.SIGINT)
            done.append(True)

    with pytest.raises(KeyboardInterrupt):
        start()
    assert done
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_processes_are_born_with_the_signals_blocked() -> None:
    """As proc(5) says, and also the first process, with which Python starts its resource tracker."""
    script = (
        'import multiprocessing, re, time\n'
        'from pathlib import Path\n'
        'from gdfusion_ros.stopping import starting_processes\n'
        "process = multiprocessing.get_context('spawn').Process(target=time.sleep, args=(60,))\n"
        'with starting_processes():\n'
        '    process.start()\n'
        "print(re.search(r'SigBlk:\\s*(\\w+)', Path(f'/proc/{process.pid}/status').read_text())[1])\n"
        'process.kill()\n'
    )
    said = subprocess.run([sys.executable, '-c', script], capture_output=True, text=True, check=True)
    blocked = int(said.stdout, 16)
    assert all(blocked >> (number - 1) & 1 for number in (signal.SIGINT, signal.SIGTERM))
