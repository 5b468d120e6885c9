"""Draw the figures of docs/four_cues.md and docs/a_frame.md: what gdfusion_nano computes of a synthetic drive.

``python -m tools.docs.figures [BAG]`` writes docs/four_cues.png and docs/a_frame.png. Without BAG the drive is made.
"""

from __future__ import annotations

import argparse
import copy
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor, nn

from gdfusion_ros import ModelSettings, PipelineSettings, SemanticGrid, TopicSettings
from gdfusion_ros.bags.grid_stream import grid_stream
from gdfusion_ros.bags.reader import bag_reader
from gdfusion_ros.cli import main as gdfusion
from gdfusion_ros.model.network import OccupancyNetwork
from gdfusion_ros.model.probe import Probe
from gdfusion_ros.model.state import SequenceState
from gdfusion_ros.model.zoo import load_network
from gdfusion_ros.visualization.birdseye import color_map, to_north_up
from gdfusion_ros.visualization.voxels import perspective
from tools.docs.links import ROOT

FRAMES = 8
CHANNEL_MEAN, CHANNEL_STD = np.array([123.675, 116.28, 103.53]), np.array([58.395, 57.12, 57.375])
METERS = {'cmap': 'turbo_r', 'norm': LogNorm(2, 45)}
Values = NDArray[np.float32]
Row = Sequence[Axes]


class Recorder(Probe):
    """Keeps what goes by in the last frame, by name."""

    def __init__(self) -> None:
        """Nothing yet."""
        self.seen: dict[str, Tensor] = {}

    def record(self, name: str, tensor: Tensor) -> None:
        """Keep it."""
        self.seen[name] = tensor


@dataclass
class LastFrame:
    """The last frame of a drive: images, what was remembered before, what went by, and the grid."""

    images: Tensor
    state: SequenceState
    seen: dict[str, Tensor]
    grid: SemanticGrid
    network: OccupancyNetwork


