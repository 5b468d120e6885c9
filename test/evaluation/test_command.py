"""``gdfusion evaluate``, as a user runs it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gdfusion_ros.cli import main
from gdfusion_ros.datasets.nuscenes import Dataset
from gdfusion_ros.datasets.occ3d import Occ3DLabels
from gdfusion_ros.perception.types import SemanticGrid

Prediction = Callable[..., SemanticGrid]
WriteGrids = Callable[..., Path]


def tokens(dataset: Dataset, scene: int) -> list[str]:
    return [sample.token for sample in dataset.scenes[scene].samples]


@pytest.fixture
def scores(capsys: pytest.CaptureFixture[str]) -> Callable[..., dict[str, Any]]:
    """``scores(arguments)``: what the command prints as JSON."""
    def run(*arguments: object) -> dict[str, Any]:
        capsys.readouterr()
        assert main(['evaluate', *map(str, arguments), '--format', 'json']) == 0
        result: dict[str, Any] = json.loads(capsys.readouterr().out)
        return result

    return run


@pytest.fixture
def npz(labels: dict[str, Occ3DLabels], dataset: Dataset, tmp_path: Path) -> Path:
    """The labels of scene-0001 as predictions in files."""
    folder = tmp_path / 'npz'
    folder.mkdir()
    for token in tokens(dataset, 0):
        np.savez_compressed(folder / f'{token}.npz', labels[token].semantics)
    return folder


def test_npz(scores, npz, nuscenes_root, gts):
    print(scores('--npz', npz, '--nuscenes', nuscenes_root, '--labels', gts, '--scenes', 'scene-0001'))

def test_bag(scores, npz, truth_bag, write_grids, prediction, tmp_path, dataset, capsys):
    bag = write_grids(tmp_path / 'grids', [prediction(token) for token in tokens(dataset, 0)])
    assert main(['evaluate', str(bag), '--truth', str(truth_bag)])==0
    print(capsys.readouterr().out)
    assert main(['evaluate', str(bag), '--truth', str(truth_bag), '--frame-of', 'prediction', '--format', 'markdown'])==0
    print(capsys.readouterr().out)
    print(scores(str(truth_bag), '--untrained', '--model', 'bevdetocc_gf_small', '--export', tmp_path/'e'))
    print(list((tmp_path/'e').iterdir()), dict(np.load(next((tmp_path/'e').iterdir()))))
