"""From the cameras' pixels into the same cameras' previous images."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gdfusion_ros.model.geometry.small_matrices import inverse, product
from gdfusion_ros.model.interface import Calibration, Previous
from gdfusion_ros.model.parts import mapped


@dataclass(frozen=True, eq=False)
class Reprojection:
    """Float32 matrices of N cameras; a camera that is not remembered sees itself from where it is (bevdetocc_gf.md §9).

    Attributes:
        source_from_input, post_translation: (N, 3, 3), (N, 3): pixel of the network's image, less the translation [px],
            -> source pixel.
        camera_from_source, camera_translation: (N, 3, 3), (N, 3): source pixel times depth -> the camera's previous
            place [m].
        intrinsics: (N, 3, 3) of the current image; the previous image's are taken to be the same.
        previous_post_rotation, previous_post_translation: (N, 3, 3), (N, 3): source pixel -> pixel of the network's
            previous image.
        remembered: (N,) bool, which cameras have a previous image.
    """

    source_from_input: Tensor
    post_translation: Tensor
    camera_from_source: Tensor
    camera_translation: Tensor
    intrinsics: Tensor
    previous_post_rotation: Tensor
    previous_post_translation: Tensor
    remembered: Tensor

    @staticmethod
    def between(now: Calibration, previous: Previous | None) -> Reprojection:
        """From the cameras ``now`` to the previous ones; None at the start of a sequence."""
        here, post = torch.eye(4).expand_as(now.volume_from_camera), (now.post_rotation, now.post_translation)
        remembered = torch.zeros_like(now.visible)
        if previous is not None:
            remembered, then = previous.calibration.visible, previous.calibration
            seen = remembered.view(-1, 1, 1)
            here = torch.where(seen, previous.camera_from_camera, here)
            post = (
                torch.where(seen, then.post_rotation, now.post_rotation),
                torch.where(seen[..., 0], then.post_translation, now.post_translation),
            )
        return Reprojection(
            inverse(now.post_rotation),
            now.post_translation,
            product(here[:, :3, :3], inverse(now.intrinsics)),
            here[:, :3, 3],
            now.intrinsics,
            *post,
            remembered,
        )

    def to(self, device: torch.device) -> Reprojection:
        """The same on another device."""
        return mapped(self, lambda tensor: tensor.to(device, non_blocking=True))
