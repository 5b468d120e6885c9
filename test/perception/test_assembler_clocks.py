"""Bags that loop, clocks that jump, single stamps that are wrong; and that the order of arrival changes nothing."""

from __future__ import annotations

import math
import random
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gdfusion_ros.perception.assembler import FrameAssembler
from gdfusion_ros.perception.poses import pose_matrix
from gdfusion_ros.perception.types import nanoseconds

Make = Callable[..., FrameAssembler]


def loop(street: Any, frames: Sequence[float], count: int) -> list[Any]:
    """A bag played ``count`` times; the vehicle starts each run 100 m further on, so that runs can be told apart."""
    length = frames[-1] - frames[0] + 0.5
    return [message for run in range(count) for message in street.run(frames, sent=run * length, start=100.0 * run)]


def test_two_frames_half_a_second_apart_may_be_looped(make_assembler: Make, street: Any) -> None:
    assembler = make_assembler()
    sets = street.send(assembler, loop(street, [10.0, 10.5], 4))
    assert [(posed.camera_set.epoch, posed.camera_set.stamp / 1e9) for posed in sets] == [
        (run, time) for run in range(4) for time in (10.0, 10.5)
    ]
    for posed in sets:
        expected = pose_matrix(*street.pose(posed.camera_set.stamp / 1e9, 100.0 * posed.camera_set.epoch))
        np.testing.assert_allclose(posed.grid.fixed_from_grid, expected, atol=1e-9)
    counts = assembler.counters.snapshot()
    assert counts.sets_dropped == {}
    assert all(not camera.dropped for camera in counts.cameras.values())


@pytest.mark.parametrize('late', [0.08, 0.12, 0.2])
def test_a_short_bag_may_be_looped_fast(make_assembler: Make, street: Any, late: float) -> None:
    """1.5 s at a rate of 20: images that come after transforms by more than a run still find those of their own."""
    frames, runs, rate = [10.0 + index / 12 for index in range(18)], 6, 20
    messages = loop(street, frames, runs)
    for index, message in enumerate(messages):
        lag = late * min(message.time - 10.0, 1.0) if message.topic in street.cameras else 0.0
        messages[index] = replace(message, time=message.time / rate + lag)
    assembler = make_assembler(queue_size=100, warn=lambda _, line: pytest.fail(line))
    sets = street.send(assembler, sorted(messages, key=lambda message: message.time))
    assembler.flush()
    sets += street.taken(assembler)
    assert [posed.camera_set.epoch for posed in sets] == [run for run in range(runs) for _ in frames]
    for posed in sets:
        expected = pose_matrix(*street.pose(posed.camera_set.stamp / 1e9, 100.0 * posed.camera_set.epoch))
        np.testing.assert_allclose(posed.grid.fixed_from_grid, expected, atol=1e-9)
    assert assembler.counters.snapshot().sets_dropped == {}


def test_every_run_gives_the_same_sets_but_for_the_epoch(make_assembler: Make, street: Any) -> None:
    runs = [street.run([10.0 + index / 12 for index in range(13)], sent=2.0 * run) for run in range(3)]
    sets = street.send(make_assembler(keyframe_interval=0.5), [message for run in runs for message in run])
    by_run = [[street.content(posed)[1:4] for posed in sets if posed.camera_set.epoch == run] for run in range(3)]
    assert len(by_run[0]) == 3
    assert by_run[0] == by_run[1] == by_run[2]


def test_cameras_whose_time_jumps_alone_find_their_poses_again(make_assembler: Make, street: Any) -> None:
    # The vehicle's clock goes on; the camera driver was restarted with a clock 3 s behind.
    poses = [street.transform_message(10.0 + 0.05 * index, 10.0 + 0.05 * index) for index in range(300)]
    before = [message for message in street.run([12.0 + 0.5 * index for index in range(4)]) if message.topic != '/tf']
    after = [
        message
        for message in street.run([10.6 + 0.5 * index for index in range(20)], sent=3.6)
        if message.topic != '/tf'
    ]
    assembler = make_assembler(tf_history=10.0)
    sets = street.send(assembler, sorted([*poses, *before, *after], key=lambda message: message.time))
    again = [posed for posed in sets if posed.camera_set.epoch == 1]
    assert street.times(again) == pytest.approx([15.6 + 0.5 * index for index in range(10)]), (
        'from a second after the jump on'
    )


