"""From messages to posed sets: waiting, policies, loops, threads, and that the order of arrival changes nothing."""

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

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.perception.assembler import FrameAssembler
from gdfusion_ros.perception.poses import inverse, pose_matrix
from gdfusion_ros.perception.preprocess import Preprocessor
from gdfusion_ros.perception.transforms import AfterSpanError, TransformTree
from gdfusion_ros.perception.types import CameraModel, Matrix, Pixels, PosedSet, StampedTransform, nanoseconds

Make = Callable[..., FrameAssembler]


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


def test_every_camera_is_placed_at_its_own_stamp(make_assembler: Make, street: Any) -> None:
    (posed,) = street.send(make_assembler(), street.run([10.0]))
    assert posed.camera_set.stamp == nanoseconds(10.0)
    assert tuple(posed.cameras) == street.cameras
    np.testing.assert_array_equal(posed.grid.fixed_from_grid, pose_matrix(*street.pose(10.0)))
    np.testing.assert_array_equal(posed.history_pose, posed.grid.fixed_from_grid)
    for (camera, place), mounting in zip(posed.cameras.items(), street.mountings(), strict=True):
        stamp = posed.camera_set.images[camera].stamp
        np.testing.assert_allclose(place.fixed_from_ego, pose_matrix(*street.pose(stamp / 1e9)), atol=1e-6)
        np.testing.assert_array_equal(place.ego_from_camera, pose_matrix(mounting.translation, mounting.rotation))
        assert place.model is street.model
    assert (posed.completed, posed.placed) == (10.035, 10.035)


def test_images_are_those_of_the_cameras(make_assembler: Make, street: Any, preprocessor: Any) -> None:
    (posed,) = street.send(make_assembler(), street.run([10.0]))
    for camera, image in posed.camera_set.images.items():
        expected = preprocessor.image(lambda made=image: street.picture(made.camera, made.stamp)).result()
        np.testing.assert_array_equal(image.input.result().pixels, expected.pixels)
        assert image.input.result().source == (street.model.width, street.model.height), camera


def test_transforms_that_come_late_lose_no_set(make_assembler: Make, street: Any) -> None:
    messages = street.run([10.0 + 0.5 * index for index in range(6)])
    late = [replace(message, time=message.time + 0.3) if message.topic == '/tf' else message for message in messages]
    assembler = make_assembler()
    sets = street.send(assembler, sorted(late, key=lambda message: message.time))
    assert list(map(content, sets)) == list(map(content, street.send(make_assembler(), messages)))
    assert drops(assembler) == {}
    assert sets[0].completed == pytest.approx(10.035)
    assert sets[0].placed == pytest.approx(10.335)


def test_a_set_without_transforms_is_dropped_in_the_end_and_named(make_assembler: Make, street: Any) -> None:
    assembler = make_assembler(tf_timeout=1.0)
    frames = [message for message in street.run([10.0]) if message.topic != '/tf']
    assert street.send(assembler, frames) == []
    polls = [10.1 + 0.1 * index for index in range(12)]
    waited = [now for now in polls if assembler.poll(now) or not drops(assembler)]
    assert waited[-1] == pytest.approx(11.0)
    assert drops(assembler) == {'transform': 1}
    assert "set at 10.000000000: frame 'map' is in no transform" in assembler.counters.snapshot().last_drop
    assert times(street.send(assembler, street.run([12.0]))) == [12.0], 'it goes on'


def test_sets_keep_their_order_while_one_waits(make_assembler: Make, street: Any) -> None:
    assembler = make_assembler()
    messages = street.run([10.0, 10.5])
    assert street.send(assembler, [message for message in messages if message.topic != '/tf']) == []
    sets = street.send(assembler, [message for message in messages if message.topic == '/tf'])
    assert times(sets) == [10.0, 10.5]


def test_a_set_before_the_first_transform_is_dropped_at_once(make_assembler: Make, street: Any) -> None:
    assembler = make_assembler()
    street.send(assembler, [street.transform_message(11.0, 9.0)])
    assert street.send(assembler, [message for message in street.run([10.0]) if message.topic != '/tf']) == []
    assert drops(assembler) == {'transform': 1}
    assert 'oldest' in assembler.counters.snapshot().last_drop


