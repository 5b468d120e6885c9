"""``gdfusion weights check`` on files as training tools write them."""

from __future__ import annotations

import argparse
from collections import OrderedDict
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from gdfusion_ros.cli import main
from gdfusion_ros.model.weights.checkpoint import published_state
from gdfusion_ros.model.zoo import fresh_network

pytestmark = pytest.mark.slow

State = dict[str, Tensor]


@pytest.fixture(scope='module')
def state() -> State:
    """Published weights of a whole network."""
    return published_state(fresh_network('gdfusion_nano', (), 0, '', torch.device('cpu')))


def in_precision(kind: torch.dtype) -> Callable[[State], object]:
    return lambda state: {key: value.to(kind) if value.is_floating_point() else value for key, value in state.items()}


def not_a_number(state: State) -> State:
    return {key: value * float('nan') if key.endswith('predicter.2.bias') else value for key, value in state.items()}


GOOD: dict[str, Callable[[State], Any]] = {
    'half precision': in_precision(torch.float16),
    'bfloat16': in_precision(torch.bfloat16),
    'numbers of numpy': lambda state: {
        'state_dict': OrderedDict(state),
        'meta': {
            'epoch': np.int64(24),
            'PALETTE': np.zeros((17, 3), np.uint8),
            'hook_msgs': {'best_score': np.float64(37.1)},
        },
    },
    'twins of EMA': lambda state: {
        'state_dict': {**state, **{'ema_' + key.replace('.', '_'): value for key, value in state.items()}}
    },
    'under model': lambda state: {'model': state, 'epoch': 3},
    'arguments beside it': lambda state: {'state_dict': state, 'hyper_parameters': argparse.Namespace(lr=0.1)},
}

BAD: dict[str, tuple[Callable[[State], Any], str]] = {
    'an object': (
        lambda state: {'state_dict': state, 'best': Fraction(1, 2)},
        'fractions.Fraction, which is not loaded, as it could run code',
    ),
    'not a number': (not_a_number, '1 tensors that are not finite: occupancy_head.predicter.2.bias'),
    'variances below zero': (
        lambda state: {key: -1 - value if key.endswith('running_var') else value for key, value in state.items()},
        '48 variances below zero: img_backbone.bn1.running_var',
    ),
    'a loss': (lambda state: {**state, 'loss.weight': torch.ones(18)}, '1 unexpected: loss.weight'),
}


@pytest.mark.parametrize('wrap', GOOD.values(), ids=GOOD)
def test_what_tools_write_fits(
    state: State, tmp_path: Path, capsys: pytest.CaptureFixture[str], wrap: Callable[[State], Any]
) -> None:
    torch.save(wrap(state), tmp_path / 'weights.pth')
    assert main(['weights', 'check', str(tmp_path / 'weights.pth'), '--model', 'gdfusion_nano']) == 0
    assert f'fits gdfusion_nano: {len(state)} keys' in capsys.readouterr().out


@pytest.mark.parametrize(('wrap', 'said'), BAD.values(), ids=BAD)
def test_what_does_not_fit_is_one_line(
    state: State, tmp_path: Path, capsys: pytest.CaptureFixture[str], wrap: Callable[[State], Any], said: str
) -> None:
    torch.save(wrap(state), tmp_path / 'weights.pth')
    assert main(['weights', 'check', str(tmp_path / 'weights.pth'), '--model', 'gdfusion_nano']) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
