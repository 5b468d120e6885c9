"""Augmentation of images and of the ego frame, each with the matrix that carries it through the network.

Images are resized, cropped, mirrored, rotated, in this order; the ego frame is mirrored, and the labels with it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from gdfusion_ros.perception.framing import PostTransform
from gdfusion_ros.perception.poses import product
from gdfusion_ros.perception.preprocess import resize_crop
from gdfusion_ros.perception.types import Pixels
from gdfusion_ros.training.settings import TrainingSettings


@dataclass(frozen=True)
class ImageAugmentation:
    """What is done to one image on its way to the network.

    Attributes:
        zoom: relative size, 1 for none.
        shift: where the crop lies between the left and the right border, 0..1.
        mirrored: left and right change places.
        angle: counter-clockwise rotation round the middle of the crop [degrees].
    """

    zoom: float = 1.0
    shift: float = 0.0
    mirrored: bool = False
    angle: float = 0.0

    @staticmethod
    def draw(settings: TrainingSettings, random: np.random.Generator) -> ImageAugmentation:
        """A random one."""
        return ImageAugmentation(
            1 + random.uniform(-settings.zoom_out, settings.zoom_in),
            random.uniform(),
            bool(settings.image_flip and random.uniform() < 0.5),
            random.uniform(-settings.image_rotation, settings.image_rotation),
        )

    def __call__(self, full: Pixels, output: tuple[int, int]) -> tuple[Pixels, PostTransform]:
        """The network's (H, W, 3) uint8 image of the full (h, w, 3) one, and where its pixels went.

        ``output`` is (W, H) [px]. What the full image does not cover is black. Without augmentation it is what the
        node makes of the image.
        """
        source = (full.shape[1], full.shape[0])
        if self == ImageAugmentation():
            crop = resize_crop(source, output)
            return crop(full), PostTransform(crop.post_rotation(), crop.post_translation())
        width, height = output
        scale = width / source[0] * self.zoom
        size = int(source[0] * scale), int(source[1] * scale)
        left, top = int(self.shift * max(0, size[0] - width)), size[1] - height
        image = Image.fromarray(full).resize(size, Image.Resampling.BICUBIC)
        image = image.crop((left, top, left + width, top + height))
        if self.mirrored:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        if self.angle:
            image = image.rotate(self.angle)
        return np.asarray(image), self._transform(scale, (left, top), output)

    def _transform(self, scale: float, corner: tuple[int, int], output: tuple[int, int]) -> PostTransform:
        rotation, translation = scale * np.eye(2), -np.array(corner, np.float64)
        if self.mirrored:
            mirror = np.diag([-1.0, 1.0])
            rotation, translation = mirror @ rotation, mirror @ translation + (output[0], 0)
        cosine, sine = math.cos(math.radians(self.angle)), math.sin(math.radians(self.angle))
        turn, middle = np.array([[cosine, sine], [-sine, cosine]]), np.array(output) / 2
        rotation = product(turn, rotation)
        translation = product(turn, (translation - middle)[:, None])[:, 0] + middle
        matrix = np.eye(3)
        matrix[:2, :2] = rotation
        return PostTransform(matrix, np.array([*translation, 0.0]))


@dataclass(frozen=True)
class EgoAugmentation:
    """Mirrors the ego frame: x (forward) and y (left) change their signs."""

    mirror_x: bool = False
    mirror_y: bool = False

    @staticmethod
    def draw(settings: TrainingSettings, random: np.random.Generator) -> EgoAugmentation:
        """A random one."""
        x, y = random.uniform(size=2) < 0.5
        return EgoAugmentation(bool(settings.bev_flip and x), bool(settings.bev_flip and y))

    def matrix(self) -> Tensor:
        """(3, 3) float32, for Frame.bda."""
        return torch.diag(torch.tensor([-1.0 if self.mirror_x else 1.0, -1.0 if self.mirror_y else 1.0, 1.0]))

    def labels(self, labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """(X, Y, Z) labels in the mirrored frame, for a grid that lies evenly round the vehicle."""
        return labels[:: -1 if self.mirror_x else 1, :: -1 if self.mirror_y else 1]