def test_a_set_waits_for_the_first_camera_info(make_assembler: Make, street: Any) -> None:
    assembler = make_assembler()
    assert street.send(assembler, [message for message in street.run([10.0]) if message.topic != 'back/info']) == []
    assert times(street.send(assembler, [street.info_message('back', 10.5)])) == [10.0]


def test_a_camera_without_info_is_named(make_assembler: Make, street: Any) -> None:
    assembler = make_assembler()
    street.send(assembler, [message for message in street.run([10.0]) if message.topic != 'back/info'])
    assembler.flush()
    assert drops(assembler) == {'camera_info': 1}
    assert 'no camera info of back' in assembler.counters.snapshot().last_drop


def test_a_changed_calibration_holds_from_then_on(make_assembler: Make, street: Any) -> None:
    assembler = make_assembler()
    first = street.send(assembler, street.run([10.0]))
    other = CameraModel(32, 24, np.diag([20.0, 20.0, 1.0]))
    messages = [message for message in street.run([10.5]) if not message.topic.endswith('/info')]
    second = street.send(assembler, [street.info_message('left', 10.4, other), *messages])
    assert first[0].cameras['left'].model is street.model
    assert second[0].cameras['left'].model is other
    assert second[0].cameras['front'].model is street.model


def test_images_that_wait_keep_the_calibration_that_they_came_with(make_assembler: Make, street: Any) -> None:
    assembler = make_assembler()
    messages = street.run([10.0])
    late = [message for message in messages if message.topic == '/tf']
    assert late
    assert street.send(assembler, [message for message in messages if message.topic != '/tf']) == []
    (posed,) = street.send(
        assembler, [street.info_message('left', 10.2, CameraModel(64, 48, 2 * street.model.intrinsics)), *late]
    )
    assert posed.cameras['left'].model is street.model


def test_lossless_queues_and_otherwise_the_newest_set_counts(make_assembler: Make, street: Any) -> None:
    frames = [10.0, 10.5, 11.0]
    for lossless, expected, lost in ((True, frames, {}), (False, [11.0], {'superseded': 2})):
        assembler = make_assembler(lossless=lossless)
        for message in street.run(frames):
            message.send(assembler, message.time)
        assert times(street.taken(assembler)) == expected
        assert drops(assembler) == lost


def test_a_fast_stream_is_thinned_and_only_what_is_needed_is_decoded(
    make_assembler: Make, street: Any, preprocessor: Preprocessor
) -> None:
    loaded: list[float] = []

    def message(camera: str, at: float) -> Any:
        def load() -> Pixels:
            loaded.append(at)
            return np.asarray(street.picture(camera, 0))

        return street.image_message(camera, at, at, load)

    assembler = make_assembler(keyframe_interval=0.5)
    poses = [street.transform_message(9.0 + 0.02 * index, 9.0) for index in range(200)]
    infos = [street.info_message(camera, 9.0) for camera in street.cameras]
    images = [
        message(camera, 10.0 + index / 12 + offset)
        for index in range(25)
        for camera, offset in (('left', -0.008), ('front', 0.0), ('back', 0.035))
    ]
    sets = street.send(assembler, [*poses, *infos])
    for image in images:
        sets += street.send(assembler, [image])
        preprocessor.image(lambda: street.picture('front', 0)).result()  # so what was started before has begun
    assert times(sets) == [10.0, 10.5, 11.0, 11.5, 12.0]
    assert drops(assembler) == {'between_keyframes': 20}
    assert len(loaded) <= 2 * 3 * len(sets), f'{len(loaded)} of {len(images)} images were decoded'


def test_images_are_decoded_before_their_set_is_whole(
    make_assembler: Make, street: Any, wait_until: Callable[..., None]
) -> None:
    begun = {camera: threading.Event() for camera in street.cameras}

    def message(camera: str) -> Any:
        return street.image_message(camera, 10.0, 10.0, lambda: begun[camera].set() or street.picture(camera, 0))

    street.send(make_assembler(), [message('left'), message('front')])
    wait_until(lambda: begun['left'].is_set() and begun['front'].is_set())


