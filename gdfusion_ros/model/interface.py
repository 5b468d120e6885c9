"""What a network takes in and gives back for one camera set.

Batch size 1 is assumed here and in everything below ``model/``: one frame is one camera set of N cameras.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Calibration:
    """The N cameras of one set, as the network's images are made of theirs (bevdetocc_gf.md §1).

    All matrices are float32 on the CPU: everything that follows from calibration and poses alone is computed there.

    Attributes:
        intrinsics: (N, 3, 3) K of the source images [px].
        post_rotation: (N, 3, 3) and
        post_translation: (N, 3) [px]: source pixel (u, v, 1) -> pixel of the network's input image.
        volume_from_camera: (N, 4, 4) each camera at its own stamp -> the frame that the volume lies in
            (NetworkSpec.frame): the vehicle's at the reference camera's stamp, or the LiDAR's.
        bda: (3, 3) augmentation of the volume's frame; the identity when not training.
        visible: (N,) bool; False masks a camera out: it adds nothing to the volume and to the memory.
    """

    intrinsics: Tensor
    post_rotation: Tensor
    post_translation: Tensor
    volume_from_camera: Tensor
    bda: Tensor
    visible: Tensor


@dataclass(frozen=True, eq=False)
class Previous:
    """The last frame of the sequence, and the transforms back to it; float32 on the CPU.

    Attributes:
        calibration: its cameras.
        camera_from_camera: (N, 4, 4) camera now -> the same camera then.
        ego_from_ego: (4, 4) ego now -> ego then.
    """

    calibration: Calibration
    camera_from_camera: Tensor
    ego_from_ego: Tensor


@dataclass(frozen=True, eq=False)
class Frame:
    """One camera set, ready for the network.

    Attributes:
        images: (N, 3, H, W) float32, normalised, channels B, G, R; on any device.
        calibration: of the cameras.
        previous_camera_from_camera: (N, 4, 4) camera now -> the same camera at the previous frame. Ignored at a start.
        previous_ego_from_ego: (4, 4) ego now -> ego at the previous frame. Ignored at a start.
        lidar_depth: (N, H, W) float32 depth of the nearest LiDAR return in each pixel of the images [m], 0 where there
            is none; None without LiDAR.
    """

    images: Tensor
    calibration: Calibration
    previous_camera_from_camera: Tensor
    previous_ego_from_ego: Tensor
    lidar_depth: Tensor | None = None

    def previous(self, calibration: Calibration | None) -> Previous | None:
        """The transforms back to the frame that had that calibration; None at the start of a sequence."""
        if calibration is None:
            return None
        return Previous(calibration, self.previous_camera_from_camera, self.previous_ego_from_ego)


@dataclass(frozen=True, eq=False)
class Neighbours:
    """What the cells of N images say of the 3 x 3 places round theirs: rows a and columns b of places, l of depths.

    Attributes:
        weights: (N, a, b, l, h, w) in 0..1.
        offsets: (N, a, b, 2, h, w) of the places from the cell's own, along u and v [px of the network's images].
    """

    weights: Tensor
    offsets: Tensor


@dataclass(frozen=True, eq=False)
class CellDepth:
    """What the cells of N images see.

    Attributes:
        distribution: (N, D, h, w) float32 over the depth bins: where the cells' features are lifted to.
        context: (N, C, h, w) float32 features that are lifted.
        supervised: (N, D, h, w) distribution of the head that is taught depth.
        fused_logits: (N, D, h, w) of the head that is fused with history; None without that cue.
        neighbours: what is lifted beside each cell's own ray; None where nothing is.
    """

    distribution: Tensor
    context: Tensor
    supervised: Tensor
    fused_logits: Tensor | None
    neighbours: Neighbours | None = None


@dataclass(frozen=True, eq=False)
class Prediction:
    """What the network sees.

    Attributes:
        labels: (X, Y, Z) uint8 class ids of the network's label set.
        scores: (Y, dy, X, dx, Z, dz, K) float32 of the K classes for the dy x dx x dz voxels in each of the head's
            cells.
    """

    labels: Tensor
    scores: Tensor

    @property
    def logits(self) -> Tensor:
        """The scores voxel by voxel, (Y dy, X dx, Z dz, K)."""
        return by_voxel(self.scores)

    def confidence(self) -> Tensor:
        """Softmax probability of each voxel's label, (X, Y, Z) uint8, 255 = 1.

        The label need not have the highest score: some heads choose among fewer classes, or among sigmoids.
        """
        y, dy, x, dx, z, dz, _ = self.scores.shape
        chosen = self.labels.transpose(0, 1).unflatten(2, (z, dz)).unflatten(1, (x, dx)).unflatten(0, (y, dy))
        score = self.scores.gather(-1, chosen.long()[..., None])[..., 0]
        probability = by_voxel(torch.exp(score - self.scores.logsumexp(-1)))
        return probability.mul_(255).round_().to(torch.uint8).transpose(0, 1)


def by_voxel(cells: Tensor) -> Tensor:
    """(Y, dy, X, dx, Z, dz, …) of the voxels in each cell -> (Y dy, X dx, Z dz, …)."""
    return cells.flatten(4, 5).flatten(2, 3).flatten(0, 1)
