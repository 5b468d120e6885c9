"""One page a frame: 3-D view, bird's-eye view, both again for the ground truth, camera images, legend."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from gdfusion_ros.files import refuse_existing, written_whole
from gdfusion_ros.names import printable
from gdfusion_ros.perception.labels import UNKNOWN, LabelSet
from gdfusion_ros.perception.types import Pixels, SemanticGrid, stamp_text
from gdfusion_ros.visualization.birdseye import birdseye
from gdfusion_ros.visualization.canvas import FAINT, INK, LINE, PAGE, PANEL, WARNING, fitted, font, palette, text
from gdfusion_ros.visualization.snapshot import Parts, Snapshot
from gdfusion_ros.visualization.voxels import perspective

WIDTH, HEIGHT, MARGIN, HEADER = 1920, 1080, 16, 84
"""A page [px]: as large as a video that every player decodes."""

_GAP, _IMAGES_SHOWN = 8, 64


def write(path: Path, frame: Snapshot) -> None:
    """Write the page of ``frame`` as a PNG file.

    Raises:
        GdfusionError: a file of that name exists, or it cannot be written.
    """
    refuse_existing(path)
    with written_whole(path, new=True) as draft:
        picture(frame).save(draft, 'PNG')


@dataclass(frozen=True)
class Box:
    """A part of the page [px]."""

    left: int
    top: int
    width: int
    height: int

    @property
    def corner(self) -> tuple[int, int]:
        """Upper left corner."""
        return self.left, self.top

    @property
    def outline(self) -> tuple[int, int, int, int]:
        """As Pillow draws rectangles."""
        return self.left, self.top, self.left + self.width - 1, self.top + self.height - 1


@dataclass(frozen=True)
class Layout:
    """What lies where: 3-D views and maps (prediction, ground truth), images (None: no place for them), legend."""

    views: tuple[Box, ...]
    maps: tuple[Box, ...]
    images: Box | None
    legend: Box


SINGLE = Layout(
    (Box(16, HEADER, 1240, 498),), (Box(1272, HEADER, 632, 632),), Box(16, 598, 1240, 466), Box(1272, 732, 632, 332)
)
SINGLE_WITHOUT_IMAGES = Layout((Box(16, HEADER, 1240, 980),), SINGLE.maps, None, SINGLE.legend)
DOUBLE = Layout(
    (Box(16, HEADER, 936, 504), Box(968, HEADER, 936, 504)),
    (Box(16, 604, 460, 460), Box(492, 604, 460, 460)),
    Box(968, 604, 936, 352),
    Box(968, 972, 936, 92),
)
DOUBLE_WITHOUT_IMAGES = Layout(DOUBLE.views, DOUBLE.maps, None, Box(968, 604, 936, 460))


def _layout(parts: Parts) -> Layout:
    if parts.truth:
        return DOUBLE if parts.images else DOUBLE_WITHOUT_IMAGES
    return SINGLE if parts.images else SINGLE_WITHOUT_IMAGES


def picture(frame: Snapshot, parts: Parts | None = None) -> Image.Image:
    """The page of a frame, WIDTH x HEIGHT, with a place for ``parts``; for what the frame has, unless given."""
    layout = _layout(parts or frame.parts)
    page = Image.new('RGB', (WIDTH, HEIGHT), PAGE)
    _draw_title(page, frame)
    for number, grid in enumerate((frame.grid, frame.truth)[: len(layout.views)]):
        _draw_grid(page, grid, layout.views[number], layout.maps[number])
    if len(layout.views) > 1:
        _draw_tag(page, layout.views[0].corner, 'prediction')
        _draw_tag(page, layout.views[1].corner, 'ground truth')
    _draw_legend(page, frame, layout.legend)
    if layout.images:
        _draw_images(page, frame.cameras, frame.images, layout.images)
    return page


def _draw_title(page: Image.Image, frame: Snapshot) -> None:
    draw = ImageDraw.Draw(page)
    end = text(draw, (MARGIN, 12), frame.model, 30)
    if frame.untrained:
        end = text(draw, (end + 12, 12), '(untrained)', 30, WARNING)
        text(draw, (end + 16, 22), 'random weights: this shows that the way works, not what is there', 18, WARNING)
    text(draw, (MARGIN, 54), _details(frame.grid), 16, FAINT)
    if frame.moment:
        text(draw, (WIDTH - MARGIN, 12), frame.moment, 24, anchor='ra')
        text(draw, (WIDTH - MARGIN, 52), f'stamp {stamp_text(frame.grid.stamp)}', 16, FAINT, 'ra')


def _details(grid: SemanticGrid) -> str:
    shape, edges = ' x '.join(map(str, grid.labels.shape)), ' x '.join(f'{edge:g}' for edge in grid.voxel_size)
    details = [f'{shape} voxels of {edges} m in {grid.frame_id}']
    if grid.cameras:
        details += [
            f'frame {grid.frames_since_reset} since reset',
            f'{len(grid.cameras)} cameras within {grid.stamp_spread / 1e6:.1f} ms',
        ]
    strange = ~np.isin(grid.labels, [UNKNOWN, *(label.id for label in grid.label_set.classes)])
    if strange.any():
        details += [f'{strange.sum():,} voxels (grey) have labels that are none of {grid.label_set.name}']
    return '; '.join(details)


def _draw_grid(page: Image.Image, grid: SemanticGrid | None, view: Box, top_view: Box) -> None:
    if grid is None:
        _draw_nothing(page, view, 'none at this stamp')
        _draw_nothing(page, top_view, 'none at this stamp')
    else:
        page.paste(perspective(grid, view.width, view.height), view.corner)
        page.paste(birdseye(grid, top_view.width, top_view.height), top_view.corner)


def _draw_nothing(page: Image.Image, box: Box, words: str) -> None:
    draw = ImageDraw.Draw(page)
    draw.rectangle(box.outline, fill=PANEL)
    text(draw, (box.left + box.width / 2, box.top + box.height / 2), words, 18, FAINT, 'mm')


def _draw_tag(page: Image.Image, corner: tuple[int, int], words: str) -> None:
    """A name in the upper left corner of a panel."""
    draw = ImageDraw.Draw(page, 'RGBA')
    words, (x, y) = printable(words, 40), corner
    draw.rectangle((x, y, x + draw.textlength(words, font=font(15)) + 16, y + 24), fill=(0, 0, 0, 150))
    text(draw, (x + 8, y + 12), words, 15, PAGE, 'lm')


def _draw_legend(page: Image.Image, frame: Snapshot, box: Box) -> None:
    """Colour and name of every class; where there is room, how many voxels are occupied and how many a class has."""
    draw = ImageDraw.Draw(page)
    draw.rectangle(box.outline, fill=PANEL)
    label_set = frame.grid.label_set
    if box.height < 200:
        _draw_classes(draw, label_set, Box(box.left + 10, box.top + 4, box.width - 16, box.height - 8), 6, 12, ())
        return
    grids = [grid for grid in (frame.grid, frame.truth) if grid is not None]
    counts = [np.bincount(grid.labels.ravel(order='K'), minlength=256) for grid in grids]
    occupied = ' | '.join(
        f'{grid.labels.size - count[label_set.free] - count[UNKNOWN]:,}'
        for grid, count in zip(grids, counts, strict=True)
    )
    unknown = ' | '.join(f'{count[UNKNOWN]:,}' for count in counts)
    left, right, line = box.left + MARGIN, box.left + box.width - MARGIN, box.top + 48
    text(draw, (left, box.top + 14), f'{occupied} occupied voxels', 20)
    text(draw, (right, box.top + 18), f'{unknown} unknown', 16, FAINT, 'ra')
    draw.line((left, line, right, line), fill=LINE)
    _draw_classes(draw, label_set, Box(left, line + 8, right - left, box.height - 64), 2, 17, counts)


def _draw_classes(
    draw: ImageDraw.ImageDraw,
    label_set: LabelSet,
    box: Box,
    columns: int,
    size: int,
    counts: Sequence[NDArray[np.int64]],
) -> None:
    """The classes in columns of equal width, with letters of ``size`` px; ``counts`` are (256,) voxels of each."""
    classes = label_set.occupied
    rows = -(-len(classes) // columns)
    width, pitch = box.width / columns, box.height / rows
    colors = palette(label_set).astype(int)
    for index, label in enumerate(classes):
        column, row = divmod(index, rows)
        x, y = box.left + column * width, box.top + (row + 0.5) * pitch
        draw.rectangle((x, y - size / 2, x + 1.5 * size, y + size / 2), fill=tuple(colors[label.id]))
        ink = INK if not counts or any(count[label.id] for count in counts) else FAINT
        text(draw, (x + 2 * size, y), label.name, size, ink, 'lm')
        voxels = ' | '.join(f'{count[label.id]:,}' for count in counts)
        text(draw, (x + width - (2 * MARGIN if column < columns - 1 else 0), y), voxels, size, ink, 'rm')


def _draw_images(page: Image.Image, cameras: tuple[str, ...], images: Mapping[str, Pixels], box: Box) -> None:
    """The images in rows, in the rig's order, each with its camera's name; of a huge rig the first ones."""
    cameras = cameras[:_IMAGES_SHOWN]
    columns = 3 if len(cameras) <= 6 else 4 if len(cameras) <= 12 else math.isqrt(len(cameras) - 1) + 1
    rows = -(-len(cameras) // columns)
    width, height = (box.width - (columns - 1) * _GAP) // columns, (box.height - (rows - 1) * _GAP) // rows
    for index, camera in enumerate(cameras):
        row, column = divmod(index, columns)
        tile = Box(box.left + column * (width + _GAP), box.top + row * (height + _GAP), width, height)
        if camera in images:
            ImageDraw.Draw(page).rectangle(tile.outline, fill=PANEL)
            image = fitted(images[camera], width, height)
            page.paste(image, (tile.left + (width - image.width) // 2, tile.top + (height - image.height) // 2))
        else:
            _draw_nothing(page, tile, 'no image')
        _draw_tag(page, tile.corner, camera)
