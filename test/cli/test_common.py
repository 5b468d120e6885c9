"""Settings from flags, from a parameter file and from ``--set``."""

from __future__ import annotations

import argparse
from itertools import pairwise
from pathlib import Path

import pytest

from gdfusion_ros.cli.common import (
    add_model_arguments,
    add_pipeline_arguments,
    model_settings,
    pipeline_settings,
    topic_settings,
)
from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.settings import ModelSettings, PipelineSettings, TopicSettings

FILE = """
/**:
  ros__parameters:
    weights: from_file.pth
    model: bevdetocc_gf_small
    missing_camera: hold
    max_hold: 2
    image_transport: raw
    bev_min_height: 0.1
"""


def parse(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_model_arguments(parser)
    add_pipeline_arguments(parser)
    return parser.parse_args(arguments)


@pytest.fixture
def file(tmp_path: Path) -> str:
    (tmp_path / 'occ.yaml').write_text(FILE)
    return str(tmp_path / 'occ.yaml')


def test_defaults() -> None:
    args = parse()
    assert (model_settings(args), pipeline_settings(args), topic_settings(args)) == (
        ModelSettings(),
        PipelineSettings(),
        TopicSettings(),
    )


def test_the_file_goes_before_defaults_and_flags_before_the_file(file: str) -> None:
    args = parse('--params-file', file, '--weights', 'from_flag.pth', '--set', 'max_hold=3', '--cues', 'voxel')
    assert model_settings(args) == ModelSettings(model='bevdetocc_gf_small', weights='from_flag.pth', cues=('voxel',))
    assert pipeline_settings(args, max_hold=4.0, tf_timeout=5.0) == PipelineSettings(
        missing_camera='hold', max_hold=3.0, tf_timeout=5.0
    )
    assert topic_settings(args) == TopicSettings(image_transport='raw')


def test_what_is_of_the_node_is_read_as_ros_reads_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / 'robot.yaml').write_text("""
/**: {ros__parameters: {use_sim_time: true, max_hold: 2.0, tf_timeout: 3.0}}
controller: {ros__parameters: {max_hold: 5.0, gain: 1.0}}
car: {occ: {ros__parameters: {max_hold: 4.0, mising_camera: hold}}}
/**/occ: {ros__parameters: {max_frame_gap: 7.0, camera_timeout: 2.0}}
""")
    args = parse('--params-file', str(tmp_path / 'robot.yaml'))
    assert pipeline_settings(args) == PipelineSettings(max_hold=4.0, tf_timeout=3.0, max_frame_gap=7.0)
    topic_settings(args)
    said = capsys.readouterr().err
    assert said.endswith("robot.yaml: unknown parameter 'mising_camera' is ignored; did you mean 'missing_camera'?\n")
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize('encoding', ['utf-8', 'utf-8-sig', 'utf-16'])
def test_a_file_has_the_encoding_that_it_has(tmp_path: Path, encoding: str) -> None:
    (tmp_path / 'occ.yaml').write_text('occ: {ros__parameters: {base_frame: mît}}', encoding)
    assert pipeline_settings(parse('--params-file', str(tmp_path / 'occ.yaml'))).base_frame == 'mît'


def test_a_file_for_other_nodes_alone_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / 'robot.yaml').write_text('Occ: {ros__parameters: {max_hold: 2.0}}')
    assert pipeline_settings(parse('--params-file', str(tmp_path / 'robot.yaml'))) == PipelineSettings()
    assert "nothing of it is used, as it is for other nodes (Occ); this one is 'occ'" in capsys.readouterr().err


def test_names_that_are_no_texts_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / 'robot.yaml').write_text('occ: {ros__parameters: {1: a, max_hold: 2.0, ~: b}}')
    assert pipeline_settings(parse('--params-file', str(tmp_path / 'robot.yaml'))).max_hold == 2
    said = capsys.readouterr().err
    assert "unknown parameter '1' is ignored" in said
    assert "unknown parameter 'None' is ignored" in said


def test_the_empty_list_of_ros_is_empty(tmp_path: Path) -> None:
    path = tmp_path / 'occ.yaml'
    path.write_text("occ: {ros__parameters: {cues: ['']}}")
    assert model_settings(parse('--params-file', str(path))).cues == ()


def test_flags_that_are_not_given_leave_the_file_alone(file: str) -> None:
    assert model_settings(parse('--params-file', file)).weights == 'from_file.pth'
    assert model_settings(parse('--untrained')) == ModelSettings(untrained=True)


def test_a_verb_without_a_parameter_file_has_model_flags() -> None:
    parser = argparse.ArgumentParser()
    add_model_arguments(parser)
    assert model_settings(parser.parse_args(['--device', 'cpu'])) == ModelSettings(device='cpu')


def test_set_takes_yaml() -> None:
    args = parse(
        '--set',
        'cameras=[left, right]',
        '--set',
        'reference_camera=left',
        '--set',
        'lossless=true',
        '--set',
        'image_topic=/{camera}/color',
    )
    assert pipeline_settings(args) == PipelineSettings(
        cameras=('left', 'right'), reference_camera='left', lossless=True
    )
    assert topic_settings(args).image('left') == '/left/color/compressed'


@pytest.mark.parametrize(
    ('override', 'reason'),
    [
        ('missing_camera', 'expected NAME=VALUE'),
        ('mising_camera=hold', "unknown setting 'mising_camera'"),
        ('missing_camera=wait', 'one of skip, hold, mask'),
        ('sync_tolerance=fast', 'expected a number'),
        ('cameras=[', 'the value is not YAML'),
        ('queue_size=0', 'a value from 1'),
    ],
)
def test_bad_overrides_are_refused(override: str, reason: str) -> None:
    with pytest.raises(GdfusionError, match=reason):
        pipeline_settings(parse('--set', override))


def test_a_topic_without_the_camera_is_refused() -> None:
    with pytest.raises(GdfusionError, match="setting 'image_topic': expected a topic with"):
        topic_settings(parse('--set', 'image_topic=/image'))


@pytest.mark.parametrize(
    ('text', 'reason'),
    [
        ('', "has no 'ros__parameters'"),
        ('a: b', "has no 'ros__parameters'"),
        ('a: [', 'cannot be read'),
        (None, 'cannot be read'),
        ('[' * 5000, 'cannot be read: maximum recursion depth'),
        ('occ: &self {x: *self}', 'cannot be read: maximum recursion depth'),
        ('/**: {ros__parameters: {a: 1}}\nocc: {}\n/**: {}', r"'/\*\*' is there a second time, after line 1; put both"),
        ('occ: {ros__parameters: {max_hold: 1.0, max_hold: 2.0}}', "'max_hold' is there a second time"),
        (
            'a: &a [x, x]\n'
            + ''.join(f'{b}: &{b} [*{a}, *{a}]\n' for a, b in pairwise('abcdefghijklmnopqrstuvwxyz'))
            + 'occ: {ros__parameters: {cameras: *z}}',
            r"setting 'cameras': expected a list of strings, as \[a, b\], got ",
        ),
    ],
    ids=['empty', 'no section', 'no YAML', 'no file', 'deep', 'itself', 'a node twice', 'a name twice', 'endless'],
)
def test_bad_files_are_refused(tmp_path: Path, text: str | None, reason: str) -> None:
    path = tmp_path / 'occ.yaml'
    if text is not None:
        path.write_text(text)
    with pytest.raises(GdfusionError, match=reason):
        pipeline_settings(parse('--params-file', str(path)))
