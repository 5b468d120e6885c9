"""Networks that have layers in 8 bits, exported."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from safetensors.torch import load_file

from gdfusion_ros.cli import main
from gdfusion_ros.cli.export import LEAST_AGREEMENT
from gdfusion_ros.model.network import OccupancyNetwork
from gdfusion_ros.model.quantization.choice import put
from gdfusion_ros.model.quantization.file import save_quantized
from gdfusion_ros.model.quantization.layers import InputRange, quantized
from gdfusion_ros.model.runtime.backends import load_backend
from gdfusion_ros.model.runtime.exported import ExportedNetwork
from gdfusion_ros.model.runtime.prepare import prepare
from gdfusion_ros.model.spec import NetworkSpec
from gdfusion_ros.model.weights.initialise import initialise
from gdfusion_ros.model.weights.metadata import WeightsMetadata
from gdfusion_ros.model.zoo import ZOO, Entry
from gdfusion_ros.settings import ModelSettings

EIGHT = (
    'images.backbone.layer1.0.conv1',
    'images.backbone.layer2.0.conv2',
    'decoder.encoder.layers.0.0.conv1.conv',
    'decoder.head.classifier.0',
)
"""Convolutions of two and of three dimensions, and a linear layer."""


@pytest.fixture
def spec(
    export_spec: NetworkSpec, build_export: Callable[[NetworkSpec], OccupancyNetwork], monkeypatch: pytest.MonkeyPatch
) -> NetworkSpec:
    """The small network with one cue, which is exported faster; it is in the zoo."""
    spec = export_spec.with_cues(('voxel',))
    monkeypatch.setitem(ZOO, spec.name, Entry(spec, build_export))
    return spec


@pytest.fixture
def weights(
    spec: NetworkSpec, build_export: Callable[[NetworkSpec], OccupancyNetwork], tmp_path: Path
) -> Callable[[float], Path]:
    """A file of it with those layers in 8 bits, by the end of the range that they are given."""

    def made(upper: float) -> Path:
        network, path = build_export(spec), tmp_path / f'{upper}.safetensors'
        initialise(network, 0)
        network.camera_statistics().get_buffer('running_var').fill_(300.0**2)
        prepare(network, torch.device('cpu'))
        for name in EIGHT:
            layer: Any = network.get_submodule(name)
            put(network, name, quantized(layer, InputRange(-0.5, upper)))
        save_quantized(network, path, WeightsMetadata(spec.name, 'nothing'))
        return path

    return made


def require_eight(model: onnx.ModelProto, state: dict[str, torch.Tensor]) -> None:
    """The layers of EIGHT, and no other, have 8 bits as runtimes look for them: with the numbers of ``state``."""
    made = {name: node for node in model.graph.node for name in node.output}
    numbers = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    found = set()
    for node in model.graph.node:
        given, weight = (made.get(name) for name in [*node.input, '', ''][:2])
        if given is None or weight is None or {given.op_type, weight.op_type} != {'DequantizeLinear'}:
            continue
        assert node.op_type == 'Conv'
        assert [attribute.i for attribute in weight.attribute if attribute.name == 'axis'] == [0]
        name = weight.input[0].removeprefix('network.').removesuffix('.weight')
        found.add(name)
        assert np.array_equal(numbers[weight.input[0]], state[f'{name}.weight'])
        assert np.array_equal(numbers[weight.input[1]], state[f'{name}.weight_step'])
        assert not numbers[weight.input[2]].any()
        assert numbers[weight.input[2]].dtype == np.int8
        quantize = made[given.input[0]]
        assert quantize.op_type == 'QuantizeLinear'
        for step, zero in (quantize.input[1:], given.input[1:]):
            assert numbers[step] == state[f'{name}.input_step'].numpy()
            assert numbers[zero].dtype == np.uint8
            assert numbers[zero] == state[f'{name}.input_zero'].numpy()
    assert found == set(EIGHT)


@pytest.mark.slow
def test_layers_in_8_bits_are_said_in_standard_operators(
    weights: Callable[[float], Path], scene_bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, own = tmp_path / 'eight.onnx', weights(3.0)
    assert main(['export', '--weights', str(own), '--out', str(path), '--precision', 'int8']) == 0
    network = load_backend(ModelSettings(backend='onnxruntime', weights=str(path), precision='int8'))
    assert isinstance(network, ExportedNetwork)
    assert network.contract.precision == 'int8'
    assert network.title == 'small_export (trained on nothing, 8 bits)'
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    assert {node.domain for node in model.graph.node} == {''}
    require_eight(model, load_file(own))

    check = ['export', '--check', str(path), '--bag', str(scene_bag), '--weights']
    assert main([*check, str(own)]) == 0
    assert float(capsys.readouterr().out.splitlines()[-2].split()[2]) >= LEAST_AGREEMENT['int8']
    assert main([*check, str(weights(4.0))]) == 1
    assert 'was exported with other weights than' in capsys.readouterr().err.splitlines()[-1]


def test_precision_and_weights_belong_together(
    weights: Callable[[float], Path], tiny_weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    eight, out = weights(3.0), tmp_path / 'x.onnx'
    for given, precision, said in (
        (tiny_weights, 'int8', "have no 8 bits, which precision 'int8' asks for"),
        (eight, 'fp32', "have 8 bits: set precision to 'int8'"),
        (eight, 'fp16', "have 8 bits: set precision to 'int8'"),
    ):
        assert main(['export', '--weights', str(given), '--precision', precision, '--out', str(out)]) == 1
        assert said in capsys.readouterr().err.splitlines()[-1]
    assert list(tmp_path.iterdir()) == [eight]
