"""The whole way in one go: a scene to a bag, the bag to a live node, its grids to scores and pictures."""
