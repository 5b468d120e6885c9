"""Backends by the settings, and what is said of exports that do not fit."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx
import pytest

from gdfusion_ros import __version__
from gdfusion_ros.bags.reader import bag_reader
from gdfusion_ros.benchmark import exported
from gdfusion_ros.cli import main
from gdfusion_ros.datasets import nuscenes
from gdfusion_ros.datasets.convert import convert
from gdfusion_ros.datasets.plan import Content, plan
from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.model.export import write
from gdfusion_ros.model.export.contract import _digest_of, contract_path, geometry_path, read_contract
from gdfusion_ros.model.export.half import CONVOLUTIONS
from gdfusion_ros.model.network import OccupancyNetwork
from gdfusion_ros.model.runtime import backends
from gdfusion_ros.model.runtime.backends import load_backend, specification_of, title_of
from gdfusion_ros.model.runtime.exported import RUNTIMES, ExportedNetwork, trial_inputs
from gdfusion_ros.model.spec import NetworkSpec
from gdfusion_ros.model.zoo import ZOO, Entry
from gdfusion_ros.settings import ModelSettings

WITHOUT_TORCH = """
import sys
class NoTorch:
    def find_spec(self, name, path=None, target=None):
        if name.partition('.')[0] == 'torch':
            raise ModuleNotFoundError("No module named 'torch'", name='torch')
sys.meta_path.insert(0, NoTorch())
from gdfusion_ros.cli import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture(autouse=True)
def _in_the_zoo(
    export_spec: NetworkSpec, build_export: Callable[[NetworkSpec], OccupancyNetwork], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ZOO, export_spec.name, Entry(export_spec, build_export))


def settings(path: Path, backend: str = 'onnxruntime') -> ModelSettings:
    return ModelSettings(backend=backend, weights=str(path))


@pytest.fixture
def copied(tiny_export: Path, tmp_path: Path) -> Path:
    """The exported network, to be spoilt."""
    path = tmp_path / 'copied.onnx'
    for file, copy in (
        (tiny_export, path),
        (geometry_path(tiny_export), geometry_path(path)),
        (contract_path(tiny_export), contract_path(path)),
    ):
        shutil.copy(file, copy)
    return path


def grids(path: Path) -> list[bytes]:
    with bag_reader(path) as reader:
        return [bytes(message.data) for message in reader.raw_messages() if message.topic == '/occ/occupancy']


@pytest.fixture
def looking(copied: Path) -> Path:
    """The exported network, of which the contract says that it looks at LiDAR depth."""
    changed(copied, signed=True, spec={'lidar_depth': True})
    return copied


@pytest.mark.slow
def test_a_bag_is_replayed_without_torch(looking: Path, nuscenes_complete: Path, tmp_path: Path) -> None:
    """With clouds, which become depth of the images."""
    [job] = plan(nuscenes.load(nuscenes_complete, scenes=('scene-0001',)), tmp_path / 'bags', Content(lidar=True))
    convert(job)
    arguments = [
        'replay',
        str(job.path),
        '--backend',
        'onnxruntime',
        '--weights',
        str(looking),
        '--set',
        'confidence=true',
        '--out',
    ]
    done = subprocess.run(
        [sys.executable, '-c', WITHOUT_TORCH, *arguments, str(tmp_path / 'without')],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, 'OMP_NUM_THREADS': '1'},
    )
    assert done.returncode == 0, done.stderr
    assert '3 grids' in done.stdout
    assert main([*arguments, str(tmp_path / 'with')]) == 0
    assert grids(tmp_path / 'without') == grids(tmp_path / 'with')


