"""Checkpoints: every published key, in every wrapping, and what is refused."""

from __future__ import annotations

import argparse
import gzip
import io
import json
import os
import pickle
import re
import sys
import tarfile
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save, save_file
from torch import Tensor, nn

from gdfusion_ros.cli import main
from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.model.geometry.voxel_grid import VoxelGrid
from gdfusion_ros.model.layers.fpn import PYRAMID
from gdfusion_ros.model.network import OccupancyNetwork
from gdfusion_ros.model.networks.bevdetocc import BEVDETOCC_GF, MOUNTS
from gdfusion_ros.model.temporal.motion import MotionFusion
from gdfusion_ros.model.temporal.scene import SceneFusion
from gdfusion_ros.model.view.lift import Lift
from gdfusion_ros.model.weights.checkpoint import CONSTANTS, load_checkpoint, published_state, save_checkpoint
from gdfusion_ros.model.weights.keys import Mount, to_published
from gdfusion_ros.model.weights.metadata import WeightsMetadata
from gdfusion_ros.model.zoo import ZOO

MANIFESTS = (
    ('bevdetocc_gf', 'bevdetocc_r50_256x704_bevdet_pretrain_gdfusion'),
    ('bevdetocc', 'bevdetocc_nohist'),
    ('alocc_3d', 'alocc3d_16f'),
    ('alocc_3d_depth', 'alocc3d_16f_cd'),
    ('alocc_2d', 'alocc2d'),
    ('alocc_mini', 'alocc_mini'),
    ('bevdetocc_sf', 'bevdetocc_sf'),
    ('alocc_3d_gf', 'alocc_3d_r50_256x704_bevdet_preatrain_gdfusion'),
    ('alocc_3d_gf_depth', 'alocc_cd'),
    ('alocc_3d_gf_surroundocc', 'alocc_3d_r50_900x1600_bevdet_preatrain_gdfusion_surroundocc'),
    ('alocc_3d_gf_waymo', 'alocc_waymo'),
    ('alocc_2d_gf', 'alocc2d_gf'),
    ('alocc_mini_gf', 'alocc_mini_gf'),
    ('fbocc_gf', 'fbocc-r50-cbgs_depth_16f_16x4_20e_gdfusion'),
    ('gsdocc', 'gsdocc_r50_256x704_16f'),
)


@pytest.mark.parametrize('name', ZOO)
def test_published_names_are_one_to_one(name: str) -> None:
    entry = ZOO[name]
    with torch.device('meta'):
        network = entry.build(entry.spec)
    own = network.state_dict()
    names = [to_published(key, network.mounts) for key in own]
    assert len(names) == len(set(names)) == len(own)
    assert {name.rpartition('.')[2] for name in names} >= CONSTANTS
    for mount in network.mounts:
        for ours, published in mount.full.items():
            used = [key for key in own if key.startswith(ours)]
            assert any(to_published(key, network.mounts).startswith(published) for key in used), ours


def test_a_key_without_a_name_is_named() -> None:
    mounts = Mount('images.neck', 'img_neck', PYRAMID), Mount('view.lift', 'view_transformer')
    assert to_published('view.lift.dx', mounts) == 'view_transformer.dx'
    for key in ('images.neck.extra.weight', 'view.other', 'view.lifted.dx', 'dx'):
        with pytest.raises(GdfusionError, match=f"weight '{key}' has no published name"):
            to_published(key, mounts)


@pytest.mark.parametrize(('name', 'manifest'), MANIFESTS)
def test_keys_shapes_and_types_of_the_manifest(recordings: Path, name: str, manifest: str) -> None:
    with torch.device('meta'):
        network = ZOO[name].build(ZOO[name].spec)
    listed = json.loads((recordings / 'manifests' / f'{manifest}.json').read_text())
    published = {key: (list(value.shape), str(value.dtype)) for key, value in published_state(network).items()}
    assert published == {key: (shape, f'torch.{dtype}') for key, shape, dtype in listed}
    ties = network.ties.items()
    assert {winner: published[copy] for copy, winner in ties} == {winner: published[winner] for _, winner in ties}


