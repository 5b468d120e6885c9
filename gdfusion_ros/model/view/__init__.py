"""View slot: from image cells into the voxel volume (bevdetocc_gf.md §4)."""