@pytest.mark.slow
def test_a_check_compares_frame_by_frame(
    tiny_export: Path, scene_bag: Path, tiny_weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(['export', '--check', str(tiny_export), '--bag', str(scene_bag), '--weights', str(tiny_weights)]) == 0
    lines = capsys.readouterr().out.splitlines()[-3:]
    assert lines[0].endswith('against torch: 3 frames')
    assert float(lines[1].split()[2]) >= 0.9999
    assert float(lines[2].split()[5]) < 1e-2


@pytest.mark.slow
def test_half_precision_is_for_convolutions_alone(
    tiny_export: Path, scene_bag: Path, tiny_weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, weights = tmp_path / 'half.onnx', ['--weights', str(tiny_weights)]
    name = read_contract(tiny_export).spec.name
    assert main(['export', name, *weights, '--out', str(path), '--scores', '--precision', 'fp16']) == 0
    contract, whole = read_contract(path), read_contract(tiny_export)
    assert contract.precision == 'fp16'
    assert (contract.network.inputs, contract.network.outputs) == (whole.network.inputs, whole.network.outputs)
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    types = {value.name: value.type.tensor_type.elem_type for value in model.graph.value_info}
    types |= {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    convolutions = [node for node in model.graph.node if node.op_type in CONVOLUTIONS]
    assert {types[name] for node in convolutions for name in node.input} == {onnx.TensorProto.FLOAT16}
    halves = {node.op_type for node in model.graph.node if types.get(node.output[0]) == onnx.TensorProto.FLOAT16}
    assert halves <= CONVOLUTIONS | {'Relu', 'Cast'}
    assert main(['export', '--check', str(path), '--bag', str(scene_bag), *weights]) == 0
    assert float(capsys.readouterr().out.splitlines()[-2].split()[2]) >= 0.995


@pytest.mark.parametrize(
    ('changes', 'said'),
    [
        ({'model': 'bevdetocc_gf'}, 'is an export of the model small_export, not of bevdetocc_gf'),
        ({'provider': 'Abacus'}, "has no execution provider 'Abacus' here; there are "),
        ({'precision': 'int8'}, "has no 8 bits, which precision 'int8' asks for: export weights"),
        ({'precision': 'autocast'}, "precision 'autocast' is of backend 'torch' alone"),
        ({'cues': ('voxel', 'motion', 'geometry')}, 'was exported with the cue scene, which is switched off here'),
        ({'weights': '/nowhere.onnx'}, 'there is no exported network /nowhere.onnx'),
        ({'untrained': True}, "small.onnx) are an exported network, and 'untrained' is set; drop one"),
        ({'backend': 'torch'}, "set 'backend' to onnxruntime or openvino"),
    ],
)
def test_settings_that_do_not_fit_are_one_line(tiny_export: Path, changes: dict[str, object], said: str) -> None:
    asked = ModelSettings(**{'backend': 'onnxruntime', 'weights': str(tiny_export), **changes})  # type: ignore[arg-type]
    with pytest.raises(GdfusionError) as caught:
        load_backend(asked)
    assert said in str(caught.value)


def test_an_exported_network_where_weights_are_needed_is_told(
    tiny_export: Path, scene_bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = ['--weights', str(tiny_export), '--out', str(tmp_path / 'out.onnx')]
    for arguments in (['replay', str(scene_bag), *out], ['export', 'small_export', *out]):
        assert main(arguments) == 1
        assert 'are an exported network where weights are needed' in capsys.readouterr().err.splitlines()[-1]


def driven(network: ExportedNetwork) -> Iterator[dict[str, Any]]:
    """What comes out for three frames of noise: at a stand, then 1.3 m ahead."""
    given, state, noise = trial_inputs(network), network.blank_state(), np.random.default_rng(0)
    for step in range(3):
        given['first'] = np.array(step == 0)
        given['images'] = noise.normal(size=given['images'].shape).astype(np.float32)
        given['previous_camera_from_camera'][:, 2, 3] = given['previous_ego_from_ego'][0, 3] = 1.3 * (step == 2)
        found = network({**given, **network.geometry(given), **state})
        state = {name.removeprefix('next_'): value for name, value in found.items() if name.startswith('next_')}
        yield found


@pytest.mark.slow
def test_openvino_gives_what_onnxruntime_gives(tiny_export: Path) -> None:
    pytest.importorskip('openvino', reason="pip install 'gdfusion-ros[openvino]'")
    network = load_backend(settings(tiny_export, backend='openvino'))
    assert isinstance(network, ExportedNetwork)
    assert network.device == 'OpenVINO CPU'
    for expected, found in zip(driven(ExportedNetwork(tiny_export)), driven(network), strict=True):
        assert (found.pop('labels') == expected.pop('labels')).mean() >= 0.9999
        for name, tensor in expected.items():
            assert found[name].dtype == tensor.dtype, name
            assert np.abs(found[name] - tensor.astype(float)).max() <= 1e-3 * (tensor.std() or 1), name
    with pytest.raises(GdfusionError, match=r"openvino has no device 'Abacus' here; there are .*CPU"):
        ExportedNetwork(tiny_export, 'Abacus', 'openvino')


def test_a_provider_that_cannot_be_started_is_told(tiny_export: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """onnxruntime would run all on the CPU then."""
    monkeypatch.setattr('onnxruntime.get_available_providers', lambda: ['CUDAExecutionProvider'])
    with (
        pytest.warns(UserWarning, match='CUDAExecutionProvider'),
        pytest.raises(GdfusionError, match='cannot start CUDAExecutionProvider here: install the libraries'),
    ):
        ExportedNetwork(tiny_export, 'cuda')


@pytest.mark.parametrize('backend', ['onnxruntime', 'openvino'])
def test_a_runtime_that_is_missing_is_told(tiny_export: Path, backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, backend, None)
    with pytest.raises(GdfusionError, match=rf"pip install 'gdfusion-ros\[{backend}\]'"):
        ExportedNetwork(tiny_export, runtime=backend)


def test_an_export_knows_its_files(copied: Path) -> None:
    network = load_backend(settings(copied))
    assert (network.spec, network.title) == (specification_of(settings(copied)), title_of(settings(copied)))
    geometry_path(copied).write_bytes(geometry_path(copied).read_bytes() + b'\0')
    with pytest.raises(GdfusionError, match=r'is not the one that copied\.json was written with'):
        ExportedNetwork(copied)
    geometry_path(copied).unlink()
    with pytest.raises(GdfusionError, match=r'copied\.geometry\.onnx is missing'):
        ExportedNetwork(copied)


def test_other_images_than_it_was_exported_for_are_told(tiny_export: Path) -> None:
    network = ExportedNetwork(tiny_export)
    given = trial_inputs(network)
    given |= {'images': given['images'][..., :-2], **network.geometry(given), **network.blank_state()}
    with pytest.raises(GdfusionError, match=r'images has shape \[6, 3, 64, 174\], but .* for \[6, 3, 64, 176\]'):
        network(given)
    with pytest.raises(GdfusionError, match='needs 6 cameras'):
        network.spec.require_cameras(['CAM_FRONT'])


def changed(path: Path, *, signed: bool, **changes: Any) -> None:
    """Changes facts of a contract, as an editor does, or, ``signed``, as another version would write them."""
    facts = msgspec.json.decode(contract_path(path).read_bytes())
    facts |= {'spec': {**facts['spec'], **changes.pop('spec', {})}, **changes}
    if signed:
        del facts['sha256']
        facts['sha256'] = _digest_of(facts)
    contract_path(path).write_bytes(msgspec.json.encode(facts))


@pytest.mark.parametrize(
    ('signed', 'changes', 'said'),
    [
        (False, {'spec': {'classes': 3}}, 'was changed since it was written: export it again'),
        (True, {'format': 9, 'version': '9.0', 'wheels': 4}, f'gdfusion_ros 9.0 in format 9, but {__version__}'),
        (True, {'spec': {'wheels': 4}, 'version': '9.0'}, 'gdfusion_ros 9.0, whose networks have "wheels", but'),
        (True, {'precision': 'int4'}, 'is no contract of an exported network: export it again (Invalid enum value'),
    ],
)
def test_a_contract_that_was_changed_or_is_of_another_version_is_refused(
    copied: Path, signed: bool, changes: dict[str, object], said: str
) -> None:
    changed(copied, signed=True)
    assert read_contract(copied).spec.name == 'small_export', 'laid out otherwise'
    changed(copied, signed=signed, **changes)
    with pytest.raises(GdfusionError) as caught:
        specification_of(settings(copied))
    assert said in str(caught.value)


@pytest.mark.parametrize('text', ['', '{}', '[]', '\0', '[' * 100_000, '{"format":' + '[' * 100_000])
def test_a_file_that_is_no_contract_is_refused(copied: Path, text: str) -> None:
    contract_path(copied).write_text(text)
    with pytest.raises(GdfusionError, match=r'copied\.json is no contract of an exported network: export it again'):
        read_contract(copied)
    contract_path(copied).unlink()
    with pytest.raises(GdfusionError, match=r'copied\.json is missing: the contract belongs beside copied\.onnx'):
        read_contract(copied)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1000])


def without_data(path: Path) -> None:
    model = onnx.load(path)
    onnx.save(model, path, save_as_external_data=True, location='copied.data', size_threshold=0)
    path.with_name('copied.data').unlink()


@pytest.mark.parametrize('spoil', [cut, without_data])
@pytest.mark.parametrize('runtime', RUNTIMES)
def test_a_spoilt_graph_is_refused(copied: Path, spoil: Callable[[Path], None], runtime: str) -> None:
    """By its digest; and by what runs it, in one line."""
    if runtime == 'openvino':
        pytest.importorskip('openvino', reason="pip install 'gdfusion-ros[openvino]'")
    spoil(copied)
    with pytest.raises(GdfusionError, match=r'is not the one that copied\.json was written with: export it again'):
        ExportedNetwork(copied, runtime=runtime)
    with pytest.raises(GdfusionError, match=rf'^\S+ cannot be run by {runtime} (on|with) CPU[^\n\\]+$'):
        RUNTIMES[runtime](copied, 'CPU')


def test_a_bag_without_clouds_is_refused_for_a_network_that_looks_at_them(
    looking: Path, scene_bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ['--backend', 'onnxruntime', '--weights', str(looking), '--out', str(tmp_path / 'grids')]
    assert main(['replay', str(scene_bag), *arguments]) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert '/LIDAR_TOP/points' in line


def test_other_weights_than_the_exported_ones_are_told(
    tiny_export: Path, scene_bag: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(['export', '--check', str(tiny_export), '--bag', str(scene_bag), '--untrained']) == 1
    assert 'was exported with other weights' in capsys.readouterr().err.splitlines()[-1]


def test_random_weights_are_looked_for_nowhere(tiny_export: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def find(name: str) -> Path:
        raise GdfusionError(f"weights '{name}' are not on this machine")

    monkeypatch.setattr(write, 'find', find)
    contract = read_contract(tiny_export)
    with pytest.raises(GdfusionError, match='was exported with other weights'):
        write.same_weights(ModelSettings(model=contract.spec.name, untrained=True), contract)


def test_exports_are_kept_by_what_they_are_made_of(
    tiny_export: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    weights, other = tmp_path / 'w.pth', tmp_path / 'o.pth'
    weights.write_bytes(b'1')
    other.write_bytes(b'2')
    keys = {
        backends._key(ModelSettings(weights=str(path), cues=cues, precision=precision), scores=scores)
        for path in (weights, other)
        for cues in (('voxel',), ())
        for precision in ('fp32', 'int8')
        for scores in (True, False)
    }
    assert len(keys) == 16
    made: list[Path] = []

    def export_settings(_: ModelSettings, out: Path, *, scores: bool, precision: str) -> None:
        del scores, precision
        made.append(out)
        for file, copy in (
            (tiny_export, out),
            (geometry_path(tiny_export), geometry_path(out)),
            (contract_path(tiny_export), contract_path(out)),
        ):
            shutil.copy(file, copy)

    monkeypatch.setattr('gdfusion_ros.model.export.write.export_settings', export_settings)
    for _ in range(2):
        assert load_backend(settings(weights)).spec.name == 'small_export'
    [path] = made
    assert path.parent == backends.export_folder() == tmp_path / 'gdfusion_ros' / 'exports'


def test_pixels_are_normalised_alike_with_and_without_torch() -> None:
    import torch

    from gdfusion_ros.perception.preprocess import normalize, normalized

    images = list(np.random.default_rng(0).integers(0, 256, (2, 6, 8, 3), np.uint8))
    assert np.array_equal(normalize(images, torch.device('cpu')).numpy(), normalized(images))


def test_the_check_computes_as_a_replay_does(monkeypatch: pytest.MonkeyPatch) -> None:
    prepared: list[bool] = []
    monkeypatch.setattr('gdfusion_ros.model.runtime.process.prepare_process', lambda: prepared.append(True))
    assert main(['export', '--check', 'none.onnx', '--bag', 'none']) == 1
    assert prepared


def test_its_benchmark_counts_the_frames_that_it_times(tiny_export: Path) -> None:
    network, ticks = load_backend(settings(tiny_export)), list[None]()
    assert isinstance(network, ExportedNetwork)
    assert exported.run(network, 2, lambda: ticks.append(None)).frames == len(ticks) == 2
