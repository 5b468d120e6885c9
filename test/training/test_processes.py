"""Which GPU a process takes. There are none here, so torch's part is played."""

from __future__ import annotations

import pytest
import torch
from torch import distributed

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.training.processes import joined


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The second process of three, on a machine with two GPUs; what it tells torch."""
    told: list[str] = []
    for name, value in (('WORLD_SIZE', '3'), ('LOCAL_RANK', '1')):
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 2)
    monkeypatch.setattr(torch.cuda, 'set_device', lambda device: told.append(str(device)))
    monkeypatch.setattr(distributed, 'init_process_group', lambda backend, timeout: told.append(backend))
    monkeypatch.setattr(distributed, 'destroy_process_group', lambda: None)
    monkeypatch.setattr(distributed, 'get_rank', lambda: 1)
    return told


def test_each_process_takes_its_own_gpu(started: list[str]) -> None:
    with joined(torch.device('cuda')) as (processes, device):
        assert (processes.rank, processes.count, device) == (1, 3, torch.device('cuda:1'))
    assert started == ['cuda:1', 'cpu:gloo,cuda:nccl'], 'what is not on the GPU need not go through it'


@pytest.mark.parametrize(('device', 'rank'), [('cuda:0', '1'), ('cuda', '2')])
def test_two_processes_on_one_gpu_are_refused(
    started: list[str], monkeypatch: pytest.MonkeyPatch, device: str, rank: str
) -> None:
    monkeypatch.setenv('LOCAL_RANK', rank)
    with (
        pytest.raises(GdfusionError, match='each process needs a GPU of its own: torch sees 2'),
        joined(torch.device(device)),
    ):
        pass
    assert started == []


def test_processes_that_have_met_are_taken_as_they_are(started: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distributed, 'is_initialized', lambda: True)
    with joined(torch.device('cpu')) as (processes, device):
        assert (processes.rank, processes.count, device) == (1, 3, torch.device('cpu'))
    assert started == []


def test_on_the_cpu_they_share_it(started: list[str]) -> None:
    with joined(torch.device('cpu')) as (_, device):
        assert device == torch.device('cpu')
    assert started == ['gloo']
