"""Start the occupancy node, on request with RViz and the playback of a bag.

    ros2 launch gdfusion_ros occ.launch.py rviz:=true bag:=bags/scene-0001 lossless:=true input_reliability:=reliable
    ros2 launch gdfusion_ros occ.launch.py weights:=bevdetocc_gf

The bag starts to play when the node has become active, so that none of it is lost while the weights load.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import (
    DeclareLaunchArgument,
    ExecuteProcess,
    LogInfo,
    OpaqueFunction,
    RegisterEventHandler,
    SetEnvironmentVariable,
    Shutdown,
)
from launch.event_handlers import OnProcessExit
from launch.events.process import ProcessExited
from launch.logging import launch_config
from launch_ros.actions import Node

from gdfusion_ros import parameter_file
from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.messages.outputs import LABEL_INFO_TOPIC, LABEL_INFO_TYPE
from gdfusion_ros.resources import resource
from gdfusion_ros.ros.environment import prepare
from gdfusion_ros.ros.launch_arguments import check, not_taken, parsed
from gdfusion_ros.settings import ModelSettings, NodeSettings, PipelineSettings, TopicSettings, merged, records
from gdfusion_ros.viewers.rviz import displays_of_rig

OUTPUTS = ('points', 'markers', 'bev', 'bev_updates')

RECORDS = {**records(ModelSettings), **records(PipelineSettings), **records(NodeSettings)}
PARAMETERS = ('model', 'weights', 'untrained', 'device', 'cameras', 'lossless', 'input_reliability')
"""Parameters of the node that are launch arguments too: what is given here overrides params_file."""

SWITCH = ('true', 'false')
ARGUMENTS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    'params_file': (str(resource('config/occ.yaml')), 'YAML file with the parameters of the node', ()),
    'namespace': ('', 'namespace of the node', ()),
    'rviz': ('false', 'show the grid in RViz', SWITCH),
    'bag': ('', 'path of a bag to play', ()),
    'rate': ('1.0', 'speed of the playback', ()),
    'use_sim_time': ('auto', 'take the time from /clock; auto: when a bag is played', ('auto', *SWITCH)),
}
"""Name -> (default, description, choices) of the other launch arguments."""


def generate_launch_description() -> LaunchDescription:
    """The arguments, and what they start."""
    parameters = [
        DeclareLaunchArgument(
            name, default_value='', description=f'{RECORDS[name][1].description} Not given: as in params_file.'
        )
        for name in PARAMETERS
    ]
    arguments = [
        DeclareLaunchArgument(name, default_value=default, description=text, choices=choices or None)
        for name, (default, text, choices) in ARGUMENTS.items()
    ]
    return LaunchDescription([*parameters, *arguments, OpaqueFunction(function=start)])


def start(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """The environment, the node, and where wanted RViz and the bag."""
    values = {name: context.launch_configurations[name] for name in (*PARAMETERS, *ARGUMENTS)}
    overrides = {name: parsed(name, values[name]) for name in PARAMETERS if values[name]}
    check(values, overrides)
    hints = [LogInfo(msg=line) for line in not_taken(context.argv, values)]
    clocked = values['use_sim_time'] == 'true' or (values['use_sim_time'] == 'auto' and values['bag'] != '')
    sim_time = {'use_sim_time': clocked}
    node = Node(
        package='gdfusion_ros',
        executable='occ',
        name='occ',
        namespace=values['namespace'],
        output='both',
        parameters=[values['params_file'], overrides, sim_time],
        on_exit=end,
    )
    entities: list[LaunchDescriptionEntity] = [*hints, *environment(), node]
    if values['rviz'] == 'true':
        entities.append(
            rviz(values['namespace'], sim_time, parameter_file.read(Path(values['params_file'])), overrides)
        )
    if values['bag']:
        entities += playback(values['namespace'], values['bag'], values['rate'])
    return entities


def end(event: ProcessExited, context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """Stop the rest with the node, unless everything is being stopped already; where it failed, `ros2 launch` fails.

    Raises:
        GdfusionError: the node has failed. Launch would end with exit code 0 after a Shutdown.
    """
    if context.is_shutdown:
        return []
    if event.returncode:
        raise GdfusionError(f'the node has ended with exit code {event.returncode}')
    return [Shutdown(reason='the node has ended')]


def played(event: ProcessExited, context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """Leave the node as it is after a bag.

    Raises:
        GdfusionError: the bag could not be played, so that the node would wait for nothing.
    """
    if event.returncode and not context.is_shutdown:
        raise GdfusionError(f'ros2 bag play has ended with exit code {event.returncode}')
    return []


def environment() -> list[SetEnvironmentVariable]:
    """What the node's process needs and the user has not set: the Fast DDS profile for images above all."""
    needed = dict(os.environ)
    prepare(needed)
    return [SetEnvironmentVariable(name, value) for name, value in needed.items() if os.environ.get(name) != value]


def playback(namespace: str, bag: str, rate: str) -> list[LaunchDescriptionEntity]:
    """`ros2 bag play` as soon as the node is active: then its label info comes, which is latched, so never missed."""
    active = ExecuteProcess(
        cmd=[
            'ros2',
            'topic',
            'echo',
            '--once',
            '--qos-durability',
            'transient_local',
            '--qos-reliability',
            'reliable',
            in_namespace(namespace, f'occ/{LABEL_INFO_TOPIC}'),
            LABEL_INFO_TYPE,
        ],
        output='log',
    )
    # Its end takes away what no subscriber has acknowledged yet, so the player waits for a node that is busy [ms].
    options = ['--clock', '--rate', rate, '--delay', '1', '--wait-for-all-acked', '10000']
    play = ExecuteProcess(cmd=['ros2', 'bag', 'play', bag, *options], output='both', on_exit=played)
    return [active, RegisterEventHandler(OnProcessExit(target_action=active, on_exit=[play]))]


def rviz(namespace: str, sim_time: dict[str, bool], *parameters: Mapping[str, object]) -> Node:
    """RViz with the package's display file for the rig; the topics in there are those of a node without namespace."""
    displays = displays_of_rig(
        resource('config/occ.rviz').read_text(),
        merged(PipelineSettings, *parameters),
        merged(TopicSettings, *parameters),
    )
    file = Path(launch_config.log_dir, 'occ.rviz')
    file.write_text(displays)
    topics = [(f'/occ/{name}', in_namespace(namespace, f'occ/{name}')) for name in OUTPUTS]
    return Node(
        package='rviz2', executable='rviz2', arguments=['-d', str(file)], parameters=[sim_time], remappings=topics
    )


def in_namespace(namespace: str, name: str) -> str:
    """A topic's full name."""
    return '/'.join(['', *namespace.strip('/').split('/'), name]) if namespace.strip('/') else f'/{name}'
