"""The settings of the node as ROS parameters: one record each, declared, checked, read back, printed."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_type_hints

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor, SetParametersResult
from rclpy.node import Node
from rclpy.parameter import Parameter

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.names import printable
from gdfusion_ros.parameter_file import is_of_ros, suggestion
from gdfusion_ros.settings import (
    BevSettings,
    ModelSettings,
    NodeSettings,
    PipelineSettings,
    Record,
    TopicSettings,
    Value,
    checked,
    from_mapping,
    records,
)


@dataclass(frozen=True)
class Settings:
    """Every setting of the node.

    Raises:
        GdfusionError: settings that contradict each other.
    """

    model: ModelSettings
    pipeline: PipelineSettings
    topics: TopicSettings
    bev: BevSettings
    node: NodeSettings

    def __post_init__(self) -> None:
        """A map in the vehicle's frame never lies as before; and who comes late needs the last whole one."""
        if self.node.bev_updates and (self.bev.bev_frame, self.node.output_durability) != ('fixed', 'transient_local'):
            raise GdfusionError(
                "setting 'bev_updates' needs 'bev_frame: fixed' and 'output_durability: transient_local', got "
                f"'{self.bev.bev_frame}' and '{self.node.output_durability}'"
            )

    def __str__(self) -> str:
        """One line a setting."""
        values = {
            name: value
            for part in dataclasses.fields(self)
            for name, value in dataclasses.asdict(getattr(self, part.name)).items()
        }
        return '\n'.join(f'  {name} = {_text(value)}' for name, value in values.items())


PARTS: Mapping[str, type] = get_type_hints(Settings)
"""Field of Settings -> its class."""

RECORDS: Mapping[str, tuple[Value, Record]] = {
    name: record for part in PARTS.values() for name, record in records(part).items()
}
"""Name of every parameter -> (default, record)."""


def checked_overrides(values: Mapping[str, object]) -> dict[str, Any]:
    """Parameters given on the command line, as ROS takes them.

    Raises:
        GdfusionError: an unknown name, or a value that its record does not allow.
    """
    for name in values:
        if name not in RECORDS:
            raise GdfusionError(f"unknown parameter '{name}'{suggestion(name, RECORDS)}")
    return {name: _to_ros(checked(name, value, *RECORDS[name])) for name, value in values.items()}


def declare(node: Node) -> None:
    """Declare every setting on a node that has declared all that it was given (parameter file, command line).

    Whole numbers are taken for decimal ones, which ROS would refuse. A parameter that nobody knows is likely a slip of
    the pen: it is named in the log.

    Raises:
        GdfusionError: a value that its record does not allow.
    """
    given = {name: parameter.value for name, parameter in node.get_parameters_by_prefix('').items()}
    for name, (default, record) in RECORDS.items():
        value = default
        if name in given:
            value = checked(name, _from_ros(given[name]), default, record)
            node.undeclare_parameter(name)
        node.declare_parameter(name, _to_ros(value), descriptor(default, record), ignore_override=True)
    for name in sorted(given.keys() - RECORDS.keys()):
        if not is_of_ros(name):
            said = f"unknown parameter '{printable(name, 80)}' is ignored{suggestion(name, RECORDS)}"
            node.get_logger().warning(said)


def read(node: Node) -> Settings:
    """The values that the parameters of ``node`` have now.

    Raises:
        GdfusionError: a value that its record does not allow.
    """
    return Settings(
        **{
            field: from_mapping(part, {name: _from_ros(node.get_parameter(name).value) for name in records(part)})
            for field, part in PARTS.items()
        }
    )


def check_change(parameters: list[Parameter], *, changeable: bool) -> SetParametersResult:
    """Whether parameters may take new values: they are read when the node is configured."""
    for parameter in parameters:
        if parameter.name not in RECORDS:
            continue
        if not changeable:
            return SetParametersResult(
                successful=False,
                reason=f"'{parameter.name}' is read when the node is "
                'configured: deactivate and clean up the node first',
            )
        try:
            checked(parameter.name, _from_ros(parameter.value), *RECORDS[parameter.name])
        except GdfusionError as error:
            return SetParametersResult(successful=False, reason=str(error))
    return SetParametersResult(successful=True)


def descriptor(default: Value, record: Record) -> ParameterDescriptor:
    """The record of a setting as ROS describes a parameter."""
    result = ParameterDescriptor(description=record.description)
    if record.choices:
        result.additional_constraints = 'one of ' + ', '.join(record.choices)
    if record.low is None or record.high is None:
        return result
    if isinstance(default, float):
        result.floating_point_range = [FloatingPointRange(from_value=record.low, to_value=record.high)]
    else:
        result.integer_range = [IntegerRange(from_value=int(record.low), to_value=int(record.high))]
    return result


def _to_ros(value: Value) -> Any:
    """ROS cannot tell the type of an empty list: a list of one empty string stands for it."""
    return list(value) or [''] if isinstance(value, tuple) else value


def _from_ros(value: Any) -> Any:
    return [] if value == [''] else value


def _text(value: Value) -> str:
    return printable(', '.join(value) if isinstance(value, tuple) else str(value), 500)
