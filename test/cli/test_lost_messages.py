"""A bag that says it has more messages than there are ends every verb that reads them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from gdfusion_ros.cli import main


@pytest.fixture(scope='module')
def bag(nuscenes_complete: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A converted scene whose metadata promises one message more on every topic."""
    folder = tmp_path_factory.mktemp('lost')
    assert main(['convert', str(nuscenes_complete), '--out', str(folder), '--scenes', 'scene-0001', '--labels']) == 0
    metadata = folder / 'scene-0001' / 'metadata.yaml'
    content = yaml.safe_load(metadata.read_text())
    for row in content['rosbag2_bagfile_information']['topics_with_message_count']:
        row['message_count'] += 1
    metadata.write_text(yaml.safe_dump(content))
    return folder / 'scene-0001'


@pytest.mark.parametrize(
    'arguments',
    [
        ['replay', '{bag}', '--out', '{out}', '--model', 'gdfusion_nano', '--untrained', '--device', 'cpu'],
        ['evaluate', '{bag}', '--topic', '/ground_truth/occupancy', '--truth', '{bag}', '--no-rays'],
        ['render', '{bag}', '--topic', '/ground_truth/occupancy', '--out', '{out}.png'],
    ],
)
def test_fewer_messages_than_promised_end_the_verb(
    bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    capsys.readouterr()
    assert main([argument.format(bag=bag, out=tmp_path / 'out') for argument in arguments]) == 1
    line = capsys.readouterr().err.splitlines()[-1]
    assert f'bag {bag} says that it has ' in line
    assert "'ros2 bag reindex'" in line
    assert list(tmp_path.iterdir()) == []


def test_info_shows_what_is_promised(bag: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(['info', str(bag)]) == 0
    out = capsys.readouterr().out
    assert re.search(r'^/tf_static +tf2_msgs/msg/TFMessage +2 ', out, re.MULTILINE)
    assert re.search(r'^/tf_static +tf2_msgs/msg/TFMessage +1  promised, but missing$', out, re.MULTILINE)