def shuffled(messages: Sequence[Any], skew: float, seed: int) -> list[Any]:
    """The messages as they may arrive: each topic in its order, topics up to ``skew`` [s] apart."""
    chance = random.Random(seed)
    arrival: dict[str, float] = {}
    found = []
    for index, message in enumerate(messages):
        arrival[message.topic] = max(arrival.get(message.topic, 0.0), message.time + chance.uniform(0.0, skew))
        found.append((arrival[message.topic], index, message))
    return [replace(message, time=at) for at, _, message in sorted(found, key=lambda item: item[:2])]


@settings(max_examples=40)
@given(
    seed=st.integers(0, 10**9),
    skew=st.sampled_from([0.05, 0.2, 0.45]),
    frames=st.sampled_from([(10.0, 10.5), (10.0, 10.5, 11.1)]),
    policy=st.sampled_from(['skip', 'hold', 'mask']),
    lost=st.sets(st.integers(0, 17), max_size=5),
)
def test_the_order_of_arrival_between_topics_changes_nothing(
    make_assembler: Make, street: Any, seed: int, skew: float, frames: tuple[float, ...], policy: str, lost: set[int]
) -> None:
    messages = [street.static_message(), *loop(street, frames, 2)]
    images = [index for index, message in enumerate(messages) if message.topic in street.cameras]
    # The last images of the first run are not lost: a camera must show that its time has jumped.
    ends_run = range(3 * (len(frames) - 1), 3 * len(frames))
    gone = {images[index] for index in lost if index < len(images) and index not in ends_run}
    messages = [message for index, message in enumerate(messages) if index not in gone]
    results = []
    for order in (messages, shuffled(messages, skew, seed)):
        assembler = make_assembler(missing_camera=policy)
        sets = street.send(assembler, order)
        assembler.flush()
        counts = assembler.counters.snapshot()
        results.append(
            (
                list(map(street.content, sets + street.taken(assembler))),
                counts.sets_dropped,
                {camera: (item.dropped, item.missing) for camera, item in counts.cameras.items()},
            )
        )
    assert results[0] == results[1]


def test_threads_may_send_at_will(make_assembler: Make, street: Any) -> None:
    messages = loop(street, [10.0 + 0.5 * index for index in range(4)], 2)
    expected = list(map(street.content, street.send(make_assembler(), messages)))
    assembler = make_assembler(queue_size=100, tf_timeout=60.0)
    topics = {message.topic for message in messages}
    sent, reached = threading.Condition(), dict.fromkeys(topics, 0.0)

    def send(topic: str) -> None:
        for message in [*(message for message in messages if message.topic == topic), None]:
            at = message.time if message else math.inf
            with sent:
                reached[topic] = at
                sent.notify_all()
                while math.inf > at >= min(reached.values()) + 0.3:
                    sent.wait()
            if message:
                message.send(assembler, message.time)

    threads = [threading.Thread(target=send, args=(topic,)) for topic in topics]
    for thread in threads:
        thread.start()
    sets = []
    while any(thread.is_alive() for thread in threads):
        if assembler.wait(0.05):
            sets += street.taken(assembler)
    assert list(map(street.content, sets + street.taken(assembler))) == expected


