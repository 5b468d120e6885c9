"""``gdfusion ablate``: what is trained, what is kept, and the table."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from gdfusion_ros.cli import main
from gdfusion_ros.training import ablation
from gdfusion_ros.training.ablation import VARIANTS, Trial
from gdfusion_ros.training.settings import TrainingSettings
from gdfusion_ros.training.trainer import Trainer

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures('tiny_spec')]


def ablate(root: Path, tmp_path: Path, *more: str) -> int:
    config = tmp_path / 'config.yaml'
    config.write_text(yaml.safe_dump({'model': 'tiny', 'steps': 2, 'slots': 1, 'workers': 0, 'warmup_steps': 1}))
    return main(
        [
            'ablate',
            str(config),
            '--data',
            str(root),
            '--validation',
            str(root),
            '--out',
            str(tmp_path / 'out'),
            '--variants',
            'no history',
            'full',
            *more,
        ]
    )


def test_every_variant_is_trained_and_scored_once(
    labelled_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ablate(labelled_root, tmp_path, '--hard', str(labelled_root)) == 0
    capsys.readouterr()
    out = tmp_path / 'out'
    before = {path: path.stat().st_mtime_ns for path in out.glob('*/weights.safetensors')}
    assert {path.parent.name for path in before} == {'nohistory-0', 'full-0'}
    assert ablate(labelled_root, tmp_path, '--hard', str(labelled_root), '--seeds', '0', '1') == 0
    assert {path: path.stat().st_mtime_ns for path in before} == before, 'what is done is not trained again'
    table = (out / 'table.md').read_text()
    assert table.splitlines()[0].count('|') == 9
    assert table in capsys.readouterr().out
    assert [row.split('|')[2].strip() for row in table.splitlines()[2:]] == ['2', '2']


def test_harder_scenes_may_be_added_later(labelled_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ablate(labelled_root, tmp_path) == 0
    monkeypatch.setattr(Trainer, 'step', None)  # nothing is trained again
    assert ablate(labelled_root, tmp_path, '--hard', str(labelled_root)) == 0
    table = (tmp_path / 'out' / 'table.md').read_text()
    assert table.splitlines()[0].count('|') == 9
    assert all(cell.strip() for row in table.splitlines()[2:] for cell in row.split('|')[1:-1])


def test_the_table_has_mean_and_spread(tmp_path: Path) -> None:
    trials = ablation.trials(TrainingSettings(), ['voxel', 'full'], [0, 1], [1], tmp_path)
    assert [(trial.variant, trial.settings.seed) for trial in trials] == [
        ('voxel', 0),
        ('full', 0),
        ('voxel', 1),
        ('full', 1),
    ]
    assert trials[0].settings.cues == VARIANTS['voxel']['cues']

    def keep(trial: Trial, miou: float) -> None:
        trial.folder.mkdir()
        trial.scores_file.write_text(json.dumps({'validation': {'mIoU': miou, 'mIoU_D': 0.5, 'IoU': 0.25}}))

    keep(trials[0], 0.30)
    keep(trials[2], 0.34)
    keep(trials[1], 0.40)
    rows = [[cell.strip() for cell in row.split('|')[1:-1]] for row in ablation.table(trials).splitlines()[2:]]
    assert rows == [
        ['voxel', '2', '32.0 (30.0 to 34.0)', '50.0 (50.0 to 50.0)', '25.0 (25.0 to 25.0)'],
        ['full', '1', '40.0', '50.0', '25.0'],
    ]


def test_first_and_last_row_may_have_more_seeds(tmp_path: Path) -> None:
    trials = ablation.trials(TrainingSettings(), ['no history', 'voxel', 'full'], [0], [1], tmp_path)
    assert [(trial.variant, trial.settings.seed) for trial in trials] == [
        ('no history', 0),
        ('voxel', 0),
        ('full', 0),
        ('no history', 1),
        ('full', 1),
    ]
    assert [trial.settings.history for trial in trials] == [False, True, True, False, True]


def test_an_unknown_variant_is_one_line(
    labelled_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ablate(labelled_root, tmp_path, '--variants', 'time') == 1
    assert "no variant 'time'; there are no history, stereo, voxel" in capsys.readouterr().err
