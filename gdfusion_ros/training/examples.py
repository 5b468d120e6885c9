"""Training examples out of a dataset in nuScenes' format: images, matrices, labels and LiDAR depth of a key frame."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset as TorchDataset

from gdfusion_ros.datasets import lidar, occ3d
from gdfusion_ros.datasets.nuscenes import Dataset, Sample, Scene, SensorData
from gdfusion_ros.datasets.occ3d import Occ3DLabels
from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.model.depth.measured import nearest_bins
from gdfusion_ros.model.geometry.depth_bins import DepthBins
from gdfusion_ros.model.interface import Frame
from gdfusion_ros.model.objectives.interface import IGNORE, FrameTruth, RaySupervision
from gdfusion_ros.model.spec import NetworkSpec
from gdfusion_ros.perception.framing import PostTransform, RigPoses, make_frame
from gdfusion_ros.perception.labels import OCC3D_NUSCENES
from gdfusion_ros.perception.poses import inverse, product
from gdfusion_ros.perception.preprocess import normalize
from gdfusion_ros.perception.types import Matrix, Pixels
from gdfusion_ros.settings import SURROUND_CAMERAS
from gdfusion_ros.training.augment import EgoAugmentation, ImageAugmentation
from gdfusion_ros.training.ray_supervision import look, unknown
from gdfusion_ros.training.settings import TrainingSettings
from gdfusion_ros.training.stream import Item

REFERENCE = 'CAM_FRONT'
_LIDAR = 'LIDAR_TOP'
_CPU = torch.device('cpu')


@dataclass(frozen=True, eq=False)
class Example:
    """One key frame to learn from.

    Attributes:
        frame: the network's input.
        truth: what is known of it.
        start: whether it begins a sequence.
    """

    frame: Frame
    truth: FrameTruth
    start: bool

    def pin_memory(self) -> Example:
        """The same with its large tensors where CUDA fetches them by itself; torch's DataLoader calls it."""
        return replace(self, frame=replace(self.frame, images=self.frame.images.pin_memory()),
                       truth=self.truth.pin_memory())

    def to(self, device: torch.device) -> Example:
        """The same with its large tensors on ``device``; matrices stay on the CPU, their place."""
        images = self.frame.images.to(device, memory_format=torch.channels_last, non_blocking=True)
        return replace(self, frame=replace(self.frame, images=images), truth=self.truth.to(device))


