"""What is kept while the calibration stays, and what is not."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor

from gdfusion_ros.model.geometry.cache import CalibrationCache
from gdfusion_ros.model.interface import Calibration


class Counter:
    """A function of whatever that counts its calls."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, *_: object) -> int:
        self.calls += 1
        return self.calls


def test_equal_arguments_compute_once_and_others_again() -> None:
    cache, count = CalibrationCache(), Counter()
    first, second = torch.eye(3), torch.zeros(2)
    assert cache(count, first, second) == 1
    assert cache(count, first.clone(), second.clone()) == 1
    assert cache(count, first, second + 1) == 2
    assert cache(count, first, second) == 3
    assert cache(count, first) == 4
    assert cache(count, torch.eye(4)) == 5
    assert cache(count, torch.eye(4), torch.device('cpu')) == 6
    assert cache(count, torch.eye(4), torch.device('meta')) == 7


def test_without_arguments_a_function_is_called_once() -> None:
    cache, count = CalibrationCache(), Counter()
    assert (cache(count), cache(count)) == (1, 1)


def test_each_function_has_a_value_of_its_own() -> None:
    cache, one, other = CalibrationCache(), Counter(), Counter()
    other.calls = 10
    key = torch.zeros(3)
    assert (cache(one, key), cache(other, key), cache(one, key), cache(other, key)) == (1, 11, 1, 11)


def test_an_argument_that_is_changed_in_place_is_noticed() -> None:
    cache, count, key = CalibrationCache(), Counter(), torch.zeros(3)
    cache(count, key)
    key[1] = 1e-7
    assert cache(count, key) == 2


@pytest.mark.parametrize('field', [field.name for field in dataclasses.fields(Calibration)])
def test_a_calibration_is_the_same_only_if_all_of_it_is(drive: Any, field: str) -> None:
    cache, count, calibration = CalibrationCache(), Counter(), drive.frame(0).calibration
    copied = dataclasses.replace(calibration, **{field: getattr(calibration, field).clone()})
    assert cache(count, calibration) == cache(count, copied) == 1
    value: Tensor = getattr(calibration, field)
    changed = ~value if field == 'visible' else value * 1.01
    assert cache(count, dataclasses.replace(calibration, **{field: changed})) == 2
