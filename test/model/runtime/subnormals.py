"""Prints how much is left of products that are subnormal, by torch's and numba's threads; run by test_process.py.

The first line is of the first thread, the second of one that computes, as the node's does.
"""

from __future__ import annotations

import threading

import torch

from gdfusion_ros.model.ops.lift import lift
from gdfusion_ros.model.ops.voxel_index import VoxelIndex
from gdfusion_ros.model.runtime.process import prepare_process

COUNT, SMALL = 1 << 18, 1e-20


@torch.inference_mode()
def compute() -> None:
    """Print the shares that are not zero."""
    values = torch.full((1, 1, 1, COUNT), SMALL)
    sums = lift(values, values, VoxelIndex(torch.arange(COUNT), torch.arange(COUNT + 1), None))
    print(*(float((found != 0).float().mean()) for found in (values * values, sums)))


prepare_process()
torch.set_num_threads(3)
compute()
worker = threading.Thread(target=compute)
worker.start()
worker.join()
