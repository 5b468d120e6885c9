"""The voxel grid that a network predicts."""

from __future__ import annotations

from dataclasses import dataclass

Triple = tuple[float, float, float]


@dataclass(frozen=True)
class VoxelGrid:
    """A regular grid in a frame: minimum corner [m], voxel edge lengths [m], voxel counts, each along x, y, z."""

    lower: Triple
    voxel_size: Triple
    shape: tuple[int, int, int]

    def refined(self, times: int, heights: int = 1) -> VoxelGrid:
        """The same space with voxels whose edges are ``times`` shorter, along z ``heights`` times more."""
        (dx, dy, dz), (x, y, z), tall = self.voxel_size, self.shape, times * heights
        return VoxelGrid(self.lower, (dx / times, dy / times, dz / tall), (times * x, times * y, tall * z))

    @property
    def voxels(self) -> int:
        """Number of voxels."""
        x, y, z = self.shape
        return x * y * z
