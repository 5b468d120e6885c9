"""The counts of a pipeline."""

from __future__ import annotations

import threading
from collections.abc import Callable

from gdfusion_ros.perception.counters import Counters


def test_everything_is_counted_by_name_and_reason() -> None:
    counters = Counters(('left', 'right'))
    counters.image_received('left', 100, 1.0)
    counters.image_received('left', 200, 1.5)
    counters.image_dropped('left', 'late')
    counters.camera_missing('right')
    counters.set_made()
    counters.set_dropped('transform', 'set at 0.1: no pose')
    counters.set_dropped('between_keyframes')
    counters.frame_refused('image', 'left at 0.2: broken')
    counters.grid_made()
    counters.memory_reset('time_jump', 'memory starts anew')
    counts = counters.snapshot()
    left, right = counts.cameras['left'], counts.cameras['right']
    assert (left.received, left.last_stamp, left.last_arrival, left.dropped) == (2, 200, 1.5, {'late': 1})
    assert (right.received, right.last_stamp, right.missing) == (0, None, 1)
    assert (counts.sets, counts.grids) == (1, 1)
    assert counts.sets_dropped == {'transform': 1, 'between_keyframes': 1}
    assert counts.frames_refused == {'image': 1}
    assert counts.resets == {'time_jump': 1}
    assert counts.last_drop == 'left at 0.2: broken'


def test_a_drop_that_was_planned_does_not_hide_one_that_was_not() -> None:
    counters = Counters(('left',))
    counters.set_dropped('incomplete', 'no image of left')
    counters.set_dropped('superseded')
    assert counters.snapshot().last_drop == 'no image of left'


def test_a_snapshot_stays_as_it_was() -> None:
    counters = Counters(('left',))
    before = counters.snapshot()
    counters.image_received('left', 1, 0.0)
    counters.image_dropped('left', 'late')
    counters.set_made()
    assert (before.sets, before.cameras['left'].received, before.cameras['left'].dropped) == (0, 0, {})


def test_a_snapshot_shares_nothing_that_changes() -> None:
    counters = Counters(('left',))
    one, other = counters.snapshot(), counters.snapshot()
    for mine, its in ((one, other), (one.lidar, other.lidar), (one.cameras['left'], other.cameras['left'])):
        for name, value in vars(mine).items():
            assert value is not vars(its)[name] or isinstance(value, int | str | None), name


def test_a_snapshot_leaves_nothing_behind(freed_tuples: Callable[..., dict[int, int]]) -> None:
    assert freed_tuples(Counters(('left', 'right')).snapshot) == {}


def test_threads_may_count_at_once() -> None:
    counters = Counters(('left',))

    def count() -> None:
        for _ in range(2000):
            counters.image_dropped('left', 'late')

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counters.snapshot().cameras['left'].dropped == {'late': 8000}


def test_lines_are_printable_whoever_named_a_frame() -> None:
    said: list[str] = []
    counters = Counters(('left',), lambda _, line: said.append(line))
    counters.remarked('/info', "frame 'a\nb\x1b[31m'")
    counters.stream_jumped('transforms of \x1b', 'back')
    counters.set_dropped('transform', "frame '\x1b" + 10_000 * 'x')
    counts = counters.snapshot()
    assert said == [counts.remarks['/info'], 'back'] == ["frame 'a b\\x1b[31m'", 'back']
    assert counts.jumps == {'transforms of \\x1b': 1}
    assert counts.last_drop.isprintable()
    assert len(counts.last_drop) == 4000
