"""Images in memory to a grid, with the memory of the frames before: what a program of one's own would do.

A synthetic rig of six cameras drives 2 m a frame; the images are noise, so the grids mean nothing.
"""

import numpy as np
import torch

from gdfusion_ros import ModelSettings, SequenceRunner, load_network
from gdfusion_ros.perception.framing import PostTransform, RigPoses, frame_of, rig_matrices
from gdfusion_ros.perception.preprocess import ResizeCrop, normalize

network = load_network(ModelSettings())
runner = SequenceRunner(network)
height, width = network.spec.image_size
intrinsics = np.array([[1266.0, 0, 800], [0, 1266.0, 450], [0, 0, 1]])  # of the full image [px]
crop = ResizeCrop(source=(1600, 900), output=(width, height))
post = PostTransform(crop.post_rotation(), crop.post_translation())


def mounting(yaw: float) -> np.ndarray:
    """ego_from_camera (4, 4): a camera 1.5 m above the vehicle's origin that looks to ``yaw``; x right, z forward."""
    s, c = np.sin(yaw), np.cos(yaw)
    return np.array([[s, 0, c, 0], [-c, 0, s, 0], [0, -1, 0, 1.5], [0, 0, 0, 1]])


mountings = [mounting(index * np.pi / 3) for index in range(6)]
before = None
random = np.random.default_rng(0)
for step in range(3):
    images = [random.integers(0, 256, (900, 1600, 3), np.uint8) for _ in mountings]  # RGB, rectified
    fixed_from_ego = np.eye(4)
    fixed_from_ego[0, 3] = 2.0 * step
    # Each camera at the moment of its image; here all at once.
    poses = RigPoses(fixed_from_ego, np.stack([fixed_from_ego @ each for each in mountings]), fixed_from_ego)
    frame = frame_of(
        normalize([crop(image) for image in images], network.device),
        rig_matrices([intrinsics] * 6, [post] * 6, poses, before, [True] * 6),
    )
    with torch.inference_mode():
        labels = runner.predict(frame).labels  # (X, Y, Z) class ids in the ego frame, see network.spec.predicted_grid
    before = poses
    print(f'frame {step}: {tuple(labels.shape)} voxels, {len(labels.unique())} classes')
