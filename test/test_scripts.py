"""scripts/: the executables that colcon installs, as ``ros2 run`` starts them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gdfusion_ros.ros.environment import for_child

SCRIPTS = Path(__file__).resolve().parent.parent / 'scripts'
IMPORTED_AGAIN = """
import runpy, sys
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name='__mp_main__')
"""


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, check=False, env=for_child(os.environ)
    )


@pytest.mark.parametrize('name', ['gdfusion', 'occ'])
def test_a_process_that_is_spawned_imports_them_without_starting_anything(name: str) -> None:
    result = run('-c', IMPORTED_AGAIN, SCRIPTS / name, 'no-such-verb')
    assert (result.returncode, result.stderr) == (0, '')


def test_scenes_are_converted_by_several_processes(nuscenes_root: Path, tmp_path: Path) -> None:
    result = run(SCRIPTS / 'gdfusion', 'convert', nuscenes_root, '--out', tmp_path / 'bags', '--jobs', '2')
    assert result.returncode == 0, result.stderr
    assert {path.name for path in (tmp_path / 'bags').iterdir()} == {'scene-0001', 'scene-0002'}


@pytest.mark.parametrize(('module', 'verb'), [('tqdm', 'info'), ('torch', 'models')])
def test_a_library_that_is_not_there_is_one_line(module: str, verb: str) -> None:
    result = run(
        '-c',
        f"import sys; sys.modules['{module}'] = None\n"
        f'from gdfusion_ros.cli import main; sys.exit(main({[verb, "/none"]}))',
    )
    assert result.returncode == 1
    (line,) = result.stderr.splitlines()
    assert f"there is no Python module '{module}' here: activate the environment" in line
