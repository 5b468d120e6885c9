"""Names that others gave (topics, types, frames, models, tokens, folders) in what the verbs print: nothing in them acts
on the terminal, and none fills it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from gdfusion_ros.bags.messages import RosbagsFactory
from gdfusion_ros.bags.reader import bag_reader
from gdfusion_ros.bags.writer import bag_writer
from gdfusion_ros.cli import main
from gdfusion_ros.messages import encode
from gdfusion_ros.messages.outputs import GROUND_TRUTH_TOPIC, OCCUPANCY
from gdfusion_ros.perception.labels import OCC3D_NUSCENES
from gdfusion_ros.perception.types import SemanticGrid

ODD = 'odd\x1b[2J\x1b]0;title\x07\x9b31m\u202eback\u2028\r\nline\ttab' + 3000 * 'x' + ' end'
START = 1_600_000_000_000_000_000
LONGEST = 4100  # characters of a line


def assert_harmless(text: str) -> None:
    """Nothing but printable characters in lines of a sane length; progress bars return to the start of their line."""
    for line in re.split('[\n\r]', text):
        assert line.isprintable(), ascii(line)
        assert len(line) <= LONGEST
    assert 'odd' in text, 'what was printed tells nothing'


def grid_of(name: str, number: int, label: int = OCC3D_NUSCENES.free) -> SemanticGrid:
    place = OCC3D_NUSCENES.grid
    labels = np.full(place.shape, label, np.uint8, order='F')
    labels[:, :, :2] = 11
    return SemanticGrid(
        START + number * 500_000_000,
        name,
        place.lower,
        place.voxel_size,
        labels,
        np.full(place.shape, 255, np.uint8, order='F'),
        OCC3D_NUSCENES,
        name,
        number,
        (name, 'b'),
        0,
    )


@pytest.fixture(scope='module')
def odd_bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Grids, ground truth and a topic; wherever a name stands, it is ODD."""
    path, make = tmp_path_factory.mktemp('odd') / 'odd bag', RosbagsFactory()
    topic = '/odd' + ODD
    with bag_writer(path, custom_data={ODD: ODD, 'scene': 'odd'}) as bag:
        for name in ('/occ/occupancy', GROUND_TRUTH_TOPIC):
            bag.add_topic(name, OCCUPANCY.type_name)
        bag.add_topic(topic, 'std_msgs/msg/String')
        for number in range(2):
            grid = grid_of(ODD, number)
            for name in ('/occ/occupancy', GROUND_TRUTH_TOPIC):
                bag.write(name, grid.stamp, encode.occupancy(grid, make))
            bag.write(topic, grid.stamp, make('std_msgs/msg/String', data=ODD))
    return path


