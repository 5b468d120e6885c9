"""Occlusion: the recorded sum behind a surface, whole depth slots with and without LiDAR, limits of the heads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from gdfusion_ros.model.depth.measured import NO_BIN, MeasuredStereoDepth, nearest_bins
from gdfusion_ros.model.depth.net import COST_VOLUME, DEPTH_NET, TWO_HEADS, DepthChannels, DepthNet, DepthPrediction
from gdfusion_ros.model.depth.occlusion import INTER_RAY, INTRA_RAY, IntraInterRay, IntraRay, behind
from gdfusion_ros.model.depth.stereo import StereoDepth
from gdfusion_ros.model.geometry.cache import CalibrationCache
from gdfusion_ros.model.geometry.depth_bins import DepthBins
from gdfusion_ros.model.geometry.reprojection import Reprojection
from gdfusion_ros.model.images import EncodedImages
from gdfusion_ros.model.layers.blocks2d import ResidualBlock2d
from gdfusion_ros.model.ops.cost_volume import cost_volume
from gdfusion_ros.model.probe import BLIND, Pass
from gdfusion_ros.model.temporal.geometry import GeometryState

GATE = 1e-4
IMAGE, CELLS = (64, 96), (4, 6)
BINS = DepthBins(first=1.0, step=0.5, count=16)


def test_recorded_sum_behind_a_surface(recording: Callable[[str], Any]) -> None:
    recorded = recording('alocc_intra_ray')
    probability = recorded['p'].clone()
    assert recorded.error('o', behind(probability, recorded['w'])) <= GATE
    assert torch.equal(probability, recorded['p'])


def test_more_distances_than_bins() -> None:
    probability, weights = torch.rand(1, 3, 2, 2), torch.rand(1, 7, 2, 2)
    torch.testing.assert_close(behind(probability, weights), behind(probability, weights[:, :2]))


def seen(channels: int, inputs: int, scale: float = 1.0) -> DepthPrediction:
    torch.manual_seed(0)
    return DepthPrediction(
        torch.rand(2, 9, 4, 6),
        None,
        torch.empty(0),
        scale * torch.randn(2, channels, 4, 6),
        torch.randn(2, inputs, 4, 6),
    )


def test_both_trunks_share_one_layer() -> None:
    first = ResidualBlock2d(20, 8)
    intra = IntraRay(nn.Sequential(first), 5)
    occluded, neighbours = intra(seen(8, 20))
    assert occluded.shape == (2, 9, 4, 6)
    assert (occluded >= seen(8, 20).probability).all()
    assert neighbours is None
    own = intra.trunk[0]
    assert isinstance(own, ResidualBlock2d)
    assert own.downsample is first.downsample
    assert own.conv1 is not first.conv1


def test_neighbours_begin_round_the_cell_and_stay_near() -> None:
    inter = IntraInterRay(nn.Sequential(ResidualBlock2d(20, 8)), 5, 8)
    _, neighbours = inter(seen(8, 20, scale=0))
    assert neighbours is not None
    assert neighbours.offsets[1, 0, 2, :, 3, 3].tolist() == [-4, 4]
    assert neighbours.offsets[1, 1, 1, :, 0, 0].tolist() == [0, 0]
    assert neighbours.weights.shape == (2, 3, 3, 3, 4, 6)
    _, far = inter(seen(8, 20, scale=1e3))
    assert far is not None
    assert far.offsets.abs().max() == 8


class Recorded:
    """The whole depth slot of a recording, which has it in one module, and its five steps."""

    def __init__(self, recorded: Any, slot: type[StereoDepth]) -> None:
        net = DepthNet(DepthChannels(16, 16, 8, 8), 16)
        self.recorded = recorded
        self.slot = slot(
            net, IMAGE, CELLS, BINS, occlusion=IntraInterRay(net.trunk, 6, 16), remembers_geometry=True
        ).eval()
        recorded.load(
            self.slot,
            {
                **{f'net.{ours}': published for ours, published in {**DEPTH_NET, **COST_VOLUME, **TWO_HEADS}.items()},
                **{f'occlusion.{ours}': published for ours, published in {**INTRA_RAY, **INTER_RAY}.items()},
                'fusion.history_gate.': 'depth_his_fusion_post_layer.gate_net.',
                'fusion.blend_gate.': 'gate_net.',
            },
        )

    def errors(
        self, step: int, state: GeometryState | None, lidar_depth: torch.Tensor | None
    ) -> tuple[GeometryState, dict[str, float]]:
        recorded = self.recorded
        frame, start = recorded.frame(str(step)), bool(recorded[f'start{step}'])
        now = frame.calibration
        current, matched = (
            recorded[f'cv_{which}{step}'].contiguous(memory_format=torch.channels_last) for which in ('curr', 'prev')
        )
        # It matches images of one augmentation, as at run time; H_g it keeps from images of another.
        cost = cost_volume(current, matched, Reprojection.between(now, frame.previous(now)), IMAGE, BINS.values())
        then = None if start else frame.previous(recorded.frame(str(step - 1)).calibration)
        geometry = self.slot.geometry(now, Reprojection.between(now, then), CalibrationCache())
        cells, after = self.slot.fused(
            EncodedImages(recorded[f'x{step}'][0], current, lidar_depth),
            cost,
            geometry,
            None if start else state,
            Pass(BLIND, torch.device('cpu'), autocast=False),
        )
        assert after is not None
        assert cells.neighbours is not None
        found = {
            'depth_pred': cells.supervised[None],
            'context': cells.context[None],
            'geometry': cells.distribution[None],
            'hist': after.logits[None],
            'inter_weight': cells.neighbours.weights,
            'inter_offset': cells.neighbours.offsets,
        }
        return after, {name: recorded.error(f'{name}{step}', value) for name, value in found.items()}


@pytest.mark.parametrize(
    ('name', 'slot', 'measured'),
    [
        ('alocc_depth_net', StereoDepth, False),
        ('alocc_depth_net', MeasuredStereoDepth, False),
        ('alocc_depth_net_cd', MeasuredStereoDepth, True),
    ],
    ids=['camera', 'measured nothing', 'measured'],
)
def test_recorded_steps_of_the_whole_slot(
    recording: Callable[[str], Any], form: str, name: str, slot: type[StereoDepth], measured: bool
) -> None:
    whole, state = Recorded(recording(name), slot), None
    for step in range(5):
        lidar_depth = whole.recorded[f'gt_depth{step}'][0] if measured else None
        state, errors = whole.errors(step, state, lidar_depth)
        assert {name: error for name, error in errors.items() if not error <= GATE} == {}, f'step {step}'
        if lidar_depth is not None:
            bins = nearest_bins(lidar_depth, 16, BINS).flatten()
            label, one_hot = whole.recorded[f'gt_label{step}'], whole.recorded[f'gt_onehot{step}']
            assert torch.equal(torch.where(bins == NO_BIN, 0, bins)[one_hot.any(1)], one_hot.argmax(1)[one_hot.any(1)])
            assert torch.equal(bins != NO_BIN, one_hot.any(1))
            assert len(label) == len(bins)


def test_a_slot_that_may_measure_has_the_same_weights() -> None:
    net = DepthNet(DepthChannels(16, 16, 8, 8), 16)
    one, other = (
        slot(net, IMAGE, CELLS, BINS, remembers_geometry=True).state_dict()
        for slot in (StereoDepth, MeasuredStereoDepth)
    )
    assert one.keys() == other.keys()
