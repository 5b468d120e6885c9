"""Small matrices: against LAPACK in float64, against the recordings' order, and against stored bits."""

from __future__ import annotations

from itertools import product as pairs

import numpy as np
import pytest
import torch
from torch import Tensor

from gdfusion_ros.model.geometry.small_matrices import affine_inverse, inverse, product

INTRINSICS = torch.tensor(
    [[1266.417203046554, 0.73, 816.2670197447984], [0.0, 1257.1, 491.50706579294757], [0.0, 0.0, 1.0]]
)
TURNED = torch.tensor([[0.43, 0.04, 3.0], [-0.04, 0.43, -2.0], [0.001, 0.0, 1.0]])
INTRINSICS_INVERSE = [
    '3a4eff1e', 'b4f62d1d', 'bf24f259',
    '00000000', '3a5087df', 'bec82f2b',
    '00000000', '00000000', '3f800000',
]  # fmt: skip
TURNED_INVERSE = [
    '4014a6fd', 'be5d3ffb', 'c0ecce7b',
    '3e522ffb', '40139d7d', '407fd1fb',
    'bb18384f', '39628f59', '3f80f27d',
]  # fmt: skip
TURNED_RAYS = [
    '39b2045d', '3804a1f7', '402d446e',
    'b8047a50', '39b35897', 'c0091c46',
    '3553f6e8', 'affc15a0', '3f7fd5c6',
]  # fmt: skip


def random(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=dtype)


def words(tensor: Tensor) -> list[str]:
    """The bits of float32 values."""
    return [f'{word:08x}' for word in tensor.numpy().view(np.uint32).flatten()]


def test_stored_bits() -> None:
    assert words(inverse(INTRINSICS)) == INTRINSICS_INVERSE
    assert words(inverse(TURNED)) == TURNED_INVERSE
    assert words(product(TURNED, inverse(INTRINSICS))) == TURNED_RAYS


def test_intrinsics_are_inverted_in_the_order_of_the_recordings() -> None:
    matrices = random(50, 3, 3).triu()
    a = matrices.numpy()  # numpy rounds after every operation
    r = np.zeros_like(a)
    for n, j in pairs(range(50), range(3)):
        r[n, j, j] = 1 / a[n, j, j]
        for i in reversed(range(j)):
            total = a[n, i, i + 1] * r[n, i + 1, j]
            for q in range(i + 2, j + 1):
                total += a[n, i, q] * r[n, q, j]
            r[n, i, j] = -(r[n, i, i] * total)
    assert (inverse(matrices).numpy() == r).all()


def test_products_are_summed_in_order_without_fused_products() -> None:
    left, right = random(20, 4, 4), random(20, 4, 4).flip(0)
    a, b = left.numpy()[..., None], right.numpy()[:, None]
    sums = a[:, :, 0] * b[:, :, 0]
    for k in range(1, 4):
        sums = sums + a[:, :, k] * b[:, :, k]
    assert (product(left, right).numpy() == sums).all()
    assert torch.equal(product(left, right, left), product(product(left, right), left))


@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
def test_inverses_undo(dtype: torch.dtype) -> None:
    # Triangular ones among others: each gets its own order.
    matrices = torch.cat([random(20, 3, 3, dtype=dtype), random(20, 3, 3, dtype=dtype).triu()])
    exact = torch.linalg.inv(matrices.double())
    error = (inverse(matrices).double() - exact).abs().amax((1, 2)) / exact.abs().amax((1, 2))
    assert error.max() < 1e4 * torch.finfo(dtype).eps
    assert error.median() < 4 * torch.finfo(dtype).eps


def test_affine_maps_are_inverted() -> None:
    matrices = torch.eye(4, dtype=torch.float64).repeat(5, 1, 1)
    matrices[:, :3] = random(5, 3, 4, dtype=torch.float64)
    torch.testing.assert_close(affine_inverse(matrices), torch.linalg.inv(matrices))
    assert torch.equal(affine_inverse(matrices)[:, 3], matrices[:, 3]), 'the last row is exact'


def test_a_matrix_without_an_inverse_does_not_pass_for_one_that_has() -> None:
    assert not torch.isfinite(inverse(torch.ones(3, 3))).any()
    assert not torch.isfinite(inverse(torch.zeros(3, 3))).all()
