"""The convolutions of a graph in half precision: what torch's autocast does here, too.

Coordinates, states, and what the cues compute with them stay in float32, where a last bit counts. Inputs and outputs of
the graph stay as they are.
"""

from __future__ import annotations

from onnxscript import ir
from onnxscript.ir.passes.common import RemoveUnusedNodesPass

CONVOLUTIONS = {'Conv', 'ConvTranspose'}


def halve(model: ir.Model) -> None:
    """Let convolutions, and the ReLUs behind them, compute with 16 bits; casts are put where 32 bits begin and end."""
    graph = model.graph
    halved: dict[ir.Value, ir.Value] = {}
    for node in list(graph):
        of_halves = node.op_type == 'Relu' and node.inputs[0] in halved
        if (node.op_type in CONVOLUTIONS or of_halves) and not node.outputs[0].is_graph_output():
            for place, value in enumerate(node.inputs):
                if value is not None:
                    node.replace_input_with(place, _half(graph, value, node, halved))
            _widen(graph, node, halved)
    RemoveUnusedNodesPass()(model)  # weights in 32 bits, casts between two that compute with 16


def _half(graph: ir.Graph, value: ir.Value, node: ir.Node, halved: dict[ir.Value, ir.Value]) -> ir.Value:
    """The value in 16 bits, which is there in time for ``node``."""
    if value not in halved:
        if value.const_value is not None:
            weights = ir.tensor(value.const_value.numpy().astype('float16'), name=f'{value.name}_half')
            halved[value] = half = ir.Value(
                name=weights.name, shape=value.shape, type=ir.TensorType(ir.DataType.FLOAT16), const_value=weights
            )
            graph.register_initializer(half)
        else:
            cast = _cast(value, ir.DataType.FLOAT16, f'{value.name}_half')
            graph.insert_before(node, cast)
            halved[value] = cast.outputs[0]
    return halved[value]


def _widen(graph: ir.Graph, node: ir.Node, halved: dict[ir.Value, ir.Value]) -> None:
    """Cast what the node gives to 32 bits for those who take it."""
    half = node.outputs[0]
    cast = _cast(half, ir.DataType.FLOAT, f'{half.name}_wide')
    wide = cast.outputs[0]
    half.replace_all_uses_with(wide)
    cast.replace_input_with(0, half)
    half.type = ir.TensorType(ir.DataType.FLOAT16)
    graph.insert_after(node, cast)
    halved[wide] = half


def _cast(value: ir.Value, dtype: ir.DataType, name: str) -> ir.Node:
    cast = ir.node('Cast', [value], {'to': dtype.value}, name=name)
    cast.outputs[0].name, cast.outputs[0].shape, cast.outputs[0].type = name, value.shape, ir.TensorType(dtype)
    return cast