def test_every_manifest_is_of_a_network_of_the_zoo(recordings: Path) -> None:
    assert {path.stem for path in (recordings / 'manifests').iterdir()} == {manifest for _, manifest in MANIFESTS}


class Part(OccupancyNetwork):
    """A few modules of the network at their places: enough for keys of every kind."""

    def __init__(self, seed: int, lower: float = -4.0) -> None:
        torch.manual_seed(seed)
        lift, nothing = Lift(VoxelGrid((lower, -3.0, -1.0), (0.5, 0.5, 0.5), (16, 12, 8))), nn.Identity()
        slots: Any = (
            nothing,
            nothing,
            nn.ModuleDict({'lift': lift}),
            nn.ModuleDict({'motion': MotionFusion(4), 'scene': SceneFusion(4)}),
            nothing,
            MOUNTS,
        )
        super().__init__(BEVDETOCC_GF, *slots)


Change = Callable[[dict[str, Tensor]], Any]


@pytest.fixture
def weights(tmp_path: Path) -> Callable[[Change], Path]:
    """Writes the changed published state of ``Part(1)``."""

    def write(change: Change) -> Path:
        path = tmp_path / 'weights.pth'
        torch.save(change(published_state(Part(1))), path)
        return path

    return write


def prefixed(prefix: str, state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {prefix + key: value for key, value in state.items()}


def saved(content: object, **options: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer, **options)
    return buffer.getvalue()


def equal(one: nn.Module, other: nn.Module) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))


def shared_storage(state: dict[str, Tensor]) -> dict[str, Tensor]:
    parts = torch.cat([value.float().flatten() for value in state.values()]).split(
        [value.numel() for value in state.values()]
    )
    return {key: part.view(value.shape) for (key, value), part in zip(state.items(), parts, strict=True)}


WRAPPINGS: dict[str, Change] = {
    'plain': dict,
    'ordered': OrderedDict,
    'state_dict': lambda state: {'state_dict': state, 'meta': {'epoch': 24, 'classes': ('car', 'bus')}},
    'module.': lambda state: prefixed('module.', state),
    'state_dict, module.': lambda state: {'state_dict': prefixed('module.', state)},
    'another prefix': lambda state: prefixed('model.detector.', state),
    'copies beside it': lambda state: {'state_dict': state, 'ema_state_dict': {k: 0 * v for k, v in state.items()}},
    'another precision': lambda state: {key: value.double() for key, value in state.items()},
    'model': lambda state: {'model': state, 'epoch': 3},
    'model_state_dict': lambda state: {'model_state_dict': state, 'epoch': 3},
    'model in a model': lambda state: {'model': {'state_dict': prefixed('model.', state)}},
    "twins of mmcv's EMAHook": lambda state: {
        'state_dict': {**state, **{'ema_' + key.replace('.', '_'): 0 * value for key, value in state.items()}}
    },
    "torch's averages": lambda state: {'n_averaged': torch.tensor(3), **prefixed('module.', state)},
    'parameters': lambda state: {
        key: nn.Parameter(value) if value.is_floating_point() else value for key, value in state.items()
    },
    'no name that is known': lambda state: {'network': state, 'epoch': 3, 'optimizer': {'state': {}, 'lr': 0.1}},
    "DeepSpeed's module": lambda state: {'module': prefixed('module.', state), 'optimizer': None},
    'in arrays': lambda state: {'state_dict': {key: value.numpy() for key, value in state.items()}},
    'compiled': lambda state: prefixed('module._orig_mod.', state),
    'parts compiled': lambda state: {key.replace('.', '._orig_mod.', 1): value for key, value in state.items()},
    'sharded and checkpointed parts': lambda state: {
        '_fsdp_wrapped_module.' + key.replace('.', '._fsdp_wrapped_module._checkpoint_wrapped_module.', 1): value
        for key, value in state.items()
    },
    'with parsed arguments': lambda state: {'model': state, 'args': argparse.Namespace(lr=0.1, out=Path('a/b'))},
    'beside a loss and a random state': lambda state: {
        'net': state,
        'best_loss': torch.tensor(0.3),
        'rng_state': torch.get_rng_state(),
        'scaler': {'scale': torch.tensor(1.0)},
    },
    'views of one storage': shared_storage,
    'columns first': lambda state: {
        key: value.t().contiguous().t() if value.dim() == 2 else value for key, value in state.items()
    },
    "numpy's numbers beside it": lambda state: {
        'state_dict': state,
        'meta': {
            'best_score': np.float64(37.1),
            'epoch': np.int64(24),
            'flag': np.bool_(True),
            'rate': np.float32(1e-4),
            'palette': np.zeros((17, 3), np.uint8),
            'name': np.array('a'),
        },
    },
}


