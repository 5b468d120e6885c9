"""Where the truth comes from: label files of a dataset, or grids in bags."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from gdfusion_ros.bags.messages import GRID_TYPE
from gdfusion_ros.bags.reader import BagReader, bag_reader
from gdfusion_ros.bags.released import SAMPLE_TOKEN_TOPIC, SAMPLE_TOKEN_TYPE, nearest
from gdfusion_ros.bags.transforms import ALL_TIME, transforms_of
from gdfusion_ros.datasets.labels import LIDAR, LabelFormat
from gdfusion_ros.datasets.nuscenes import Dataset, Scene, SensorData
from gdfusion_ros.datasets.nuscenes_rows import Pose
from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.evaluation.frames import Drive, KeyFrame, Truth
from gdfusion_ros.messages import decode
from gdfusion_ros.messages.outputs import GROUND_TRUTH_TOPIC
from gdfusion_ros.names import is_file_name
from gdfusion_ros.perception.transforms import TransformTree
from gdfusion_ros.perception.types import SemanticGrid, StampedTransform, stamp_text
from gdfusion_ros.settings import PipelineSettings, TopicSettings


def truth_of_dataset(dataset: Dataset, label_format: LabelFormat, folder: Path, pipeline: PipelineSettings) -> Truth:
    """The key frames of ``dataset`` that have a label file below ``folder``.

    Args:
        dataset: Scenes to look at.
        label_format: How the labels are stored.
        folder: The folder of the labels.
        pipeline: Names the TF frames and the reference camera.

    Raises:
        GdfusionError: no key frame has labels.
    """
    frames: list[KeyFrame] = []
    missing: list[Path] = []
    for scene in dataset.scenes:
        drive = _drive_of_scene(scene, pipeline)
        for sample in scene.samples:
            path = label_format.path(folder, scene, sample)
            if not path.is_file():
                missing.append(path)
                continue
            camera = sample.data.get(pipeline.reference_camera)
            frames.append(
                KeyFrame(
                    sample.token,
                    sample.stamp,
                    camera.stamp if camera else None,
                    drive,
                    partial(label_format.read, path, sample.stamp),
                )
            )
    if not frames:
        raise GdfusionError(
            f'no labels of {label_format.label_set.name} in {folder}'
            + (f'; expected e.g. {missing[0]}' if missing else ': there is no key frame')
        )
    return Truth(label_format.label_set, tuple(frames), len(missing))


def truth_of_bags(paths: Sequence[Path], pipeline: PipelineSettings, topics: TopicSettings) -> Truth:
    """The grids on GROUND_TRUTH_TOPIC of bags, one bag a scene.

    Args:
        paths: The bags; 'gdfusion convert --labels' writes such.
        pipeline: Names the TF frames and the reference camera.
        topics: Where the camera and the transforms are.

    Raises:
        GdfusionError: a bag that cannot be read or has no such grids.
    """
    frames: list[KeyFrame] = []
    unlabelled = 0
    for path in paths:
        with bag_reader(path) as bag:
            found = _bag_frames(bag, pipeline, topics)
        frames += found
        unlabelled += len(found[0].drive.stamps) - len(found)
    return Truth(frames[0].read().label_set, tuple(frames), unlabelled)


def _drive_of_scene(scene: Scene, pipeline: PipelineSettings) -> Drive:
    def transform(parent: str, child: str, stamp: int, pose: Pose) -> StampedTransform:
        return StampedTransform(parent, child, stamp, pose.translation, pose.rotation)

    tree = TransformTree(ALL_TIME)
    measured: list[SensorData] = [data for sample in scene.samples for data in sample.data.values()]
    for data in [*measured, *scene.sweeps]:
        tree.set(transform(pipeline.fixed_frame, pipeline.base_frame, data.stamp, data.ego_pose))
        if data.calibration.channel == LIDAR:
            tree.set_static(transform(pipeline.base_frame, LIDAR, data.stamp, data.calibration.pose))
    return Drive(scene.token, tuple(sample.stamp for sample in scene.samples), tree, pipeline.fixed_frame)


def _bag_frames(bag: BagReader, pipeline: PipelineSettings, topics: TopicSettings) -> list[KeyFrame]:
    """Record times are the stamps here: the converter writes all of this at the sensors' own times."""
    bag.require({GROUND_TRUTH_TOPIC: GRID_TYPE}, "no ground truth ('gdfusion convert --labels' writes that of Occ3D)")
    tokens = {}
    if SAMPLE_TOKEN_TOPIC in bag.topics:
        bag.require({SAMPLE_TOKEN_TOPIC: SAMPLE_TOKEN_TYPE})
        tokens = {item.stamp: str(item.message.data) for item in bag.messages([SAMPLE_TOKEN_TOPIC])}
        for stamp, token in tokens.items():
            if not is_file_name(token):
                raise GdfusionError(
                    f"bag {bag.path}: the sample token '{token}' on {SAMPLE_TOKEN_TOPIC} at "
                    f'{stamp_text(stamp)} names files and cannot; expected letters and digits, '
                    "as 'gdfusion convert' writes them"
                )
    labelled = sorted({item.stamp for item in bag.raw_messages([GROUND_TRUTH_TOPIC])})
    if not labelled:
        raise GdfusionError(
            f'bag {bag.path} is damaged: none of its messages on {GROUND_TRUTH_TOPIC} is there; '
            'copy or convert it again'
        )
    cameras = [item.stamp for item in bag.raw_messages([topics.camera_info(pipeline.reference_camera)])]
    drive = Drive(
        bag.custom_data.get('nuscenes.scene_token', ''),
        tuple(sorted({*labelled, *tokens})),
        transforms_of(bag, topics),
        pipeline.fixed_frame,
    )
    return [
        KeyFrame(tokens.get(stamp, ''), stamp, nearest(cameras, stamp), drive, partial(_label_grid, bag.path, stamp))
        for stamp in labelled
    ]


def _label_grid(path: Path, stamp: int) -> SemanticGrid:
    """The labels recorded at ``stamp`` [ns]."""
    with bag_reader(path) as bag:
        for item in bag.messages([GROUND_TRUTH_TOPIC], stamp):
            return replace(decode.semantic_grid(item.message, GROUND_TRUTH_TOPIC), stamp=stamp)
    raise GdfusionError(
        f'bag {path} is damaged: the labels of {stamp_text(stamp)} are no longer there; copy or convert it again'
    )
