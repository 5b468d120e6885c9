"""What it takes to find out which voxels of a grid the cameras saw."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from gdfusion_ros.perception.labels import OCC3D_NUSCENES
from gdfusion_ros.perception.poses import inverse, product
from gdfusion_ros.perception.visibility import CameraView, Visibility, compile_rays
from gdfusion_ros.synthetic.drive import plan
from gdfusion_ros.synthetic.recipes import Recipe
from gdfusion_ros.synthetic.recording import labels
from gdfusion_ros.synthetic.rig import CAMERAS, OFFSETS


@dataclass(frozen=True)
class VisibilityCost:
    """Of a grid of 200 x 200 x 16 voxels and six cameras; medians.

    Attributes:
        seconds: from the grid to its visibility.
        processor: seconds of all threads together.
        threads: how many there are.
    """

    seconds: float
    processor: float
    threads: int


def run(frames: int, tick: Callable[[], object]) -> VisibilityCost:
    """Look ``frames`` times at the true voxels of one synthetic street; ``tick`` is called after each."""
    drive = plan(Recipe(1, 1, 1, 1600, 900, sweeps=False, lidar=False, weather=('clear',)), 0)
    solid = np.asfortranarray(labels(drive, 0).semantics != OCC3D_NUSCENES.free)
    stamp = int(drive.key_stamps[0])
    ego_from_world = inverse(drive.ego_pose(stamp))
    cameras = [drive.rig.view(channel, drive.ego_pose(stamp + OFFSETS[channel])) for channel in CAMERAS]
    views = [
        CameraView(product(ego_from_world, camera.world_from_camera), camera.intrinsics, camera.width, camera.height)
        for camera in cameras
    ]
    compile_rays()
    times, processor = [], []
    for _ in range(frames):
        begin, worked = time.perf_counter(), time.process_time()
        _ = Visibility(solid, OCC3D_NUSCENES.grid, views).observed
        times.append(time.perf_counter() - begin)
        processor.append(time.process_time() - worked)
        tick()
    return VisibilityCost(statistics.median(times), statistics.median(processor), torch.get_num_threads())