def test_in_silence_what_waits_for_an_image_is_closed(make_assembler: Make, street: Any) -> None:
    assembler = make_assembler(missing_camera='mask', silence_timeout=2.0)
    street.send(assembler, [message for message in street.run([10.0]) if message.topic != 'back'])
    closed: list[tuple[object, object]] = []
    for index in range(30):
        assembler.poll(10.1 + 0.1 * index)
        closed += [(10.1 + 0.1 * index, posed.camera_set.masked) for posed in street.taken(assembler)]
    assert closed == [(pytest.approx(12.1, abs=0.11), ('back',))]


def test_nothing_is_given_up_because_the_process_was_held_up(make_assembler: Make, street: Any) -> None:
    # A timer may fire before the messages that came in during a stall are handed over.
    frames = street.run([10.0])
    assembler = make_assembler(tf_timeout=1.0)
    street.send(assembler, [message for message in frames if message.topic != '/tf'])
    assembler.poll(60.0)
    assert times(
        street.send(assembler, [replace(message, time=60.0) for message in frames if message.topic == '/tf'])
    ) == [10.0]
    assembler = make_assembler(missing_camera='mask')
    street.send(assembler, [message for message in frames if message.topic != 'back'])
    assembler.poll(60.0)
    (posed,) = street.send(assembler, [replace(message, time=60.0) for message in frames if message.topic == 'back'])
    assert posed.camera_set.masked == ()


def test_messages_may_be_handed_over_after_they_arrived(make_assembler: Make, street: Any) -> None:
    # Their arrival lies before the last poll, and no waiting time passes twice for that.
    assembler = make_assembler(tf_timeout=1.0)
    frames = street.run([10.0])
    street.send(assembler, [message for message in frames if message.topic != '/tf'])
    for index in range(16):
        assembler.poll(10.1 + 0.05 * index)
        assembler.add_camera_info('left', street.model, 10.05)
    sets = street.send(assembler, [message for message in frames if message.topic == '/tf'])
    assert [(posed.completed, posed.placed) for posed in sets] == [(10.035, 10.035)]


def test_the_end_of_a_bag_closes_everything(make_assembler: Make, street: Any) -> None:
    assembler = make_assembler(missing_camera='mask')
    assert street.send(assembler, [message for message in street.run([10.0, 10.5]) if message.topic != 'back']) == []
    assembler.flush()
    assert [posed.camera_set.masked for posed in street.taken(assembler)] == [('back',), ('back',)]
    assert assembler.counters.snapshot().cameras['back'].missing == 2


def test_every_image_is_counted_at_the_end_of_a_bag(make_assembler: Make, street: Any) -> None:
    """The reference camera has stopped: what the others show goes into no set, and that is said."""
    assembler = make_assembler()
    messages = [
        message for message in street.run([10.0, 10.5, 11.0]) if message.topic != 'front' or message.time < 10.4
    ]
    sets = street.send(assembler, messages)
    assembler.flush()
    assert len(sets) == 1
    counts = assembler.counters.snapshot()
    assert {camera: dict(stream.dropped) for camera, stream in counts.cameras.items()} == {
        'left': {'unmatched': 2},
        'front': {},
        'back': {'unmatched': 2},
    }


def test_clear_keeps_calibration_and_mountings(make_assembler: Make, street: Any) -> None:
    assembler = make_assembler()
    for message in street.run([10.0, 10.5]):
        message.send(assembler, message.time)
    assembler.clear()
    assert street.taken(assembler) == []
    # Time may begin anew, and the old poses are gone.
    frame = [message for message in street.run([5.0]) if not message.topic.endswith('/info')]
    assert street.send(assembler, [message for message in frame if message.topic != '/tf']) == []
    assert times(street.send(assembler, [message for message in frame if message.topic == '/tf'])) == [5.0]


