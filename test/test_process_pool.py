"""No process works on for nobody."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from gdfusion_ros.process_pool import ProcessPool


def test_processes_work_and_are_waited_for() -> None:
    with ProcessPool(1) as pool:
        process = pool.submit(os.getpid).result()
        assert process != os.getpid()
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


@pytest.mark.parametrize(
    ('number', 'code'), [(signal.SIGINT, 130), (signal.SIGTERM, 130), (signal.SIGKILL, -signal.SIGKILL)]
)
def test_what_it_works_on_ends_with_its_first_process(number: int, code: int) -> None:
    """As ``gdfusion benchmark zoo`` has each network measured. The output is whole when nobody is left to write it."""
    script = (
        'import signal, sys\n'
        'from gdfusion_ros.benchmark.alone import alone\n'
        'signal.signal(signal.SIGTERM, signal.default_int_handler)\n'  # as the command line does
        'try:\n'
        """    alone('a sleep', exec, 'import time; print("asleep", flush=True); time.sleep(10_000)')\n"""
        'except KeyboardInterrupt:\n'
        '    sys.exit(130)\n'
    )
    process = subprocess.Popen([sys.executable, '-c', script], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b'asleep\n'
    process.send_signal(number)
    _, complaints = process.communicate()
    assert process.returncode == code
    assert code < 0 or complaints == b''  # of one that was killed, Python itself tells of its semaphores
