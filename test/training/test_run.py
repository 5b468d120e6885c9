"""Whole runs through the command line: files, interruption, resumption, several processes, refusals."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file

from gdfusion_ros.cli import main
from gdfusion_ros.cli.common import counted
from gdfusion_ros.datasets import nuscenes
from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.evaluation.confusion import ConfusionMatrix
from gdfusion_ros.model.objectives.bevdetocc import LossWeights
from gdfusion_ros.model.zoo import load_network
from gdfusion_ros.settings import ModelSettings
from gdfusion_ros.training import settings as training_settings
from gdfusion_ros.training.examples import Examples
from gdfusion_ros.training.settings import TrainingSettings
from gdfusion_ros.training.trainer import Trainer
from gdfusion_ros.training.validation import validate

SMALL = {'model': 'tiny', 'steps': 3, 'slots': 1, 'workers': 0, 'checkpoint_every': 1, 'warmup_steps': 1}


pytestmark = [pytest.mark.slow, pytest.mark.usefixtures('tiny_spec')]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / 'config.yaml'
    path.write_text(yaml.safe_dump(SMALL))
    return path


def train(config: Path, root: Path, out: Path, *more: str) -> int:
    return main(['train', str(config), '--data', str(root), '--out', str(out), *more])


def test_a_run_leaves_settings_weights_and_curves(
    config: Path,
    labelled_root: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out, kept = tmp_path / 'run', []
    monkeypatch.setattr('gdfusion_ros.training.run.keep_freed_memory', lambda: kept.append('freed memory'))
    validation = ['--validation', str(labelled_root), '--validation-scenes', 'scene-0001']
    assert train(config, labelled_root, out, '--scenes', 'scene-0001', *validation) == 0
    said = capsys.readouterr()
    assert '3 key frames in 1 scene, 3 labelled; 1 x 1 slot, cpu' in said.out
    assert re.search(r'step 3: mIoU [\d.]+%', said.out + said.err)
    assert kept == ['freed memory'], 'after the first step'
    assert training_settings.read(out / 'settings.yaml', {}) == training_settings.read(config, {})
    assert (out / 'curves.png').stat().st_size > 1000
    assert any((out / 'log').iterdir())
    assert train(config, labelled_root, out) == 1
    assert 'exists already' in capsys.readouterr().err


def test_weights_of_a_run_are_taken_by_the_node(config: Path, labelled_root: Path, tmp_path: Path) -> None:
    from gdfusion_ros.model.zoo import load_network
    from gdfusion_ros.settings import ModelSettings

    assert train(config, labelled_root, tmp_path / 'run') == 0
    weights = tmp_path / 'run' / 'weights.safetensors'
    network = load_network(ModelSettings(model='tiny', weights=str(weights), device='cpu'))
    assert network.title == 'tiny (trained on nuScenes v1.0-test)'


HALTING = """
import os, pkgutil, runpy, signal, sys

owner, name, script = sys.argv[1:4]
owner, calls = pkgutil.resolve_name(owner), []
called = getattr(owner, name)

def halt(*arguments, **named):
    calls.append(name)
    if len(calls) == 2:
        os.kill(os.getpid(), signal.SIGSTOP)
    return called(*arguments, **named)

