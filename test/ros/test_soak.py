"""Whether the node grows, and whether that would be seen."""

from __future__ import annotations

import gc
import threading
from types import FunctionType

import numpy as np
import pytest
from rclpy.executors import SingleThreadedExecutor

from gdfusion_ros.benchmark import soak
from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.ros.context import ros_node, serve
from gdfusion_ros.settings import ModelSettings, model_arguments

SETS = np.arange(1, 1602, 5)
STEADY = np.full(SETS.size, 20)


def usage(memory: object = STEADY, files: object = STEADY, threads: object = STEADY) -> soak.Usage:
    return soak.Usage(SETS, np.asarray(memory, float), np.asarray(files), np.asarray(threads))


def test_files_and_threads_stay_as_many_over_a_hundred_sets() -> None:
    held = soak.run(model_arguments(ModelSettings(untrained=True, device='cpu')), 101)
    assert held.sets.tolist() == list(range(1, 102, 5))
    growth = held.growth()
    assert (growth['files'], growth['threads']) == (0, 0)
    assert (held.memory > 50).all()


def test_what_is_steady_passes() -> None:
    warm_up = np.where(SETS < 390, SETS, 390)
    moment = np.where(SETS == 1001, 21, 20)
    soak.require_steady(usage(warm_up + SETS * 0.00009, moment, moment).growth())


@pytest.mark.parametrize(
    ('held', 'said'),
    [
        (usage(memory=500 + SETS * 0.00011), 'memory by 0.110 MB$'),
        (usage(files=20 + SETS // 500), 'files by '),
        (usage(threads=20 + SETS // 1000), 'threads by '),
    ],
)
def test_what_grows_is_named(held: soak.Usage, said: str) -> None:
    with pytest.raises(GdfusionError, match=f'grows with 1,000 camera sets: {said}'):
        soak.require_steady(held.growth())


def test_serving_callbacks_leaves_nothing_behind() -> None:
    callbacks, functions, stop = 0, [], threading.Event()

    def count() -> None:
        nonlocal callbacks
        callbacks += 1
        if callbacks % 100 == 0:
            gc.collect()
            functions.append(sum(type(thing) is FunctionType for thing in gc.get_objects()))
        if callbacks == 200:
            stop.set()

    with ros_node('soak_test') as node:
        executor = SingleThreadedExecutor(context=node.context)
        executor.add_node(node)
        node.create_timer(0.001, count)
        serve(executor, stop)
        executor.shutdown()
    assert abs(functions[1] - functions[0]) < 50, 'a function for each callback would be 100'
