#!/usr/bin/env bash
# onnxruntime 1.32.0 (CPU): ScatterND with reduction='add' loses summands when it runs on more than one thread.
#
# Camera networks sum points into bird's-eye-view or voxel cells; torch's index_add, as torch.onnx.export writes it, is
# ScatterND with reduction='add', for which the operator allows indices that come twice: that is what a sum is for.
#
# Expected: the sums, perhaps in another order. Seen: now and then a cell lacks whole blocks of its points, because
# threads add to the same place without looking; the result differs from run to run, and a check of one run passes.
# On one thread, and by ScatterElements with reduction='add', which always runs on one, the sums are right.
#
# What gdfusion_ros does: sums become ScatterElements (model/ops/scatter.py), and a test looks through every graph.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet onnxruntime==1.32.0 onnx==1.23.2 numpy==1.26.4
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
import onnxruntime
from onnx import TensorProto, helper

POINTS, CELLS, CHANNELS, RUNS = 200_000, 100, 8, 200
random = np.random.default_rng(0)
cells = random.integers(0, CELLS, (POINTS, 1))
points = random.normal(size=(POINTS, CHANNELS)).astype(np.float32)
zeros = np.zeros((CELLS, CHANNELS), np.float32)
expected = np.zeros((CELLS, CHANNELS))
np.add.at(expected, cells[:, 0], points)


def lost(operator: str, threads: int) -> tuple[int, float]:
    """In how many of the runs a sum is off by more than rounding, and by how much at most."""
    shape = [POINTS, 1] if operator == 'ScatterND' else [POINTS, CHANNELS]
    node = helper.make_node(operator, ['zeros', 'cells', 'points'], ['sums'], reduction='add')
    tensor = helper.make_tensor_value_info
    graph = helper.make_graph([node], 'sum', [
        tensor('zeros', TensorProto.FLOAT, zeros.shape), tensor('cells', TensorProto.INT64, shape),
        tensor('points', TensorProto.FLOAT, points.shape)], [tensor('sums', TensorProto.FLOAT, zeros.shape)])
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 20)], ir_version=10)
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=['CPUExecutionProvider'])
    given = {'zeros': zeros, 'cells': np.broadcast_to(cells, shape), 'points': points}
    errors = [np.abs(session.run(None, given)[0] - expected).max() for _ in range(RUNS)]
    return sum(error > 1e-2 for error in errors), max(errors)


for operator, threads in (('ScatterND', 1), ('ScatterElements', 4), ('ScatterND', 4)):
    runs, worst = lost(operator, threads)
    print(f'{operator} on {threads} threads: {runs} of {RUNS} runs are wrong, by up to {worst:.2g}')
    assert (runs > 0) == ((operator, threads) == ('ScatterND', 4)), f'{operator} behaves otherwise now'
print('as described')
PYTHON
