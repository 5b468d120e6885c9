"""The baselines that fuse nothing: no memory of a volume, and queues of sixteen volumes or maps."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
import torch

from gdfusion_ros.model.geometry.depth_bins import DepthBins
from gdfusion_ros.model.geometry.voxel_grid import VoxelGrid
from gdfusion_ros.model.network import OccupancyNetwork
from gdfusion_ros.model.ops import compiled
from gdfusion_ros.model.runtime.prepare import prepare
from gdfusion_ros.model.sequence import SequenceRunner
from gdfusion_ros.model.weights.initialise import initialise
from gdfusion_ros.model.zoo import ZOO
from gdfusion_ros.settings import CUES

pytestmark = pytest.mark.slow

QUEUES = ('bevdetocc_sf', 'alocc_3d', 'alocc_2d', 'alocc_mini')
NAMES = ('bevdetocc', *QUEUES)


@pytest.fixture(scope='module')
def build() -> Callable[[str], OccupancyNetwork]:
    """A network of the zoo with small images and a small grid; one of each is drawn."""
    drawn: dict[str, OccupancyNetwork] = {}

    def built(name: str) -> OccupancyNetwork:
        if name not in drawn:
            spec, height = ZOO[name].spec, 4
            shape = (16, 16, 1 if spec.grid.shape[2] == 1 else height)
            grid = VoxelGrid(lower=(-8.0, -8.0, -1.0), voxel_size=(1.0, 1.0, 6.4 / shape[2]), shape=shape)
            spec = dataclasses.replace(
                spec,
                image_size=(64, 96),
                cameras=2,
                grid=grid,
                depth=DepthBins(first=1.0, step=1.0, count=24),
                heights=spec.heights and height,
            )
            drawn[name] = ZOO[name].build(spec).eval()
            initialise(drawn[name], 0)
        return copy.deepcopy(drawn[name])

    return built


@torch.inference_mode()
@pytest.mark.parametrize('name', NAMES)
def test_prepared_and_compiled_it_gives_what_it_gives_in_plain_torch(
    build: Callable[[str], OccupancyNetwork], drive: Any, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    network, frames = build(name), drive.frames(3)
    quick = SequenceRunner(prepare(copy.deepcopy(network), torch.device('cpu')))
    found = [quick.predict(frame).logits for frame in frames]
    monkeypatch.setattr(compiled, 'usable', lambda *_: False)
    plain = SequenceRunner(network)
    for logits, frame in zip(found, frames, strict=True):
        expected = plain.predict(frame).logits
        assert expected.shape == (16, 16, 4, 18)
        assert (logits - expected).abs().max() <= 1e-3 * expected.std()


@torch.inference_mode()
@pytest.mark.parametrize('name', QUEUES)
def test_sixteen_frames_are_remembered_and_no_more(
    build: Callable[[str], OccupancyNetwork], drive: Any, name: str
) -> None:
    runner = SequenceRunner(prepare(build(name), torch.device('cpu')))
    for frame in drive.frames(2):
        runner.predict(frame)
    assert runner.state is not None
    volumes = runner.state.memory.volumes
    assert len(volumes) == 16
    assert not torch.equal(volumes[0], volumes[1])
    torch.testing.assert_close(volumes[1], volumes[15], msg='the first frame stands for all before it')
    before, frame = runner.state, drive.frame(2)
    changed = dataclasses.replace(before.memory, volumes=(*volumes[:15], volumes[15] + 1))
    whole, _ = runner.look(frame)
    runner.state = dataclasses.replace(before, memory=changed)
    other, after = runner.look(frame)
    assert not torch.equal(whole.logits, other.logits), 'the oldest is looked at once more'
    runner.state = before
    _, kept = runner.look(frame)
    assert all(map(torch.equal, after.memory.volumes, kept.memory.volumes)), 'and then forgotten'


@torch.inference_mode()
@pytest.mark.parametrize('name', ['bevdetocc_gf', 'bevdetocc_sf'])
def test_a_state_that_is_given_away_is_freed_and_changes_nothing(
    build: Callable[[str], OccupancyNetwork], drive: Any, same: Callable[[object, object], bool], name: str
) -> None:
    network = prepare(build(name), torch.device('cpu'))
    keeping, spending = SequenceRunner(network), SequenceRunner.forgetful(network)
    for frame in drive.frames(3):
        given = spending.state
        assert same(spending.predict(frame), keeping.predict(frame))
        assert same(spending.state, keeping.state)
        if given is not None and spending.state is not None:
            assert given.nbytes < 0.2 * spending.state.nbytes


def test_they_have_none_of_the_cues() -> None:
    for name in NAMES:
        assert ZOO[name].spec.with_cues(CUES).cues == ()
