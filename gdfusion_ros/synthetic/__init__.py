"""A synthetic world of streets with exact ground truth, written in nuScenes' format."""