def test_the_curves_of_losses_of_mmengine_are_passed_over(
    weights: Callable[[Change], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    buffer = type('HistoryBuffer', (), {'__module__': 'mmengine.logging.history_buffer'})
    for name in ('mmengine', 'mmengine.logging', buffer.__module__):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setattr(sys.modules[buffer.__module__], 'HistoryBuffer', buffer, raising=False)
    losses = buffer()
    losses.__dict__.update(_log_history=np.zeros(3), _max_length=1_000_000)
    path = weights(lambda state: {'state_dict': state, 'message_hub': {'log_scalars': {'train/loss': losses}}})
    monkeypatch.undo()
    network = Part(2)
    load_checkpoint(network, path)
    assert equal(network, Part(1))


def test_what_is_compiled_and_what_is_not_are_not_mixed(weights: Callable[[Change], Path]) -> None:
    path = weights(lambda state: {**state, f'{OFFSET}._orig_mod.bias': torch.ones(3)})
    with pytest.raises(GdfusionError, match=rf'1 unexpected: {OFFSET}\._orig_mod\.bias\.'):
        load_checkpoint(Part(2), path)


@pytest.mark.parametrize('wrap', WRAPPINGS.values(), ids=WRAPPINGS)
def test_the_same_weights_in_any_wrapping(weights: Callable[[Change], Path], wrap: Change) -> None:
    network = Part(2)
    assert not equal(network, Part(1))
    load_checkpoint(network, weights(wrap))
    assert equal(network, Part(1))
    assert all(value.dtype == torch.float32 for value in network.state_dict().values())


@pytest.mark.parametrize('precision', [torch.float16, torch.bfloat16])
def test_rounded_weights_with_exact_constants(weights: Callable[[Change], Path], precision: torch.dtype) -> None:
    weight = 'memory.motion.offset.weight'
    network = Part(2, lower=-4.1)  # 16 bits do not hold this corner
    path = weights(lambda _: {key: value.to(precision) for key, value in published_state(Part(1, lower=-4.1)).items()})
    load_checkpoint(network, path)
    assert torch.equal(network.get_buffer('view.lift.bx'), Part(1, lower=-4.1).get_buffer('view.lift.bx'))
    assert torch.equal(network.get_parameter(weight), Part(1).get_parameter(weight).to(precision).float())
    with pytest.raises(GdfusionError, match=r'1 constants that differ: view_transformer\.bx'):
        load_checkpoint(Part(2, lower=-4.3), path)


@pytest.mark.parametrize('module', ['numpy.core.multiarray', 'numpy._core.multiarray'], ids=['numpy 1', 'numpy 2'])
def test_numbers_of_either_numpy(weights: Callable[[Change], Path], module: str) -> None:
    path = weights(lambda state: {'state_dict': state, 'meta': {'best': np.float64(37.1)}})
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, 'w') as archive:
        for name, data in members.items():
            archive.writestr(name, re.sub(rb'numpy\.(_core|core)\.multiarray', module.encode(), data))
    network = Part(2)
    load_checkpoint(network, path)
    assert equal(network, Part(1))


@pytest.mark.parametrize(
    'counter', [[], [lambda value: value[None]], [lambda value: value.half()]], ids=['missing', 'lists', 'floats']
)
def test_counters_of_training_may_be_otherwise(
    tiny: Any, build_tiny: Any, tmp_path: Path, counter: list[Callable[[Tensor], Tensor]]
) -> None:
    counts = {
        key: change(value)
        for key, value in published_state(tiny).items()
        for change in counter
        if key.endswith('num_batches_tracked')
    }
    state = {
        **{key: value for key, value in published_state(tiny).items() if not key.endswith('num_batches_tracked')},
        **counts,
    }
    torch.save(state, tmp_path / 'old.pth')
    other = build_tiny(tiny.spec)
    load_checkpoint(other, tmp_path / 'old.pth')
    assert equal(other, tiny)


def test_safetensors_plain_and_prefixed(tmp_path: Path) -> None:
    for prefix in ('', 'module.'):
        network, path = Part(2), tmp_path / 'weights.safetensors'
        save_file(prefixed(prefix, {k: v.contiguous() for k, v in published_state(Part(1)).items()}), path)
        load_checkpoint(network, path)
        assert equal(network, Part(1))


@pytest.mark.parametrize(
    ('name', 'dump'),
    [
        ('weights.pth', save),
        ('weights.bin', save),
        ('weights.safetensors', saved),
        ('weights.safetensors', lambda state: saved(state, _use_new_zipfile_serialization=False)),
    ],
)
def test_a_file_is_what_its_bytes_say(tmp_path: Path, name: str, dump: Callable[[dict[str, Tensor]], bytes]) -> None:
    (tmp_path / name).write_bytes(dump(published_state(Part(1))))
    network = Part(2)
    load_checkpoint(network, tmp_path / name)
    assert equal(network, Part(1))


@torch.no_grad()
def test_a_whole_network_written_and_read(tiny: Any, build_tiny: Any, tmp_path: Path) -> None:
    path = tmp_path / 'tiny.safetensors'
    save_checkpoint(tiny, path, WeightsMetadata())
    assert [file.name for file in tmp_path.iterdir()] == ['tiny.safetensors']
    assert set(load_file(path)) == set(published_state(tiny))
    other = build_tiny(tiny.spec)
    load_checkpoint(other, path)
    assert equal(other, tiny)


@torch.no_grad()
def test_of_tied_tensors_one_wins_and_both_are_written(tiny: Any, build_tiny: Any, tmp_path: Path) -> None:
    def tied() -> Any:
        network = build_tiny(tiny.spec)
        block = network.decoder.encoder.layers[2][1]
        block.conv2.conv = block.conv1.conv
        place = 'img_bev_encoder_backbone.layers.2.1'
        network.ties = {f'{place}.conv2.conv.weight': f'{place}.conv1.conv.weight'}
        return network

    network = tied()
    save_checkpoint(network, tmp_path / 'equal.safetensors', WeightsMetadata())
    state = load_file(tmp_path / 'equal.safetensors')
    copy, winner = next(iter(network.ties.items()))
    assert torch.equal(state[copy], state[winner])
    save_file({**state, copy: state[copy] + 1, winner: state[winner] + 2}, tmp_path / 'other.safetensors')
    other = tied()
    load_checkpoint(other, tmp_path / 'other.safetensors')
    assert torch.equal(published_state(other)[copy], state[winner] + 2)


def without(*names: str) -> Change:
    return lambda state: {key: value for key, value in state.items() if key not in names}


def replaced(name: str, value: Tensor) -> Change:
    return lambda state: {**state, name: value}


OFFSET = 'his_stream_offset_net.history_stream_offset_net'
MISFITS: dict[str, tuple[Change, str]] = {
    'missing': (
        without(f'{OFFSET}.bias', 'view_transformer.dx'),
        rf'2 missing: view_transformer\.dx, {OFFSET}\.bias.*one of several files',
    ),
    'unexpected': (
        replaced('head.extra', torch.zeros(1)),
        r'1 unexpected: head\.extra\. All that the network needs is there: .*save the file without it',
    ),
    'shape': (
        replaced(f'{OFFSET}.weight', torch.zeros(3, 5, 1, 1, 1)),
        rf'1 of another shape: {OFFSET}\.weight \(3, 5, 1, 1, 1\) instead of \(3, 4, 1, 1, 1\)',
    ),
    'constant': (
        replaced('view_transformer.bx', torch.tensor([-3.5, -2.75, -0.75])),
        r'1 constants that differ: view_transformer\.bx \[-3\.5, -2\.75, -0\.75\] instead of \[-3\.75, '
        '.*voxels of another size or place',
    ),
    'codes': (
        lambda state: {**state, f'{OFFSET}.weight': (state[f'{OFFSET}.weight'] * 99).to(torch.int8)},
        rf'1 of another type: {OFFSET}\.weight int8 instead of float32',
    ),
    'flags': (replaced(f'{OFFSET}.bias', torch.ones(3, dtype=torch.bool)), r'another type: .*\.bias bool instead of'),
    'complex': (replaced(f'{OFFSET}.bias', torch.ones(3, dtype=torch.complex64)), r'bias complex64 instead of float32'),
    'sparse': (replaced(f'{OFFSET}.bias', torch.ones(3).to_sparse()), r'bias float32 sparse_coo instead of float32'),
    'nothing stored': (replaced(f'{OFFSET}.bias', torch.ones(3, device='meta')), r'bias float32 on meta instead of'),
    'a constant in codes': (
        replaced('view_transformer.bx', torch.ones(3, dtype=torch.int8)),
        r'another type: view_transformer\.bx int8',
    ),
    'one key without the prefix': (
        lambda state: {**prefixed('model.', state), 'loss.weight': torch.ones(1)},
        r'does not fit bevdetocc_gf: 1 unexpected: loss\.weight\.',
    ),
    'not a tensor': (replaced(f'{OFFSET}.bias', 'text'), rf'1 missing: {OFFSET}\.bias'),  # type: ignore[arg-type]
    'everything': (
        lambda state: {f'backbone.{i}': torch.zeros(1) for i in range(99)},
        r'99 unexpected: .* 93 more.*another model\?',
    ),
    'copies among it': (lambda state: {**state, **prefixed('ema.', state)}, r'12 unexpected: ema\.view_transformer'),
    'half of a prefix': (
        lambda state: {('module.' if 'scene' in k else '') + k: v for k, v in state.items()},
        r'7 missing: scene.*7 unexpected: module\.scene',
    ),
}


@pytest.mark.parametrize(('change', 'message'), MISFITS.values(), ids=MISFITS)
def test_what_does_not_fit_is_named_and_nothing_is_loaded(
    weights: Callable[[Change], Path], change: Change, message: str
) -> None:
    network = Part(2)
    with pytest.raises(GdfusionError, match=rf'^[^\n]*weights\.pth[^\n]*{message}[^\n]*$'):
        load_checkpoint(network, weights(change))
    assert equal(network, Part(2))


@pytest.mark.parametrize('value', [float('nan'), float('inf')])
def test_weights_that_are_not_finite_are_refused(weights: Callable[[Change], Path], value: float) -> None:
    network = Part(2)
    with pytest.raises(GdfusionError, match=rf'1 tensors that are not finite: {OFFSET}\.bias;'):
        load_checkpoint(network, weights(replaced(f'{OFFSET}.bias', torch.tensor([0.0, value, 0.0]))))
    assert equal(network, Part(2))


def test_numbers_beyond_32_bits_are_refused(weights: Callable[[Change], Path]) -> None:
    with pytest.raises(GdfusionError, match=rf'1 tensors that are not finite: {OFFSET}\.bias;'):
        load_checkpoint(Part(2), weights(replaced(f'{OFFSET}.bias', torch.full((3,), 1e200, dtype=torch.float64))))


def test_all_kinds_of_faults_stand_in_one_error(weights: Callable[[Change], Path]) -> None:
    def change(state: dict[str, Tensor]) -> dict[str, Tensor]:
        state.pop(f'{OFFSET}.bias')
        return {**state, 'extra': torch.zeros(1), f'{OFFSET}.weight': torch.zeros(1)}

    with pytest.raises(GdfusionError, match=r'missing: .*unexpected: extra.*another shape: .*differ: view_transformer'):
        load_checkpoint(Part(2, lower=-5.0), weights(change))


class Code:
    """What a hostile pickle holds: a call."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize(
    'dump',
    [
        lambda value: pickle.dumps(value, 2),
        lambda value: pickle.dumps({'state_dict': value}, 2),
        lambda value: saved({'state_dict': value}),
    ],
    ids=['pickle', 'pickled dictionary', 'torch'],
)
def test_code_in_a_checkpoint_does_not_run(tmp_path: Path, dump: Callable[[Any], bytes]) -> None:
    (tmp_path / 'evil.pth').write_bytes(dump(Code(tmp_path / 'ran')))
    with pytest.raises(GdfusionError, match=r'evil\.pth holds a \w+\.mkdir, which is not loaded'):
        load_checkpoint(Part(2), tmp_path / 'evil.pth')
    assert not (tmp_path / 'ran').exists()


@pytest.mark.parametrize('share', [0, 0.001, 0.01, 0.3, 0.6, 0.9, 0.999])
@pytest.mark.parametrize(
    ('name', 'dump'),
    [
        ('cut.pth', saved),
        ('cut.pth', lambda state: saved(state, _use_new_zipfile_serialization=False)),
        ('cut.safetensors', save),
    ],
    ids=['pth', 'legacy pth', 'safetensors'],
)
def test_a_truncated_file(tmp_path: Path, name: str, dump: Callable[[Any], bytes], share: float) -> None:
    data, path = dump(published_state(Part(1))), tmp_path / name
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(GdfusionError, match=r'^[^\n]*cut\.[^\n]*cannot be read[^\n]*$'):
        load_checkpoint(Part(2), path)


@pytest.mark.parametrize('suffix', ['.pth', '.safetensors'])
@pytest.mark.parametrize('text', ['hello world', '<!DOCTYPE html>', 'version https://git-lfs.github.com/spec/v1', '.'])
def test_a_file_that_is_none(tmp_path: Path, text: str, suffix: str) -> None:
    path = tmp_path / f'page{suffix}'
    path.write_text(text)
    with pytest.raises(GdfusionError, match=r'^[^\n]*page\.[^\n]*cannot be read[^\n]*$'):
        load_checkpoint(Part(2), path)


def archive(kind: str, content: bytes) -> bytes:
    """A file in another one."""
    buffer = io.BytesIO()
    if kind == 'zip':
        with zipfile.ZipFile(buffer, 'w') as outer:
            outer.writestr('weights.pth', content)
    else:
        with tarfile.open(fileobj=buffer, mode='w') as tape:
            member = tarfile.TarInfo('weights.pth')
            member.size = len(content)
            tape.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def script() -> bytes:
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.trace(nn.Linear(2, 2), torch.zeros(1, 2)), buffer)
    return buffer.getvalue()


def program() -> bytes:
    """An archive with the names that torch.export gives."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, 'w') as file:
        for name in ('data/weights/weight_0', 'models/model.json', 'archive_format'):
            file.writestr(f'net/{name}', b'pt2')
    return buffer.getvalue()


def arrays(save: Callable[..., object], *given: Any, **named: Any) -> bytes:
    buffer = io.BytesIO()
    save(buffer, *given, **named)
    return buffer.getvalue()


@pytest.mark.filterwarnings('ignore:.*deprecated')  # torch.jit, which writes one of these
@pytest.mark.filterwarnings('error:.*torch.load|.*[Pp]ickle')  # the sentence is all that is said
@pytest.mark.parametrize('suffix', ['.pth', '.safetensors'])
@pytest.mark.parametrize(
    ('make', 'said'),
    [
        (
            lambda: b'version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\n',
            "a Git LFS pointer .* 'git lfs pull'",
        ),
        (lambda: b'\n<!DOCTYPE html><html>', 'a web page'),
        (lambda: b'\xef\xbb\xbf<!DOCTYPE html><html>', 'a web page'),
        (
            lambda: b'<?xml version="1.0"?>\n<Error><Code>AccessDenied</Code></Error>',
            "a server's refusal or OpenVINO's",
        ),
        (lambda: b'GGUF\3\0\0\0', 'GGUF'),
        (lambda: b'{"error": "Entry not found"}', 'JSON'),
        (lambda: gzip.compress(saved({})), 'packed by gzip: unpack it first'),
        (lambda: archive('zip', saved({})), 'a zip archive that torch.save did not write: unpack it first'),
        (lambda: archive('tar', saved({})), 'a tar archive'),
        (lambda: bytes(9999), 'nothing but zeros'),
        (script, 'a TorchScript program'),
        (program, 'a program of torch.export'),
        (lambda: arrays(np.save, np.zeros(3)), 'an array of NumPy'),
        (lambda: arrays(np.savez, a=np.zeros(3)), r'arrays of NumPy \(npz\)'),
        (lambda: pickle.dumps({'a': torch.zeros(1)}, protocol=4), 'pickled in protocol 4 or 5'),
        (lambda: saved({'a': torch.zeros(1)}, pickle_protocol=5), 'pickled in protocol 4 or 5'),
    ],
)
def test_what_is_found_in_the_place_of_a_checkpoint_is_named(
    tmp_path: Path, make: Callable[[], bytes], said: str, suffix: str
) -> None:
    path = tmp_path / f'odd{suffix}'
    path.write_bytes(make())
    with pytest.raises(GdfusionError, match=rf'^checkpoint .*odd\.\w+ cannot be read: it is .*{said}.*$'):
        load_checkpoint(Part(2), path)


def test_an_archive_that_would_fill_the_memory_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / 'odd.pth', 'w', zipfile.ZIP_DEFLATED) as file:
        file.writestr('archive/data.pkl', saved({}))
        file.writestr('archive/data/0', bytes(70 << 20))
    with pytest.raises(GdfusionError, match=r'is a zip archive of 0 MB that would be 70 MB when unpacked'):
        load_checkpoint(Part(2), tmp_path / 'odd.pth')


