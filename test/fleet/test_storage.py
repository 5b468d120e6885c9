"""Results on a disk and in an object store: whole or not at all."""

from __future__ import annotations

from pathlib import Path

import fsspec
import pytest

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.fleet.storage import RECORD, Output, StoredOutput, local_copy, output

Place = tuple[Output, Path]


@pytest.fixture(params=['', 'file://'])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """A folder, reached as a path and as an object store, and where it really is."""
    return output(f'{request.param}{tmp_path}/out'), tmp_path / 'out'


def write(results: Output, name: str, text: str) -> None:
    with results.result(name) as folder:
        (folder / 'grids').mkdir()
        (folder / 'grids' / 'x').write_text(text)
        (folder / RECORD).write_text(text)


def test_a_result_is_there_when_it_is_whole(place: Place) -> None:
    results, folder = place
    assert not results.occupied()
    assert results.read(f'a/{RECORD}') is None
    write(results, 'a', 'one')
    assert results.occupied()
    assert results.read(f'a/{RECORD}') == b'one'
    assert (folder / 'a' / 'grids' / 'x').read_text() == 'one'
    write(results, 'a', 'two')
    assert results.read('a/grids/x') == b'two'
    results.write('fleet.json', b'1')
    results.write('fleet.json', b'2')
    assert results.read('fleet.json') == b'2'


def test_what_is_stopped_leaves_nothing(place: Place) -> None:
    def stopped() -> None:
        with results.result('a') as draft:
            (draft / 'x').write_text('half')
            raise KeyboardInterrupt

    results, folder = place
    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert results.read(f'a/{RECORD}') is None
    assert not folder.exists()


def test_what_was_killed_is_removed(tmp_path: Path) -> None:
    results = output(str(tmp_path / 'out'))
    write(results, 'a', 'one')
    (tmp_path / 'out' / '.b.x7d' / 'b').mkdir(parents=True)
    results.clean()
    assert [path.name for path in (tmp_path / 'out').iterdir()] == ['a']


def test_a_folder_is_claimed_by_one_and_stays_only_if_it_is_used(place: Place) -> None:
    results, folder = place
    with results.claimed():
        results.read('fleet.json')
    assert not folder.exists()
    with results.claimed():
        results.write('fleet.json', b'1')
    with results.claimed():
        assert results.read('fleet.json') == b'1'


def test_a_folder_is_not_claimed_twice(tmp_path: Path) -> None:
    (folder := tmp_path / 'out').mkdir()
    with (
        output(str(folder)).claimed(),
        pytest.raises(GdfusionError, match="another 'gdfusion fleet' is at work on"),
        output(str(folder)).claimed(),
    ):
        pass
    (file := tmp_path / 'file').touch()
    with pytest.raises(GdfusionError, match='cannot be written'), output(str(file / 'out')).claimed():
        pass


def test_a_folder_of_somebody_else_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / 'a').mkdir()
    (tmp_path / 'a' / 'mine').touch()
    with pytest.raises(GdfusionError, match='exists already'):
        write(output(str(tmp_path)), 'a', 'one')
    assert (tmp_path / 'a' / 'mine').exists()


def test_the_record_reaches_a_store_last(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    results = StoredOutput(f'file://{tmp_path}/out')
    sent: list[str] = []
    put = fsspec.implementations.local.LocalFileSystem.put_file
    monkeypatch.setattr(
        fsspec.implementations.local.LocalFileSystem,
        'put_file',
        lambda *given, **more: (sent.append(Path(given[2]).name), put(*given, **more))[1],
    )
    write(results, 'a', 'one')
    assert sent == ['x', RECORD]


def test_what_a_url_names_lies_here_while_it_is_used(tmp_path: Path) -> None:
    (bag := tmp_path / 'bag').mkdir()
    (bag / 'metadata.yaml').write_text('x')
    with local_copy(str(bag)) as path:
        assert path == bag
    with local_copy(f'file://{bag}') as path:
        assert path != bag
        assert (path.name, (path / 'metadata.yaml').read_text()) == ('bag', 'x')
    assert not path.exists()
    with (
        pytest.raises(GdfusionError, match=r'file://.*/missing cannot be reached: FileNotFoundError'),
        local_copy(f'file://{tmp_path}/missing'),
    ):
        pass