def last_frame(bag: Path) -> LastFrame:
    """Drive through the bag."""
    network, recorder = load_network(ModelSettings(device='cpu')), Recorder()
    given: list[Any] = []

    def look_on(_: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        given[:] = copy.deepcopy(inputs[:3])  # a state is freed while the next one grows
        return (*inputs[:4], recorder)

    network.register_forward_pre_hook(look_on)
    with bag_reader(bag) as messages, grid_stream(messages, network, PipelineSettings(), TopicSettings()) as stream:
        grid = [each for each, _ in stream][-1]
    return LastFrame(given[0], given[2], recorder.seen, grid, network)


def from_above(volume: Tensor) -> Values:
    """(1, C, Y, X, Z) -> (X, Y) root mean square of all that stands in a column, x up and y to the left."""
    return north_up(volume[0].square().mean((0, 3)).sqrt())


def north_up(columns: Tensor) -> Values:
    """(Y, X) -> image whose first row is the largest x and whose first column the largest y."""
    return columns.t().flip(0, 1).numpy()


def expected_depth(distribution: Tensor, frame: LastFrame) -> Values:
    """(N, D, h, w) -> (N, h, w) [m]."""
    depths = frame.network.spec.depth.values()
    return (distribution * depths.view(1, -1, 1, 1)).sum(1).numpy()


def mosaic(views: Values) -> Values:
    """(6, h, w, …) of the surround cameras -> one picture: left, ahead, right over back left, back, back right."""
    return np.concatenate([np.concatenate(list(row), 1) for row in (views[:3], views[3:])], 0)


def strength(*pictures: Values) -> dict[str, Any]:
    """Colours for pictures that are compared: by orders of magnitude, the largest values and a thousandth of them."""
    largest = float(np.stack(pictures).max())
    return {'cmap': 'magma', 'norm': LogNorm(largest / 1000, largest, clip=True)}


def photographs(images: Tensor) -> Values:
    """(N, 3, H, W) normalised, channels B, G, R -> (N, H, W, 3) RGB in 0..1."""
    colors = images.permute(0, 2, 3, 1).numpy() * CHANNEL_STD + CHANNEL_MEAN
    return np.asarray((colors[..., ::-1] / 255).clip(0, 1), np.float32)


def speeds(offsets: Tensor, size: Sequence[int]) -> Values:
    """(Y X Z, 3) offsets [voxels] -> (X, Y) the largest one in each column."""
    return north_up(offsets.norm(dim=1).view(size).amax(2))


def shown(axes: Axes, picture: Any, title: str, colors: Mapping[str, Any]) -> None:
    """One panel."""
    axes.imshow(picture, interpolation='nearest', **colors)
    axes.set_title(title, fontsize=10)
    axes.set_xticks([])
    axes.set_yticks([])


def draw_cues(frame: LastFrame, path: Path) -> None:
    """Four rows, one a cue: this frame alone, what is remembered, and both together."""
    figure = Figure(figsize=(11, 13), layout='constrained')
    rows = figure.subplots(4, 3, gridspec_kw={'height_ratios': [0.3, 1, 1, 1]})
    for row, draw in zip(rows, (draw_geometry, draw_motion, draw_voxel, draw_scene), strict=True):
        draw(frame, row)
    figure.savefig(path, dpi=80)


def draw_geometry(frame: LastFrame, row: Row) -> None:
    """Depth of the image cells."""
    for axes, distribution, title in zip(
        row,
        (frame.seen['depth_pred'], frame.state.depth.geometry.logits.softmax(1), frame.seen['geometry']),
        (
            'geometry: depth that this frame shows',
            'remembered: fused depth of the frame before',
            'together: where the features are lifted',
        ),
        strict=True,
    ):
        shown(axes, mosaic(expected_depth(distribution, frame)), title, METERS)


def draw_motion(frame: LastFrame, row: Row) -> None:
    """How far things have moved, column by column."""
    volume = frame.seen['volume']
    alone, _ = frame.network.fusion('motion')(volume, torch.eye(4), None)
    pictures = [
        speeds(each, volume.shape[2:])
        for each in (alone, frame.state.memory.motion.offsets, frame.seen['motion_fused'])
    ]
    for axes, picture, title in zip(
        row,
        pictures,
        ('motion: offsets that this frame predicts', 'remembered offsets', 'after one gradient step'),
        strict=True,
    ):
        shown(axes, picture, title, strength(*pictures))


def draw_voxel(frame: LastFrame, row: Row) -> None:
    """Strength of the features, from above."""
    volume = frame.seen['volume']
    remembered = frame.state.memory.voxel.volume.view(*volume.shape[2:], -1).permute(3, 0, 1, 2)[None]
    pictures = [from_above(each) for each in (volume, remembered, frame.seen['voxel_out'])]
    for axes, picture, title in zip(
        row,
        pictures,
        (
            'voxel: features of this frame, from above',
            'remembered: fused features of the frame before',
            'aligned and fused',
        ),
        strict=True,
    ):
        shown(axes, picture, title, strength(*pictures))


def draw_scene(frame: LastFrame, row: Row) -> None:
    """The layer whose weights are the memory."""
    fused, steps = frame.seen['voxel_out'], frame.state.memory.scene.weight.numpy()
    limit, before, added = float(np.abs(steps).max()), from_above(fused), from_above(frame.seen['scene_out'] - fused)
    shown(row[0], before, 'scene: fused features', strength(before, added))
    shown(
        row[1],
        steps,
        f'remembered: steps of the {len(steps)} x {len(steps)} weights',
        {'cmap': 'coolwarm', 'vmin': -limit, 'vmax': limit},
    )
    shown(row[2], added, 'what the updated layer adds', strength(before, added))


def draw_frame(frame: LastFrame, path: Path) -> None:
    """Six panels, from the images to the grid."""
    seen = frame.seen
    depth = expected_depth(seen['geometry'], frame)
    lifted, remembered = from_above(seen['volume']), from_above(seen['scene_out'])
    figure = Figure(figsize=(11, 4.4), layout='constrained')
    rows = figure.add_gridspec(2, 1, height_ratios=[0.33, 1])
    top, bottom = (figure.add_subfigure(rows[index]) for index in (0, 1))
    panels = (*top.subplots(1, 2), *bottom.subplots(1, 4, gridspec_kw={'width_ratios': [1, 1, 1, 1.3]}))
    for axes, (picture, title, colors) in zip(
        panels,
        (
            (mosaic(photographs(frame.images)), '1  six images', {}),
            (mosaic(depth), '2  depth of their cells (red: 2 m, blue: 45 m)', METERS),
            (lifted, '3  features, lifted', strength(lifted, remembered)),
            (remembered, '4  with what is remembered', strength(lifted, remembered)),
            (np.asarray(to_north_up(color_map(frame.grid))), '5  classes, from above', {}),
            (np.asarray(perspective(frame.grid, 900, 700)), '6  the grid', {}),
        ),
        strict=True,
    ):
        shown(axes, picture, title, colors)
    figure.savefig(path, dpi=80)


def made_drive(folder: Path) -> Path:
    """A bag of a synthetic drive."""
    street, bags = str(folder / 'street'), str(folder / 'bags')
    drive = ['--scenes', '1', '--frames', str(FRAMES), '--seed', '7', '--weather', 'noon']
    if gdfusion(['synthesize', street, *drive]) or gdfusion(['convert', street, '--out', bags]):
        sys.exit(1)
    return folder / 'bags' / 'scene-0001'


def main() -> None:
    """Draw both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('bag', nargs='?', type=Path, help='a drive with six cameras')
    bag: Path | None = parser.parse_args().bag
    with tempfile.TemporaryDirectory() as folder:
        frame = last_frame(bag or made_drive(Path(folder)))
    draw: Callable[[LastFrame, Path], None]
    for name, draw in (('four_cues', draw_cues), ('a_frame', draw_frame)):
        draw(frame, ROOT / 'docs' / f'{name}.png')


if __name__ == '__main__':
    main()
