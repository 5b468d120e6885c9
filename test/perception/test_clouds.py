"""The LiDAR's clouds on their way to the network: which one a set takes, what is done without, where its points lie."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from gdfusion_ros.perception.assembler import FrameAssembler
from gdfusion_ros.perception.poses import pose_matrix, product
from gdfusion_ros.perception.types import PosedSet, StampedTransform, nanoseconds

Make = Callable[..., FrameAssembler]
MOUNTING = StampedTransform('base_link', 'lidar', 0, (0.9, 0.0, 1.8), (0.0, 0.0, -np.sqrt(0.5), np.sqrt(0.5)))
POINTS: NDArray[np.float32] = np.array([[1, 2, 3], [4, 5, 6]], np.float32)


@pytest.fixture
def make(make_assembler: Make) -> Make:
    def made(**values: Any) -> FrameAssembler:
        assembler = make_assembler(**{'takes_clouds': True, **values})
        assembler.add_transforms([MOUNTING], 0.0, static=True)
        return assembler

    return made


@pytest.fixture
def cloud(street: Any) -> Callable[..., Any]:
    """``cloud(time)``: the message with a cloud of that time, sent then."""

    def message(time: float, sent: float | None = None, frame: str = 'lidar') -> Any:
        some = street.static_message(time if sent is None else sent)
        points = POINTS + np.float32(time)
        return replace(some, topic='cloud', send=lambda to, now: to.add_cloud(nanoseconds(time), frame, points, now))

    return message


def in_order(*messages: Any) -> list[Any]:
    return sorted(messages, key=lambda message: message.time)


def swept(sets: list[PosedSet]) -> list[float | None]:
    """By set, the time of the cloud that it took."""
    return [None if posed.sweep is None else round(float(posed.sweep.points[0, 0]) - 1, 3) for posed in sets]


def test_a_set_takes_the_cloud_nearest_to_the_middle_of_its_images(
    make: Make, street: Any, cloud: Callable[..., Any]
) -> None:
    # Images of 9.992 to 10.035 s: the middle is 10.0135 s.
    clouds = [cloud(time) for time in (9.95, 10.0, 10.03, 10.05, 10.45, 10.52)]
    sets = street.send(make(), in_order(*street.run([10.0, 10.5]), *clouds))
    assert swept(sets) == [10.0, 10.52]
    place = sets[1].sweep
    assert place is not None
    # The poses between those of 10.5 and 10.535 s lie on a line.
    expected = product(pose_matrix(*street.pose(10.52)), pose_matrix(MOUNTING.translation, MOUNTING.rotation))
    np.testing.assert_allclose(place.fixed_from_lidar, expected, atol=1e-3)


def test_the_choice_does_not_depend_on_what_comes_first(make: Make, street: Any, cloud: Callable[..., Any]) -> None:
    expected = swept(
        street.send(
            make(), in_order(*street.run([10.0, 10.5]), *(cloud(time) for time in (9.995, 10.04, 10.49, 10.54)))
        )
    )
    assert expected == [9.995, 10.49]
    for delay in (-0.3, 0.2):
        late = [cloud(time, time + delay) for time in (9.995, 10.04, 10.49, 10.54)]
        assert swept(street.send(make(tf_timeout=5.0), in_order(*street.run([10.0, 10.5]), *late))) == expected


def test_without_a_cloud_a_set_is_skipped_and_named(make: Make, street: Any, cloud: Callable[..., Any]) -> None:
    assembler = make()
    sets = street.send(assembler, in_order(*street.run([10.0, 10.5]), cloud(10.52), cloud(9.8)))
    assert swept(sets) == [10.52]
    counts = assembler.counters.snapshot()
    assert dict(counts.sets_dropped) == {'lidar': 1}
    assert counts.last_drop == (
        'set at 10.000000000: no cloud of the LiDAR within 0.1 s of 10.013500000 (nearest: '
        '-0.213 s); lidar_topic, lidar_tolerance and missing_lidar say what is done about it'
    )
    assert (counts.lidar.received, counts.lidar.missing) == (2, 1)


def test_without_a_cloud_the_cameras_alone_may_do(make: Make, street: Any, cloud: Callable[..., Any]) -> None:
    assembler = make(missing_lidar='camera_only')
    assert swept(street.send(assembler, in_order(*street.run([10.0, 10.5]), cloud(10.52), cloud(9.8)))) == [None, 10.52]
    counts = assembler.counters.snapshot()
    assert (counts.lidar.missing, counts.sets_dropped.total()) == (1, 0)


@pytest.mark.parametrize(('policy', 'expected'), [('skip', []), ('camera_only', [None])])
def test_a_lidar_that_never_comes_is_waited_for_a_moment(
    make: Make, street: Any, policy: str, expected: list[None]
) -> None:
    assembler = make(missing_lidar=policy, lossless=False, lidar_patience=0.3)
    assert street.send(assembler, street.run([10.0])) == []
    assembler.poll(10.2)
    assert not assembler.queued
    assert not assembler.counters.snapshot().sets_dropped
    for now in (10.3, 10.4):
        assembler.poll(now)
    assert swept(street.taken(assembler)) == expected
    assert assembler.counters.snapshot().lidar.missing == 1


def test_a_cloud_whose_frame_nobody_places_is_named(make: Make, street: Any, cloud: Callable[..., Any]) -> None:
    assembler = make()
    assert street.send(assembler, in_order(*street.run([10.0]), cloud(10.03, frame='roof'))) == []
    assembler.flush()
    assert "frame 'roof' is in no transform" in assembler.counters.snapshot().last_drop


def test_networks_that_do_not_look_at_depth_wait_for_no_cloud(make: Make, street: Any) -> None:
    assert swept(street.send(make(takes_clouds=False), street.run([10.0]))) == [None]


def test_a_loop_takes_the_clouds_of_its_own_run(make: Make, street: Any, cloud: Callable[..., Any]) -> None:
    times = [10.0, 10.5, 11.0]
    first = [*street.run(times), *(cloud(time + 0.02) for time in times)]
    again = [*street.run(times, sent=5.0), *(cloud(time + 0.02, time + 5.02) for time in times)]
    sets = street.send(make(), in_order(*first, *again))
    assert [posed.camera_set.epoch for posed in sets] == [0, 0, 0, 1, 1, 1]
    assert swept(sets) == [10.02, 10.52, 11.02] * 2


def test_what_was_forgotten_is_taken_by_no_set(make: Make, street: Any, cloud: Callable[..., Any]) -> None:
    assembler = make()
    street.send(assembler, [cloud(10.02)])
    assembler.clear()
    street.send(assembler, street.run([10.0]))
    assembler.flush()
    assert dict(assembler.counters.snapshot().sets_dropped) == {'lidar': 1}
