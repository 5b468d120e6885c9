"""The steps of docs/adding_a_network.md: a network of one's own goes through the verbs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from gdfusion_ros.benchmark.network import run
from gdfusion_ros.cli import main
from gdfusion_ros.model import zoo
from gdfusion_ros.model.zoo import load_network
from gdfusion_ros.settings import ModelSettings

PAGE = Path(__file__).parents[2] / 'docs' / 'adding_a_network.md'


@pytest.fixture
def forgetful(monkeypatch: pytest.MonkeyPatch) -> str:
    """The page's network, put into the zoo as the page says, until the test has ended."""
    monkeypatch.setattr(zoo, 'ZOO', dict(zoo.ZOO))
    blocks = re.findall(r'```python\n(.*?)```', PAGE.read_text(), re.DOTALL)
    names: dict[str, Any] = {}
    for block in blocks:
        exec(block, names)
    return 'forgetful'


def test_it_is_measured(forgetful: str) -> None:
    result = run(load_network(ModelSettings(model=forgetful, untrained=True, device='cpu')), 1)
    assert result.model == 'forgetful (untrained)'
    assert set(result.stages) == {'backbone', 'cost volume', 'depth', 'lift', 'pre-process', 'encoder', 'head'}


def test_it_replays_a_bag(forgetful: str, scene_bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / 'grids'
    model = ['--model', forgetful, '--untrained', '--device', 'cpu']
    assert main(['replay', str(scene_bag), *model, '--out', str(out)]) == 0
    assert '3 grids' in capsys.readouterr().out
    assert out.is_dir()
