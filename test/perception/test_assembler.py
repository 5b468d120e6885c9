"""From messages to posed sets: waiting, policies, threads."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.perception.assembler import FrameAssembler
from gdfusion_ros.perception.preprocess import Preprocessor
from gdfusion_ros.perception.types import Pixels

Make = Callable[..., FrameAssembler]


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
    assert list(map(street.content, sets)) == list(map(street.content, street.send(make_assembler(), messages)))
    assert street.drops(assembler) == {}
    assert sets[0].completed == pytest.approx(10.035)
    assert sets[0].placed == pytest.approx(10.335)


def test_a_set_without_transforms_is_dropped_in_the_end_and_named(make_assembler: Make, street: Any) -> None:
    assembler = make_assembler(tf_timeout=1.0)
    frames = [message for message in street.run([10.0]) if message.topic != '/tf']
    assert street.send(assembler, frames) == []
    polls = [10.1 + 0.1 * index for index in range(12)]
    waited = [now for now in polls if assembler.poll(now) or not street.drops(assembler)]
    assert waited[-1] == pytest.approx(11.0)
    assert street.drops(assembler) == {'transform': 1}
    assert "set at 10.000000000: frame 'map' is in no transform" in assembler.counters.snapshot().last_drop
    assert street.times(street.send(assembler, street.run([12.0]))) == [12.0], 'it goes on'


def test_sets_keep_their_order_while_one_waits(make_assembler: Make, street: Any) -> None:
    assembler = make_assembler()
    messages = street.run([10.0, 10.5])
    assert street.send(assembler, [message for message in messages if message.topic != '/tf']) == []
    sets = street.send(assembler, [message for message in messages if message.topic == '/tf'])
    assert street.times(sets) == [10.0, 10.5]


def test_a_set_before_the_first_transform_is_dropped_at_once(make_assembler: Make, street: Any) -> None:
    assembler = make_assembler()
    street.send(assembler, [street.transform_message(11.0, 9.0)])
    assert street.send(assembler, [message for message in street.run([10.0]) if message.topic != '/tf']) == []
    assert street.drops(assembler) == {'transform': 1}
    assert 'oldest' in assembler.counters.snapshot().last_drop


def test_a_set_waits_for_the_first_camera_info(make_assembler: Make, street: Any) -> None:
    assembler = make_assembler()
    assert street.send(assembler, [message for message in street.run([10.0]) if message.topic != 'back/info']) == []
    assert street.times(street.send(assembler, [street.info_message('back', 10.5)])) == [10.0]


def test_a_camera_without_info_is_named(make_assembler: Make, street: Any) -> None:
    assembler = make_assembler()
    street.send(assembler, [message for message in street.run([10.0]) if message.topic != 'back/info'])
    assembler.flush()
    assert street.drops(assembler) == {'camera_info': 1}
    assert 'no camera info of back' in assembler.counters.snapshot().last_drop


def test_lossless_queues_and_otherwise_the_newest_set_counts(make_assembler: Make, street: Any) -> None:
    frames = [10.0, 10.5, 11.0]
    for lossless, expected, lost in ((True, frames, {}), (False, [11.0], {'superseded': 2})):
        assembler = make_assembler(lossless=lossless)
        for message in street.run(frames):
            message.send(assembler, message.time)
        assert street.times(street.taken(assembler)) == expected
        assert street.drops(assembler) == lost


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
    assert street.times(sets) == [10.0, 10.5, 11.0, 11.5, 12.0]
    assert street.drops(assembler) == {'between_keyframes': 20}
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
    assert street.times(
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
    assert street.times(street.send(assembler, [message for message in frame if message.topic == '/tf'])) == [5.0]


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
    assert street.times(sets) == [10.0, 10.5, 11.0], 'all sets are made while no image is decoded'
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
