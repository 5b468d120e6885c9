"""A bag to grids, without ROS: python examples/bag_to_grids.py BAG."""

import sys
from pathlib import Path

from gdfusion_ros import ModelSettings, PipelineSettings, TopicSettings, bag_reader, grid_stream, load_network

network = load_network(ModelSettings())  # gdfusion_nano; ModelSettings(weights='bevdetocc_gf') for the authors'
pipeline = PipelineSettings(unobserved='unknown')  # 'keep': what the network guesses where no camera looks, too
with bag_reader(Path(sys.argv[1])) as bag, grid_stream(bag, network, pipeline, TopicSettings()) as grids:
    for grid, _ in grids:
        shares = {label.name: float((grid.labels == label.id).mean()) for label in grid.label_set.occupied}
        most = max(shares, key=lambda name: shares[name])
        print(
            f'{grid.stamp / 1e9:.3f} s: {grid.occupied.sum()} of {grid.labels.size} voxels are occupied, most by {most}'
        )