class Examples(TorchDataset[Example]):
    """``examples[item]``: reads, decodes and augments one key frame; meant for worker processes."""

    def __init__(self, datasets: Sequence[Dataset], config: NetworkSpec, settings: TrainingSettings, *,
                 augment: bool) -> None:
        """``config`` is the network's; without ``augment`` examples are what the node would see.

        Raises:
            GdfusionError: the network predicts other voxels than those of the labels.
        """
        labelled = OCC3D_NUSCENES.grid
        if config.predicted_grid != labelled:
            raise GdfusionError(f'{config.name} predicts {config.predicted_grid.shape} voxels, but the labels have '
                                f'{labelled.shape}: it cannot be trained on them')
        self._scenes = [(dataset.root, scene) for dataset in datasets for scene in dataset.scenes if scene.samples]
        self._config, self._settings, self._augment = config, settings, augment

    @property
    def fingerprint(self) -> str:
        """Of which key frames there are, in which order."""
        names = [(scene.token, len(scene.samples)) for _, scene in self._scenes]
        return hashlib.sha256(repr(names).encode()).hexdigest()

    @property
    def lengths(self) -> list[int]:
        """Key frames of every scene."""
        return [len(scene.samples) for _, scene in self._scenes]

    def __getitem__(self, item: Item) -> Example:
        """The example of a stream's item.

        Raises:
            GdfusionError: a file is missing or damaged.
        """
        root, scene = self._scenes[item.scene]
        sample, before = scene.samples[item.frame], scene.samples[item.frame - 1] if item.frame else None
        ego, augmentations = self._drawn(item)
        output = self._config.image_size[::-1]
        images = [augmentation(_pixels(camera), output)
                  for augmentation, camera in zip(augmentations, _cameras(sample), strict=True)]
        frame = make_frame(
            normalize([pixels for pixels, _ in images], _CPU), [intrinsics(camera) for camera in _cameras(sample)],
            [post for _, post in images], self._poses(sample), None if before is None else self._poses(before),
            [True] * len(images))
        labels = _labels(root, scene, sample)
        targets = np.ascontiguousarray(ego.labels(self._observed(labels)).transpose(1, 0, 2))
        frame = replace(frame, calibration=replace(frame.calibration, bda=ego.matrix()))
        truth = FrameTruth(torch.from_numpy(targets), self._depth(sample, [post for _, post in images]),
                           self._rays(labels, frame))
        return Example(frame, truth, start=item.frame == 0)

    def _drawn(self, item: Item) -> tuple[EgoAugmentation, list[ImageAugmentation]]:
        """The item's augmentation of the ego frame and of each camera's image."""
        if not self._augment:
            return EgoAugmentation(), [ImageAugmentation()] * len(SURROUND_CAMERAS)

        def random(kind: int, varies: str) -> np.random.Generator:
            return np.random.default_rng(
                [self._settings.seed, kind, item.draw, item.frame + 1 if varies == 'frame' else 0])

        images = random(1, self._settings.image_varies)
        return (EgoAugmentation.draw(self._settings, random(0, self._settings.bev_varies)),
                [ImageAugmentation.draw(self._settings, images) for _ in SURROUND_CAMERAS])

    def _poses(self, sample: Sample) -> RigPoses:
        reference = _measurement(sample, REFERENCE).ego_pose.matrix()
        cameras = np.stack([_pose(camera) for camera in _cameras(sample)])
        history = reference
        if self._settings.pose_protocol == 'released':
            history = _measurement(sample, _LIDAR).ego_pose.matrix()
        return RigPoses(reference, cameras, history)

    def _observed(self, labels: Occ3DLabels | None) -> NDArray[np.uint8]:
        """(X, Y, Z) classes to learn; IGNORE everywhere where the dataset has no labels."""
        if labels is None:
            return np.full(OCC3D_NUSCENES.grid.shape, IGNORE, np.uint8)
        if not self._settings.camera_mask:
            return labels.semantics
        return np.where(labels.mask_camera, labels.semantics, IGNORE)

    def _rays(self, labels: Occ3DLabels | None, frame: Frame) -> RaySupervision | None:
        if not self._settings.objective.wants_rays(self._settings.cues):
            return None
        if labels is None:
            return unknown(frame, self._config.feature_stride)
        return look(labels.semantics, OCC3D_NUSCENES, frame, self._config.depth, self._config.feature_stride)

    def _depth(self, sample: Sample, posts: Sequence[PostTransform]) -> Tensor:
        stride, (height, width) = self._config.feature_stride, self._config.image_size
        sweep = sample.data.get(_LIDAR)
        if not self._settings.objective.wants_depth or sweep is None or not sweep.path.exists():
            return torch.full((len(posts), height // stride, width // stride), IGNORE)
        points = product(_pose(sweep), _points(sweep.path))
        bins = self._config.depth
        maps = np.stack([_depth_map(points, camera, post, (width, height), bins)
                         for camera, post in zip(_cameras(sample), posts, strict=True)])
        return nearest_bins(torch.from_numpy(maps), stride, bins)


def _pose(data: SensorData) -> Matrix:
    """(4, 4) of a sensor in the fixed frame, at its own stamp."""
    return product(data.ego_pose.matrix(), data.calibration.pose.matrix())


def _labels(root: Path, scene: Scene, sample: Sample) -> Occ3DLabels | None:
    path = occ3d.label_path(root, scene.name, sample.token)
    return occ3d.read(path) if path.exists() else None


def labelled(datasets: Sequence[Dataset]) -> int:
    """How many key frames have Occ3D labels."""
    return sum(occ3d.label_path(dataset.root, scene.name, sample.token).exists()
               for dataset in datasets for scene in dataset.scenes for sample in scene.samples)


def intrinsics(camera: SensorData) -> Matrix:
    """(3, 3) K of a camera [px]."""
    return np.array(camera.calibration.intrinsics).reshape(3, 3)


def _measurement(sample: Sample, channel: str) -> SensorData:
    if channel not in sample.data:
        raise GdfusionError(f'key frame {sample.token} has no {channel}')
    return sample.data[channel]


def _cameras(sample: Sample) -> list[SensorData]:
    return [_measurement(sample, camera) for camera in SURROUND_CAMERAS]


def _pixels(camera: SensorData) -> Pixels:
    try:
        return np.asarray(Image.open(camera.path).convert('RGB'))
    except OSError as error:
        raise GdfusionError(f'image {camera.path} cannot be read: {error}') from error


def _points(path: Path) -> Matrix:
    """(4, n) homogeneous points of a LiDAR sweep."""
    points = lidar.read(path)
    return np.stack([*(points[axis].astype(np.float64) for axis in 'xyz'), np.ones(len(points))])


def _depth_map(points: Matrix, camera: SensorData, post: PostTransform, size: tuple[int, int],
               bins: DepthBins) -> NDArray[np.float32]:
    """(H, W) depth [m] of the nearest of the (4, n) points in the fixed frame, in the network's image; 0 where none.

    Points beyond the bins, nearer ones too, hide nothing (training.md §3).
    """
    width, height = size
    seen = product(inverse(_pose(camera)), points)[:3]
    seen = seen[:, (seen[2] >= bins.first) & (seen[2] < bins.first + bins.step * bins.count)]
    pixels = product(intrinsics(camera), seen) / seen[2]
    pixels = np.rint(product(post.rotation, pixels) + post.translation[:, None])[:2]
    inside = ((pixels >= 0) & (pixels < [[width], [height]])).all(0)
    columns, rows = pixels[:, inside].astype(np.int64)
    depth = np.full((height, width), np.inf, np.float32)
    np.minimum.at(depth, (rows, columns), seen[2, inside].astype(np.float32))
    return np.where(np.isfinite(depth), depth, np.float32(0))
