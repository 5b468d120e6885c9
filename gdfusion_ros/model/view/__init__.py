"""View slot: from image cells into the voxel volume (spec section 4)."""
