"""All networks in one run, each in a process of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from gdfusion_ros.benchmark import zoo
from gdfusion_ros.benchmark.network import BenchmarkResult
from gdfusion_ros.errors import GdfusionError


@pytest.mark.slow
def test_a_network_is_measured_in_a_process_of_its_own() -> None:
    done: list[int] = []
    results = zoo.run(1, 'cpu', lambda: done.append(1), ('gdfusion_nano',))
    assert list(results) == ['gdfusion_nano']
    assert done == [1]
    found = results['gdfusion_nano']
    assert found.frame > 0
    assert found.floor > 0
    assert found.peak_memory > found.state > 0


def test_a_network_that_there_is_not_is_named() -> None:
    with pytest.raises(GdfusionError, match="unknown model 'nano'"):
        zoo.run(1, 'cpu', names=('nano',))


def test_the_figure_is_drawn_with_what_is_reported_and_without(tmp_path: Path) -> None:
    released, nano = zoo.reported('bevdetocc_gf'), zoo.reported('gdfusion_nano')
    assert released is not None
    assert (released.miou, released.real) == (43.6, True)
    assert nano is not None
    assert not nano.real, 'scores on synthetic scenes are told from the others'
    assert zoo.reported('bevdetocc_gf_small') is None
    results = {
        name: BenchmarkResult(name, 'cpu', 'fp32', 1, {}, 2.0, {}, 1.0, 10**9, 10**8)
        for name in ('bevdetocc_gf', 'bevdetocc_gf_small', 'gdfusion_nano', 'one_of_ones_own')
    }
    zoo.draw(results, tmp_path / 'zoo.png')
    with Image.open(tmp_path / 'zoo.png') as figure:
        assert figure.width > 500
