"""Settings as ROS parameters, on a real node."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from rclpy.lifecycle import LifecycleNode
from rclpy.parameter import Parameter

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.resources import resource
from gdfusion_ros.ros import parameters
from gdfusion_ros.ros.context import ros_context
from gdfusion_ros.ros.parameters import PARTS, RECORDS, Settings
from gdfusion_ros.settings import CUES, records


@contextmanager
def node_with(*arguments: str) -> Iterator[Any]:
    """A node that was given parameters on the command line."""
    with ros_context([part for argument in arguments for part in ('-p', argument)]) as context:
        node = LifecycleNode('occ', context=context, automatically_declare_parameters_from_overrides=True)
        yield node
        node.destroy_node()


def test_no_name_is_there_twice() -> None:
    assert len(RECORDS) == sum(len(records(part)) for part in PARTS.values())


def test_every_parameter_is_described_with_its_type_and_range() -> None:
    with node_with() as node:
        parameters.declare(node)
        for name, (default, record) in RECORDS.items():
            described = node.describe_parameter(name)
            assert described.description == record.description
            assert (
                described.type
                == Parameter.Type.from_parameter_value(
                    list(default or ('',)) if isinstance(default, tuple) else default
                ).value
            )
            ranges = [*described.floating_point_range, *described.integer_range]
            assert [(item.from_value, item.to_value) for item in ranges] == (
                [] if record.low is None else [(record.low, record.high)]
            )


def test_the_parameter_file_gives_every_default() -> None:
    with ros_context(['--params-file', str(resource('config/occ.yaml'))]) as context:
        node = LifecycleNode('occ', context=context, automatically_declare_parameters_from_overrides=True)
        parameters.declare(node)
        assert parameters.read(node) == Settings(**{name: part() for name, part in PARTS.items()})
        node.destroy_node()


def test_defaults_are_those_of_the_records() -> None:
    with node_with() as node:
        parameters.declare(node)
        settings = parameters.read(node)
    for field, part in PARTS.items():
        assert getattr(settings, field) == part()


def test_given_values_are_taken_and_whole_numbers_count_as_decimal_ones() -> None:
    with node_with(
        'sync_tolerance:=1', 'missing_camera:=hold', 'cameras:=[A, B]', 'reference_camera:=B', "cues:=['']"
    ) as node:
        parameters.declare(node)
        settings = parameters.read(node)
    assert settings.pipeline.sync_tolerance == 1.0
    assert settings.pipeline.missing_camera == 'hold'
    assert settings.pipeline.cameras == ('A', 'B')
    assert settings.model.cues == ()


@pytest.mark.parametrize(
    ('argument', 'said'),
    [
        ('sync_tolerance:=wide', "setting 'sync_tolerance': expected a number, got 'wide'"),
        ('sync_tolerance:=-0.1', "setting 'sync_tolerance': expected a value from 0.0 to 1.0, got -0.1"),
        ('queue_size:=2.5', "setting 'queue_size': expected a whole number, got 2.5"),
        ('lossless:=1', "setting 'lossless': expected true or false, got 1"),
        ('missing_camera:=wait', "setting 'missing_camera': expected one of skip, hold, mask, got 'wait'"),
        ('cues:=[voxel, time]', "setting 'cues': expected a list of voxel, scene, motion, geometry"),
    ],
)
def test_a_value_that_is_not_allowed_is_refused_in_one_line(argument: str, said: str) -> None:
    with node_with(argument) as node, pytest.raises(GdfusionError) as refusal:
        parameters.declare(node)
    assert said in str(refusal.value)
    assert '\n' not in str(refusal.value)


def test_unknown_names_on_the_command_line_are_refused_with_the_closest() -> None:
    with pytest.raises(GdfusionError, match=r"unknown parameter 'sync_tolerence'; did you mean 'sync_tolerance'\?"):
        parameters.checked_overrides({'sync_tolerence': 0.1})


def test_a_change_is_refused_while_the_node_is_configured() -> None:
    change = [Parameter('cues', value=list(CUES[:1]))]
    assert parameters.check_change(change, changeable=True).successful
    refused = parameters.check_change(change, changeable=False)
    assert not refused.successful
    assert 'deactivate and clean up the node first' in refused.reason


def test_a_change_to_a_value_that_is_not_allowed_is_refused() -> None:
    refused = parameters.check_change([Parameter('missing_camera', value='wait')], changeable=True)
    assert not refused.successful
    assert 'expected one of skip, hold, mask' in refused.reason


def test_effective_values_are_printed_one_a_line() -> None:
    with node_with('max_hold:=2') as node:
        parameters.declare(node)
        lines = str(parameters.read(node)).splitlines()
    assert [line.split()[0] for line in lines] == list(RECORDS)
    assert '  max_hold = 2.0' in lines


@pytest.mark.parametrize('other', [{}, {'bev_frame': 'fixed', 'output_durability': 'volatile'}])
def test_parts_of_a_map_need_a_place_that_stays_and_a_map_for_those_who_come_late(other: dict[str, str]) -> None:
    given = [f'{name}:={value}' for name, value in {'bev_updates': 'true', **other}.items()]
    with node_with(*given) as node:
        parameters.declare(node)
        with pytest.raises(
            GdfusionError, match="setting 'bev_updates' needs 'bev_frame: fixed' and 'output_durability"
        ):
            parameters.read(node)
