"""Run the live node: camera images and TF in, semantic voxel grids out, over ROS 2.

  gdfusion node                                           waits for six nuScenes cameras and TF
  gdfusion node --weights bevdetocc_gf                    with the authors' weights (see 'gdfusion weights')
  gdfusion node --params-file config/occ.yaml --set missing_camera=hold --set base_frame=chassis
  gdfusion node --weights runs/mine/weights.safetensors --ros-args -r __ns:=/car -p use_sim_time:=true
  gdfusion node --page 8080                               the grids as they come, in a browser: http://127.0.0.1:8080
  gdfusion node --foxglove                                the same for Foxglove: ws://127.0.0.1:8765

Publishes /occ/occupancy, observed, points, obstacles, markers, voxels and bev (each only while somebody subscribes),
/occ/label_info and /diagnostics; /occ/reset forgets the past. Ctrl-C stops it. Every parameter, with its range and
meaning, is in config/occ.yaml and in 'ros2 param describe /occ NAME'.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from gdfusion_ros.cli.common import add_model_arguments, add_set_argument, assignment
from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.settings import ModelSettings, records

HELP = 'run the live ROS 2 node'
FOXGLOVE_PORT = 8765
"""Where Foxglove looks first."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The network, parameters, and arguments for ROS itself."""
    add_model_arguments(parser)
    group = parser.add_argument_group('node')
    group.add_argument(
        '--params-file',
        type=Path,
        action='append',
        default=[],
        help='YAML file of parameters (config/occ.yaml); may be repeated, a later file overrides an earlier one',
    )
    add_set_argument(group, 'one parameter, which overrides the files; may be repeated; the value is YAML')
    group.add_argument(
        '--page',
        type=int,
        metavar='PORT',
        dest='page_port',
        help='show the grids in a browser, by a page on PORT of this computer (of the network: --set '
        "viewer_host=0.0.0.0); needs pip install 'gdfusion-ros[page]'",
    )
    group.add_argument(
        '--foxglove',
        type=int,
        nargs='?',
        const=FOXGLOVE_PORT,
        metavar='PORT',
        dest='foxglove_port',
        help='serve Foxglove, on PORT of this computer (default: %(const)s); needs pip install '
        "'gdfusion-ros[foxglove]'",
    )
    group.add_argument(
        '--ros-args',
        nargs=argparse.REMAINDER,
        default=[],
        metavar='…',
        help='all that follows goes to ROS: remappings, -p, --log-level',
    )


def run(args: argparse.Namespace) -> int:
    """Run until SIGINT, SIGTERM or SIGHUP; exit code 0 then."""
    from gdfusion_ros.ros.signals import StopRequest

    stop = StopRequest()
    flags = (*records(ModelSettings), 'page_port', 'foxglove_port')
    overrides = {name: getattr(args, name) for name in flags if getattr(args, name) is not None}
    overrides.update(assignment(text) for text in args.overrides)
    ros_arguments = [*_params_files(args.params_file), *args.ros_args]
    from gdfusion_ros.model.runtime.process import loading, prepare_process

    with loading():
        from gdfusion_ros.ros import environment

        prepare_process()
        environment.prepare()
        from gdfusion_ros.ros.main import run_node

    run_node(overrides, ros_arguments, stop)


def _params_files(paths: Sequence[Path]) -> list[str]:
    for path in paths:
        if not path.is_file():
            raise GdfusionError(f'no parameter file {path}; config/occ.yaml is one to begin with')
    return [argument for path in paths for argument in ('--params-file', str(path))]
