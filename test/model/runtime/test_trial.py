"""Warming up: nothing is left of it, and a GPU that is too small is told at once."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.model.network import OccupancyNetwork
from gdfusion_ros.model.runtime.prepare import prepare
from gdfusion_ros.model.runtime.trial import trial_frames, warm_up
from gdfusion_ros.model.sequence import SequenceRunner


@pytest.mark.slow
def test_a_network_that_was_warmed_up_sees_the_same(tiny: OccupancyNetwork, drive: Any) -> None:
    cold = prepare(tiny, torch.device('cpu'))
    warm = copy.deepcopy(cold)
    warm_up(warm)
    runners = SequenceRunner(cold), SequenceRunner(warm)
    for frame in drive.frames(2):
        with torch.inference_mode():
            one, other = (runner.predict(frame) for runner in runners)
        assert torch.equal(one.logits, other.logits)


def test_out_of_memory_is_one_line(tiny: OccupancyNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    def forward(*_: object, **__: object) -> None:
        raise torch.cuda.OutOfMemoryError('CUDA out of memory. Tried to allocate 2.00 GiB\nmore')

    network = prepare(tiny, torch.device('cpu'))
    monkeypatch.setattr(network, 'forward', forward)
    with pytest.raises(GdfusionError, match=r'^cpu is out of memory for tiny; free it, or run a smaller model$'):
        warm_up(network)


def test_the_cameras_places_change_with_every_frame_as_on_a_vehicle(tiny: OccupancyNetwork) -> None:
    first, second, third = trial_frames(tiny, 3)
    before, now = second.calibration.volume_from_camera, third.calibration.volume_from_camera
    assert not torch.equal(first.calibration.volume_from_camera, before)
    seen = torch.linalg.inv(before) @ third.previous_ego_from_ego @ now
    torch.testing.assert_close(seen, third.previous_camera_from_camera)
