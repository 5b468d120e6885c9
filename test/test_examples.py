"""The scripts of examples/, as the page beside them has them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import gdfusion_ros

EXAMPLES = Path(__file__).resolve().parent.parent / 'examples'


def output(script: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / script), *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_a_bag_to_grids(scene_bag: Path) -> None:
    lines = output('bag_to_grids.py', str(scene_bag)).splitlines()
    assert len(lines) == 3
    assert all(re.fullmatch(r'\d+\.\d{3} s: \d+ of 640000 voxels are occupied, most by \w+', line) for line in lines)


@pytest.mark.slow
def test_images_in_memory_to_a_grid() -> None:
    lines = output('images_to_grid.py').splitlines()
    assert [line.rpartition(',')[0] for line in lines] == [f'frame {step}: (200, 200, 16) voxels' for step in range(3)]


@pytest.mark.slow
def test_a_network_of_ones_own() -> None:
    stages = [line.split()[0] for line in output('own_network.py').splitlines()]
    assert stages[-1] == 'frame'
    assert {'voxel', 'geometry', 'head'} <= set(stages)
    assert 'scene' not in stages


def test_an_exported_network_without_torch(tiny_export: Path) -> None:
    lines = output('onnx_without_torch.py', str(tiny_export)).splitlines()
    assert [line.rpartition(',')[0] for line in lines] == [f'frame {step}: (40, 40, 8) voxels' for step in range(3)]


def test_every_example_is_on_the_page_and_has_a_test() -> None:
    scripts = {path.name for path in EXAMPLES.glob('*.py')}
    assert set(re.findall(r'examples/(\w+\.py)', (EXAMPLES / 'README.md').read_text())) == scripts
    assert set(re.findall(r"output\('(\w+\.py)'", Path(__file__).read_text())) == scripts


def test_public_names_are_there_and_bring_nothing_before_they_are_asked_for() -> None:
    for name in gdfusion_ros._HOMES:
        assert getattr(gdfusion_ros, name).__name__ == name
        assert name in dir(gdfusion_ros)
    with pytest.raises(AttributeError, match='has no attribute'):
        _ = gdfusion_ros.nothing
    script = 'import sys, gdfusion_ros; assert not {"torch", "numpy", "rclpy"} & set(sys.modules)'
    subprocess.run([sys.executable, '-c', script], check=True)
