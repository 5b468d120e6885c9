"""``gdfusion models``."""

from __future__ import annotations

import dataclasses
import json

import pytest
import torch

from gdfusion_ros.cli import main
from gdfusion_ros.model.networks.about import ABOUT
from gdfusion_ros.model.runtime.prepare import prepare
from gdfusion_ros.model.runtime.trial import trial_frames
from gdfusion_ros.model.sequence import SequenceRunner
from gdfusion_ros.model.zoo import ZOO


def test_every_network_is_listed_with_what_is_known_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(['models']) == 0
    lines = capsys.readouterr().out.splitlines()
    for name, entry in ZOO.items():
        row = next(line for line in lines if line.split()[:1] == [name])
        assert entry.spec.label_set in row
        assert f'{entry.spec.cameras} x {entry.spec.image_size[0]}x{entry.spec.image_size[1]}, C' in row
        told = next(number for number, line in enumerate(lines) if line.startswith(f'{name}: '))
        assert lines[told + 1].startswith('  mIoU / mIoU_D / IoU: ')
        assert lines[told + 2].startswith('  ')
    released = next(line for line in lines if line.startswith('bevdetocc_gf '))
    assert released.split()[-7:] == ['34.98', *released.split()[-6:-4], '43.6', '36.1', '77.8', 'bevdetocc_gf']
    assert any('43.6 / 36.0 / 77.8 (GDFusion, arXiv 2504.12959, table 1)' in line for line in lines)
    assert next(line for line in lines if line.startswith('bevdetocc_gf_small ')).endswith('by path')
    assert '33.1*' in next(line for line in lines if line.startswith('gdfusion_nano '))
    assert '* on synthetic scenes: not to be compared with the others' in lines


def test_what_is_asked_for_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(['models', 'gdfusion_nano', '--format', 'json']) == 0
    (nano,) = json.loads(capsys.readouterr().out)
    assert (nano['model'], nano['weights'], nano['parameters']) == ('gdfusion_nano', ['gdfusion_nano'], 4086939)
    assert nano['voxels'] == [200, 200, 16]


def test_a_wrong_name_lists_the_near_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(['models', 'gdfusion_nanno']) == 1
    assert "unknown model 'gdfusion_nanno'; did you mean gdfusion_nano? there are" in capsys.readouterr().err


@pytest.mark.parametrize(
    'verb',
    [
        ['benchmark'],
        ['benchmark', 'memory'],
        ['benchmark', 'cues'],
        ['export', '--out', 'out.onnx'],
        ['weights', 'check', 'gdfusion_nano'],
    ],
    ids=' '.join,
)
def test_so_does_every_verb(capsys: pytest.CaptureFixture[str], verb: list[str]) -> None:
    name = ['alocc_3d_fg'] if verb[0] == 'export' else ['--model', 'alocc_3d_fg']
    assert main([*verb, *name]) == 1
    assert "unknown model 'alocc_3d_fg'; did you mean alocc_3d_gf" in capsys.readouterr().err


def test_a_network_of_somebody_else_needs_no_facts(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = ZOO['gdfusion_nano']
    monkeypatch.setitem(ZOO, 'mine', dataclasses.replace(entry, spec=dataclasses.replace(entry.spec, name='mine')))
    assert main(['models', '--format', 'markdown']) == 0
    assert 'nothing more is known of it' in capsys.readouterr().out


@pytest.mark.parametrize('name', ZOO)
def test_the_facts_of_every_network_are_those_of_the_network(name: str) -> None:
    about = ABOUT[name]
    with torch.device('meta'):
        network = ZOO[name].build(ZOO[name].spec)
    assert about.parameters == sum(parameter.numel() for parameter in network.parameters())
    assert about.gmac > 0
    runner = SequenceRunner(prepare(network.eval(), torch.device('meta')))
    with torch.inference_mode():
        runner.predict(next(trial_frames(network, 1)))
    assert runner.state is not None
    assert about.state == runner.state.nbytes