def test_a_checkpoint_that_was_packed_by_hand_is_read(weights: Callable[[Change], Path], tmp_path: Path) -> None:
    packed = tmp_path / 'packed.pth'
    with zipfile.ZipFile(weights(dict)) as plain, zipfile.ZipFile(packed, 'w', zipfile.ZIP_DEFLATED) as file:
        for name in plain.namelist():
            file.writestr(name, plain.read(name))
    network = Part(2)
    load_checkpoint(network, packed)
    assert equal(network, Part(1))


def test_a_folder_in_the_place_of_weights_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(['weights', 'check', str(tmp_path), '--model', 'gdfusion_nano']) == 1
    assert f'the weights {tmp_path} are a folder; give the file in it' in capsys.readouterr().err


def test_a_wrapper_that_holds_itself_ends(tmp_path: Path) -> None:
    content: dict[str, object] = {'epoch': 3}
    content['model'] = content
    torch.save(content, tmp_path / 'odd.pth')
    with pytest.raises(GdfusionError, match='holds a dict, not a state dict of tensors'):
        load_checkpoint(Part(2), tmp_path / 'odd.pth')


NO_WEIGHTS = 'has no weights among its keys'


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (
            {'optimizer': {'state': {0: {'exp_avg': torch.zeros(3)}}, 'param_groups': []}, 'epoch': 3},
            rf'{NO_WEIGHTS} \(optimizer, epoch\)',
        ),
        (
            {'student': {'a': torch.zeros(1)}, 'teacher': {'a': torch.zeros(1)}, 'epoch': 3},
            r"has several sets of weights \(student, teacher\); save one of them alone: .*\['student'\]",
        ),
        ({'state_dict': {}}, rf'{NO_WEIGHTS} \(none\)'),
        ([torch.zeros(1)], 'holds a list'),
        (torch.zeros(1), 'holds a Tensor'),
        ({'state_dict': 3}, 'holds a int'),
        ({'state_dict': argparse.Namespace(a=1)}, 'holds a Namespace, not a state dict of tensors; save the weights'),
        (
            {'state_dict': {}, 'best': Fraction(1, 2)},
            r'holds a fractions\.Fraction, which is not loaded, as it could run',
        ),
        ({'meta': np.array(['a', None], object)}, r"cannot be read \(UnpicklingError: .*'numpy\.dtypes\.ObjectDType'"),
    ],
)
def test_a_file_of_something_else(tmp_path: Path, content: object, message: str) -> None:
    torch.save(content, tmp_path / 'odd.pth')
    with pytest.raises(GdfusionError, match=rf'odd\.pth.*{message}'):
        load_checkpoint(Part(2), tmp_path / 'odd.pth')


