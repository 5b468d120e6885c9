"""One page a grid: 3-D view, bird's-eye view, camera images, legend."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone

import numpy as np
from PIL import Image, ImageDraw, ImageOps

from gdfusion_ros.perception.labels import UNKNOWN
from gdfusion_ros.perception.types import NANOSECONDS, Pixels, SemanticGrid, stamp_text
from gdfusion_ros.settings import SURROUND_CAMERAS
from gdfusion_ros.visualization.birdseye import birdseye
from gdfusion_ros.visualization.canvas import FAINT, INK, LINE, PAGE, PANEL, WARNING, font, palette, text
from gdfusion_ros.visualization.voxels import behind, perspective

WIDTH, MARGIN, HEADER = 1920, 16, 84
_LEFT, _VIEW_HEIGHT, _TILE_GAP, _TILES_A_ROW = 1240, 640, 8, 3
_RIGHT = WIDTH - 3 * MARGIN - _LEFT
_LEGEND = 400
_UNTRAINED = '(untrained)'

Box = tuple[int, int, int, int]


def picture(grid: SemanticGrid, images: Mapping[str, Pixels]) -> Image.Image:
    """The page, 1920 px wide.

    Args:
        grid: what is shown.
        images: (h, w, 3) RGB by camera name; without any the 3-D view takes their place.
    """
    cameras = _rig(grid.cameras)
    tile_height = (_LEFT - (_TILES_A_ROW - 1) * _TILE_GAP) // _TILES_A_ROW * 9 // 16
    rows = -(-len(cameras) // _TILES_A_ROW) if images else 0
    tiles = rows * (tile_height + _TILE_GAP) - _TILE_GAP if rows else -MARGIN
    body = max(_VIEW_HEIGHT + MARGIN + tiles, _RIGHT + MARGIN + _LEGEND)
    view_height = body - MARGIN - tiles
    page = Image.new('RGB', (WIDTH, HEADER + body + MARGIN), PAGE)
    _draw_title(page, grid)
    page.paste(perspective(grid, behind(grid), _LEFT, view_height), (MARGIN, HEADER))
    right = 2 * MARGIN + _LEFT
    page.paste(birdseye(grid, _RIGHT, _RIGHT), (right, HEADER))
    _draw_legend(page, grid, (right, HEADER + _RIGHT + MARGIN, WIDTH - MARGIN, HEADER + body))
    if images:
        _draw_images(page, cameras, images, (MARGIN, HEADER + view_height + MARGIN), tile_height)
    return page


def _rig(cameras: tuple[str, ...]) -> tuple[str, ...]:
    """The cameras in the order that they are shown: a surround rig keeps the place of one that did not go in."""
    return SURROUND_CAMERAS if set(cameras) <= set(SURROUND_CAMERAS) else cameras


def _draw_title(page: Image.Image, grid: SemanticGrid) -> None:
    draw = ImageDraw.Draw(page)
    end = text(draw, (MARGIN, 12), grid.model.removesuffix(_UNTRAINED).strip(), 30)
    if grid.model.endswith(_UNTRAINED):
        end = text(draw, (end + 12, 12), _UNTRAINED, 30, WARNING)
        text(draw, (end + 16, 22), 'random weights: this shows that the way works, not what is there', 18, WARNING)
    seconds, rest = divmod(grid.stamp, NANOSECONDS)
    moment = datetime.fromtimestamp(seconds, timezone.utc).strftime('%Y-%m-%d %H:%M:%S')
    text(draw, (WIDTH - MARGIN, 12), f'{moment}.{rest // 1_000_000:03d} UTC', 24, anchor='ra')
    text(draw, (WIDTH - MARGIN, 52), f'stamp {stamp_text(grid.stamp)}', 16, FAINT, 'ra')
    size_x, size_y, size_z = grid.labels.shape
    edges = ' x '.join(f'{edge:g}' for edge in grid.voxel_size)
    text(draw, (MARGIN, 54), f'{size_x} x {size_y} x {size_z} voxels of {edges} m in {grid.frame_id}; '
         f'frame {grid.frames_since_reset} since reset; {len(grid.cameras)} cameras within '
         f'{grid.stamp_spread / 1e6:.1f} ms', 16, FAINT)


def _draw_legend(page: Image.Image, grid: SemanticGrid, box: Box) -> None:
    """Colour, name and number of voxels of every class, in two columns."""
    draw = ImageDraw.Draw(page)
    counts = np.bincount(grid.labels.ravel(order='K'), minlength=256)
    classes = [label for label in grid.label_set.classes if label.id != grid.label_set.free]
    free, unknown = int(counts[grid.label_set.free]), int(counts[UNKNOWN])
    left, top, right, bottom = box
    draw.rectangle(box, fill=PANEL)
    text(draw, (left + MARGIN, top + 14), f'{grid.labels.size - free - unknown:,} occupied voxels', 20)
    text(draw, (right - MARGIN, top + 18), f'{free:,} free, {unknown:,} unknown', 16, FAINT, 'ra')
    draw.line((left + MARGIN, top + 48, right - MARGIN, top + 48), fill=LINE)
    rows = -(-len(classes) // 2)
    pitch, width = (bottom - top - 64) / rows, (right - left - 4 * MARGIN) // 2
    colors = palette(grid.label_set).astype(int)
    for index, label in enumerate(classes):
        column, row = divmod(index, rows)
        x, y = left + MARGIN + column * (width + 2 * MARGIN), top + 56 + (row + 0.5) * pitch
        ink = INK if counts[label.id] else FAINT
        draw.rectangle((x, y - 9, x + 26, y + 9), fill=tuple(colors[label.id]))
        text(draw, (x + 38, y), label.name, 17, ink, 'lm')
        text(draw, (x + width, y), f'{counts[label.id]:,}', 17, ink, 'rm')


def _draw_images(page: Image.Image, cameras: tuple[str, ...], images: Mapping[str, Pixels], corner: tuple[int, int],
                 height: int) -> None:
    """The images, three a row in the rig's order, each with its camera's name."""
    draw = ImageDraw.Draw(page, 'RGBA')
    width = (_LEFT - (_TILES_A_ROW - 1) * _TILE_GAP) // _TILES_A_ROW
    for index, camera in enumerate(cameras):
        row, column = divmod(index, _TILES_A_ROW)
        x, y = corner[0] + column * (width + _TILE_GAP), corner[1] + row * (height + _TILE_GAP)
        draw.rectangle((x, y, x + width - 1, y + height - 1), fill=PANEL)
        if camera in images:
            tile = ImageOps.contain(Image.fromarray(images[camera]), (width, height))
            page.paste(tile, (x + (width - tile.width) // 2, y + (height - tile.height) // 2))
        else:
            text(draw, (x + width / 2, y + height / 2), 'no image', 18, FAINT, 'mm')
        length = draw.textlength(camera, font=font(15))
        draw.rectangle((x, y, x + length + 16, y + 24), fill=(0, 0, 0, 150))
        text(draw, (x + 8, y + 12), camera, 15, PAGE, 'lm')
