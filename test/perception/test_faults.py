"""What errors that nobody expected cost."""

from __future__ import annotations

import pytest

from gdfusion_ros.errors import GdfusionError, RepeatedError
from gdfusion_ros.perception.counters import Counters
from gdfusion_ros.perception.faults import Faults


def test_an_error_without_words_or_with_many_lines_is_one_line() -> None:
    counters = Counters(())
    faults = Faults(counters)
    for error, said in ((IndexError(), 'IndexError in test_faults.py:'), (ValueError('one\ntwo'), ': one two')):
        with pytest.raises(GdfusionError) as caught, faults.cost_a_set(1_500_000_000):
            raise error
        assert said in str(caught.value)
        assert str(caught.value).startswith('set at 1.500000000: unexpected ')
        assert '\n' not in str(caught.value)
        assert caught.value.__cause__ is error
    assert counters.snapshot().frames_refused == {'error': 2}
    assert 'one two' in counters.snapshot().last_drop


def test_a_set_that_comes_out_well_begins_the_count_again() -> None:
    faults = Faults(Counters(()))
    for _ in range(3):
        for _ in range(2):
            with pytest.raises(GdfusionError) as caught, faults.cost_a_set(0):
                raise IndexError
            assert not isinstance(caught.value, RepeatedError)
        with faults.cost_a_set(0):
            pass


@pytest.mark.parametrize('stop', [KeyboardInterrupt, SystemExit])
def test_an_end_from_outside_is_no_error(stop: type[BaseException]) -> None:
    with pytest.raises(stop), Faults(Counters(())).cost_a_set(0):
        raise stop
