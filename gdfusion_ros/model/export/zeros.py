"""The zero points of weights in 8 bits, an initialiser each.

They are 0, which ONNX need not be told. But onnxruntime, asked to multiply bytes exactly on CPUs without VNNI, takes
what is not told for one number, and refuses that where a weight has a step a channel; and what two weights share, it
makes twice, and refuses that, too.
"""

from __future__ import annotations

import numpy as np
from onnxscript import ir


def tell_zeros(model: ir.Model) -> None:
    """Give every weight that becomes floats without a zero point its own zeros."""
    graph = model.graph
    for node in list(graph):
        if node.op_type == 'DequantizeLinear' and len(node.inputs) == 2:
            weight, step = node.inputs
            assert weight is not None
            assert step is not None
            assert step.const_value is not None
            zeros = ir.tensor(np.zeros(step.const_value.shape.numpy(), np.int8), name=f'{weight.name}_zeros')
            value = ir.Value(name=zeros.name, shape=step.shape, type=ir.TensorType(ir.DataType.INT8), const_value=zeros)
            graph.register_initializer(value)
            node.resize_inputs(3)
            node.replace_input_with(2, value)
