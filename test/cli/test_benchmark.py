"""'gdfusion benchmark' finds what it measures, and says what is missing before anything is imported for it."""

from __future__ import annotations

import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

from gdfusion_ros.cli import benchmark, main


def test_every_measure_is_a_module_and_every_module_a_measure() -> None:
    modules = {module.name for module in pkgutil.iter_modules(benchmark.__path__)}
    assert modules == {*benchmark.MEASURES, 'against', 'columns'}


def test_what_is_missing_is_said_before_a_network_is_thought_of() -> None:
    said = subprocess.run(
        [
            sys.executable,
            '-c',
            'import sys; from gdfusion_ros.cli import main; code = main(["benchmark", "node"]); '
            'print("torch" in sys.modules, code)',
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout == 'False 1\n'
    assert 'which bag shall be played to the node?' in said.stderr


@pytest.mark.parametrize(
    ('arguments', 'said'),
    [
        (['soak', '--frames', '99'], 'of less than 100 camera sets'),
        (['zoo', '--against', 'main'], '--against compares the network alone'),
        (['memory', '--model', 'gdfusion_nano'], 'has no sister that keeps its volumes'),
    ],
)
def test_what_cannot_be_measured_is_said(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(['benchmark', *arguments]) == 1
    assert said in capsys.readouterr().err


def test_numbers_are_printed_and_written(tmp_path: Path) -> None:
    path = tmp_path / 'tables.json'
    assert main(['benchmark', 'tables', '--share', '0.001', '--json', str(path)]) == 0
    assert '"sample_data": 3240' in path.read_text()
