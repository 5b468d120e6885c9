"""Do the images, the calibration and the labels of a synthetic dataset agree?

The dataset is read as any other. Its scenes are planned and rendered again from its recipe, which gives the class and
depth of every pixel. Then, for every key frame and camera:

* The image on disk must be the one rendered, but for a mean difference of COLOR_TOLERANCE levels of 255 (decoders of
  JPEG differ a little).
* Every voxel that is labelled occupied and that the cameras observe is projected into the image with the calibration
  and poses of the tables: 3 x 3 x 3 points, the centres of its small cubes. A point is hidden if something is rendered
  in front of it, it is met if what is rendered there is as far away as it is. Depths may differ by half a voxel's
  diagonal, and a pixel has the depths from the one above it to the one below, since on level ground far away they are
  metres apart. The voxel is visible if one of its points is not hidden, and agrees if its class is rendered where one
  is met.

Of all visible voxels REQUIRED must agree. Not all can: labels belong to LIDAR_TOP's stamp, images are up to 43 ms older
and objects move meanwhile; and what is thinner than a pixel is not always rendered.
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Callable
from concurrent.futures import as_completed
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from gdfusion_ros.datasets import nuscenes, occ3d
from gdfusion_ros.datasets.nuscenes import Sample, SensorData
from gdfusion_ros.datasets.occ3d import Occ3DLabels
from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.perception.labels import OCC3D_NUSCENES
from gdfusion_ros.perception.poses import inverse
from gdfusion_ros.perception.types import Pixels
from gdfusion_ros.synthetic import recipes
from gdfusion_ros.synthetic.recipes import Recipe
from gdfusion_ros.synthetic.recording import QUALITY
from gdfusion_ros.synthetic.rig import CAMERAS, LIDAR
from gdfusion_ros.synthetic.workers import parts, recorder, result, workers
from gdfusion_ros.synthetic.world import Rendering

REQUIRED = 0.97
COLOR_TOLERANCE = 2.0

_NEAREST = 0.3  # [m] before the camera
_SPREAD = np.array(list(itertools.product((-1, 0, 1), repeat=3))) / 3  # points of a voxel, from its centre [voxels]

Counts = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Consistency:
    """What was found.

    Attributes:
        agreeing, visible: (18,) voxels by class, counted in every image where they are visible.
        differing: Images that are not the ones rendered.
    """

    agreeing: Counts
    visible: Counts
    differing: tuple[str, ...]

    def __add__(self, other: Consistency) -> Consistency:
        return Consistency(
            self.agreeing + other.agreeing, self.visible + other.visible, self.differing + other.differing
        )

    @property
    def share(self) -> float:
        """Of the visible voxels that agree; 0 if there are none."""
        return float(self.agreeing.sum() / max(self.visible.sum(), 1))

    @property
    def holds(self) -> bool:
        """Whether the dataset is in order."""
        return not self.differing and self.share >= REQUIRED


def examine(root: Path, jobs: int, on_frames: Callable[[int], object] = lambda _: None) -> Consistency:
    """Compare a synthetic dataset with its recipe; ``on_frames`` is told how many more key frames have been seen.

    Raises:
        GdfusionError: it was not made by gdfusion synthesize, or something of it is missing or damaged.
    """
    recipe = recipes.read(root)
    dataset = nuscenes.load(root, nuscenes.SYNTHETIC)
    if [len(scene.samples) for scene in dataset.scenes] != [recipe.frames] * recipe.scenes:
        raise GdfusionError(
            f'{root}: the tables do not have the {recipe.scenes} scenes of {recipe.frames} key frames '
            f'that {recipes.FILE} says; make it again'
        )
    total = Consistency(np.zeros(OCC3D_NUSCENES.free + 1, np.int64), np.zeros(OCC3D_NUSCENES.free + 1, np.int64), ())
    with workers(jobs) as pool:
        waiting = {
            pool.submit(
                _examine_part, root, recipe, index, [(frame, dataset.scenes[index].samples[frame]) for frame in frames]
            ): len(frames)
            for index, frames in parts(recipe)
        }
        for done in as_completed(waiting):
            total += result(done)
            on_frames(waiting[done])
    return total


def _examine_part(root: Path, recipe: Recipe, index: int, samples: list[tuple[int, Sample]]) -> Consistency:
    """Some key frames of one scene, with their numbers in it."""
    there = recorder(recipe, index, root)
    shots = {(shot.frame, shot.channel): shot for shot in there.drive.shots if shot.key}
    agreeing, visible = (np.zeros(OCC3D_NUSCENES.free + 1, np.int64) for _ in range(2))
    differing = []
    for frame, sample in samples:
        labels = occ3d.read(occ3d.label_path(root, there.drive.name, sample.token))
        for channel in CAMERAS:
            rendering = there.render(shots[frame, channel])
            data = _data(sample, channel)
            if _difference(data.path, rendering.pixels) > COLOR_TOLERANCE:
                differing.append(data.filename)
            seen, same = _compare(labels, _data(sample, LIDAR), data, rendering)
            visible += seen
            agreeing += same
    return Consistency(agreeing, visible, tuple(differing))


def _data(sample: Sample, channel: str) -> SensorData:
    if channel not in sample.data:
        raise GdfusionError(f'sample {sample.token} has no {channel} in the tables; make the dataset again')
    return sample.data[channel]


def _difference(path: Path, pixels: Pixels) -> float:
    """Mean difference between an image file and what it should show, once that is stored the same way [levels]."""
    stored = io.BytesIO()
    Image.fromarray(pixels).save(stored, 'JPEG', quality=QUALITY)
    try:
        found = np.asarray(Image.open(path).convert('RGB'), float)
    except (OSError, UnidentifiedImageError) as error:
        raise GdfusionError(f'image {path} cannot be read: {error}') from error
    wanted = np.asarray(Image.open(stored), float)
    return float(np.abs(found - wanted).mean()) if found.shape == wanted.shape else np.inf


def _compare(labels: Occ3DLabels, lidar: SensorData, camera: SensorData, rendering: Rendering) -> tuple[Counts, Counts]:
    """(18,) voxels by class that are visible in an image, and those of them that agree with it."""
    grid, bins = OCC3D_NUSCENES.grid, OCC3D_NUSCENES.free + 1
    chosen = np.argwhere((labels.semantics != OCC3D_NUSCENES.free) & labels.mask_camera)
    camera_from_grid = inverse(camera.ego_pose.matrix() @ camera.calibration.pose.matrix()) @ lidar.ego_pose.matrix()
    spots = (chosen + 0.5)[:, None] + _SPREAD
    points = (spots * grid.voxel_size + np.array(grid.lower)) @ camera_from_grid[:3, :3].T + camera_from_grid[:3, 3]
    points, chosen = (array[points[:, :, 2].min(axis=1) > _NEAREST] for array in (points, chosen))
    pixels = points @ np.reshape(camera.calibration.intrinsics, (3, 3)).T
    columns, rows = np.moveaxis(np.floor(pixels[..., :2] / pixels[..., 2:]).astype(int), -1, 0)
    height, width = rendering.labels.shape
    inside = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
    columns, rows = columns.clip(0, width - 1), rows.clip(0, height - 1)
    nearest, farthest = _depth_range(rendering.depth)
    reach = np.linalg.norm(grid.voxel_size) / 2
    shown = inside & (points[..., 2] <= farthest[rows, columns] + reach)
    met = shown & (points[..., 2] >= nearest[rows, columns] - reach)
    classes = labels.semantics[tuple(chosen.T)]
    visible = shown.any(axis=1)
    agreeing = (met & (rendering.labels[rows, columns] == classes[:, None])).any(axis=1)
    return np.bincount(classes[visible], minlength=bins), np.bincount(classes[agreeing], minlength=bins)


def _depth_range(depth: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(h, w) least and greatest depth of every pixel and those above and below it."""
    column = np.pad(depth, ((1, 1), (0, 0)), mode='edge')
    three = np.stack([column[:-2], column[1:-1], column[2:]])
    return three.min(axis=0), three.max(axis=0)
