"""A vehicle with three cameras that drives a curve: its messages, in order, and an assembler to send them to."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from gdfusion_ros.perception.assembler import FrameAssembler
from gdfusion_ros.perception.counters import Counters
from gdfusion_ros.perception.preprocess import Preprocessor
from gdfusion_ros.perception.transforms import TransformTree, Tree
from gdfusion_ros.perception.types import CameraModel, Pixels, PosedSet, StampedTransform, nanoseconds
from gdfusion_ros.settings import PipelineSettings

OFFSETS = {'left': -0.008, 'front': 0.0, 'back': 0.035}
SIZE = (32, 24)
MODEL = CameraModel(*SIZE, np.array([[25.0, 0.0, 16.0], [0.0, 25.0, 12.0], [0.0, 0.0, 1.0]]))
LIDAR = 0.036


@dataclass(frozen=True)
class Message:
    """A message that is sent at ``time`` [s] on ``topic``."""

    topic: str
    time: float
    send: Callable[[FrameAssembler, float], None]


def pose(time: float, start: float = 0.0) -> tuple[tuple[float, float, float], tuple[float, float, float, float]]:
    """Where the vehicle is: translation and quaternion, map from base_link."""
    yaw = 0.3 * time
    return (600.0 + start + 6.0 * time, 1600.0 - time * time, 0.1), (0.0, 0.0, math.sin(yaw / 2), math.cos(yaw / 2))


def mountings() -> list[StampedTransform]:
    """base_link from each camera's optical frame."""
    turns = {'left': 0.9, 'front': 0.0, 'back': math.pi}
    made = []
    for index, camera in enumerate(OFFSETS):
        c, s = math.cos(turns[camera] / 2) / 2, math.sin(turns[camera] / 2) / 2
        place, rotation = (1.0 + index, 0.2 * index, 1.5), (-c - s, c - s, s - c, c + s)
        made.append(StampedTransform('base_link', camera, 0, place, rotation))
    return made


def picture(camera: str, stamp: int) -> Pixels:
    """The image that a camera takes at an instant."""
    seed = [list(OFFSETS).index(camera), stamp]
    return np.random.default_rng(seed).integers(0, 256, (SIZE[1], SIZE[0], 3), dtype=np.uint8)


def transform_message(time: float, sent: float, start: float = 0.0) -> Message:
    return timed_message(StampedTransform('map', 'base_link', nanoseconds(time), *pose(time, start)), sent)


def timed_message(stamped: StampedTransform, sent: float) -> Message:
    return Message('/tf', sent, lambda to, now: to.add_transforms([stamped], now, static=False))


def image_message(camera: str, time: float, sent: float, load: Callable[[], Pixels] | None = None) -> Message:
    stamp = nanoseconds(time)
    return Message(
        camera, sent, lambda to, now: to.add_image(camera, stamp, camera, load or (lambda: picture(camera, stamp)), now)
    )


def info_message(camera: str, sent: float, model: CameraModel = MODEL) -> Message:
    return Message(f'{camera}/info', sent, lambda to, now: to.add_camera_info(camera, model, now))


def static_message(sent: float = -1.0) -> Message:
    return Message('/tf_static', sent, lambda to, now: to.add_transforms(mountings(), now, static=True))


def content(posed: PosedSet) -> tuple[Any, ...]:
    """All that is in a set but the clock's times, down to the last bit."""
    made = posed.camera_set
    images = tuple(
        (camera, image.epoch, image.stamp, image.input.result().pixels.tobytes())
        for camera, image in made.images.items()
    )
    places = tuple(
        (camera, place.model.intrinsics.tobytes(), place.ego_from_camera.tobytes(), place.fixed_from_ego.tobytes())
        for camera, place in posed.cameras.items()
    )
    return (
        made.epoch,
        made.stamp,
        made.held,
        made.masked,
        images,
        places,
        posed.grid.fixed_from_grid.tobytes(),
        posed.history_pose.tobytes(),
    )


def times(sets: Sequence[PosedSet]) -> list[float]:
    return [posed.camera_set.stamp / 1e9 for posed in sets]


def drops(assembler: FrameAssembler) -> dict[str, int]:
    return dict(assembler.counters.snapshot().sets_dropped)


@dataclass(frozen=True)
class Street:
    """What the tests need of the vehicle and of what is made of its messages."""

    cameras: tuple[str, ...] = tuple(OFFSETS)
    model: CameraModel = MODEL
    pose = staticmethod(pose)
    mountings = staticmethod(mountings)
    picture = staticmethod(picture)
    transform_message = staticmethod(transform_message)
    timed_message = staticmethod(timed_message)
    image_message = staticmethod(image_message)
    info_message = staticmethod(info_message)
    static_message = staticmethod(static_message)
    content = staticmethod(content)
    times = staticmethod(times)
    drops = staticmethod(drops)

    def run(self, times: Sequence[float], sent: float = 0.0, start: float = 0.0) -> list[Message]:
        """One run of a bag with frames at ``times`` [s], sent ``sent`` later; the ego pose at every sensor's stamp."""
        messages = []
        for time in times:
            for camera, offset in OFFSETS.items():
                at = time + offset
                messages += [
                    transform_message(at, at + sent, start),
                    info_message(camera, at + sent),
                    image_message(camera, at, at + sent),
                ]
            messages.append(transform_message(time + LIDAR, time + LIDAR + sent, start))
        return sorted(messages, key=lambda message: message.time)

    def send(self, assembler: FrameAssembler, messages: Sequence[Message]) -> list[PosedSet]:
        """Sends messages at their time; the sets that come of them."""
        sets = []
        for message in messages:
            message.send(assembler, message.time)
            assembler.poll(message.time)
            sets += self.taken(assembler)
        return sets

    @staticmethod
    def taken(assembler: FrameAssembler) -> list[PosedSet]:
        """All sets that are ready."""
        return list(iter(assembler.take, None))


@pytest.fixture(scope='session')
def street() -> Street:
    return Street()


@pytest.fixture
def preprocessor() -> Iterator[Preprocessor]:
    made = Preprocessor((8, 16))
    yield made
    made.close()


@pytest.fixture
def make_settings() -> Callable[..., PipelineSettings]:
    """Settings of the vehicle's rig, lossless and with every set a key frame but for what is said."""

    def make(**values: Any) -> PipelineSettings:
        return PipelineSettings(
            **{
                'cameras': tuple(OFFSETS),
                'reference_camera': 'front',
                'lossless': True,
                'keyframe_interval': 0.0,
                **values,
            }
        )

    return make


@pytest.fixture
def make_assembler(
    preprocessor: Preprocessor, make_settings: Callable[..., PipelineSettings]
) -> Callable[..., FrameAssembler]:
    """An assembler that knows the mountings; arguments of FrameAssembler by name, the others are settings."""

    def make(
        *,
        make_tree: Callable[[int], Tree] = TransformTree,
        history_stamp: Any = None,
        grid_frame: str = '',
        takes_clouds: bool = False,
        warn: Callable[[str, str], object] = lambda *_: None,
        **values: Any,
    ) -> FrameAssembler:
        made = FrameAssembler(
            make_settings(**values),
            preprocessor,
            make_tree=make_tree,
            grid_frame=grid_frame,
            history_stamp=history_stamp,
            takes_clouds=takes_clouds,
            counters=Counters(make_settings(**values).cameras, warn),
        )
        made.add_transforms(mountings(), 0.0, static=True)
        return made

    return make
