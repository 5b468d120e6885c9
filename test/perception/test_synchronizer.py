"""Camera sets: which images they take, what happens without one, and that the order of arrival changes nothing."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gdfusion_ros.perception.counters import Counters
from gdfusion_ros.perception.synchronizer import CameraSynchronizer
from gdfusion_ros.perception.types import CameraImage, CameraSet, InputImage, nanoseconds
from gdfusion_ros.settings import PipelineSettings

REFERENCE = 'front'
CAMERAS = ('left', REFERENCE, 'back')
OFFSETS = {'left': -0.008, REFERENCE: 0.0, 'back': 0.035}


class NoInput:
    """An input image that nobody looks at."""

    def start(self) -> None:
        """Nothing begins."""

    def cancel(self) -> None:
        """Nothing ends."""

    def result(self) -> InputImage:
        raise AssertionError('a synchronizer does not look at pixels')


def image(camera: str, seconds: float, epoch: int = 0) -> CameraImage:
    return CameraImage(camera, epoch, nanoseconds(seconds), camera, NoInput())


def shots(seconds: float, *cameras: str, epoch: int = 0) -> list[CameraImage]:
    """One image of each camera around an instant, in the order of their stamps."""
    names = sorted(cameras or CAMERAS, key=OFFSETS.__getitem__)
    return [image(camera, seconds + OFFSETS[camera], epoch) for camera in names]


class Pipeline:
    """A synchronizer with its counters."""

    def __init__(self, **values: object) -> None:
        config = PipelineSettings(cameras=CAMERAS, reference_camera=REFERENCE, **values)  # type: ignore[arg-type]
        self.counters = Counters(CAMERAS)
        self.synchronizer = CameraSynchronizer(config, self.counters)

    def feed(self, images: Sequence[CameraImage], *, flush: bool = False) -> list[CameraSet]:
        sets = [made for item in images for made in self.synchronizer.add(item)]
        return sets + self.synchronizer.flush() if flush else sets

    def dropped(self, camera: str) -> dict[str, int]:
        return dict(self.counters.snapshot().cameras[camera].dropped)


def content(made: CameraSet) -> tuple[object, ...]:
    """All that is in a set."""
    images = tuple((camera, item.epoch, item.stamp) for camera, item in made.images.items())
    return made.epoch, made.stamp, images, made.held, made.masked


def times(sets: Sequence[CameraSet]) -> list[float]:
    return [made.stamp / 1e9 for made in sets]


def test_a_set_is_made_by_its_last_image() -> None:
    pipeline = Pipeline()
    assert pipeline.feed(shots(1.0)[:2]) == []
    (made,) = pipeline.feed(shots(1.0)[2:])
    assert made.stamp == nanoseconds(1.0)
    assert tuple(made.images) == CAMERAS, 'the order of the rig, not of arrival'
    assert [item.stamp for item in made.images.values()] == [nanoseconds(1 + OFFSETS[name]) for name in CAMERAS]
    assert made.spread == nanoseconds(0.043)
    assert (made.held, made.masked) == ((), ())
    assert pipeline.counters.snapshot().sets == 1


@pytest.mark.parametrize(('offset', 'makes'), [(-0.0601, False), (-0.06, True), (0.06, True), (0.0601, False)])
def test_the_tolerance_is_exact(offset: float, makes: bool) -> None:
    pipeline = Pipeline(sync_tolerance=0.06)
    sets = pipeline.feed([*shots(1.0, 'left', REFERENCE), image('back', 1.0 + offset)], flush=True)
    assert bool(sets) is makes


def test_at_12_hz_every_image_goes_into_its_own_set() -> None:
    pipeline = Pipeline(sync_tolerance=0.06)
    stream = [item for index in range(24) for item in shots(10 + index / 12)]
    sets = pipeline.feed(stream)
    assert len(sets) == 24
    for made in sets:
        for camera, item in made.images.items():
            assert item.stamp - made.stamp == pytest.approx(OFFSETS[camera] * 1e9, abs=1)


def test_a_lost_image_does_not_shift_the_others() -> None:
    # 'back' is 48 ms before the next reference image, within the tolerance, but belongs to the one before.
    pipeline = Pipeline(sync_tolerance=0.06)
    stream = [item for index in range(6) for item in shots(10 + index / 12)]
    lost = [item for item in stream if not (item.camera == REFERENCE and 10.1 < item.stamp / 1e9 < 10.2)]
    sets = pipeline.feed(lost)
    assert len(sets) == 5
    assert all(made.images['back'].stamp - made.stamp == pytest.approx(35e6, abs=1) for made in sets)
    assert pipeline.dropped('back') == {'unmatched': 1}
    assert pipeline.dropped('left') == {'unmatched': 1}


def test_duplicates_and_images_out_of_order_are_dropped_and_counted() -> None:
    pipeline = Pipeline()
    stream = shots(1.0)
    sets = pipeline.feed([stream[0], stream[0], stream[1], image('left', 0.9), stream[1], stream[2], stream[2]])
    assert len(sets) == 1
    assert pipeline.dropped('left') == {'duplicate': 1, 'out_of_order': 1}
    assert pipeline.dropped(REFERENCE) == {'duplicate': 1}
    assert pipeline.dropped('back') == {'duplicate': 1}


def test_a_camera_that_shows_a_later_image_is_missing_at_once() -> None:
    pipeline = Pipeline(lossless=True)
    assert pipeline.feed([*shots(1.0, 'left', REFERENCE), image('back', 1.5)]) == []
    counts = pipeline.counters.snapshot()
    assert counts.sets_dropped == {'incomplete': 1}
    assert counts.cameras['back'].missing == 1
    assert 'back (nearest: +0.500 s)' in counts.last_drop
    assert pipeline.dropped('left') == {'incomplete': 1}
    assert times(pipeline.feed(shots(1.5, 'left', REFERENCE))) == [1.5], 'its later image is kept for its own set'


def test_patience_ends_when_all_cameras_that_are_there_have_run_on() -> None:
    pipeline = Pipeline(missing_camera='mask', sync_patience=0.3, sync_tolerance=0.06)
    stream = [item for index in range(8) for item in shots(1 + index / 12, 'left', REFERENCE)]
    sets = pipeline.feed(stream)
    assert times(sets)[:2] == pytest.approx([1.0, 1 + 1 / 12])
    assert [made.masked for made in sets] == [('back',)] * len(sets)
    # 1.3 s lies between the fourth and the fifth image: the first set was closed by the fifth pair.
    patient = Pipeline(missing_camera='mask', sync_patience=0.3, sync_tolerance=0.06)
    assert patient.feed(stream[:8]) == []
    assert patient.feed(stream[8:9]) == []
    assert times(patient.feed(stream[9:10])) == [1.0]


def test_one_camera_ahead_of_the_others_does_not_end_the_patience() -> None:
    # After a stall an executor may hand over the next image of one camera before this one's of another.
    pipeline = Pipeline(sync_patience=0.3)
    first, second = shots(1.0), shots(1.5)
    sets = pipeline.feed([first[0], first[1], second[0], first[2], second[1], second[2]])
    assert times(sets) == [1.0, 1.5]


def test_a_late_image_is_named_late() -> None:
    pipeline = Pipeline(sync_patience=0.3)
    pipeline.feed([*shots(1.0, 'left', REFERENCE), *shots(1.5, 'left', REFERENCE)])
    assert pipeline.counters.snapshot().sets_dropped == {'incomplete': 1}
    assert times(pipeline.feed([image('back', 1.035), image('back', 1.535)])) == [1.5]
    assert pipeline.dropped('back') == {'late': 1}


def test_lossless_waits_until_a_queue_is_full() -> None:
    pipeline = Pipeline(lossless=True, missing_camera='mask', queue_size=3)
    stream = [item for index in range(4) for item in shots(1 + 0.5 * index, 'left', REFERENCE)]
    assert pipeline.feed(stream[:6]) == []
    assert times(pipeline.feed(stream[6:])) == [1.0]
    assert times(pipeline.feed([], flush=True)) == [1.5, 2.0, 2.5]


@pytest.mark.parametrize(('queue_size', 'said'), [(2, True), (10, False)])
def test_a_set_that_is_given_up_for_a_full_queue_says_so(queue_size: int, said: bool) -> None:
    pipeline = Pipeline(lossless=True, queue_size=queue_size)
    pipeline.feed([item for index in range(4) for item in shots(1 + 0.5 * index, 'left', REFERENCE)], flush=not said)
    line = pipeline.counters.snapshot().last_drop
    assert 'no image within' in line
    assert (f'queue_size ({queue_size}) images wait' in line) == said


def test_a_queue_without_reference_images_is_bounded() -> None:
    pipeline = Pipeline(queue_size=3)
    pipeline.feed([image('left', 1 + 0.5 * index) for index in range(10)])
    assert pipeline.dropped('left') == {'queue_full': 7}


def test_skip_makes_no_set() -> None:
    pipeline = Pipeline(missing_camera='skip')
    assert pipeline.feed([*shots(1.0, 'left', REFERENCE), *shots(1.5)], flush=True)[0].stamp == nanoseconds(1.5)
    assert pipeline.counters.snapshot().sets_dropped == {'incomplete': 1}


def test_hold_takes_the_last_image_while_it_is_young() -> None:
    pipeline = Pipeline(missing_camera='hold', max_hold=1.0)
    stream = [*shots(1.0), *(item for time in (1.5, 2.0, 2.5) for item in shots(time, 'left', REFERENCE))]
    sets = pipeline.feed(stream, flush=True)
    assert times(sets) == [1.0, 1.5, 2.0], 'at 2.5 s the image of 1.035 s is too old'
    assert [made.held for made in sets] == [(), ('back',), ('back',)]
    assert [made.images['back'].stamp for made in sets] == [nanoseconds(1.035)] * 3
    assert [tuple(made.images) for made in sets] == [CAMERAS] * 3
    counts = pipeline.counters.snapshot()
    assert counts.sets_dropped == {'incomplete': 1}
    assert counts.cameras['back'].missing == 3


def test_hold_takes_nothing_from_before_a_jump_of_time() -> None:
    pipeline = Pipeline(missing_camera='hold', max_hold=60.0)
    sets = pipeline.feed([*shots(1.0), *shots(1.5, 'left', REFERENCE, epoch=1)], flush=True)
    assert times(sets) == [1.0]


def test_mask_goes_without() -> None:
    pipeline = Pipeline(missing_camera='mask')
    (made,) = pipeline.feed(shots(1.0, REFERENCE), flush=True)
    assert tuple(made.images) == (REFERENCE,)
    assert made.masked == ('left', 'back')
    counts = pipeline.counters.snapshot()
    assert (counts.sets, counts.sets_dropped) == (1, {})
    assert [counts.cameras[camera].missing for camera in CAMERAS] == [1, 0, 1]


def test_clear_forgets_all() -> None:
    pipeline = Pipeline()
    pipeline.feed(shots(9.0, 'left', REFERENCE))
    pipeline.synchronizer.clear()
    assert times(pipeline.feed(shots(1.0), flush=True)) == [1.0]


def test_the_seam_of_a_loop_loses_nothing_and_mixes_nothing() -> None:
    # Two key frames, played twice; at the seam the last image of the first run comes after the next run's first.
    run0 = [*shots(1.0), *shots(1.5)]
    run1 = [*shots(1.0, epoch=1), *shots(1.5, epoch=1)]
    pipeline = Pipeline()
    sets = pipeline.feed([*run0[:-1], run1[0], run1[1], run0[-1], *run1[2:]])
    assert [(made.epoch, made.stamp / 1e9) for made in sets] == [(0, 1.0), (0, 1.5), (1, 1.0), (1, 1.5)]
    assert all(item.epoch == made.epoch for made in sets for item in made.images.values())
    assert all(not counts.dropped for counts in pipeline.counters.snapshot().cameras.values())


def test_every_run_of_a_loop_gives_the_same_sets() -> None:
    # Before its first period is known the window is wider: that must be so in every run.
    def run(epoch: int) -> list[CameraImage]:
        stream = [item for index in range(12) for item in shots(10 + index / 12, epoch=epoch)]
        return [image('back', 10 - 0.05, epoch), *stream]

    sets = Pipeline().feed([*run(0), *run(1)], flush=True)
    first, second = (
        [
            content(made)[1:2] + tuple(item.stamp for item in made.images.values())
            for made in sets
            if made.epoch == epoch
        ]
        for epoch in (0, 1)
    )
    assert first == second
    assert len(first) == 12


def test_the_last_set_of_a_run_is_given_up_when_the_next_run_has_gone_on() -> None:
    pipeline = Pipeline(missing_camera='mask', sync_patience=0.3)
    sets = pipeline.feed([*shots(1.5, 'left', REFERENCE), *shots(1.0, 'left', REFERENCE, epoch=1)])
    assert sets == []
    assert [(made.epoch, made.masked) for made in pipeline.feed(shots(1.5, 'left', REFERENCE, epoch=1))] == [
        (0, ('back',)),
        (1, ('back',)),
    ]


@st.composite
def streams(draw: st.DrawFn) -> dict[str, list[CameraImage]]:
    """Each camera's images of up to two runs of a bag: some are lost, all jitter."""
    found: dict[str, list[CameraImage]] = {camera: [] for camera in CAMERAS}
    period = draw(st.sampled_from([1 / 12, 0.5]))
    frames = draw(st.integers(2, 5))
    for epoch in range(draw(st.integers(1, 2))):
        for index in range(frames):
            for camera in CAMERAS:
                if draw(st.integers(0, 5)):
                    jitter = draw(st.integers(-5, 5)) * 0.003
                    found[camera].append(image(camera, 10 + index * period + OFFSETS[camera] + jitter, epoch))
    return found


