"""Products and inverses of small matrices whose bits are the same on every processor.

``@`` and ``linalg.inv`` go to BLAS and LAPACK, which take other ways, with other last bits, on processors of other
makers; a test for exact zero or a truncation to an index makes that visible. Here every element is a sum of products in
a written order, each operation rounded by itself, in the matrices' own type. On upper triangular matrices, which
intrinsics are, the order is the one of the recordings (bevdetocc_gf.md §16).
"""

from __future__ import annotations

from functools import reduce

import torch
from torch import Tensor


def product(left: Tensor, *others: Tensor) -> Tensor:
    """Matrices (…, m, n) times each other, from the left; every element is ((l0 r0 + l1 r1) + l2 r2) + …."""
    return reduce(_product, others, left)


def _product(left: Tensor, right: Tensor) -> Tensor:
    columns, rows = left.unsqueeze(-1).unbind(-2), right.unsqueeze(-3).unbind(-2)
    return reduce(torch.add, (column * row for column, row in zip(columns, rows, strict=True)))


def inverse(matrix: Tensor) -> Tensor:
    """Inverses of (…, 3, 3) matrices; where one has none, infinite or not a number.

    Upper triangular ones by substitution. Others (the image is turned in training) by their cofactors, whose bits no
    recording holds.
    """
    upper = ((matrix[..., 1, 0] == 0) & (matrix[..., 2, 0] == 0) & (matrix[..., 2, 1] == 0))[..., None, None]
    return torch.where(upper, _by_substitution(matrix), _by_cofactors(matrix))


def _by_substitution(a: Tensor) -> Tensor:
    """r_jj = 1 / a_jj, then column by column, upwards, r_ij = -(r_ii (a_i,i+1 r_i+1,j + …))."""
    (a00, a01, a02), (_, a11, a12), (_, _, a22) = (row.unbind(-1) for row in a.unbind(-2))
    r00, r11, r22 = 1 / a00, 1 / a11, 1 / a22
    r01 = -(r00 * (a01 * r11))
    r12 = -(r11 * (a12 * r22))
    r02 = -(r00 * (a01 * r12 + a02 * r22))
    zero = torch.zeros_like(r00)
    return _stacked((r00, r01, r02), (zero, r11, r12), (zero, zero, r22))


def _by_cofactors(a: Tensor) -> Tensor:
    """The cofactors, transposed, over the determinant, which is developed along the first row."""
    (a00, a01, a02), (a10, a11, a12), (a20, a21, a22) = (row.unbind(-1) for row in a.unbind(-2))
    adjugate = _stacked(
        (a11 * a22 - a12 * a21, a02 * a21 - a01 * a22, a01 * a12 - a02 * a11),
        (a12 * a20 - a10 * a22, a00 * a22 - a02 * a20, a02 * a10 - a00 * a12),
        (a10 * a21 - a11 * a20, a01 * a20 - a00 * a21, a00 * a11 - a01 * a10),
    )
    first = adjugate[..., 0]
    determinant = (a00 * first[..., 0] + a01 * first[..., 1]) + a02 * first[..., 2]
    return adjugate / determinant[..., None, None]


def affine_inverse(matrix: Tensor) -> Tensor:
    """Inverses of (…, 4, 4) matrices whose last row is 0 0 0 1."""
    result = matrix.clone()
    result[..., :3, :3] = inverse(matrix[..., :3, :3])
    result[..., :3, 3:] = -product(result[..., :3, :3], matrix[..., :3, 3:])
    return result


def _stacked(*rows: tuple[Tensor, ...]) -> Tensor:
    return torch.stack([torch.stack(row, -1) for row in rows], -2)
