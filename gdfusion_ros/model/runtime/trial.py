"""Frames that show nothing, to try a network with."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.model.geometry.small_matrices import affine_inverse, product
from gdfusion_ros.model.interface import Calibration, Frame
from gdfusion_ros.model.network import OccupancyNetwork
from gdfusion_ros.model.sequence import SequenceRunner

_STAMP_DISTANCE = 0.25
"""How far the vehicle drives between the first and the last camera's stamp [m]."""


def trial_frames(network: OccupancyNetwork, count: int) -> Iterator[Frame]:
    """Random images of a ring of cameras that drives straight on: the calibration is real in form, not in content.

    As on a vehicle, each camera is seen from the pose that the vehicle has at the camera's own stamp, so the cameras'
    places in the ego frame change with every frame, and what follows from them is not remembered.
    """
    spec = network.spec
    height, width = spec.image_size
    scale = width / 1600
    generator = torch.Generator().manual_seed(0)
    yaw = torch.arange(spec.cameras) * (2 * torch.pi / spec.cameras)
    zero, one = torch.zeros_like(yaw), torch.ones_like(yaw)
    # Columns: the camera's right, down and forward in the ego frame.
    volume_from_camera = torch.eye(4).repeat(spec.cameras, 1, 1)
    volume_from_camera[:, :3, :3] = torch.stack(
        [
            torch.stack([yaw.sin(), zero, yaw.cos()], -1),
            torch.stack([-yaw.cos(), zero, yaw.sin()], -1),
            torch.stack([zero, -one, zero], -1),
        ],
        1,
    )
    volume_from_camera[:, 2, 3] = 1.5
    intrinsics = torch.tensor([[1266.0, 0, 800], [0, 1266.0, 450], [0, 0, 1]]).repeat(spec.cameras, 1, 1)
    forward = torch.eye(4)
    forward[0, 3] = 2.5
    post_translation = torch.tensor([0.0, height - 900 * scale, 0.0]).repeat(spec.cameras, 1)
    before = volume_from_camera
    for _ in range(count):
        now = volume_from_camera.clone()
        now[:, 0, 3] += _STAMP_DISTANCE * torch.rand(spec.cameras, generator=generator)
        chain, before = product(affine_inverse(before), forward, now), now
        images = torch.randn(spec.cameras, 3, height, width, generator=generator)
        calibration = Calibration(
            intrinsics,
            torch.diag(torch.tensor([scale, scale, 1.0])).repeat(spec.cameras, 1, 1),
            post_translation,
            now,
            torch.eye(3),
            torch.ones(spec.cameras, dtype=torch.bool),
        )
        yield Frame(images.to(network.device, memory_format=torch.channels_last), calibration, chain, forward)


@torch.inference_mode()
def warm_up(network: OccupancyNetwork) -> None:
    """Have all that is compiled, loaded and allocated on first use done: the first real frame is as fast as others.

    Where the kernels are not on disk yet, this takes a minute.

    Raises:
        GdfusionError: the GPU is out of memory.
    """
    runner = SequenceRunner.forgetful(network)
    try:
        for frame in trial_frames(network, 2):
            prediction = runner.predict(frame)
            prediction.confidence().cpu()
    except torch.cuda.OutOfMemoryError as error:
        raise GdfusionError(
            f'{network.device} is out of memory for {network.title}; free it, or run a smaller model'
        ) from error