def interleaved(found: dict[str, list[CameraImage]], seed: int) -> list[CameraImage]:
    """All images in some order that keeps each camera's own."""
    order = [camera for camera, images in found.items() for _ in images]
    random.Random(seed).shuffle(order)
    queues = {camera: iter(images) for camera, images in found.items()}
    return [next(queues[camera]) for camera in order]


@settings(max_examples=150)
@given(streams(), st.sampled_from(['skip', 'hold', 'mask']), st.integers(0, 10**6), st.integers(0, 10**6))
def test_the_order_of_arrival_changes_nothing(
    found: dict[str, list[CameraImage]], policy: str, one: int, other: int
) -> None:
    results = []
    for seed in (one, other):
        pipeline = Pipeline(lossless=True, missing_camera=policy, queue_size=100)
        sets = pipeline.feed(interleaved(found, seed), flush=True)
        counts = pipeline.counters.snapshot()
        losses = {camera: (dict(item.dropped), item.missing) for camera, item in counts.cameras.items()}
        results.append(([content(made) for made in sets], losses, dict(counts.sets_dropped)))
    assert results[0] == results[1]


@settings(max_examples=100)
@given(streams(), st.sampled_from(['skip', 'mask']), st.booleans(), st.integers(0, 10**6))
def test_sets_are_in_order_within_the_tolerance_and_share_no_image(
    found: dict[str, list[CameraImage]], policy: str, lossless: bool, seed: int
) -> None:
    pipeline = Pipeline(lossless=lossless, missing_camera=policy, queue_size=4)
    sets = pipeline.feed(interleaved(found, seed), flush=True)
    stamps = [(made.epoch, made.stamp) for made in sets]
    assert stamps == sorted(set(stamps))
    used = [item for made in sets for item in made.images.values()]
    assert len({id(item) for item in used}) == len(used)
    for made in sets:
        for item in made.images.values():
            assert item.epoch == made.epoch
            assert abs(item.stamp - made.stamp) <= nanoseconds(0.06)
