"""Saves labels, confidence and scores of two frames of gdfusion_nano to argv[1]; run by test_same_grids.py."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import numpy as np
import torch

from gdfusion_ros.model.interface import Calibration, Frame
from gdfusion_ros.model.runtime.process import prepare_process
from gdfusion_ros.model.sequence import SequenceRunner
from gdfusion_ros.model.zoo import load_network
from gdfusion_ros.settings import ModelSettings

prepare_process()
make = runpy.run_path(str(Path(__file__).parent.parent / 'data' / 'gen.py'))


def frame(time: int, previous: int) -> Frame:
    """The recordings' drive; what lies before it does not matter to a network without stereo."""
    inputs = {name: torch.from_numpy(value) for name, value in make['frame_inputs'](time, previous, 128, 352).items()}
    pose = torch.eye(4).repeat(6, 1, 1)
    pose[:, :3, :3], pose[:, :3, 3] = inputs['sensor2keyego_rot'], inputs['sensor2keyego_tran']
    chain = torch.eye(4).repeat(6, 1, 1)
    calibration = Calibration(
        inputs['intrins'],
        inputs['post_rots'],
        inputs['post_trans'],
        pose,
        inputs['bda'],
        torch.ones(6, dtype=torch.bool),
    )
    images = inputs['imgs'][0::2].contiguous(memory_format=torch.channels_last)
    return Frame(images, calibration, chain, inputs['curr_to_prev_ego_rt'])


with torch.inference_mode():
    runner, seen = SequenceRunner(load_network(ModelSettings(device='cpu'))), []
    for time in range(2):
        prediction = runner.predict(frame(time, max(time - 1, 0)))
        seen.append((prediction.labels, prediction.confidence(), prediction.scores))
labels, confidence, scores = (np.stack([tensor.numpy() for tensor in part]) for part in zip(*seen, strict=True))
np.savez(sys.argv[1], labels=labels, confidence=confidence, scores=scores)
