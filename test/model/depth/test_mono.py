"""The depth slot of one frame: what it remembers, and what it leaves out."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from gdfusion_ros.model.depth.mono import MonoDepth
from gdfusion_ros.model.depth.net import DepthChannels, DepthNet
from gdfusion_ros.model.depth.stereo import StereoDepth
from gdfusion_ros.model.geometry.cache import CalibrationCache
from gdfusion_ros.model.geometry.depth_bins import DepthBins
from gdfusion_ros.model.geometry.reprojection import Reprojection
from gdfusion_ros.model.images import EncodedImages
from gdfusion_ros.model.interface import CellDepth, Frame
from gdfusion_ros.model.probe import BLIND, Pass

IMAGE, CELLS, BINS = (64, 96), (4, 6), DepthBins(first=1.0, step=0.5, count=16)
RUN = Pass(BLIND, torch.device('cpu'), autocast=False)


def slot(kind: type[MonoDepth | StereoDepth], *, fused: bool, remembers: bool) -> MonoDepth | StereoDepth:
    torch.manual_seed(0)
    net = DepthNet(DepthChannels(16, 16, 8, 8), BINS.count, stereo=kind is StereoDepth, fused=fused)
    return kind(net, IMAGE, CELLS, BINS, remembers_geometry=remembers).eval().requires_grad_(False)


def looked(depth: MonoDepth | StereoDepth, frames: list[Frame]) -> list[tuple[CellDepth, Any]]:
    """What the slot gives for frames of random features."""
    state, then, given = None, None, []
    for frame in frames:
        reprojection = Reprojection.between(frame.calibration, frame.previous(then))
        torch.manual_seed(int(100 * frame.images.sum()))
        stereo = torch.rand(2, 8, 16, 24) if isinstance(depth, StereoDepth) else None
        images = EncodedImages(torch.rand(2, 16, *CELLS), stereo)
        cells, state = depth(images, depth.geometry(frame.calibration, reprojection, CalibrationCache()), state, RUN)
        then = frame.calibration
        given.append((cells, state))
    return given


def test_geometry_is_remembered_without_images(drive: Any) -> None:
    first, second = looked(slot(MonoDepth, fused=True, remembers=True), drive.frames(2))
    alone = looked(slot(MonoDepth, fused=True, remembers=True), drive.frames(2)[1:])[0]
    assert torch.equal(second[0].supervised, alone[0].supervised)
    assert not torch.equal(second[0].distribution, alone[0].distribution), 'the first frame is remembered'
    for cells, state in (first, second):
        assert cells.fused_logits is state.logits
        torch.testing.assert_close(cells.distribution.sum(1), torch.ones(2, *CELLS))


@pytest.mark.parametrize('kind', [MonoDepth, StereoDepth])
@pytest.mark.parametrize('fused', [True, False])
def test_without_a_memory_of_geometry_the_depth_is_lifted_as_it_is_seen(
    drive: Any, kind: type[MonoDepth | StereoDepth], fused: bool
) -> None:
    depth = slot(kind, fused=fused, remembers=False)
    for cells, state in looked(depth, drive.frames(2)):
        assert cells.distribution is cells.supervised
        assert cells.fused_logits is None
        assert state is None if kind is MonoDepth else state.geometry is None
    assert (depth.fusion is not None) == fused, 'its weights are there, in use or not'


def test_nothing_starts_neutral_where_nothing_fuses() -> None:
    with pytest.raises(KeyError, match='geometry'):
        slot(MonoDepth, fused=False, remembers=False).start_neutral('geometry')
