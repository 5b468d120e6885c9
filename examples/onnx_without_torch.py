"""An exported network without this package: its two graphs, its contract, onnxruntime and numpy.

    gdfusion export gdfusion_nano --out nano.onnx && python examples/onnx_without_torch.py nano.onnx

A synthetic rig of six cameras drives 2 m a frame; the images are noise, so the grids mean nothing.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime

model = Path(sys.argv[1])
contract = json.loads(model.with_suffix('.json').read_text())
network = onnxruntime.InferenceSession(str(model))
# Without what would reorder it: where a point lies in the grid is decided by the last bit.
exact = onnxruntime.SessionOptions()
exact.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
geometry = onnxruntime.InferenceSession(str(model.with_suffix('.geometry.onnx')), exact, ['CPUExecutionProvider'])


def run(session: onnxruntime.InferenceSession, tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """All that a graph gives for those of the tensors that it takes."""
    given = {each.name: tensors[each.name] for each in session.get_inputs()}
    return dict(zip([each.name for each in session.get_outputs()], session.run(None, given), strict=True))


height, width = contract['spec']['image_size']
count, scale = 6, width / 1600  # from full images of 1600 x 900, of which the lower part is taken
yaw = np.arange(count) * np.pi / 3
pose = np.tile(np.eye(4, dtype=np.float32), (count, 1, 1))  # of each camera on the vehicle: x right, y down, z forward
pose[:, :3, 0] = np.stack([np.sin(yaw), -np.cos(yaw), 0 * yaw], -1)
pose[:, :3, 1] = 0, 0, -1
pose[:, :3, 2] = np.stack([np.cos(yaw), np.sin(yaw), 0 * yaw], -1)
pose[:, 2, 3] = 1.5
forward = np.eye(4, dtype=np.float32)  # vehicle now -> vehicle at the last frame
forward[0, 3] = 2
rig = {
    'intrinsics': np.tile(np.array([[1266, 0, 800], [0, 1266, 450], [0, 0, 1]], np.float32), (count, 1, 1)),
    'post_rotation': np.tile(np.diag([scale, scale, 1]).astype(np.float32), (count, 1, 1)),
    'post_translation': np.tile(np.array([0, height - 900 * scale, 0], np.float32), (count, 1)),
    'volume_from_camera': pose,
    'visible': np.ones(count, bool),
}
rig |= {f'previous_{name}': rig[name] for name in ('post_rotation', 'post_translation', 'visible')}  # it stays the same
rig |= {'previous_ego_from_ego': forward, 'previous_camera_from_camera': np.linalg.inv(pose) @ forward @ pose}

state = {
    each['name']: np.zeros(each['shape'], each['dtype'])  # does not count in the first frame
    for each in contract['network']['inputs']
    if each['name'].startswith('state.')
}
for step in range(3):
    given = {**rig, 'first': np.array(step == 0)}
    given['images'] = np.random.default_rng(step).normal(size=(count, 3, height, width)).astype(np.float32)
    seen = run(network, {**given, **run(geometry, given), **state})
    state = {name.removeprefix('next_'): tensor for name, tensor in seen.items() if name.startswith('next_')}
    print(f'frame {step}: {seen["labels"].shape} voxels, {len(np.unique(seen["labels"]))} classes')
