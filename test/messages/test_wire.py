from __future__ import annotations

import numpy as np

from gdfusion_ros.messages.wire import from_wire, to_wire

SHAPE = (3, 4, 5)


def test_every_voxel_is_where_the_message_says() -> None:
    values = np.asfortranarray(np.arange(60, dtype=np.uint8).reshape(SHAPE))
    sequence = to_wire(values)
    for x, y, z in np.ndindex(SHAPE):
        assert sequence[x + 3 * (y + 4 * z)] == values[x, y, z]


def test_both_ways_share_memory() -> None:
    values = np.zeros(SHAPE, np.uint8, order='F')
    assert np.shares_memory(to_wire(values), values)
    assert np.shares_memory(from_wire(to_wire(values), SHAPE), values)


def test_memory_order_does_not_matter() -> None:
    values = np.random.default_rng(0).integers(0, 255, SHAPE, np.uint8)
    assert np.array_equal(from_wire(to_wire(values), SHAPE), values)
    assert np.array_equal(to_wire(values), to_wire(np.asfortranarray(values)))