def test_a_held_image_is_placed_where_it_was_taken(make_assembler: Make, street: Any) -> None:
    assembler = make_assembler(missing_camera='hold')
    messages = [message for message in street.run([10.0, 10.5, 11.0]) if message.topic != 'back' or message.time < 10.2]
    sets = street.send(assembler, messages)
    assembler.flush()
    sets += street.taken(assembler)
    assert [posed.camera_set.held for posed in sets] == [(), ('back',), ('back',)]
    for posed in sets:
        np.testing.assert_allclose(posed.cameras['back'].fixed_from_ego, pose_matrix(*street.pose(10.035)), atol=1e-9)


def test_a_masked_camera_is_where_it_was_mounted(make_assembler: Make, street: Any) -> None:
    assembler = make_assembler(missing_camera='mask')
    messages = [message for message in street.run([10.0, 10.5, 11.0]) if message.topic != 'back' or message.time < 10.2]
    sets = street.send(assembler, messages)
    assembler.flush()
    before, masked = sets[0], street.taken(assembler)[0]
    assert masked.camera_set.masked == ('back',)
    np.testing.assert_array_equal(masked.cameras['back'].ego_from_camera, before.cameras['back'].ego_from_camera)
    np.testing.assert_array_equal(masked.cameras['back'].fixed_from_ego, masked.grid.fixed_from_grid)


def test_a_camera_that_was_never_there_stands_where_the_reference_camera_is(make_assembler: Make, street: Any) -> None:
    assembler = make_assembler(missing_camera='mask')
    street.send(assembler, [message for message in street.run([10.0]) if not message.topic.startswith('back')])
    assembler.flush()
    (posed,) = street.taken(assembler)
    np.testing.assert_array_equal(posed.cameras['back'].ego_from_camera, posed.cameras['front'].ego_from_camera)
    assert posed.cameras['back'].model is posed.cameras['front'].model


def test_the_history_pose_may_belong_to_another_stamp(make_assembler: Make, street: Any) -> None:
    stamps = {nanoseconds(10.0): nanoseconds(10.036)}
    assembler = make_assembler(history_stamp=stamps.get)
    (posed,) = street.send(assembler, street.run([10.0, 10.5]))
    np.testing.assert_array_equal(posed.history_pose, pose_matrix(*street.pose(10.036)))
    np.testing.assert_array_equal(posed.grid.fixed_from_grid, pose_matrix(*street.pose(10.0)))
    assert posed.placed == pytest.approx(10.036), 'the set waits for that pose'
    assert drops(assembler) == {'history_pose': 1}


def test_the_grid_may_lie_in_the_frame_of_a_lidar_at_its_stamp(make_assembler: Make, street: Any) -> None:
    lidar = StampedTransform('base_link', 'lidar', 0, (0.9, 0.0, 1.8), (0.0, 0.0, -math.sqrt(0.5), math.sqrt(0.5)))
    assembler = make_assembler(history_stamp=lambda stamp: stamp + nanoseconds(0.036), grid_frame='lidar')
    assembler.add_transforms([lidar], 0.0, static=True)
    (posed,) = street.send(assembler, street.run([10.0]))
    assert (posed.grid.frame_id, posed.grid.stamp, posed.grid.height) == ('lidar', nanoseconds(10.036), 1.8)
    mounting = pose_matrix(lidar.translation, lidar.rotation)
    np.testing.assert_allclose(posed.grid.fixed_from_grid, pose_matrix(*street.pose(10.036)) @ mounting, atol=1e-9)
    np.testing.assert_array_equal(posed.history_pose, pose_matrix(*street.pose(10.036)))


def test_a_set_waits_for_the_mounting_of_the_lidar(make_assembler: Make, street: Any) -> None:
    assembler = make_assembler(grid_frame='lidar')
    assert street.send(assembler, street.run([10.0])) == []
    assembler.add_transforms(
        [StampedTransform('base_link', 'lidar', 0, (0.9, 0.0, 1.8), (0.0, 0.0, 0.0, 1.0))], 11.0, static=True
    )
    (posed,) = street.taken(assembler)
    assert posed.grid.stamp == nanoseconds(10.0)


class Elsewhere(TransformTree):
    """Like tf2's buffer: another tree."""

    there = False

    def lookup(self, target: str, source: str, stamp: int) -> Matrix:
        if not self.there:
            raise AfterSpanError('not yet')
        return np.eye(4) if target == 'map' else super().lookup(target, source, stamp)


