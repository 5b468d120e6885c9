#!/usr/bin/env bash
# onnxruntime 1.32.0 (CPU): asked to multiply bytes exactly, it refuses valid networks in 8 bits.
#
# CPUs without VNNI add products of unsigned and signed bytes in 16 bits, which overflow. For them onnxruntime has the
# option session.x64quantprecision: it turns int8 weights into uint8 ones. The zero point of DequantizeLinear may be left
# out in ONNX (it is 0 then), and one tensor may serve two weights; onnx.checker accepts both.
#
# Expected: with the option the same numbers, computed otherwise. Seen: without zero points it takes a single one for
# weights that have a scale a channel, and a frame fails; with one tensor of zeros for two layers the session fails.
# A tensor of zeros for every weight runs. Without the option all three run, so that nobody sees it who tries at home.
#
# What gdfusion_ros does: every weight in 8 bits has zeros of its own (model/export/zeros.py).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet onnxruntime==1.32.0 onnx==1.23.2 numpy==1.26.4
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

random = np.random.default_rng(0)
WEIGHTS = [random.integers(-127, 128, (8, 8, 3, 3)).astype(np.int8) for _ in range(2)]
STEPS = [random.uniform(0.001, 0.002, 8).astype(np.float32) for _ in range(2)]
SIZE = [1, 8, 16, 16]


def two_layers(zeros):
    """Two convolutions of quantised features and weights; ``zeros``: the name of each weight's zero point, if any."""
    tensors = {'step': np.float32(0.02), 'zero': np.uint8(0), **{name: np.zeros(8, np.int8) for name in zeros}}
    nodes, features = [], 'x'
    for layer in range(2):
        q, d, w, s, f, y = (f'{name}{layer}' for name in 'qdwsfy')
        tensors |= {w: WEIGHTS[layer], s: STEPS[layer]}
        nodes += [
            helper.make_node('QuantizeLinear', [features, 'step', 'zero'], [q]),
            helper.make_node('DequantizeLinear', [q, 'step', 'zero'], [d]),
            helper.make_node('DequantizeLinear', [w, s, *zeros[layer : layer + 1]], [f], axis=0),
            helper.make_node('Conv', [d, f], [y], pads=[1, 1, 1, 1]),
        ]
        features = y
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, SIZE) for name in ('x', features)]
    initial = [numpy_helper.from_array(np.asarray(value), name) for name, value in tensors.items()]
    graph = helper.make_graph(nodes, 'two', ends[:1], ends[1:], initial)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 20)], ir_version=9)
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString()


def outcome(zeros, exact):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.add_session_config_entry('session.x64quantprecision', exact)
    given = {'x': np.full(SIZE, 1.5, np.float32)}
    try:
        session = onnxruntime.InferenceSession(two_layers(zeros), options, providers=['CPUExecutionProvider'])
    except Exception:
        return 'no session'
    try:
        return 'runs' if np.isfinite(session.run(None, given)[0]).all() else 'not finite'
    except Exception:
        return 'no frame'


seen = {}
for name, zeros in {'left out': [], 'one for both': ['a', 'a'], 'one each': ['a', 'b']}.items():
    seen[name] = outcome(zeros, '0'), outcome(zeros, '1')
    print(f'zero points {name}: without the option {seen[name][0]}, with it {seen[name][1]}')
assert seen == {
    'left out': ('runs', 'no frame'),
    'one for both': ('runs', 'no session'),
    'one each': ('runs', 'runs'),
}, 'it behaves otherwise now'
print('as described')
PYTHON
