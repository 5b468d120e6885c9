"""Weights by name."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from gdfusion_ros.cli import main
from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.files import digest
from gdfusion_ros.model.weights import registry
from gdfusion_ros.model.weights.checkpoint import save_checkpoint
from gdfusion_ros.model.weights.metadata import WeightsMetadata, read_metadata
from gdfusion_ros.model.weights.registry import Weights, fetch, find, known, verify
from gdfusion_ros.model.zoo import ZOO, fresh_network


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A Hub whose only file lies here; the real one cannot be asked in a test."""
    file = tmp_path / 'weights.pth'
    file.write_bytes(b'some weights')

    def download(repository: str, name: str) -> str:
        if name != file.name:
            raise OSError(f'404: {repository} has no {name}\nmore words')
        return str(file)

    monkeypatch.setitem(
        sys.modules,
        'huggingface_hub',
        SimpleNamespace(
            hf_hub_url=lambda repository, name: name,
            hf_hub_download=download,
            get_hf_file_metadata=lambda url: SimpleNamespace(size=12, etag=digest(file)),
            try_to_load_from_cache=lambda repository, name: str(file) if name == file.name else None,
        ),
    )
    return file


def entry(**fields: Any) -> Weights:
    return Weights(
        **{
            'name': 'x',
            'model': 'gdfusion_nano',
            'file': 'weights.pth',
            'license': 'CC0',
            'trained_on': 'nothing',
            'about': 'Made.',
            'repository': 'someone/something',
            **fields,
        }
    )


def test_the_manifest_names_models_of_the_zoo_and_what_comes_with_the_package() -> None:
    for name, weights_ in known().items():
        assert name == weights_.name
        assert weights_.model in ZOO, 'no entry that cannot run'
        if not weights_.repository and not weights_.by_hand:
            path = weights_.path()
            assert path is not None
            verify(path, weights_.size, weights_.sha256)


def test_a_name_means_the_fetched_file_and_anything_else_a_path(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, 'known', lambda: {'x': entry(), 'y': entry(file='other.pth')})
    assert find('x') == hub
    assert find('some/file.pth') == Path('some/file.pth')
    with pytest.raises(GdfusionError, match="'gdfusion weights fetch y' brings them"):
        find('y')


def test_what_authors_give_by_hand_is_taken_by_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    by_hand = entry(repository='', by_hand='their README links it')
    monkeypatch.setattr(registry, 'known', lambda: {'x': by_hand})
    assert by_hand.path() is None
    with pytest.raises(
        GdfusionError,
        match=r"'x' are given by their authors alone \(their README links it\): bring "
        r"their file, and set 'weights' to its path and 'model' to gdfusion_nano",
    ):
        find('x')
    with pytest.raises(GdfusionError, match='cannot be fetched: their authors give them by hand'):
        fetch(by_hand)
    assert find(str(tmp_path)) == tmp_path


def test_what_is_fetched_is_verified(hub: Path) -> None:
    assert fetch(entry()) == hub
    assert fetch(entry(size=12, sha256=digest(hub))) == hub
    with pytest.raises(GdfusionError, match='12 bytes instead of 13'):
        fetch(entry(size=13))
    with pytest.raises(GdfusionError, match='another SHA-256'):
        fetch(entry(sha256='0' * 64))
    with pytest.raises(GdfusionError, match=r'fetched from someone/something: 404: someone/something has no z$'):
        fetch(entry(file='z'))
    with pytest.raises(GdfusionError, match='come with the package'):
        fetch(entry(repository=''))


@pytest.mark.parametrize(
    ('said', 'told'), [('[Errno -2] Name or service not known', r'\[Errno -2\] Name'), ('', 'ConnectError')]
)
def test_a_hub_that_is_not_reached_is_one_line(
    hub: Path, monkeypatch: pytest.MonkeyPatch, said: str, told: str
) -> None:
    """httpx, which later versions of the library are made of, has errors of its own."""

    class ConnectError(Exception):
        pass

    def metadata(_: str) -> None:
        raise ConnectError(said)

    monkeypatch.setattr(sys.modules['huggingface_hub'], 'get_hf_file_metadata', metadata)
    with pytest.raises(GdfusionError, match=f'cannot be fetched from someone/something: {told}'):
        fetch(entry())


def test_fetching_names_the_library_that_it_needs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, 'huggingface_hub', None)
    assert main(['weights', 'fetch', 'bevdetocc_gf']) == 1
    assert "pip install 'gdfusion-ros[hub]'" in capsys.readouterr().err
    assert main(['weights', 'fetch', 'nothing']) == 1
    assert "no weights 'nothing'; there are" in capsys.readouterr().err


def test_list_says_what_is_known(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(['weights', 'list']) == 0
    said = capsys.readouterr().out
    assert all(name in said for name in known())
    assert 'mIoU 43.6' in ' '.join(said.split())


def test_check_and_convert(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    network = fresh_network('gdfusion_nano', (), 0, '', torch.device('cpu'))
    torch.save({'state_dict': network.state_dict()}, tmp_path / 'strange.pth')
    save_checkpoint(network, tmp_path / 'nano.safetensors', WeightsMetadata(trained_on='the moon'))
    assert main(['weights', 'check', str(tmp_path / 'nano.safetensors'), '--model', 'gdfusion_nano']) == 0
    assert 'fits gdfusion_nano' in capsys.readouterr().out
    assert main(['weights', 'check', str(tmp_path / 'strange.pth'), '--model', 'gdfusion_nano']) == 1
    assert 'missing' in capsys.readouterr().err
    assert main(['weights', 'check', str(tmp_path / 'nano.safetensors')]) == 1
    assert "do not say which network they are of; set 'model'" in capsys.readouterr().err
    torch.save(torch.load(tmp_path / 'strange.pth')['state_dict'], tmp_path / 'plain.pth')
    out = tmp_path / 'out.safetensors'
    assert main(['weights', 'convert', str(tmp_path / 'nano.safetensors'), str(out), '--model', 'gdfusion_nano']) == 0
    assert out.stat().st_size == pytest.approx((tmp_path / 'nano.safetensors').stat().st_size, abs=100)
    assert read_metadata(out) == WeightsMetadata('gdfusion_nano', 'the moon')
    assert main(['weights', 'check', str(out)]) == 0
    half = tmp_path / 'half.safetensors'
    assert main(['weights', 'convert', str(out), str(half), '--half']) == 0
    assert half.stat().st_size < 0.55 * out.stat().st_size
    assert read_metadata(half) == read_metadata(out)
    for name, value in load_file(half).items():
        assert (value.dtype == torch.float16) == (value.squeeze().dim() > 1), name
    rounded = fresh_network('gdfusion_nano', (), 1, str(half), torch.device('cpu'))
    for (name, value), exact in zip(rounded.named_parameters(), network.parameters(), strict=True):
        torch.testing.assert_close(value, exact, rtol=1e-3, atol=1e-6, msg=name)
    assert main(['weights', 'convert', str(out), str(out), '--model', 'gdfusion_nano']) == 1
    assert 'not overwriting' in capsys.readouterr().err