def test_poses_may_come_from_another_tree(make_assembler: Make, street: Any) -> None:
    trees: list[Elsewhere] = []

    def make_tree(history: int) -> Elsewhere:
        trees.append(Elsewhere(history))
        return trees[-1]

    assembler = make_assembler(make_tree=make_tree, tf_history=7.0)
    assert street.send(assembler, street.run([10.0])) == []
    for tree in trees:
        tree.there = True
    assembler.poll(10.2)
    (posed,) = street.taken(assembler)
    np.testing.assert_array_equal(posed.grid.fixed_from_grid, np.eye(4))
    assert trees[0]._history == nanoseconds(7.0)
    assembler.clear()
    assert street.send(assembler, street.run([20.0])) == [], 'a new tree'
    assert len(trees) == 2


def test_a_camera_that_the_rig_does_not_have_is_refused(make_assembler: Make, street: Any) -> None:
    with pytest.raises(GdfusionError, match="no camera 'rear'"):
        street.send(make_assembler(), [street.image_message('rear', 1.0, 1.0, lambda: street.picture('back', 1))])


def test_callbacks_do_not_wait_for_images(make_assembler: Make, street: Any) -> None:
    free = threading.Event()

    def load() -> Pixels:
        free.wait()
        return np.asarray(street.picture('front', 1))

    def held_back(message: Any) -> Any:
        if message.topic not in street.cameras:
            return message
        return street.image_message(message.topic, message.time, message.time, load)

    sets = street.send(make_assembler(), [held_back(message) for message in street.run([10.0, 10.5, 11.0])])
    assert times(sets) == [10.0, 10.5, 11.0], 'all sets are made while no image is decoded'
    free.set()
    assert all(image.input.result() for posed in sets for image in posed.camera_set.images.values())


def test_a_worker_is_woken_by_a_set(make_assembler: Make, street: Any, patience: float) -> None:
    assembler = make_assembler()
    assert assembler.wait(0.01) is False
    woken = []
    worker = threading.Thread(target=lambda: woken.append(assembler.wait(patience)))
    worker.start()
    for message in street.run([10.0]):
        message.send(assembler, message.time)
    worker.join()
    assert woken == [True]


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


def test_every_run_gives_the_same_sets_but_for_the_epoch(make_assembler: Make, street: Any) -> None:
    runs = [street.run([10.0 + index / 12 for index in range(13)], sent=2.0 * run) for run in range(3)]
    sets = street.send(make_assembler(keyframe_interval=0.5), [message for run in runs for message in run])
    by_run = [[content(posed)[1:4] for posed in sets if posed.camera_set.epoch == run] for run in range(3)]
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
    assert times(again) == pytest.approx([15.6 + 0.5 * index for index in range(10)]), 'from a second after the jump on'


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
                list(map(content, sets + street.taken(assembler))),
                counts.sets_dropped,
                {camera: (item.dropped, item.missing) for camera, item in counts.cameras.items()},
            )
        )
    assert results[0] == results[1]


def test_threads_may_send_at_will(make_assembler: Make, street: Any) -> None:
    messages = loop(street, [10.0 + 0.5 * index for index in range(4)], 2)
    expected = list(map(content, street.send(make_assembler(), messages)))
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
    assert list(map(content, sets + street.taken(assembler))) == expected


def test_the_way_from_one_frame_to_the_next_is_that_of_the_vehicle(make_assembler: Make, street: Any) -> None:
    first, second = street.send(make_assembler(), street.run([10.0, 10.5]))
    moved = inverse(first.grid.fixed_from_grid) @ second.grid.fixed_from_grid
    expected = inverse(pose_matrix(*street.pose(10.0))) @ pose_matrix(*street.pose(10.5))
    np.testing.assert_allclose(moved, expected, atol=1e-9)


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
    assert times(sets)[-1] == frames[-1]
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
    assert times(sets)[-1] == 18.5
    assert set(assembler.counters.snapshot().jumps) == {'transforms of back'}
