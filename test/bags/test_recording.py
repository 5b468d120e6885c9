from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from gdfusion_ros.bags.messages import RosbagsFactory
from gdfusion_ros.bags.reader import bag_reader
from gdfusion_ros.bags.recording import capacity, counts, latencies, percentiles
from gdfusion_ros.bags.writer import bag_writer
from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.messages.diagnostics import DIAGNOSTICS_TYPE
from gdfusion_ros.messages.factory import Message

MAKE = RosbagsFactory()


def diagnostics(node: str = 'occ', /, **statuses: Mapping[str, object]) -> Message:
    return MAKE(
        DIAGNOSTICS_TYPE,
        status=[
            MAKE(
                'diagnostic_msgs/msg/DiagnosticStatus',
                name=f'{node}: {name}',
                values=[
                    MAKE('diagnostic_msgs/msg/KeyValue', key=key, value=str(value)) for key, value in values.items()
                ],
            )
            for name, values in statuses.items()
        ],
    )


@pytest.fixture(scope='module')
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp('bags') / 'recording'
    with bag_writer(path) as bag:
        for topic in ('/diagnostics', '/occ/debug/latency', '/empty'):
            bag.add_topic(topic, DIAGNOSTICS_TYPE)
        for step in range(2):
            bag.write(
                '/diagnostics',
                step,
                diagnostics(
                    network={'device': 'cpu'},
                    CAM_FRONT={'rate [Hz]': 12, 'received': 5 + step, 'dropped: late': 1},
                    CAM_BACK={'received': 4},
                    sets={'made': 3, 'grids': 2 + step, 'refused: corrupt image': 1},
                    **{'recurrent memory': {'resets': 1}, 'latency': {}},
                ),
            )
        bag.write('/diagnostics', 2, diagnostics('motors', temperature={'left': 40}))
        for step in range(3):
            bag.write('/occ/debug/latency', step, diagnostics(latency={'receive': 1 + step, 'network': 100.5}))
    return path


def test_the_last_diagnostics_count(recording: Path) -> None:
    with bag_reader(recording) as bag:
        rows = dict(counts(bag, '/diagnostics'))
    assert {name.strip(): str(count) for name, count in rows.items()} == {
        'images in': '10',
        'CAM_FRONT, dropped: late': '1',
        'camera sets made': '3',
        'refused: corrupt image': '1',
        'grids out': '3',
        'memory, resets': '1',
    }


def test_latencies_of_every_frame(recording: Path) -> None:
    with bag_reader(recording) as bag:
        stages = latencies(bag, '/occ/debug/latency')
    assert {name: values.tolist() for name, values in stages.items()} == {'receive': [1, 2, 3], 'network': [100.5] * 3}


def test_percentiles_end_with_the_whole() -> None:
    rows = percentiles({'a': np.array([1.0, 2.0, 3.0]), 'b': np.array([10.0, 10.0, 40.0])})
    assert [row[0] for row in rows] == ['a', 'b', 'total']
    assert rows[0][1:] == pytest.approx((2, 2.9, 3))
    assert rows[2][1:] == pytest.approx((12, 39.9, 43), abs=0.2)


@pytest.mark.parametrize('read', [lambda *given: list(counts(*given)), latencies])
def test_a_recording_without_them_is_one_clear_line(recording: Path, read: Callable[..., object]) -> None:
    with bag_reader(recording) as bag, pytest.raises(GdfusionError, match='no messages on /empty'):
        read(bag, '/empty')


def test_capacity_is_that_of_the_worker() -> None:
    waits = {'place': np.array([900.0]), 'queue': np.array([900.0])}
    assert capacity({**waits, 'network': np.array([100.0, 200.0]), 'publish': np.array([50.0, 50.0])}) == 5.0
