"""Which frames the slots see."""

from __future__ import annotations

from itertools import islice

from gdfusion_ros.training.stream import Item, Stream, scenes, slot

LENGTHS = [3, 1, 4, 2]


def test_scenes_come_permutation_after_permutation() -> None:
    order = list(islice(scenes(4, seed=1), 40))
    rounds = [order[first : first + 4] for first in range(0, 40, 4)]
    assert all(sorted(part) == [0, 1, 2, 3] for part in rounds)
    assert len({tuple(part) for part in rounds}) > 3
    assert order == list(islice(scenes(4, seed=1), 40))
    assert order != list(islice(scenes(4, seed=2), 40))


def test_a_slot_plays_whole_scenes_in_order() -> None:
    items = list(islice(slot(LENGTHS, 0, index=1, slots=2), 30))
    dealt = list(islice(scenes(4, 0), 40))[1::2]
    expected = [
        Item(scene, frame, 2 * place + 1) for place, scene in enumerate(dealt) for frame in range(LENGTHS[scene])
    ]
    assert items == expected[:30]


def test_the_slots_of_all_processes_share_one_list_of_scenes() -> None:
    together = Stream(LENGTHS, 5, 0, 4, 4, (0, 20))
    parts = [Stream(LENGTHS, 5, first, 2, 4, (0, 20)) for first in (0, 2)]
    rows = [list(together)[row : row + 4] for row in range(0, 80, 4)]
    halves = [[list(part)[row : row + 2] for row in range(0, 40, 2)] for part in parts]
    assert rows == [first + second for first, second in zip(*halves, strict=True)]
    assert len(together) == 80


def test_slots_take_turns() -> None:
    lengths = [20] * 9
    turned = list(Stream(lengths, 5, 0, 6, 6, (0, 300), turns=3))
    assert [item.frame for item in turned[:6]] == [0, 3, 6, 10, 13, 16]
    for index in range(6):
        begin = turned[index].frame
        assert turned[index::6] == list(islice(slot(lengths, 5, index, 6), begin, begin + 100))
    resumed = Stream(lengths, 5, 0, 6, 6, (31, 300), turns=3)
    assert list(resumed) == turned[62:]
    assert len(resumed) == 538


def test_a_stream_goes_on_where_it_was_left() -> None:
    whole = list(Stream(LENGTHS, 3, 0, 2, 2, (0, 30)))
    assert list(Stream(LENGTHS, 3, 0, 2, 2, (0, 11))) + list(Stream(LENGTHS, 3, 0, 2, 2, (11, 30))) == whole
