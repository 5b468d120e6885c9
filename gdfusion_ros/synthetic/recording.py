"""The files of a synthetic scene: images, labels, LiDAR points, the map's mask."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gdfusion_ros.datasets import occ3d
from gdfusion_ros.datasets.occ3d import Occ3DLabels
from gdfusion_ros.perception.labels import OCC3D_NUSCENES
from gdfusion_ros.perception.types import Matrix
from gdfusion_ros.synthetic.drive import Drive, Shot
from gdfusion_ros.synthetic.masks import AZIMUTHS, ELEVATIONS, camera_rays, lidar_rays, observed, surface_rays
from gdfusion_ros.synthetic.render import Renderer
from gdfusion_ros.synthetic.rig import CAMERAS, LIDAR, OFFSETS
from gdfusion_ros.synthetic.tables import filename, map_filename, sample_token
from gdfusion_ros.synthetic.voxelize import voxelize
from gdfusion_ros.synthetic.world import SURFACE_LABELS, PinholeCamera, Rendering

QUALITY = 90
"""Of the JPEG files."""

_GRID = OCC3D_NUSCENES.grid
_LIDAR_REACH = (1.0, 100.0)  # [m]
_ROAD = 11
_INTENSITIES = np.linspace(10, 90, 18)
"""Of the LiDAR's points by class, straight on."""


class Recorder:
    """Writes what the sensors of one scene measure below the dataset's folder ``root``."""

    def __init__(self, drive: Drive, root: Path) -> None:
        """Prepare to render the scene; nothing is written yet."""
        self.drive = drive
        self._root = root
        self._renderer = Renderer(drive.world)

    def record(self, frames: Collection[int]) -> None:
        """Write the measurements and labels that belong to some key frames."""
        for shot in self.drive.shots:
            if shot.frame in frames:
                self._measure(shot)
        for frame in frames:
            occ3d.write(
                occ3d.label_path(self._root, self.drive.name, sample_token(self.drive, frame)),
                labels(self.drive, frame),
            )

    def render(self, shot: Shot) -> Rendering:
        """What a camera sees."""
        return self._renderer.image(_view(self.drive, shot.channel, shot.stamp), self.drive.time(shot.stamp))

    def record_map(self) -> None:
        """Write the mask of the driveable ground, north up, as nuScenes' maps are."""
        ground = self.drive.world.ground
        road = np.isin(ground.surfaces, [surface for surface, label in SURFACE_LABELS.items() if label == _ROAD])
        path = self._root / map_filename(self.drive)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(road.T[::-1] * np.uint8(255)).save(path)

    def _measure(self, shot: Shot) -> None:
        path = self._root / filename(self.drive, shot)
        if shot.channel != LIDAR:
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(self.render(shot).pixels).save(path, 'JPEG', quality=QUALITY)
        elif self.drive.recipe.lidar:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._points(shot).tofile(path)

    def _points(self, shot: Shot) -> NDArray[np.float32]:
        """(n, 5) x, y, z [m] in the sensor's frame, intensity, ring, as nuScenes' LiDAR files have them."""
        world_from_lidar = _sensor_pose(self.drive, LIDAR, shot.stamp)
        rays = lidar_rays()
        ranges, classes = self._renderer.ranges(
            world_from_lidar[:3, 3], rays @ world_from_lidar[:3, :3].T, self.drive.time(shot.stamp)
        )
        rings = np.repeat(np.arange(len(ELEVATIONS)), AZIMUTHS)
        hit = (ranges > _LIDAR_REACH[0]) & (ranges < _LIDAR_REACH[1])
        points = rays[hit] * ranges[hit, None]  # a ray that hits nothing has no end
        return np.column_stack([points, _INTENSITIES[classes[hit]], rings[hit]]).astype(np.float32)


def labels(drive: Drive, frame: int) -> Occ3DLabels:
    """Classes of the voxels at a key frame, and what LiDAR and cameras observe of them.

    As in Occ3D every camera's rays start where it was at its own stamp, and everything else stands still meanwhile.
    """
    stamp = int(drive.key_stamps[frame])
    world_from_ego = drive.ego_pose(stamp)
    semantics = voxelize(drive.world, world_from_ego, _GRID, drive.time(stamp))
    occupied = semantics != OCC3D_NUSCENES.free
    camera = np.zeros(_GRID.shape, np.bool_)
    for channel in CAMERAS:
        view = _view(drive, channel, stamp + OFFSETS[channel])
        rays = np.vstack([camera_rays(view), surface_rays(occupied, _GRID, world_from_ego, view)])
        camera |= observed(occupied, _GRID, world_from_ego, view.world_from_camera[:3, 3], rays)
    pose = _sensor_pose(drive, LIDAR, stamp)
    lidar = observed(occupied, _GRID, world_from_ego, pose[:3, 3], lidar_rays() @ pose[:3, :3].T)
    return Occ3DLabels(semantics, lidar, camera)


def _sensor_pose(drive: Drive, channel: str, stamp: int) -> Matrix:
    """(4, 4) sensor frame -> world frame."""
    return np.asarray(drive.ego_pose(stamp) @ drive.rig.sensors[channel].ego_from_sensor, np.float64)


def _view(drive: Drive, channel: str, stamp: int) -> PinholeCamera:
    return drive.rig.view(channel, drive.ego_pose(stamp))
