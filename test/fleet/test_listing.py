"""Which bags are meant, and what their results are called."""

from __future__ import annotations

from pathlib import Path

import pytest

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.fleet.job import JobSettings
from gdfusion_ros.fleet.listing import list_jobs


def bag(path: Path) -> Path:
    path.mkdir(parents=True)
    (path / 'metadata.yaml').touch()
    return path


def named(*texts: object) -> dict[str, str]:
    """Name of the result -> bag."""
    return {job.name: job.bag for job in list_jobs([str(text) for text in texts], '/out', JobSettings()).jobs}


def test_folders_globs_files_and_lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, third = bag(tmp_path / 'july' / 'a'), bag(tmp_path / 'july' / '17' / 'b'), bag(tmp_path / 'c')
    (tmp_path / '.hidden.x').mkdir()
    (loose := tmp_path / 'd.mcap').touch()
    (tmp_path / 'list.txt').write_text(f'# a comment\n{third}\n\n{loose}\n')
    assert named(tmp_path / 'july') == {'a': str(first), 'b': str(second)}
    assert named(tmp_path / 'july' / '*') == {'a': str(first), 'b': str(second)}
    assert named(tmp_path / 'list.txt', first) == {'c': str(third), 'd': str(loose), 'a': str(first)}
    monkeypatch.chdir(tmp_path)
    assert named('c') == {'c': str(third)}


def test_urls_stay_urls(tmp_path: Path) -> None:
    bag(tmp_path / 'a')
    assert named(f'file://{tmp_path}') == {'a': f'file://{tmp_path}/a'}


def test_loose_files_are_a_bag_each_unless_a_recording_was_split(tmp_path: Path) -> None:
    for name in ('x.mcap', 'y_0.mcap'):
        (tmp_path / name).touch()
    assert sorted(named(tmp_path)) == ['x', 'y_0']
    (tmp_path / 'y_1.mcap').touch()
    with pytest.raises(GdfusionError, match=r'files of several recordings, one of them in several files'):
        named(tmp_path)
    (tmp_path / 'x.mcap').unlink()
    assert named(tmp_path) == {tmp_path.name: str(tmp_path)}


def test_names_are_as_long_as_it_takes(tmp_path: Path) -> None:
    bags = [bag(tmp_path / day / 'drive') for day in ('mon', 'tue')] + [bag(tmp_path / 'other')]
    assert named(*bags) == {'mon_drive': str(bags[0]), 'tue_drive': str(bags[1]), 'other': str(bags[2])}


def test_scenes_of_nuscenes_are_jobs(nuscenes_root: Path, tmp_path: Path) -> None:
    one = bag(tmp_path / 'a')
    listing = list_jobs([str(nuscenes_root), str(one)], '/out', JobSettings(), scenes=['scene-0002'])
    a, scene = listing.jobs
    assert (scene.name, scene.scene, scene.bag) == ('scene-0002', 'scene-0002', str(nuscenes_root))
    assert listing.dataset_of(a) is None
    dataset = listing.dataset_of(scene)
    assert dataset is not None
    assert [found.name for found in dataset.scenes] == ['scene-0002']


@pytest.mark.parametrize(
    ('texts', 'reason'),
    [
        (('nothing',), 'no bags: nothing is at '),
        (('*.db3',), r'no bags: .*\*\.db3 matches nothing'),
        (('empty',), 'no bags: .*empty has none in it'),
        (('a', 'a'), 'a bag is named twice: .*/a; name it once'),
        (('empty.txt',), 'no bags: nothing was given'),
        (('missing.txt',), 'missing.txt cannot be reached: FileNotFound'),
        (('a', 'a.mcap'), 'differ only in the endings'),
        (('nope://x/y',), 'nope://x/y cannot be reached: ValueError'),
    ],
)
def test_what_is_no_list_of_bags_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, texts: tuple[str, ...], reason: str
) -> None:
    monkeypatch.chdir(tmp_path)
    bag(Path('a'))
    Path('a.mcap').touch()
    Path('empty').mkdir()
    Path('empty.txt').touch()
    with pytest.raises(GdfusionError, match=reason):
        named(*texts)


def test_scenes_need_nuscenes(tmp_path: Path) -> None:
    with pytest.raises(GdfusionError, match='--scenes and --version are of nuScenes'):
        list_jobs([str(bag(tmp_path / 'a'))], '/out', JobSettings(), scenes=['scene-0001'])
