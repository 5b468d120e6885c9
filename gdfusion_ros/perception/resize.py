"""Pillow's bicubic resize, bit for bit, of those pixels alone that a crop keeps.

Pillow resizes the columns, rounds, and resizes the rows, with weights of 22 bits behind the point. So do these loops;
what Pillow computes pixel by pixel, they compute for many pixels at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gdfusion_ros.model.ops.compiled import inlined, serial

Bytes = NDArray[np.uint8]
Ints = NDArray[np.int64]
Weights = NDArray[np.int32]

_SUPPORT = 2.0  # pixels that the cubic reaches to either side
_A = -0.5  # its slope at one pixel from its middle
_BITS = 22  # of the weights, behind the point
_ROUND = np.int32(1 << (_BITS - 1))
_UNROLLED = 4  # taps of the filter that are added at once
_LANES = 32  # rows of the image that are narrowed at once: their pixels lie side by side then


@dataclass(frozen=True, eq=False)
class Filter:
    """How pixels of a resized line are weighted sums of the pixels of a line.

    Attributes:
        first: (n,) index of the first pixel that counts for each pixel.
        weights: (n, taps) [2^-22] of the pixels from there on; zero where there are none any more.
    """

    first: Ints
    weights: Weights

    @property
    def end(self) -> int:
        """Index behind the last pixel that counts."""
        count = self.weights.shape[1] - (self.weights[:, ::-1] != 0).argmax(1)
        return int((self.first + count).max())


def bicubic(size: int, resized: int, begin: int, end: int) -> Filter:
    """The filter of the pixels ``begin`` to ``end`` of a line of ``size`` pixels that is resized to ``resized``."""
    scale = size / resized
    centre = (np.arange(begin, end) + 0.5) * scale
    wide = max(scale, 1.0)
    first = np.maximum((centre - _SUPPORT * wide + 0.5).astype(np.int64), 0)
    count = np.minimum((centre + _SUPPORT * wide + 0.5).astype(np.int64), size) - first
    tap = np.arange(-(-count.max() // _UNROLLED) * _UNROLLED)
    x = np.abs((tap + first[:, None] - centre[:, None] + 0.5) * (1.0 / wide))
    near, far = ((_A + 2.0) * x - (_A + 3.0)) * x * x + 1, (((x - 5) * x + 8) * x - 4) * _A
    weights = np.where(x < 1.0, near, np.where(x < 2.0, far, 0.0)) * (tap < count[:, None])
    weights /= np.add.accumulate(weights, 1)[:, -1:]  # summed from the left
    return Filter(first, np.trunc(weights * (1 << _BITS) + np.copysign(0.5, weights)).astype(np.int32))


def resize(full: Bytes, columns: Filter, rows: Filter) -> Bytes:
    """(len(rows), len(columns), 3) of (h, w, 3) RGB pixels."""
    begin = int(rows.first[0])
    needed = np.ascontiguousarray(full[begin : rows.end]).reshape(-1, 3 * full.shape[1])
    needed.flags.writeable = False  # one type for the compiler
    size = len(rows.first), len(columns.first)
    result = np.empty((size[0], 3 * size[1]), np.uint8)
    _resize(needed, columns.first, columns.weights, rows.first - begin, rows.weights, result)
    return result.reshape(*size, 3)


@inlined
def _add(sums: Weights, weights: Weights, first: Bytes, second: Bytes, third: Bytes, fourth: Bytes) -> None:
    """Four taps at once, so that the sums are not read and written for each."""
    a, b, c, d = weights[0], weights[1], weights[2], weights[3]
    for i in range(len(sums)):
        sums[i] += a * np.int32(first[i]) + b * np.int32(second[i]) + c * np.int32(third[i]) + d * np.int32(fourth[i])


@serial
def _narrow(block: Bytes, first: Ints, weights: Weights, narrow: Bytes) -> None:
    """Resize the columns of ``block`` (3 w, lanes) into the rows of ``narrow`` (lanes at most, 3 w)."""
    sums = np.empty(_LANES, np.int32)
    for pixel in range(len(first)):
        for channel in range(3):
            sums[:] = _ROUND
            for tap in range(0, weights.shape[1], _UNROLLED):
                at = 3 * (first[pixel] + tap) + channel
                _add(sums, weights[pixel, tap:], block[at], block[at + 3], block[at + 6], block[at + 9])
            for row in range(len(narrow)):
                narrow[row, 3 * pixel + channel] = min(max(sums[row] >> _BITS, 0), 255)


@serial
def _lower(narrow: Bytes, first: Ints, weights: Weights, result: Bytes) -> None:
    """Resize the rows."""
    sums = np.empty(result.shape[1], np.int32)
    for row in range(len(first)):
        sums[:] = _ROUND
        for tap in range(0, weights.shape[1], _UNROLLED):
            at = first[row] + tap
            _add(sums, weights[row, tap:], narrow[at], narrow[at + 1], narrow[at + 2], narrow[at + 3])
        for column in range(len(sums)):
            result[row, column] = min(max(sums[column] >> _BITS, 0), 255)


@serial
def _resize(
    full: Bytes, columns_first: Ints, columns_weights: Weights, rows_first: Ints, rows_weights: Weights, result: Bytes
) -> None:
    """``full`` is (h, 3 w), ``result`` (h, 3 w) resized."""
    height, taps = full.shape[0], columns_weights.shape[1]
    # Weights of zero reach behind the last pixel.
    narrow = np.zeros((height + rows_weights.shape[1], result.shape[1]), np.uint8)
    block = np.zeros((full.shape[1] + 3 * taps, _LANES), np.uint8)
    for begin in range(0, height, _LANES):
        count = min(_LANES, height - begin)
        for row in range(count):
            for column in range(full.shape[1]):
                block[column, row] = full[begin + row, column]
        _narrow(block, columns_first, columns_weights, narrow[begin : begin + count])
    _lower(narrow, rows_first, rows_weights, result)
