"""Training examples out of a dataset in nuScenes' format: images, matrices, labels and LiDAR depth of a key frame."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset as TorchDataset

from gdfusion_ros.datasets.labels import FORMATS, LIDAR, LabelFormat
from gdfusion_ros.datasets.nuscenes import Dataset, Sample, Scene, SensorData
from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.model.interface import Frame
from gdfusion_ros.model.objectives.interface import IGNORE, FrameTruth, RaySupervision
from gdfusion_ros.model.spec import NetworkSpec
from gdfusion_ros.perception.framing import RigPoses, frame_of, rig_matrices
from gdfusion_ros.perception.labels import UNKNOWN
from gdfusion_ros.perception.poses import product
from gdfusion_ros.perception.preprocess import normalize
from gdfusion_ros.perception.types import Matrix, Pixels, SemanticGrid
from gdfusion_ros.training.augment import EgoAugmentation, ImageAugmentation
from gdfusion_ros.training.lidar_supervision import LabelledSweep, depth_bins, read_sweep
from gdfusion_ros.training.ray_supervision import look, unknown
from gdfusion_ros.training.settings import TrainingSettings
from gdfusion_ros.training.stream import Item

REFERENCE = 'CAM_FRONT'
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
        return replace(
            self, frame=_with_tensors(self.frame, lambda tensor: tensor.pin_memory()), truth=self.truth.pin_memory()
        )

    def to(self, device: torch.device) -> Example:
        """The same with its large tensors on ``device``; matrices stay on the CPU, their place."""
        frame = _with_tensors(self.frame, lambda tensor: tensor.to(device, non_blocking=True))
        images = frame.images.to(memory_format=torch.channels_last)
        return replace(self, frame=replace(frame, images=images), truth=self.truth.to(device))


class Examples(TorchDataset[Example]):
    """``examples[item]``: reads, decodes and augments one key frame; meant for worker processes."""

    def __init__(
        self, datasets: Sequence[Dataset], spec: NetworkSpec, settings: TrainingSettings, *, augment: bool
    ) -> None:
        """``spec`` is the network's; without ``augment`` examples are what the node would see.

        Raises:
            GdfusionError: the network predicts other voxels than those of the labels, needs another number of cameras
                than the settings name, or nuScenes has no labels of its set.
        """
        self._format = label_format(spec)
        spec.require_cameras(settings.cameras)
        labelled = self._format.label_set.grid
        if spec.predicted_grid != labelled:
            raise GdfusionError(
                f'{spec.name} predicts {spec.predicted_grid.shape} voxels, but the labels have '
                f'{labelled.shape}: it cannot be trained on them'
            )
        self._scenes = [(dataset.root, scene) for dataset in datasets for scene in dataset.scenes if scene.samples]
        self._spec, self._settings, self._augment = spec, settings, augment

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
        output = self._spec.image_size[::-1]
        images = [
            augmentation(_pixels(camera), output)
            for augmentation, camera in zip(augmentations, self._cameras(sample), strict=True)
        ]
        poses = self._poses(sample)
        matrices = rig_matrices(
            [intrinsics(camera) for camera in self._cameras(sample)],
            [post for _, post in images],
            poses,
            None if before is None else self._poses(before),
            [True] * len(images),
        )
        frame = frame_of(normalize([pixels for pixels, _ in images], _CPU), matrices)
        labels = self._labels(root, scene, sample)
        targets = np.ascontiguousarray(ego.labels(self._observed(labels)).transpose(1, 0, 2))
        sweep = self._sweep(sample)
        maps = None if sweep is None else sweep.depth_maps(poses, matrices, self._spec)
        classes = None if sweep is None else sweep.cell_classes(poses, matrices, self._spec)
        frame = replace(
            frame,
            calibration=replace(frame.calibration, bda=ego.matrix()),
            lidar_depth=maps if self._spec.lidar_depth else None,
        )
        taught = maps if self._settings.objective.wants_depth else None
        truth = FrameTruth(
            torch.from_numpy(targets),
            depth_bins(taught, self._spec, len(images)),
            self._rays(labels, frame) if classes is None else None,
            classes,
        )
        return Example(frame, truth, start=item.frame == 0)

    def _drawn(self, item: Item) -> tuple[EgoAugmentation, list[ImageAugmentation]]:
        """The item's augmentation of the ego frame and of each camera's image."""
        if not self._augment:
            return EgoAugmentation(), [ImageAugmentation()] * len(self._settings.cameras)

        def random(kind: int, varies: str) -> np.random.Generator:
            return np.random.default_rng(
                [self._settings.seed, kind, item.draw, item.frame + 1 if varies == 'frame' else 0]
            )

        images = random(1, self._settings.image_varies)
        return (
            EgoAugmentation.draw(self._settings, random(0, self._settings.bev_varies)),
            [ImageAugmentation.draw(self._settings, images) for _ in self._settings.cameras],
        )

    def _poses(self, sample: Sample) -> RigPoses:
        reference = _measurement(sample, REFERENCE).ego_pose.matrix()
        cameras = np.stack([_pose(camera) for camera in self._cameras(sample)])
        history = reference
        if self._settings.pose_protocol == 'released':
            history = _measurement(sample, LIDAR).ego_pose.matrix()
        volume = reference
        if self._spec.frame == 'lidar':
            volume = product(history, _measurement(sample, LIDAR).calibration.pose.matrix())
        return RigPoses(volume, cameras, history)

    def _cameras(self, sample: Sample) -> list[SensorData]:
        return [_measurement(sample, camera) for camera in self._settings.cameras]

    def _labels(self, root: Path, scene: Scene, sample: Sample) -> SemanticGrid | None:
        path = self._format.path(root / self._format.folder, scene, sample)
        if not path.exists():
            return None
        labels = self._format.read(path, sample.stamp)
        if self._masked and labels.confidence is None:
            raise GdfusionError(f"labels {path} have no camera mask; set 'camera_mask' to false to learn all voxels")
        return labels

    @property
    def _masked(self) -> bool:
        return self._settings.camera_mask and self._format.label_set.camera_masked

    def _observed(self, labels: SemanticGrid | None) -> NDArray[np.uint8]:
        """(X, Y, Z) classes to learn; IGNORE everywhere where the dataset has no labels."""
        label_set = self._format.label_set
        if labels is None:
            return np.full(label_set.grid.shape, IGNORE, np.uint8)
        unknown_as = label_set.free if label_set.ignored_is_free else IGNORE
        known = np.where(labels.labels == UNKNOWN, np.uint8(unknown_as), labels.labels)
        if not self._masked or labels.confidence is None:
            return known
        return np.where(labels.confidence, known, np.uint8(IGNORE))

    def _rays(self, labels: SemanticGrid | None, frame: Frame) -> RaySupervision | None:
        if not self._settings.objective.wants_rays(self._settings.cues):
            return None
        if labels is None:
            return unknown(frame, self._spec.feature_stride)
        return look(labels.labels, labels.label_set, frame, self._spec.depth, self._spec.feature_stride)

    def _sweep(self, sample: Sample) -> LabelledSweep | None:
        """What the LiDAR measured; None where nobody asks, or the dataset has none."""
        data, objective = sample.data.get(LIDAR), self._settings.objective
        classes = objective.wants_point_classes and data is not None and data.categories is not None
        wanted = objective.wants_depth or self._spec.lidar_depth or classes
        if not wanted or data is None or not data.path.exists():
            return None
        return read_sweep(data, self._format.label_set, classes=classes)


def _with_tensors(frame: Frame, change: Callable[[Tensor], Tensor]) -> Frame:
    """The frame with its large tensors changed."""
    depth = frame.lidar_depth
    return replace(frame, images=change(frame.images), lidar_depth=None if depth is None else change(depth))


def label_format(spec: NetworkSpec) -> LabelFormat:
    """How the labels that a network learns are stored in nuScenes.

    Raises:
        GdfusionError: nuScenes has none of its label set.
    """
    if spec.label_set not in FORMATS:
        raise GdfusionError(
            f'{spec.name} predicts classes of {spec.label_set}, of which nuScenes has no labels: it '
            'cannot be trained on them'
        )
    return FORMATS[spec.label_set]


def _pose(data: SensorData) -> Matrix:
    """(4, 4) of a sensor in the fixed frame, at its own stamp."""
    return product(data.ego_pose.matrix(), data.calibration.pose.matrix())


def labelled(datasets: Sequence[Dataset], spec: NetworkSpec) -> int:
    """How many key frames have labels that a network can learn."""
    form = label_format(spec)
    return sum(
        form.path(dataset.root / form.folder, scene, sample).exists()
        for dataset in datasets
        for scene in dataset.scenes
        for sample in scene.samples
    )


def intrinsics(camera: SensorData) -> Matrix:
    """(3, 3) K of a camera [px]."""
    return np.array(camera.calibration.intrinsics).reshape(3, 3)


def _measurement(sample: Sample, channel: str) -> SensorData:
    if channel not in sample.data:
        raise GdfusionError(f'key frame {sample.token} has no {channel}')
    return sample.data[channel]


def _pixels(camera: SensorData) -> Pixels:
    try:
        return np.asarray(Image.open(camera.path).convert('RGB'))
    except OSError as error:
        raise GdfusionError(f'image {camera.path} cannot be read: {error}') from error