@pytest.mark.parametrize('name', ['nothing.pth', 'nothing.safetensors', '.'])
def test_a_file_that_is_not_there(tmp_path: Path, name: str) -> None:
    with pytest.raises(GdfusionError, match='there is no checkpoint'):
        load_checkpoint(Part(2), tmp_path / name)


def checkpoint(name: str, manifest: str, recordings: Path) -> dict[str, Tensor]:
    """A state dict as the manifest says, all weights one: each tensor takes four bytes of a file, however large."""
    rows = json.loads((recordings / 'manifests' / f'{manifest}.json').read_text())
    grid = ZOO[name].spec.grid
    constants = {
        'dx': torch.tensor(grid.voxel_size),
        'nx': torch.tensor([float(count) for count in grid.shape]),
        'bx': torch.tensor([low + size / 2 for low, size in zip(grid.lower, grid.voxel_size, strict=True)]),
    }
    return {
        key: constants.get(key.rpartition('.')[2], torch.ones(())).to(getattr(torch, kind)).expand(shape)
        for key, shape, kind in rows
    }


@pytest.mark.slow
@pytest.mark.parametrize(('name', 'manifest'), MANIFESTS)
def test_a_file_of_the_manifest_fits_and_spoilt_ones_do_not(
    name: str, manifest: str, recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = checkpoint(name, manifest, recordings)
    wide = max(good, key=lambda key: good[key].numel())

    def check(content: dict[str, object]) -> tuple[int, str]:
        path = tmp_path / 'file.pth'
        torch.save(content, path)
        code = main(['weights', 'check', str(path), '--model', name])
        said = capsys.readouterr()
        return code, said.out + said.err

    code, said = check({'state_dict': good})
    assert code == 0, said
    assert f'fits {name}' in said
    code, said = check({'state_dict': {key: value for key, value in good.items() if key != wide}})
    assert code == 1
    assert f'does not fit {name}' in said
    assert f': 1 missing: {wide}. ' in said
    code, said = check({'state_dict': {**good, wide: good[wide][1:]}})
    assert code == 1
    assert f'1 of another shape: {wide} ' in said
    code, said = check({'state_dict': good, 'meta': Code(tmp_path / 'it_ran')})
    assert code == 1
    assert not (tmp_path / 'it_ran').exists()
    assert said.count('\n') == 1, said
