"""Uploads to a GPU, which copies by itself only from pinned memory."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from gdfusion_ros.model.runtime.upload import upload


def test_what_goes_to_a_gpu_is_pinned_and_nothing_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[Any] = []
    monkeypatch.setattr(Tensor, 'pin_memory', lambda tensor: done.append('pinned') or tensor)
    monkeypatch.setattr(Tensor, 'to', lambda tensor, device, *, non_blocking: done.append((device, non_blocking)))
    upload(torch.zeros(2), torch.device('cuda:1'))
    assert done == ['pinned', (torch.device('cuda:1'), True)]


def test_elsewhere_it_stays_as_it_is() -> None:
    tensor = torch.zeros(2)
    assert upload(tensor, torch.device('cpu')) is tensor
    assert upload(tensor, torch.device('meta')).device.type == 'meta'


@pytest.mark.gpu
def test_on_a_gpu_it_does_not_wait() -> None:
    torch.cuda.set_sync_debug_mode('error')
    try:
        there = upload(torch.arange(1000.0), torch.device('cuda'))
    finally:
        torch.cuda.set_sync_debug_mode('default')
    assert torch.equal(there.cpu(), torch.arange(1000.0))
