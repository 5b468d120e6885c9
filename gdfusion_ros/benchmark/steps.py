"""What the node does with a frame besides the network, step by step: processor time of the thread that does it.

Made images stand for a camera's: what a step costs depends on their size, and decoding on how much is to be seen.
"""

from __future__ import annotations

import io
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from PIL import Image
from rclpy.serialization import serialize_message

from gdfusion_ros.messages.compressed import load_compressed
from gdfusion_ros.model.network import OccupancyNetwork
from gdfusion_ros.model.runtime.trial import trial_frames
from gdfusion_ros.model.sequence import SequenceRunner
from gdfusion_ros.perception.framing import PostTransform, RigPoses, rig_matrices
from gdfusion_ros.perception.labels import LABEL_SETS
from gdfusion_ros.perception.preprocess import ResizeCrop, normalize
from gdfusion_ros.perception.runners.torch import SeenByTorch
from gdfusion_ros.perception.types import NANOSECONDS, Pixels, SemanticGrid
from gdfusion_ros.ros.factory import RclpyMessages
from gdfusion_ros.ros.outputs import installed_outputs
from gdfusion_ros.settings import SURROUND_CAMERAS, BevSettings

SOURCE = (1600, 900)
"""(width, height) of the images [px]."""

_QUALITY = 90


@dataclass(frozen=True)
class Step:
    """Part of what is done for a frame.

    Attributes:
        name: what.
        seconds: that it takes, the median.
        times: how often a frame needs it.
        always: whether every frame does; what is not is only done while somebody subscribes.
    """

    name: str
    seconds: float
    times: int = 1
    always: bool = True


def run(network: OccupancyNetwork, frames: int, tick: Callable[[], object] = lambda: None) -> Iterator[Step]:
    """The steps in their order, each measured ``frames`` times; ``tick`` is called after each step."""
    for step in _steps(network, frames):
        yield step
        tick()


def _steps(network: OccupancyNetwork, frames: int) -> Iterator[Step]:
    cameras = network.spec.cameras
    height, width = network.spec.image_size
    crop = ResizeCrop(SOURCE, (width, height))
    file = _jpeg()
    full = load_compressed(file, 'jpeg', None)
    yield Step('decode an image', _median(lambda: load_compressed(file, 'jpeg', None), frames), cameras)
    yield Step('resize and crop it', _median(lambda: crop(full), frames), cameras)
    pixels = [crop(full)] * cameras
    yield Step('normalise the images', _median(lambda: normalize(pixels, network.device), frames))
    yield Step('matrices of the frame', _median(lambda: _matrices(crop, cameras), frames))
    runner = SequenceRunner(network)
    trials = list(trial_frames(network, frames + 2))
    with torch.inference_mode():
        runner.predict(trials[0])
        seen = SeenByTorch(runner.predict(trials[1]))
        waiting = iter(trials[2:])
        yield Step('geometry', _median(lambda: runner.geometry(next(waiting)), frames, warm_up=0))
        state = runner.state
        assert state is not None
        yield Step('is the memory finite?', _median(state.is_finite, frames))
    yield Step('labels in the order of the message', _median(seen.labels, frames))
    yield from _messages(network, seen, frames)


def _messages(network: OccupancyNetwork, seen: SeenByTorch, frames: int) -> Iterator[Step]:
    voxels, label_set = network.spec.predicted_grid, LABEL_SETS[network.spec.label_set]
    grid = SemanticGrid(
        NANOSECONDS,
        'base_link',
        voxels.lower,
        voxels.voxel_size,
        seen.labels(),
        None,
        label_set,
        network.title,
        1,
        SURROUND_CAMERAS,
        0,
    )
    make = RclpyMessages()
    for output in installed_outputs(BevSettings()):

        def message() -> bytes:
            built = output.build(grid, make)  # noqa: B023 - called at once
            return built if isinstance(built, bytes) else bytes(serialize_message(built))

        yield Step(f'message {output.topic}', _median(message, frames), always=False)


def _median(work: Callable[[], object], count: int, warm_up: int = 1) -> float:
    for _ in range(warm_up):
        work()
    times = [time.thread_time()]
    for _ in range(count):
        work()
        times.append(time.thread_time())
    return statistics.median(after - before for before, after in pairwise(times))


def _jpeg() -> bytes:
    """A photograph's size on disk: soft shapes, and the noise of a sensor."""
    random = np.random.default_rng(0)
    small = Image.fromarray(random.integers(0, 256, (90, 160, 3), np.uint8))
    shapes = np.asarray(small.resize(SOURCE, Image.Resampling.BICUBIC), np.float64)
    pixels: Pixels = np.clip(shapes + random.normal(0, 2, shapes.shape), 0, 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, 'JPEG', quality=_QUALITY)
    return file.getvalue()


def _matrices(crop: ResizeCrop, cameras: int) -> object:
    poses = RigPoses(np.eye(4), np.stack([np.eye(4)] * cameras), np.eye(4))
    post = [PostTransform(crop.post_rotation(), crop.post_translation())] * cameras
    return rig_matrices([np.eye(3)] * cameras, post, poses, poses, [True] * cameras)
