"""Whatever the files of a dataset look like, ``gdfusion convert`` makes whole bags or says in one line why not."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gdfusion_ros.bags.reader import bag_reader
from gdfusion_ros.cli import main

pytestmark = pytest.mark.slow

TABLES = (
    'sensor',
    'log',
    'scene',
    'sample',
    'sample_data',
    'calibrated_sensor',
    'ego_pose',
    'category',
    'instance',
    'sample_annotation',
)
FILES = {'camera': 'samples/CAM_FRONT/*.jpg', 'lidar': 'samples/LIDAR_TOP/*', 'labels': 'gts/scene-0001/*/labels.npz'}

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=9)
    | st.sampled_from(['', 'gone', '../up', 'a/b', '\0', 'scene-0002', 1e308, -1, 10**30])
)
values = (
    scalars | st.lists(scalars | st.lists(st.floats(), max_size=4), max_size=5) | st.dictionaries(st.text(), scalars)
)

Convert = Callable[..., None]


@pytest.fixture(scope='module')
def root(nuscenes_complete: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset to spoil; what a test changes it brings back."""
    root = tmp_path_factory.mktemp('spoiled') / 'nuscenes'
    shutil.copytree(nuscenes_complete, root)
    return root


@pytest.fixture
def convert(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Convert:
    """Converts, with the given arguments, and makes sure that the end is a good one."""

    def run(*arguments: str) -> None:
        out = tmp_path / 'bags'
        code = main(['convert', str(root), '--out', str(out), '--annotations', *arguments])
        error = capsys.readouterr().err
        # The progress bar is no message.
        said = [line for line in re.split('[\r\n]', error) if line.strip() and '%|' not in line and 'B/s' not in line]
        assert code in (0, 1)
        assert len(said) == code, said
        assert all(line.startswith('gdfusion convert: ') for line in said)
        bags = list(out.iterdir()) if out.exists() else []
        assert bags or code
        for bag in bags:
            with bag_reader(bag) as opened:
                assert sum(1 for _ in opened.messages(['/tf_static'])) == 1
                assert sum(1 for _ in opened.raw_messages()) == opened.message_count
        assert {path.name for path in tmp_path.iterdir()} <= {'bags'}
        shutil.rmtree(out, ignore_errors=True)

    return run


def assert_ends_well_with(path: Path, content: bytes, convert: Convert, *arguments: str) -> None:
    """Convert with ``content`` in the place of a file."""
    original = path.read_bytes()
    path.write_bytes(content)
    try:
        convert(*arguments)
    finally:
        path.write_bytes(original)


@given(data=st.data(), table=st.sampled_from(TABLES))
@settings(max_examples=80)
def test_a_row_with_another_value(root: Path, convert: Convert, data: st.DataObject, table: str) -> None:
    path = root / 'v1.0-test' / f'{table}.json'
    rows: list[dict[str, Any]] = json.loads(path.read_text())
    row = data.draw(st.sampled_from(rows))
    field = data.draw(st.sampled_from(sorted(row)))
    if data.draw(st.booleans()):
        row[field] = data.draw(values)
    else:
        del row[field]
    assert_ends_well_with(path, json.dumps(rows).encode(), convert)


@given(data=st.data(), table=st.sampled_from(TABLES))
@settings(max_examples=25)
def test_a_table_with_other_bytes(root: Path, convert: Convert, data: st.DataObject, table: str) -> None:
    path = root / 'v1.0-test' / f'{table}.json'
    assert_ends_well_with(path, data.draw(damaged(path.read_bytes())), convert)


@given(data=st.data(), table=st.sampled_from(TABLES), rows=values | st.lists(values, max_size=3))
@settings(max_examples=15)
def test_a_table_of_something_else(root: Path, convert: Convert, data: st.DataObject, table: str, rows: object) -> None:
    assert_ends_well_with(root / 'v1.0-test' / f'{table}.json', json.dumps(rows).encode(), convert)


@given(data=st.data(), kind=st.sampled_from(sorted(FILES)))
@settings(max_examples=40)
def test_a_file_with_other_bytes(root: Path, convert: Convert, data: st.DataObject, kind: str) -> None:
    path = min(root.glob(FILES[kind]))
    options = ['--skip-missing'] if data.draw(st.booleans()) else []
    content = data.draw(damaged(path.read_bytes()) | st.binary(max_size=60))
    assert_ends_well_with(
        path,
        content,
        convert,
        '--scenes',
        'scene-0001',
        '--lidar',
        *(['--labels'] if kind == 'labels' else []),
        *options,
    )


def damaged(content: bytes) -> st.SearchStrategy[bytes]:
    """``content`` cut off, or with a piece replaced."""
    place = st.integers(0, len(content))
    cut = place.map(lambda end: content[:end])
    patched = st.tuples(place, st.integers(0, 20), st.binary(max_size=20)).map(
        lambda patch: content[: patch[0]] + patch[2] + content[patch[0] + patch[1] :]
    )
    return cut | patched
