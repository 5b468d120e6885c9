"""Query head: the recording with its saturated ties, and what it favours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from gdfusion_ros.model.heads.query import CONTEXT_QUERIES, QUERY_HEAD, QueryHead
from gdfusion_ros.model.probe import Probe

GATE = 1e-4
TABLE = {**QUERY_HEAD, **CONTEXT_QUERIES}


class Kept(Probe):
    """Keeps the scores of all outputs."""

    scores: Tensor

    def record(self, name: str, tensor: Tensor) -> None:
        assert name == 'scores'
        self.scores = tensor


def test_recorded_masks_and_classes(recording: Callable[[str], Any], form: str) -> None:
    recorded = recording('alocc_query_head')
    head, probe = QueryHead(12, 19, 5), Kept()
    recorded.load(head, TABLE)
    prediction = head.predict(recorded['x'], probe)
    logits = probe.scores.flatten(4, 5).flatten(2, 3).flatten(0, 1).permute(3, 0, 1, 2)
    assert recorded.error('logits', logits[None]) <= GATE
    assert torch.equal(prediction.scores, probe.scores[..., 1:])
    assert torch.equal(prediction.labels, recorded['argmax_xyz'])
    assert not torch.equal(recorded['argmax_raw_xyz'], recorded['argmax_xyz']), 'some sigmoids are equal'
    context = torch.einsum('qc,bcnhw->bqnhw', head.context_queries(), recorded['img_context'])
    assert recorded.error('img_logits', context) <= GATE


def test_recorded_classes_of_a_label_set_without_the_first(recording: Callable[[str], Any], form: str) -> None:
    recorded = recording('alocc_query_head')
    head = QueryHead(12, 19, 5, first=2)
    recorded.load(head, TABLE)
    assert torch.equal(head.predict(recorded['x']).labels, recorded['argmax_xyz_surroundocc'])


def test_classes_of_labelled_voxels_are_those_of_all() -> None:
    torch.manual_seed(0)
    head, volume = QueryHead(8, 6).requires_grad_(False), torch.randn(1, 8, 4, 3, 2)
    with torch.inference_mode():
        all_at_once = head.predict(volume).scores.flatten(0, -2)
    labelled = head.classify(head.features(volume)[[3, 17]])
    torch.testing.assert_close(labelled[:, 0, 1:], all_at_once[[3, 17]])
    assert head.within(torch.arange(24).view(4, 3, 2))[17] == 17


def test_free_space_can_be_favoured() -> None:
    torch.manual_seed(0)
    head, volume = QueryHead(48, 19), torch.rand(1, 48, 6, 5, 4)
    before = head.voxel_queries()
    head.favour_free(50.0)
    torch.testing.assert_close(head.voxel_queries()[:-1], 0.1 * before[:-1], rtol=1e-3, atol=1e-4)
    with torch.inference_mode():
        assert (head.predict(volume).labels == 17).all()
