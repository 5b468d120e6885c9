"""Pictures of semantic grids."""
