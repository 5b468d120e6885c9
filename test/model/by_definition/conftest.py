"""A journey of a network and of its definition, side by side."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
import torch
from definition import Definition

from gdfusion_ros.model.interface import Frame
from gdfusion_ros.model.network import OccupancyNetwork
from gdfusion_ros.model.sequence import SequenceRunner

LARGEST_ERROR, AGREEMENT = 2e-4, 0.999


def changed(frame: Frame) -> Frame:
    """Other lenses, mounts, and cuts of the images; the volume turned and mirrored, as in training."""
    c = frame.calibration
    turned = torch.tensor([[0.96, -0.28, 0.0], [0.28, 0.96, 0.0], [0.0, 0.0, 1.0]])
    pose = c.volume_from_camera.clone()
    pose[:, :3, 3] += torch.tensor([0.11, -0.07, 0.05])
    calibration = dataclasses.replace(
        c,
        intrinsics=c.intrinsics * torch.tensor([[1.04, 1.0, 0.98], [1.0, 1.03, 1.02], [1.0, 1.0, 1.0]]),
        post_rotation=c.post_rotation * torch.tensor([1.07, 0.97, 1.0])[:, None],
        post_translation=c.post_translation + torch.tensor([-2.5, 1.25, 0.0]),
        volume_from_camera=pose,
        bda=turned @ torch.diag(torch.tensor([1.0, -1.0, 1.0])),
    )
    return dataclasses.replace(frame, calibration=calibration)


@pytest.fixture
def journey(drive: Any) -> Callable[..., None]:
    """Compares what is predicted of a start, two frames, one of another calibration, and a new sequence's two."""

    def travelled(
        network: OccupancyNetwork,
        definition: Definition,
        seen: Callable[[int, Frame], Frame] = lambda _, frame: frame,
        largest_error: float = LARGEST_ERROR,
    ) -> None:
        torch.set_num_threads(1)  # what is this small is not worth more
        runner, (first, second, third, fourth) = SequenceRunner(network), drive.frames(4)
        frames = [first, second, changed(third), fourth, second, third]
        for step, frame in enumerate(frames):
            if step == 4:
                runner.state = None
                definition.forget()
            given = seen(step, frame)
            found, expected = runner.predict(given), definition(given)
            assert found.logits.shape == expected.shape
            error = (found.logits - expected).abs().max() / expected.std()
            assert error <= largest_error, f'frame {step}: {float(error):.1e}'
            labels = definition.labels(expected)
            assert labels.unique().numel() >= 3
            assert (found.labels == labels).float().mean() >= AGREEMENT
            probability = expected.softmax(-1).transpose(0, 1).gather(-1, found.labels.long()[..., None])[..., 0]
            error = (found.confidence() / 255 - probability).abs().max()
            assert error <= 0.5 / 255 + largest_error * expected.std(), (
                f'frame {step}: confidence {float(error):.1e} off'
            )

    return travelled
