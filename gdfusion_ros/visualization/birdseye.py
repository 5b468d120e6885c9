"""The grid from straight above: x forward is up, y left is left."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from gdfusion_ros.perception.types import SemanticGrid
from gdfusion_ros.visualization.canvas import EGO, FAINT, INK, PANEL, palette, text

_MARGIN, _LINES_APART = 40, 40  # px
_MAP_LINE = (0, 0, 0, 36)


def topmost(grid: SemanticGrid) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """(X, Y) label of the highest occupied voxel of every column, ``free`` without one, and its z index or -1."""
    occupied = grid.occupied
    layers = grid.labels.shape[2]
    highest = np.where(occupied.any(axis=2), layers - 1 - occupied[:, :, ::-1].argmax(axis=2), -1)
    labels = np.take_along_axis(grid.labels, highest[:, :, None].clip(0), axis=2)[:, :, 0]
    return np.where(highest >= 0, labels, grid.label_set.free).astype(np.uint8), highest


def color_map(grid: SemanticGrid) -> NDArray[np.uint8]:
    """(X, Y, 3) RGB of the topmost classes: the higher the lighter, with a dark line below each step of height."""
    labels, highest = topmost(grid)
    step = np.clip(highest - np.roll(highest, (1, -1), (0, 1)), -1, 1)
    light = 0.92 + 0.10 * highest / grid.labels.shape[2] + 0.06 * step
    colors = palette(grid.label_set)[labels] * light[:, :, None]
    colors[highest < 0] = PANEL
    return np.asarray(colors.clip(0, 255), np.uint8)


def to_north_up(colors: NDArray[np.uint8]) -> Image.Image:
    """(X, Y, 3) -> image whose first row is the largest x and whose first column is the largest y."""
    return Image.fromarray(np.ascontiguousarray(colors[::-1, ::-1]))


def birdseye(grid: SemanticGrid, width: int, height: int) -> Image.Image:
    """The map with lines (every 10 m in a usual grid), the vehicle's place and heading, and scales in metres."""
    panel = Image.new('RGB', (width, height), PANEL)
    extent_x, extent_y = (grid.labels.shape[axis] * grid.voxel_size[axis] for axis in (0, 1))
    scale = min((width - _MARGIN) / extent_y, (height - _MARGIN) / extent_x)
    size = max(round(extent_y * scale), 1), max(round(extent_x * scale), 1)
    corner = width - size[0], 0
    panel.paste(to_north_up(color_map(grid)).resize(size, Image.Resampling.NEAREST), corner)
    left, top = grid.origin[1] + extent_y, grid.origin[0] + extent_x
    _draw_scales(panel, corner, size, (left, top), scale)
    _draw_vehicle(panel, (corner[0] + left * scale, corner[1] + top * scale), scale)
    return panel


def _ticks(lower: float, upper: float, scale: float) -> Iterator[float]:
    """Round numbers of metres, as close as their lines may be: 1, 2 or 5 times a power of ten apart."""
    least = _LINES_APART / scale
    unit = 10.0 ** math.floor(math.log10(least))
    every = next(factor * unit for factor in (1, 2, 5, 10) if factor * unit >= least)
    return (every * number for number in range(math.ceil(lower / every), math.floor(upper / every) + 1))


def _draw_scales(
    panel: Image.Image, corner: tuple[int, int], size: tuple[int, int], upper: tuple[float, float], scale: float
) -> None:
    """Lines and metres; ``upper`` is (y, x) of the map's upper left corner."""
    draw = ImageDraw.Draw(panel, 'RGBA')
    bottom, right = corner[1] + size[1], corner[0] + size[0]
    for y in _ticks(upper[0] - size[0] / scale, upper[0], scale):
        column = corner[0] + (upper[0] - y) * scale
        draw.line((column, corner[1], column, bottom), fill=_MAP_LINE)
        if corner[0] + 12 < column < right - 12:
            text(draw, (column, bottom + 6), f'{y:.6g}', 13, FAINT, 'ma')
    for x in _ticks(upper[1] - size[1] / scale, upper[1], scale):
        row = corner[1] + (upper[1] - x) * scale
        draw.line((corner[0], row, right, row), fill=_MAP_LINE)
        if corner[1] + 12 < row < bottom - 12:
            text(draw, (corner[0] - 6, row), f'{x:.6g}', 13, FAINT, 'rm')
    text(draw, (corner[0] - 6, corner[1] + 4), 'x [m]', 13, INK, 'ra')
    text(draw, (corner[0], bottom + 6), 'y [m]', 13, INK, 'ma')


def _draw_vehicle(panel: Image.Image, place: tuple[float, float], scale: float) -> None:
    """An arrow head at the ego frame's origin, about 4 m long, pointing forward."""
    unit = max(scale, 5.0)
    tip = (place[0], place[1] - 3.2 * unit)
    points = [
        tip,
        (place[0] + 1.3 * unit, place[1] + unit),
        (place[0], place[1] + 0.2 * unit),
        (place[0] - 1.3 * unit, place[1] + unit),
    ]
    ImageDraw.Draw(panel).polygon(points, fill=EGO, outline=INK, width=2)