setattr(owner, name, halt)
sys.argv[:] = sys.argv[3:]
runpy.run_path(script, run_name='__main__')
"""
"""A process that halts at the second call of a function until it is told to go on."""


@pytest.mark.parametrize(
    ('owner', 'name', 'done'),
    [
        ('gdfusion_ros.training.examples:Examples', '__getitem__', 1),
        ('gdfusion_ros.training.trainer:Trainer', 'step', 2),
        ('torch', 'save', 1),
    ],
)
def test_stopped_at_any_moment_and_resumed(
    config: Path, labelled_root: Path, tmp_path: Path, tiny_gdfusion: Path, owner: str, name: str, done: int
) -> None:
    """A run that is stopped by a signal goes on to the weights of one that is not."""
    whole, out = tmp_path / 'whole', tmp_path / 'stopped'
    command = [
        sys.executable,
        '-c',
        HALTING,
        owner,
        name,
        str(tiny_gdfusion),
        'train',
        str(config),
        '--data',
        str(labelled_root),
        '--out',
        str(out),
    ]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGCONT)
        _, error = process.communicate()
    assert process.returncode == 130, error
    stopped = f'gdfusion train: stopped after {counted(done, "step")}; with --resume the same command goes on'
    assert error.splitlines()[-1] == stopped
    assert 'Traceback' not in error
    assert torch.load(out / 'checkpoint.pt', weights_only=True)['done'] == done
    assert train(config, labelled_root, out, '--resume') == train(config, labelled_root, whole) == 0
    one, other = (load_file(folder / 'weights.safetensors') for folder in (whole, out))
    assert one.keys() == other.keys()
    assert all(torch.equal(value, other[name]) for name, value in one.items())


def test_a_run_that_was_killed_in_its_first_step_can_be_gone_on_with(
    config: Path, labelled_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, step = tmp_path / 'run', Trainer.step
    monkeypatch.setattr(Trainer, 'step', lambda *_: (_ for _ in ()).throw(GdfusionError('no power')))
    assert train(config, labelled_root, out) == 1
    monkeypatch.setattr(Trainer, 'step', step)
    assert train(config, labelled_root, out, '--resume') == 0
    assert torch.load(out / 'checkpoint.pt', weights_only=True)['done'] == 3


def test_two_processes_train_together(config: Path, labelled_root: Path, tmp_path: Path, tiny_gdfusion: Path) -> None:
    out = tmp_path / 'two'
    command = [
        sys.executable,
        '-m',
        'torch.distributed.run',
        '--nproc-per-node',
        '2',
        '--master-port',
        '29544',
        str(tiny_gdfusion),
        'train',
        str(config),
        '--data',
        str(labelled_root),
        '--out',
        str(out),
        '--validation',
        str(labelled_root),
        '--set',
        'steps=2',
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert '2 x 1 slot' in done.stdout
    content = torch.load(out / 'checkpoint.pt', weights_only=True)
    assert content['done'] == 2
    assert len(content['memories']) == 2
    validation = content['entries'][-1][1]
    network = load_network(ModelSettings(model='tiny', weights=str(out / 'weights.safetensors'), device='cpu'))
    alone = validate(
        network,
        Examples([nuscenes.load(labelled_root)], network.spec, training_settings.read(config, {}), augment=False),
        TrainingSettings(workers=0),
    )
    assert validation['validation/mIoU'] == pytest.approx(alone.miou), 'each process has scored its share'


def test_data_without_labels_can_be_stepped_through(
    nuscenes_root: Path, config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(config, nuscenes_root, tmp_path / 'run', '--set', 'steps=1') == 0
    assert ' 0 labelled' in capsys.readouterr().out


@pytest.mark.parametrize(
    ('line', 'message'),
    [
        ('steps: many', "setting 'steps': expected a whole number"),
        ('speed: 3', "unknown setting 'speed'"),
        ('[1, 2]', 'expected "name: value" lines'),
        ('steps: [', 'cannot be read'),
        ('model: other', "unknown model 'other'"),
        ('{cross_entropy: 0, depth: 0}', 'nothing would be learned'),
        ('{cross_entropy: 0, depth: 0, cell_depth_fused: 1, cues: [voxel]}', 'nothing would be learned'),
        (
            'initial_weights: none.safetensors',
            "none.safetensors; 'make weights' makes those of config/train_nano*.yaml",
        ),
    ],
)
def test_bad_settings_are_one_line(
    labelled_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], line: str, message: str
) -> None:
    config = tmp_path / 'config.yaml'
    config.write_text(line + '\n')
    assert train(config, labelled_root, tmp_path / 'run') == 1
    error = capsys.readouterr().err
    assert message in error
    assert len(error.strip().splitlines()) == 1
    assert not (tmp_path / 'run').exists(), 'the same command must work once the settings are mended'


def test_a_run_goes_on_with_its_own_settings_only(
    config: Path, labelled_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / 'run'
    assert train(config, labelled_root, out, '--resume') == 1
    assert 'no run to go on with' in capsys.readouterr().err
    assert train(config, labelled_root, out, '--set', 'steps=1') == 0
    assert train(config, labelled_root, out, '--resume', '--set', 'seed=4', '--set', 'steps=1') == 1
    assert 'other settings: seed' in capsys.readouterr().err
    (out / 'checkpoint.pt').write_bytes(b'half')
    assert train(config, labelled_root, out, '--resume', '--set', 'steps=1') == 1
    assert 'cannot be read' in capsys.readouterr().err


def test_a_run_goes_on_with_its_own_data_only(
    config: Path, labelled_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / 'run'
    assert train(config, labelled_root, out, '--scenes', 'scene-0001') == 0
    assert train(config, labelled_root, out, '--resume') == 1
    assert 'made with other data' in capsys.readouterr().err
    assert train(config, labelled_root, out, '--scenes', 'scene-0001', '--resume') == 0


@pytest.mark.parametrize('workers', [0, 1])
def test_a_damaged_image_ends_a_run_in_one_line_and_loses_nothing(
    config: Path, labelled_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], workers: int
) -> None:
    root, out = tmp_path / 'nuscenes', tmp_path / 'run'
    shutil.copytree(labelled_root, root)
    image = sorted((root / 'samples' / 'CAM_BACK').iterdir())[2]
    whole = image.read_bytes()
    image.write_bytes(whole[:200])
    arguments = ('--scenes', 'scene-0001', '--set', f'workers={workers}', '--set', 'checkpoint_every=100')
    assert train(config, root, out, *arguments) == 1
    lines = [line for line in capsys.readouterr().err.split('\n') if line.strip() and 'step/s' not in line]
    assert len(lines) == 1
    assert f'image {image} cannot be read' in lines[0]
    assert torch.load(out / 'checkpoint.pt', weights_only=True)['done'] == 2
    image.write_bytes(whole)
    assert train(config, root, out, *arguments, '--resume') == 0


def test_stopping_a_validation_loses_no_step(
    config: Path, labelled_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / 'run'
    add = ConfusionMatrix.add

    def stop(*arguments: Any) -> None:
        signal.raise_signal(signal.SIGINT)
        add(*arguments)

    arguments = ('--scenes', 'scene-0001', '--validation', str(labelled_root), '--set', 'checkpoint_every=100')
    with monkeypatch.context() as patch:
        patch.setattr(ConfusionMatrix, 'add', stop)
        assert train(config, labelled_root, out, *arguments) == 130
    assert torch.load(out / 'checkpoint.pt', weights_only=True)['done'] == 3
    assert train(config, labelled_root, out, *arguments, '--resume') == 0
    entries = torch.load(out / 'checkpoint.pt', weights_only=True)['entries']
    assert 'validation/mIoU' in entries[-1][1]


def test_a_network_that_predicts_other_voxels_is_refused(
    config: Path, labelled_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(config, labelled_root, tmp_path / 'run', '--set', 'model=bevdetocc_gf_small') == 1
    assert 'predicts (100, 100, 8) voxels, but the labels have (200, 200, 16)' in capsys.readouterr().err
    assert not (tmp_path / 'run').exists()


def test_one_of_several_versions_is_trained_on(
    config: Path, labelled_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / 'nuscenes'
    shutil.copytree(labelled_root, root)
    shutil.copytree(root / 'v1.0-test', root / 'v1.0-other')
    assert train(config, root, tmp_path / 'run') == 1
    assert 'choose one with --version' in capsys.readouterr().err
    assert train(config, root, tmp_path / 'run', '--version', 'v1.0-other') == 0


def test_settings_as_text_are_read_back(tmp_path: Path) -> None:
    settings = TrainingSettings(cues=('voxel',), initial_weights='a: b', objective=LossWeights(depth=0.25))
    (tmp_path / 's.yaml').write_text(training_settings.text(settings))
    assert training_settings.read(tmp_path / 's.yaml', {}) == settings
    with pytest.raises(GdfusionError, match='cannot be read'):
        training_settings.read(tmp_path / 'none.yaml', {})
