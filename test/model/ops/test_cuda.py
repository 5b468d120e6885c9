"""The Triton kernels: that they compile, when they are taken, and that a frame waits for nothing on a GPU."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import torch

from gdfusion_ros.model.ops import argmax, backends, compiled
from gdfusion_ros.model.ops.argmax import cpu, reference

KERNELS = '_argmax _attend _fill _lift _matching_cost _motion_step _warp'


@pytest.mark.slow
def test_every_kernel_compiles_and_fuses_no_product_and_sum(tmp_path: Path) -> None:
    pytest.importorskip('triton')
    environment = os.environ | {'TRITON_INTERPRET': '0', 'TRITON_CACHE_DIR': str(tmp_path)}
    done = subprocess.run([sys.executable, Path(__file__).with_name('compile_kernels.py')], capture_output=True,
                          text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == KERNELS


def test_gradients_and_other_types_take_the_plain_form(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.Tensor, 'is_cuda', True)
    monkeypatch.setattr(compiled, 'usable', lambda *_: False)
    monkeypatch.setattr(backends, 'triton_is_there', lambda: True)
    kernel = partial(reference.argmax)
    monkeypatch.setattr(backends, 'on_cuda', lambda _: kernel)
    x = torch.zeros(1)
    with torch.no_grad():
        assert backends.select(reference.argmax, cpu.argmax, x, x) is kernel
        assert backends.select(reference.argmax, cpu.argmax, x, x.half()) is reference.argmax
    assert backends.select(reference.argmax, cpu.argmax, x) is reference.argmax


def test_without_triton_the_plain_form_computes_and_the_log_says_so_once(
        monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(torch.Tensor, 'is_cuda', True)
    monkeypatch.setattr(compiled, 'usable', lambda *_: False)
    monkeypatch.setattr(backends, 'find_spec', lambda _: None)
    backends.triton_is_there.cache_clear()
    with caplog.at_level(logging.WARNING), torch.no_grad():
        for _ in range(2):
            assert argmax.argmax(torch.eye(3)[None]).tolist() == [[0, 0, 1]]
    backends.triton_is_there.cache_clear()
    assert len(caplog.messages) == 1
    assert 'pip install triton' in caplog.messages[0]
