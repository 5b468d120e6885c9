"""A made world of streets with exact ground truth, written in nuScenes' format."""
