"""Camera geometry point by point."""

from __future__ import annotations

import dataclasses
from itertools import product
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gdfusion_ros.model.geometry.camera import camera_points, normalised, pixel_grid, previous_pixels, transform
from gdfusion_ros.model.geometry.reprojection import Reprojection
from gdfusion_ros.model.geometry.small_matrices import inverse
from gdfusion_ros.model.interface import Previous

IMAGE = (64, 96)


def test_pixels_run_from_the_first_to_the_last() -> None:
    u, v = pixel_grid(IMAGE, (4, 6))
    torch.testing.assert_close(u, torch.tensor([0.0, 19, 38, 57, 76, 95]))
    torch.testing.assert_close(v, torch.tensor([0.0, 21, 42, 63]))
    torch.testing.assert_close(
        normalised(torch.tensor([[0.0, 0], [95, 63], [47.5, 31.5]]), IMAGE), torch.tensor([[-1.0, -1], [1, 1], [0, 0]])
    )


def test_pixels_have_the_bits_of_the_recordings() -> None:
    # Those of torch.linspace on processors with fused multiply-add; one of the last eight is another without.
    rows = pixel_grid((128, 352), (16, 44))[1]
    assert [f'{word:08x}' for word in rows.numpy().view(np.uint32)] == [
        '00000000', '41077777', '41877777', '41cb3332', '42077777', '42295555', '424b3332', '426d1110',
        '42877778', '42986667', '42a95556', '42ba4444', '42cb3333', '42dc2222', '42ed1111', '42fe0000',
    ]  # fmt: skip


def test_transform_sums_in_a_fixed_order_without_fused_products() -> None:
    torch.manual_seed(0)
    matrix, points = torch.randn(2, 3, 3), torch.randn(2, 50, 3)
    moved = transform(matrix, points)
    m, p = matrix.numpy(), points.numpy()  # numpy rounds after every operation
    for n, axis in product(range(2), range(3)):
        row = (m[n, axis, 0] * p[n, :, 0] + m[n, axis, 1] * p[n, :, 1]) + m[n, axis, 2] * p[n, :, 2]
        assert (moved[n, :, axis].numpy() == row).all()


def source_point(u: float, v: float, depth: float, rotation: Tensor, translation: Tensor) -> Tensor:
    """(u d, v d, d) of one input pixel in the source image, in float64."""
    point = torch.linalg.inv(rotation.double()) @ (torch.tensor([u, v, depth]).double() - translation)
    return torch.stack([point[0] * point[2], point[1] * point[2], point[2]])


def test_frustum_and_its_way_into_the_previous_image(drive: Any) -> None:
    frame, depths = drive.frame(2), torch.tensor([1.0, 4.0, 9.0])
    rotation = torch.tensor([[0.06, 0.002, 0], [-0.003, 0.058, 0], [0, 0, 1]]).repeat(2, 1, 1)
    points = camera_points(IMAGE, (4, 6), depths, inverse(rotation), frame.calibration.post_translation)
    previous_rotation, previous_translation = frame.calibration.post_rotation, frame.calibration.post_translation + 2
    chain = frame.previous_camera_from_camera.clone()
    chain[1, 2, 3] -= 5
    then = dataclasses.replace(frame.calibration, post_translation=previous_translation)
    pixels, behind = previous_pixels(
        points, Reprojection.between(frame.calibration, Previous(then, chain, torch.eye(4)))
    )
    assert points.shape == pixels.shape == (2, 3, 4, 6, 3)
    for n, k, row, column in product(range(2), range(3), range(4), range(6)):
        point = source_point(
            19.0 * column, 21.0 * row, float(depths[k]), rotation[n], frame.calibration.post_translation[n]
        )
        torch.testing.assert_close(points[n, k, row, column].double(), point, rtol=1e-5, atol=1e-3)
        intrinsics = frame.calibration.intrinsics[n].double()
        moved = chain[n, :3, :3].double() @ torch.linalg.inv(intrinsics) @ point + chain[n, :3, 3]
        assert bool(behind[n, k, row, column]) == bool(moved[2] < 1e-3)
        seen = intrinsics @ moved
        seen = torch.stack([seen[0] / seen[2], seen[1] / seen[2], seen[2]])
        seen = previous_rotation[n].double() @ seen + previous_translation[n]
        torch.testing.assert_close(pixels[n, k, row, column].double(), seen, rtol=1e-3, atol=1e-2)
    assert 0 < behind[1].sum() < behind[1].numel()
    assert not behind[0].any()