@pytest.fixture(scope='module')
def odd_inputs(nuscenes_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bag with images whose frames are called ODD."""
    folder = tmp_path_factory.mktemp('inputs')
    assert main(['convert', str(nuscenes_root), '--out', str(folder), '--scenes', 'scene-0001']) == 0
    with bag_reader(folder / 'scene-0001') as bag, bag_writer(folder / 'renamed') as renamed:
        for topic in bag.topics.values():
            renamed.add_topic(topic.name, topic.type_name, topic.qos[0])
        for topic_name, stamp, message in bag.messages(list(bag.topics)):
            if hasattr(message, 'header'):
                message.header.frame_id = ODD
            for transform in getattr(message, 'transforms', ()):
                transform.child_frame_id, transform.transform.rotation.w = ODD, 7.0
            renamed.write(topic_name, stamp, message)
    return folder / 'renamed'


@pytest.fixture
def odd_weights(tmp_path: Path) -> Path:
    path = tmp_path / 'odd.safetensors'
    save_file({'odd' + ODD: torch.zeros(1)}, path, {'model': 'gdfusion_nano', 'trained_on': ODD})
    return path


@pytest.fixture
def odd_parameters(tmp_path: Path) -> Path:
    path = tmp_path / 'odd.yaml'
    path.write_text(f'"/**": {{ros__parameters: {{{json.dumps("odd" + ODD)}: 1, 7: odd}}}}')
    return path


@pytest.fixture
def odd_tables(nuscenes_root: Path, tmp_path: Path) -> Path:
    """A dataset whose version is called ODD, as far as a folder can be."""
    root = tmp_path / 'odd tables'
    root.mkdir()
    (root / 'odd\x1b[2J\u202e').symlink_to(nuscenes_root / 'v1.0-test')
    (root / 'samples').symlink_to(nuscenes_root / 'samples')
    return root


CASES = {
    'info': (0, ['info', 'BAG']),
    'render a picture': (0, ['render', 'BAG', '--out', 'OUT/odd.png']),
    'render no such topic': (1, ['render', 'BAG', '--topic', ODD, '--out', 'OUT/odd.png']),
    'evaluate as text': (0, ['evaluate', 'BAG', '--no-rays']),
    'evaluate as Markdown': (0, ['evaluate', 'BAG', '--no-rays', '--format', 'markdown']),
    'evaluate as JSON': (0, ['evaluate', 'BAG', '--no-rays', '--format', 'json']),
    'replay refused frames': (1, ['replay', 'INPUTS', '--out', 'OUT/odd', '--untrained', '--model', 'gdfusion_nano']),
    'replay a parameter file': (1, ['replay', 'BAG', '--out', 'OUT/odd', '--params-file', 'PARAMETERS', '--untrained']),
    'replay a setting': (1, ['replay', 'BAG', '--out', 'OUT/odd', '--set', ODD]),
    'replay a value': (1, ['replay', 'BAG', '--out', 'OUT/odd', '--set', f'cameras=[{json.dumps(ODD)}]']),
    'replay a model': (1, ['replay', 'INPUTS', '--out', 'OUT/odd', '--model', ODD]),
    'check weights': (1, ['weights', 'check', 'WEIGHTS']),
    'convert': (0, ['convert', 'TABLES', '--out', 'OUT/bags', '--scenes', 'scene-0001']),
    'convert a scene': (1, ['convert', 'TABLES', '--out', 'OUT/bags', '--scenes', ODD]),
}


@pytest.mark.parametrize(('code', 'arguments'), CASES.values(), ids=CASES)
def test_names_of_others_are_printed_harmlessly(
    odd_bag: Path,
    odd_inputs: Path,
    odd_weights: Path,
    odd_parameters: Path,
    odd_tables: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    code: int,
    arguments: list[str],
) -> None:
    places = {
        'BAG': odd_bag,
        'INPUTS': odd_inputs,
        'WEIGHTS': odd_weights,
        'PARAMETERS': odd_parameters,
        'TABLES': odd_tables,
    }
    capsys.readouterr()
    given = [str(places.get(argument, argument)).replace('OUT', str(tmp_path)) for argument in arguments]
    assert main(given) == code
    printed = capsys.readouterr()
    assert_harmless(printed.out + printed.err)


def test_names_of_others_in_a_page_are_harmless(odd_bag: Path, tmp_path: Path) -> None:
    assert main(['render', str(odd_bag), '--out', str(tmp_path / 'odd.html')]) == 0
    page = (tmp_path / 'odd.html').read_text('utf-8')
    about = re.search('<script type="application/json" id="about">(.*)</script>', page)
    assert about
    facts = json.loads(about[1])
    assert facts['model'].isprintable()
    assert len(facts['model']) <= 80


@pytest.fixture
def verb_of_latin_1(patience: float) -> Callable[..., subprocess.CompletedProcess[bytes]]:
    """Runs a verb in a terminal that has no letters but those of ISO 8859-1."""

    def run(*arguments: str | Path) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [sys.executable, '-m', 'gdfusion_ros', *arguments],
            capture_output=True,
            timeout=patience,
            check=False,
            env={'PYTHONIOENCODING': 'latin-1:strict', 'PATH': '/usr/bin:/bin'},
        )

    return run


def test_a_terminal_of_another_encoding_gets_escapes(
    tmp_path: Path, verb_of_latin_1: Callable[..., subprocess.CompletedProcess[bytes]]
) -> None:
    with bag_writer(tmp_path / 'bag', custom_data={'place': '東京'}):
        pass
    path = (tmp_path / 'bag').rename(tmp_path / '東京 \udcff')  # the bytes of a name need not be UTF-8
    run = verb_of_latin_1('info', path)
    assert (run.returncode, run.stderr) == (0, b'')
    assert rb'\u6771\u4eac' in run.stdout


def test_a_bag_whose_metadata_unfolds_to_megabytes_is_one_line(
    odd_bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bag = Path(shutil.copytree(odd_bag, tmp_path / 'odd bag'))
    aliases = ''.join(f', &a{number} [{",".join(9 * [f"*a{number - 1}"])}]' for number in range(1, 8))
    (bag / 'metadata.yaml').write_text(f'rosbag2_bagfile_information: {{version: [&a0 odd{aliases}]}}')
    assert main(['info', str(bag)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert_harmless(line)


def test_a_model_that_is_called_like_a_place_in_the_page(tmp_path: Path) -> None:
    with bag_writer(tmp_path / 'bag') as bag:
        bag.add_topic('/occ/occupancy', OCCUPANCY.type_name)
        bag.write('/occ/occupancy', START, encode.occupancy(grid_of('{{frames}}', 0), RosbagsFactory()))
    assert main(['render', str(tmp_path / 'bag'), '--out', str(tmp_path / 'page.html')]) == 0
    assert '"{{frames}}"' in (tmp_path / 'page.html').read_text('utf-8')


def latin_1(folder: Path, name: str) -> Path:
    """A name with an e acute as ISO 8859-1 writes it, which is no UTF-8."""
    return folder / f'{name}-\udce9'


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_bags_are_read_wherever_they_lie(
    nuscenes_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], storage: str
) -> None:
    converted = ['--out', str(tmp_path), '--scenes', 'scene-0001', '--storage', storage]
    assert main(['convert', str(nuscenes_root), *converted]) == 0
    folder = latin_1(tmp_path, 'folder')
    folder.mkdir()
    bag = (tmp_path / 'scene-0001').rename(latin_1(folder, 'bag'))
    assert main(['info', str(bag)]) == 0
    untrained = ['--model', 'gdfusion_nano', '--untrained', '--device', 'cpu', '--set', 'keyframe_interval=9']
    assert main(['replay', str(bag), '--out', str(tmp_path / 'grids'), *untrained]) == 0
    with bag_reader(tmp_path / 'grids') as grids:
        assert grids.custom_data['gdfusion.bag'] == r'bag-\udce9'
        assert grids.count(['/occ/occupancy']) == 1


@pytest.mark.parametrize(
    'arguments',
    [
        ['replay', 'BAG', '--out', 'ODD'],
        ['render', 'BAG', '--out', 'ODD.png'],
        ['convert', 'TABLES', '--out', 'ODD'],
        ['weights', '--model', 'gdfusion_nano', 'convert', 'ODD', 'ODD.safetensors'],
        ['weights', '--model', 'gdfusion_nano', 'check', 'ODD'],
    ],
)
def test_a_name_that_is_not_utf_8_is_refused_where_a_library_does_not_take_it(
    odd_bag: Path, odd_tables: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    odd = latin_1(tmp_path, 'odd')
    if 'weights' in arguments:
        save_file({'a': torch.zeros(1)}, tmp_path / 'safetensors')
        (tmp_path / 'safetensors').rename(odd)
    before = set(tmp_path.iterdir())
    places = {
        'BAG': odd_bag,
        'TABLES': odd_tables,
        **{f'ODD{suffix}': f'{odd}{suffix}' for suffix in ('', '.png', '.safetensors')},
    }
    assert main([str(places.get(argument, argument)) for argument in arguments]) == 1
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith(f'gdfusion {arguments[0]}: ')
    assert 'not UTF-8' in line
    assert {path for path in tmp_path.iterdir() if path.is_file() or any(path.iterdir())} == before
