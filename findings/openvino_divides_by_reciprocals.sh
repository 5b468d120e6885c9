#!/usr/bin/env bash
# openvino 2026.4.1 (CPU): a / b of a network is a times a rounded 1 / b, also where float32 is asked for.
#
# Camera networks divide: a point's x by its depth, a pixel by the width of the image. What lies exactly on a pixel, or on
# the edge of a voxel, is told by such quotients.
#
# Expected: with INFERENCE_PRECISION_HINT f32 and EXECUTION_MODE_HINT ACCURACY, ONNX' Div gives the nearest float32, so
# that x / x is 1. Seen: of the whole numbers up to 4,096, one in seven gives 0.99999994, the first one 41; a floor or a
# comparison behind it then finds another pixel. 1 / x comes out right.
#
# What gdfusion_ros does: the backend openvino tells OpenVINO to keep divisions (model/runtime/openvino_graph.py), and a
# test compares its tensors with onnxruntime's, which divides as IEEE 754 says.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet openvino==2026.4.1 onnx==1.23.2 onnxruntime==1.32.0 numpy==1.26.4
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
import onnxruntime
import openvino
from onnx import TensorProto, helper

COUNT = 4096
above, below, quotient = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [COUNT]) for name in ('a', 'b', 'q'))
graph = helper.make_graph([helper.make_node('Div', ['a', 'b'], ['q'])], 'division', [above, below], [quotient])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 20)], ir_version=10).SerializeToString()
numbers = np.arange(1, COUNT + 1, dtype=np.float32)

session = onnxruntime.InferenceSession(model, providers=['CPUExecutionProvider'])
exact = session.run(None, {'a': numbers, 'b': numbers})[0]
core = openvino.Core()
options = {'INFERENCE_PRECISION_HINT': 'f32', 'EXECUTION_MODE_HINT': 'ACCURACY'}
compiled = core.compile_model(core.read_model(model, b''), 'CPU', options)
found = compiled({'a': numbers, 'b': numbers})['q']
print(f'x / x is not 1: onnxruntime {(exact != 1).sum()}, openvino {(found != 1).sum()} of {COUNT} numbers; '
      f'the first is {numbers[found != 1][:1]}, the least quotient {found.min():.8f}')
assert (exact == 1).all(), 'onnxruntime behaves otherwise now'
assert (found != 1).sum() > COUNT / 10, 'openvino behaves otherwise now'
assert (compiled({'a': np.ones_like(numbers), 'b': numbers})['q'] == 1 / numbers).all(), '1 / x is rounded otherwise now'
print('as described')
PYTHON
