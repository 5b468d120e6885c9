"""Augmented images and their matrices, by where single bright pixels go."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from PIL import Image

from gdfusion_ros.perception.preprocess import ResizeCrop
from gdfusion_ros.training.augment import EgoAugmentation, ImageAugmentation
from gdfusion_ros.training.settings import TrainingSettings

SOURCE, OUTPUT = (320, 180), (160, 64)


def test_without_augmentation_an_image_is_what_the_node_makes_of_it() -> None:
    full = np.random.default_rng(0).integers(0, 256, (180, 320, 3), np.uint8)
    pixels, post = ImageAugmentation()(full, OUTPUT)
    crop = ResizeCrop(SOURCE, OUTPUT)
    assert (pixels == crop(full)).all()
    assert (post.rotation == crop.post_rotation()).all()
    assert (post.translation == crop.post_translation()).all()


@pytest.mark.parametrize(
    'augmentation',
    [
        ImageAugmentation(zoom=1.2, shift=0.7),
        ImageAugmentation(mirrored=True),
        ImageAugmentation(angle=5.0),
        ImageAugmentation(zoom=1.1, shift=0.3, mirrored=True, angle=-4.0),
        ImageAugmentation(zoom=0.9),
    ],
)
def test_the_matrices_say_where_a_pixel_goes(augmentation: ImageAugmentation) -> None:
    for u, v in ((160, 140), (90, 120), (230, 170)):
        full = np.zeros((180, 320, 3), np.uint8)
        full[v - 2 : v + 3, u - 2 : u + 3] = 255
        pixels, post = augmentation(full, OUTPUT)
        weights = pixels[:, :, 0].astype(float)
        rows, columns = np.mgrid[: OUTPUT[1], : OUTPUT[0]]
        seen = np.array([(columns * weights).sum(), (rows * weights).sum()]) / weights.sum() + 0.5
        expected = post.rotation @ [u + 0.5, v + 0.5, 1] + post.translation
        assert np.abs(seen - expected[:2]).max() < 0.75


def test_what_lies_beyond_the_image_is_black() -> None:
    pixels, _ = ImageAugmentation(zoom=0.8)(np.full((180, 320, 3), 200, np.uint8), OUTPUT)
    assert not pixels[:, -20:].any()
    assert (pixels[:, :120] == 200).all()


def test_drawn_within_the_settings_and_by_the_seed() -> None:
    settings = dataclasses.replace(TrainingSettings(), zoom_out=0.1, zoom_in=0.3, image_rotation=2.0)
    drawn = [ImageAugmentation.draw(settings, np.random.default_rng(seed)) for seed in range(200)]
    zooms, angles = [one.zoom for one in drawn], [one.angle for one in drawn]
    assert 0.9 <= min(zooms) < 0.93
    assert 1.27 < max(zooms) <= 1.3
    assert -2 <= min(angles) < -1.8
    assert 60 < sum(one.mirrored for one in drawn) < 140
    assert drawn[7] == ImageAugmentation.draw(settings, np.random.default_rng(7))
    none = dataclasses.replace(settings, zoom_out=0.0, zoom_in=0.0, image_rotation=0.0, image_flip=False)
    assert ImageAugmentation.draw(none, np.random.default_rng(1)).zoom == 1


def test_labels_follow_the_mirrored_frame() -> None:
    labels = np.arange(4 * 6 * 2, dtype=np.uint8).reshape(4, 6, 2)
    for augmentation in (EgoAugmentation(True, False), EgoAugmentation(False, True), EgoAugmentation(True, True)):
        moved, matrix = augmentation.labels(labels), augmentation.matrix().numpy()
        for x, y in ((0, 0), (3, 1), (2, 5)):
            centre = matrix @ [x - 1.5, y - 2.5, 0]
            assert (moved[round(centre[0] + 1.5), round(centre[1] + 2.5)] == labels[x, y]).all()


def test_a_mirrored_image_still_decodes() -> None:
    pixels, _ = ImageAugmentation(mirrored=True)(np.asarray(Image.new('RGB', SOURCE, (1, 2, 3))), OUTPUT)
    assert pixels.shape == (64, 160, 3)
