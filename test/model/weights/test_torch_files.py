"""Files of ``torch.save`` that torch would load wrongly, or for ever."""

from __future__ import annotations

import io
import pickle
import resource
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.model.weights.metadata import WeightsMetadata
from gdfusion_ros.model.weights.saved_state import read_state, write_state

KEY = 'KEY'
"""Is replaced by a tuple of two that are one, which is a tuple of two that are one, and so on."""


def nested(data: bytes, depth: int) -> bytes:
    get = [struct.pack('<I', 9000 + level) for level in range(depth)]
    tuples = pickle.BINUNICODE + struct.pack('<I', 1) + b'a' + pickle.TUPLE1
    tuples += b''.join(pickle.LONG_BINPUT + index + pickle.LONG_BINGET + index + pickle.TUPLE2 for index in get)
    text = pickle.BINUNICODE + struct.pack('<I', len(KEY)) + KEY.encode()
    assert data.count(text) == 1
    return data.replace(text, tuples)


def in_archive(content: object, depth: int) -> bytes:
    written, changed = io.BytesIO(), io.BytesIO()
    torch.save(content, written)
    with zipfile.ZipFile(written) as source, zipfile.ZipFile(changed, 'w') as target:
        for name in source.namelist():
            data = source.read(name)
            target.writestr(name, nested(data, depth) if name.endswith('data.pkl') else data)
    return changed.getvalue()


def in_old_file(content: object, depth: int) -> bytes:
    written = io.BytesIO()
    torch.save(content, written, _use_new_zipfile_serialization=False)
    return nested(written.getvalue(), depth)


def in_bare_pickle(content: object, depth: int) -> bytes:
    return nested(pickle.dumps(content, 2), depth)


@pytest.mark.parametrize('dump', [in_archive, in_old_file, in_bare_pickle])
@pytest.mark.parametrize('content', [{KEY: 1}, {'state_dict': {'a': 1}, 'meta': {'epochs': [{KEY: 1}]}}])
def test_keys_that_take_for_ever_to_hash_are_refused(
    tmp_path: Path, content: object, dump: Callable[[object, int], bytes]
) -> None:
    (tmp_path / 'odd.pth').write_bytes(dump(content, 60))
    with pytest.raises(GdfusionError, match=r'checkpoint \S*odd\.pth has tuples inside tuples.* could take for ever'):
        read_state(tmp_path / 'odd.pth')


@pytest.mark.parametrize('dump', [in_archive, in_old_file])
def test_tuples_of_a_training_are_no_fault(tmp_path: Path, dump: Callable[[object, int], bytes]) -> None:
    content = {'state_dict': {'a': torch.ones(2)}, 'optimizer': {'betas': (0.9, 0.999), KEY: ((1, 2), (3, 4))}}
    (tmp_path / 'good.pth').write_bytes(dump(content, 8))
    assert list(read_state(tmp_path / 'good.pth')) == ['a']


def test_a_number_that_changed_on_the_way_is_found_by_its_checksum(tmp_path: Path) -> None:
    path = tmp_path / 'odd.pth'
    torch.save({'a': torch.arange(5000.0), 'b': torch.ones(3)}, path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(GdfusionError, match=r'odd\.pth is damaged: 1 of its \d+ parts .* odd/data/0 for one; fetch it'):
        read_state(path)


def test_without_checksums_nothing_is_compared(tmp_path: Path) -> None:
    options: Any = torch.serialization
    before = options.get_crc32_options()
    options.set_crc32_options(False)
    try:
        torch.save({'a': torch.ones(3)}, tmp_path / 'good.pth')
    finally:
        options.set_crc32_options(before)
    assert read_state(tmp_path / 'good.pth')['a'].tolist() == [1, 1, 1]


def test_a_disk_without_space_is_one_line(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(GdfusionError, match=r'weights\.safetensors cannot be written: File too large'):
            write_state({'a': torch.ones(1000)}, tmp_path / 'weights.safetensors', WeightsMetadata())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []


def test_the_name_of_a_model_is_no_wrapper(tmp_path: Path) -> None:
    torch.save({'model': 'nano', 'weights': {'a': torch.ones(1)}}, tmp_path / 'good.pth')
    assert list(read_state(tmp_path / 'good.pth')) == ['a']