@pytest.mark.parametrize(
    ('camera', 'offset', 'epochs', 'way'),
    [
        ('back', -3.0, {0}, 'back by 2.500'),
        ('back', 3600.0, {0}, 'ahead by 3600.500'),
        ('front', -3.0, {0, 1}, 'back by 2.500'),
        ('front', 3600.0, {0, 1}, 'ahead by 3600.500'),
    ],
)
def test_a_camera_whose_clock_jumps_alone_is_named(
    make_assembler: Make, street: Any, camera: str, offset: float, epochs: set[int], way: str
) -> None:
    """Only the reference camera's begins an epoch; when its clock is right again, there are sets again."""
    lines: list[str] = []
    assembler = make_assembler(missing_camera='mask', warn=lambda _, line: lines.append(line))
    frames = [10.0 + 0.5 * index for index in range(30)]
    sets = street.send(
        assembler,
        [
            street.image_message(camera, message.time + offset, message.time)
            if message.topic == camera and 11.0 < message.time < 13.2
            else message
            for message in street.run(frames)
        ],
    )
    assert {posed.camera_set.epoch for posed in sets} == epochs
    assert sets[-1].camera_set.masked == ()
    counts, name = assembler.counters.snapshot(), f'images of {camera}'
    assert set(counts.jumps) == {name}
    assert counts.last[name] == lines[-1]
    assert lines[0].startswith(f'the clock of the {name} jumped {way}')


@pytest.mark.parametrize(('camera', 'lost'), [('back', 3), ('front', 5)])
@pytest.mark.parametrize('offset', [-11.5, -0.8, 0.8, 3600.0])
def test_one_wrong_stamp_costs_few_sets_and_is_named(
    make_assembler: Make, street: Any, camera: str, lost: int, offset: float
) -> None:
    """A stamp of 0, or of another clock: the camera is back in its sets with the next images."""
    assembler = make_assembler()
    frames = [10.0 + 0.5 * index for index in range(20)]
    wrong = frames[3]
    sets = street.send(
        assembler,
        [
            street.image_message(camera, message.time + offset, message.time)
            if message.topic == camera and wrong - 0.1 < message.time < wrong + 0.1
            else message
            for message in street.run(frames)
        ],
    )
    assert len(sets) >= len(frames) - lost
    assert street.times(sets)[-1] == frames[-1]
    assert set(assembler.counters.snapshot().jumps) == {f'images of {camera}'}


def test_a_mounting_with_one_stamp_of_0_stays_known(make_assembler: Make, street: Any) -> None:
    assembler = make_assembler()
    mounting = next(transform for transform in street.mountings() if transform.child == 'back')
    pans = [
        street.timed_message(mounting._replace(stamp=0 if index == 10 else nanoseconds(sent)), sent)
        for index, sent in enumerate(9.9 + 0.2 * number for number in range(50))
    ]
    frames = [10.0 + 0.5 * index for index in range(18)]
    messages = sorted([*pans, *street.run(frames)], key=lambda message: message.time)
    assert len(street.send(assembler, messages)) == len(frames)
    assert set(assembler.counters.snapshot().jumps) == {'transforms of back'}


def test_a_bag_with_a_pause_has_no_wrong_clock(make_assembler: Make, street: Any) -> None:
    assembler = make_assembler()
    sets = street.send(assembler, street.run([10.0, 10.5, 11.0, 21.0, 21.5, 22.0, 22.5, 23.0]))
    assert len(sets) == 8
    assert not assembler.counters.snapshot().jumps


def test_a_mounting_whose_clock_was_ahead_is_known_again(make_assembler: Make, street: Any) -> None:
    """One stamp of an hour later drives all others out of the history of its frame."""
    assembler = make_assembler(missing_camera='mask')
    mounting = next(transform for transform in street.mountings() if transform.child == 'back')

    pans = [
        street.timed_message(mounting._replace(stamp=nanoseconds(sent + (3600.0 if index == 10 else 0.0))), sent)
        for index, sent in enumerate(9.9 + 0.2 * number for number in range(50))
    ]
    messages = sorted(
        [*pans, *street.run([10.0 + 0.5 * index for index in range(18)])], key=lambda message: message.time
    )
    sets = street.send(assembler, messages)
    assert {posed.camera_set.epoch for posed in sets} == {0}
    assert street.times(sets)[-1] == 18.5
    assert set(assembler.counters.snapshot().jumps) == {'transforms of back'}
