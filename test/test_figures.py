"""The figures of the explanation: drawn from what a network computes of a bag."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image

from tools.docs.links import ROOT


@pytest.mark.slow
def test_both_are_drawn_of_a_drive(scene_bag: Path, tmp_path: Path) -> None:
    pytest.importorskip('matplotlib', reason='figures need the extra train')
    from tools.docs.figures import draw_cues, draw_frame, last_frame

    frame = last_frame(scene_bag)
    assert {'depth_pred', 'geometry', 'motion_fused', 'voxel_out', 'scene_out'} <= set(frame.seen)
    assert frame.state.memory.voxel.frames == 2  # the frames before the last one
    for name, draw in (('four_cues', draw_cues), ('a_frame', draw_frame)):
        draw(frame, tmp_path / f'{name}.png')
        with Image.open(tmp_path / f'{name}.png') as drawn, Image.open(ROOT / 'docs' / f'{name}.png') as shown:
            assert drawn.size == shown.size
            assert len(set(drawn.convert('L').tobytes())) > 100


def test_pictures_from_above_have_ahead_up_and_left_left() -> None:
    pytest.importorskip('matplotlib', reason='figures need the extra train')
    from tools.docs.figures import from_above, mosaic

    volume = torch.zeros(1, 2, 3, 4, 5)  # (1, C, Y, X, Z)
    volume[0, :, 2, 3] = 1.0  # farthest to the left, farthest ahead
    picture = from_above(volume)
    assert picture.shape == (4, 3)
    assert picture[0, 0] == 1.0
    assert picture.sum() == 1.0
    assert mosaic(torch.arange(6.0).view(6, 1, 1).numpy()).tolist() == [[0, 1, 2], [3, 4, 5]]
