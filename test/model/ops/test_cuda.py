"""The Triton kernels: that they compile, when they are taken, and what networks give with them."""

from __future__ import annotations

import copy
import dataclasses
import logging
import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from gdfusion_ros.model.network import OccupancyNetwork
from gdfusion_ros.model.ops import argmax, backends, compiled
from gdfusion_ros.model.ops.argmax import cpu, reference
from gdfusion_ros.model.runtime.device import select_device
from gdfusion_ros.model.runtime.prepare import prepare
from gdfusion_ros.model.sequence import SequenceRunner

KERNELS = '_argmax _attend _clear _depth_warp _fill _lift _matching_cost _motion_step _warp'


@pytest.mark.slow
def test_every_kernel_compiles_and_fuses_no_product_and_sum(tmp_path: Path) -> None:
    pytest.importorskip('triton')
    environment = os.environ | {'TRITON_INTERPRET': '0', 'TRITON_CACHE_DIR': str(tmp_path)}
    done = subprocess.run(
        [sys.executable, Path(__file__).with_name('compile_kernels.py')],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == KERNELS


def test_gradients_and_other_types_take_the_plain_form(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.Tensor, 'is_cuda', True)
    monkeypatch.setattr(compiled, 'usable', lambda *_: False)
    monkeypatch.setattr(backends, 'triton_runs', lambda _: True)
    kernel = partial(reference.argmax)
    monkeypatch.setattr(backends, 'on_cuda', lambda _: kernel)
    x = torch.zeros(1)
    with torch.no_grad():
        assert backends.select(reference.argmax, cpu.argmax, x, x) is kernel
        assert backends.select(reference.argmax, cpu.argmax, x, x.half()) is reference.argmax
    assert backends.select(reference.argmax, cpu.argmax, x) is reference.argmax


@pytest.mark.parametrize('error', [ImportError("No module named 'triton'"), RuntimeError('Failed to find C compiler')])
def test_where_triton_cannot_run_the_plain_form_computes_and_the_log_says_so_once(
    error: Exception, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(name: str) -> None:
        raise error

    monkeypatch.setattr(torch.Tensor, 'is_cuda', True)
    monkeypatch.setattr(compiled, 'usable', lambda *_: False)
    monkeypatch.setattr(backends, 'import_module', fails)
    backends.triton_runs.cache_clear()
    with caplog.at_level(logging.WARNING), torch.no_grad():
        for _ in range(2):
            assert argmax.argmax(torch.eye(3)[None]).tolist() == [[0, 0, 1]]
    backends.triton_runs.cache_clear()
    assert len(caplog.messages) == 1
    assert str(error) in caplog.messages[0]
    assert 'slow' in caplog.messages[0]


def test_triton_is_tried_before_it_is_used(interpreter: None) -> None:
    assert backends.triton_runs(torch.device('cpu'))


@pytest.mark.slow
@torch.inference_mode()
def test_a_network_gives_with_interpreted_kernels_what_it_gives_without(
    interpreter: None, tiny_gsdocc: OccupancyNetwork, drive: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = prepare(tiny_gsdocc, torch.device('cpu'))
    monkeypatch.setattr(compiled, 'usable', lambda *_: False)
    expected = SequenceRunner(network).predict(drive.frame(0))
    monkeypatch.setattr(backends, 'usable_on_cuda', lambda *_: True)
    found = SequenceRunner(network).predict(drive.frame(0))
    assert torch.equal(found.labels, expected.labels)
    assert (found.logits - expected.logits).abs().max() <= 1e-3 * expected.logits.std()
    assert not torch.equal(found.logits, expected.logits), 'another order of sums'


@pytest.mark.gpu
@torch.inference_mode()
@pytest.mark.parametrize('name', ['tiny', 'grounded', 'tiny_fbocc', 'tiny_gsdocc'])
def test_a_network_gives_on_a_gpu_what_it_gives_on_a_cpu_and_waits_for_nothing(
    name: str, request: pytest.FixtureRequest, drive: Any
) -> None:
    assert backends.triton_runs(torch.device('cuda'))
    network = request.getfixturevalue(name)
    alone = SequenceRunner(prepare(copy.deepcopy(network), torch.device('cpu')))
    runner = SequenceRunner(prepare(network, select_device('cuda')))
    for index, frame in enumerate(drive.frames(5)):
        expected, there = alone.predict(frame), dataclasses.replace(frame, images=frame.images.to('cuda'))
        torch.cuda.set_sync_debug_mode('error' if index > 1 else 'default')  # at first, kernels are compiled
        try:
            prediction = runner.predict(there)
        finally:
            torch.cuda.set_sync_debug_mode('default')
        assert (prediction.labels.cpu() == expected.labels).float().mean() >= 0.998
