"""What every tensor of the graphs is, in words: unit, frame and meaning, for the contract and for docs/deploy.md."""

from __future__ import annotations

import re
from typing import NamedTuple


class Words(NamedTuple):
    """Of one tensor: the unit of its values ('' where they have none), their frame, their meaning."""

    unit: str
    frame: str
    about: str


_PX, _M, _VOXEL = 'px', 'm', 'voxel'
_BITS = 'computed by the geometry graph; its last bits count'

_WORDS = {
    'images': Words(
        '',
        '',
        'N images (N, 3, H, W), channels B, G, R: (value - mean) / std with the means 123.675, '
        '116.28, 103.53 and the deviations 58.395, 57.12, 57.375, in that order',
    ),
    'lidar_depth': Words(_M, 'camera', 'depth of the nearest LiDAR return in each pixel of the images; 0: none'),
    'first': Words(
        '',
        '',
        'whether the frame is the first one of a sequence: what is given of the last one, the state '
        'too, does not count then, but must be finite (zeros)',
    ),
    'intrinsics': Words(_PX, 'source image', 'K of every camera'),
    'post_rotation': Words(
        '', 'network image', 'source pixel (u, v, 1) -> pixel of the network image, without the shift'
    ),
    'post_translation': Words(_PX, 'network image', 'the shift of that mapping'),
    'volume_from_camera': Words(_M, 'volume', "pose of every camera, at its own stamp, in the volume's frame"),
    'visible': Words('', '', 'false masks a camera out: it adds nothing to the volume and to the memory'),
    'previous_post_rotation': Words('', 'network image', "the last frame's post_rotation"),
    'previous_post_translation': Words(_PX, 'network image', "the last frame's post_translation"),
    'previous_visible': Words('', '', "the last frame's visible"),
    'previous_camera_from_camera': Words(_M, 'camera', 'camera now -> the same camera at the last frame'),
    'previous_ego_from_ego': Words(_M, 'vehicle', 'vehicle now -> vehicle at the last frame'),
    'labels': Words('class id', 'volume', 'class of every voxel (X, Y, Z) of the predicted grid'),
    'scores': Words('', 'volume', 'scores (X, Y, Z, K) of the classes of every voxel'),
    'geometry.depth.camera_vectors': Words(
        '', '', 'intrinsics, augmentation and pose of every camera, as the depth network is told'
    ),
    'geometry.depth.frustum': Words('px m, px m, m', 'source image', 'every depth bin of every cell as (u d, v d, d)'),
    'geometry.depth.ground': Words('', '', 'where the ray of each cell meets level ground, split between two bins'),
    'geometry.depth.reprojection.*': Words(f'{_PX}, {_M}', 'camera', f'into the last images: {_BITS}'),
    'geometry.view.rows': Words(
        '', 'volume', 'row of the volume, in the order y, x, z, that each point of the frusta lies in; -1: in none'
    ),
    'geometry.view.forward.rows': Words(
        '', 'volume', 'row of the volume, in the order y, x, z, that each point of the frusta lies in; -1: in none'
    ),
    'geometry.view.places': Words(_VOXEL, 'volume', 'place of each point of the frusta, x, y, z from the lower corner'),
    'geometry.view.placed.places': Words(
        _VOXEL, 'volume', 'place of each point of the frusta, x, y, z from the lower corner'
    ),
    'geometry.view.source_from_input': Words(
        _PX, 'source image', 'pixel of the network image, less the shift -> source pixel'
    ),
    'geometry.view.post_translation': Words(_PX, 'network image', 'that shift'),
    'geometry.view.placement.*': Words(_M, 'volume', f'where the cameras lie: {_BITS}'),
    'geometry.view.backward.columns.*': Words('', 'volume', "where each column of the bird's-eye view looks from"),
    'geometry.view.backward.pillars.*': Words(
        'cell',
        'image',
        'which column of the volume is seen by which camera, where, and in which depth bin; as many views as there are',
    ),
    'geometry.memory': Words(_VOXEL, 'volume', 'voxel index (x, y, z, 1) now -> index in the last grid'),
    'state.depth.features.codes': Words(
        'step', 'image', 'features of the images that the next ones are matched with, as numbers of steps from -32768'
    ),
    'state.depth.features.step': Words('', 'image', 'step of each channel of theirs: feature = (code + 32768) x step'),
    'state.depth.geometry.logits': Words('', 'image', 'H_g: fused depth logits'),
    'state.depth.logits': Words('', 'image', 'H_g: fused depth logits'),
    'state.memory.motion.offsets': Words(_VOXEL, 'volume', 'H_m: motion of every voxel along x, y, z'),
    'state.memory.voxel.volume': Words('', 'volume', 'H_v: fused volume, rows of voxels in the order y, x, z'),
    'state.memory.voxel.frames': Words('frames', '', 'how many frames of the sequence were seen'),
    'state.memory.scene.weight': Words('', '', 'H_s: what the gradient steps have taken from the weight'),
    'state.memory.scene.bias': Words('', '', 'H_s: what they have taken from the bias'),
    'state.memory.volumes.*': Words('', 'volume', 'a volume or map of the queue, the newest first; rows of voxels'),
    'state.memory.frames': Words('frames', '', 'how many frames of the sequence were seen'),
}


def words(name: str) -> Words:
    """Of the tensor of that name; ``next_state.`` is told of as ``state.``.

    Raises:
        KeyError: nothing is told of it.
    """
    own = re.sub('^next_', '', name)
    for key, told in _WORDS.items():
        if own == key or (key.endswith('*') and own.startswith(key[:-1])):
            return told
    raise KeyError(name)
