"""Every setting of the pipeline, one record each: name, default, range, one sentence.

The live node declares these records as ROS parameters and the bag replay reads them from the same YAML file, so a
setting means the same thing in both.
"""

from __future__ import annotations

import dataclasses
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar, cast

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.renamed import current

SURROUND_CAMERAS = ('CAM_FRONT_LEFT', 'CAM_FRONT', 'CAM_FRONT_RIGHT', 'CAM_BACK_LEFT', 'CAM_BACK', 'CAM_BACK_RIGHT')
DEFAULT_MODEL = 'gdfusion_nano'
GROUND, OBSTACLES = 'ground', 'obstacles'
"""Groups of classes of any label set: what a vehicle can stand on, and all else that is not free."""
CUES = ('voxel', 'scene', 'motion', 'geometry')

Value = bool | int | float | str | tuple[str, ...]
S = TypeVar('S')


@dataclass(frozen=True)
class Record:
    """What is known of one setting beside its name and value.

    ``low`` and ``high`` are inclusive and bound numbers; ``choices`` bounds strings, or the elements of a list.
    """

    description: str
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()


def setting(
    default: Value,
    description: str,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
) -> Any:
    """A dataclass field that carries its Record."""
    return field(default=default, metadata={'record': Record(description, low, high, choices)})


def records(settings_type: type) -> dict[str, tuple[Value, Record]]:
    """Name -> (default, record) of a settings class, in the order of its fields; fields without a record are none."""
    return {
        item.name: (cast(Value, item.default), item.metadata['record'])
        for item in dataclasses.fields(settings_type)
        if item.metadata
    }


def checked(name: str, value: object, default: Value, record: Record) -> Value:
    """``value`` as the type of ``default``, within the record's bounds.

    Raises:
        GdfusionError: wrong type, out of range, or not among the choices.
    """

    def refuse(wanted: str) -> GdfusionError:
        # Cut, as a few lines of YAML with aliases can unfold to gigabytes.
        return GdfusionError(f"setting '{name}': expected {wanted}, got {reprlib.repr(value)} ({record.description})")

    if isinstance(default, bool):
        if not isinstance(value, bool):
            raise refuse('true or false')
        return value
    if isinstance(default, (int, float)):
        number = type(default)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or number(value) != value:
            raise refuse('a whole number' if number is int else 'a number')
        low, high = record.low, record.high
        if (low is not None and value < low) or (high is not None and value > high):
            raise refuse(f'a value from {low} to {high}')
        return number(value)
    if isinstance(default, str):
        if not isinstance(value, str):
            raise refuse('a string')
        if record.choices and value not in record.choices:
            raise refuse('one of ' + ', '.join(record.choices))
        return value
    if isinstance(value, str) or not isinstance(value, (list, tuple)) or not all(isinstance(v, str) for v in value):
        raise refuse('a list of strings, as [a, b]')
    if record.choices and not set(value) <= set(record.choices):
        raise refuse('a list of ' + ', '.join(record.choices))
    return tuple(value)


def from_mapping(settings_type: type[S], values: Mapping[str, object]) -> S:
    """Settings with the defaults replaced by ``values``.

    Raises:
        GdfusionError: an unknown name, or a value that its record does not allow.
    """
    known, values = records(settings_type), current(values)
    for name in values:
        if name not in known:
            raise GdfusionError(f"unknown setting '{name}'; there are {', '.join(known)}")
    return settings_type(**{name: checked(name, value, *known[name]) for name, value in values.items()})


def merged(settings_type: type[S], *sources: Mapping[str, object]) -> S:
    """The settings of one class that the sources hold; a later source overrides an earlier one.

    Raises:
        GdfusionError: a value that its record does not allow.
    """
    known = records(settings_type)
    return from_mapping(settings_type, {name: source[name] for source in sources for name in known if name in source})


@dataclass(frozen=True)
class ModelSettings:
    """Which network runs, with which weights, where."""

    model: str = setting(
        '', "Name of the network ('gdfusion models' lists them); empty: the one that the weights are of."
    )
    weights: str = setting(
        '',
        "Name ('gdfusion weights list') or path of the checkpoint (.pth or .safetensors); "
        "empty: the model's own, or those that come with the package.",
    )
    untrained: bool = setting(False, 'Run with seeded random weights: for trials only, every output says so.')
    device: str = setting('auto', 'auto, cpu, cuda or cuda:<index>; auto takes CUDA where it is available.')
    backend: str = setting(
        'torch',
        'What computes it: torch, or onnxruntime or openvino, which run exported networks '
        "('gdfusion export') and make them of weights where none is given.",
        choices=('torch', 'onnxruntime', 'openvino'),
    )
    provider: str = setting(
        'CPU',
        'Execution provider of onnxruntime: CPU, CUDA, Tensorrt or whatever it has; device of openvino: CPU, GPU, NPU.',
    )
    precision: str = setting(
        'fp32',
        'fp32; autocast: half precision convolutions on CUDA; int8: convolutions of 8-bit '
        "integers on a CPU, by weights that 'gdfusion quantize' made.",
        choices=('fp32', 'autocast', 'int8'),
    )
    cues: tuple[str, ...] = setting(
        CUES, 'Temporal cues that are switched on, of those that the network has.', choices=CUES
    )


def model_arguments(model: ModelSettings) -> list[str]:
    """The arguments of ``gdfusion VERB`` that ask for ``model``."""
    arguments: list[str] = []
    for name, value in dataclasses.asdict(model).items():
        flag = '--' + name.replace('_', '-')
        if isinstance(value, bool):
            arguments += [flag] * value
        elif isinstance(value, tuple):
            arguments += [flag, *value]
        elif value:
            arguments += [flag, value]
    return arguments


@dataclass(frozen=True)
class PipelineSettings:
    """How images and transforms become frames, and when the memory is reset."""

    cameras: tuple[str, ...] = setting(SURROUND_CAMERAS, 'Camera names, in the order the network was trained with.')
    reference_camera: str = setting('CAM_FRONT', 'Camera whose stamp is the stamp of a set and of its grid.')
    base_frame: str = setting('base_link', 'TF frame of the vehicle; the grid is given in it.')
    lidar_frame: str = setting(
        'LIDAR_TOP', 'TF frame of the LiDAR; the grid of a network that was trained so is given in it instead.'
    )
    fixed_frame: str = setting('map', 'TF frame that the ego pose is continuous in (odom or map).')
    sync_tolerance: float = setting(
        0.06, 'Largest offset of an image from the reference image in a set [s].', low=0.0, high=1.0
    )
    sync_patience: float = setting(
        0.3,
        'How far the other cameras may run ahead of a missing image before it is given '
        'up [s]; not with lossless, which waits for as long as the queues hold.',
        low=0.0,
        high=10.0,
    )
    silence_timeout: float = setting(
        2.0, 'Without any image for this long, sets that wait for one are closed [s].', low=0.1, high=60.0
    )
    missing_camera: str = setting(
        'skip',
        'Without an image of a camera: skip the set, hold its last one, or mask it.',
        choices=('skip', 'hold', 'mask'),
    )
    missing_lidar: str = setting(
        'skip',
        'Without a cloud of the LiDAR, for networks that look at one: skip the set, or go on by the cameras alone.',
        choices=('skip', 'camera_only'),
    )
    lidar_tolerance: float = setting(
        0.1, 'Largest offset of a cloud from the middle of the images of a set [s].', low=0.0, high=1.0
    )
    lidar_patience: float = setting(
        0.3,
        'How long a complete set waits for its cloud [s], at most tf_timeout; with lossless, as long as that.',
        low=0.0,
        high=10.0,
    )
    max_hold: float = setting(1.0, 'Oldest image that missing_camera=hold may use [s].', low=0.0, high=60.0)
    queue_size: int = setting(10, 'Images kept a camera while sets are made.', low=1, high=1000)
    keyframe_interval: float = setting(
        0.5, 'Time between the sets that the network sees [s]; 0 takes all.', low=0.0, high=10.0
    )
    tf_timeout: float = setting(1.0, 'How long a set waits for its transforms [s].', low=0.0, high=60.0)
    tf_history: float = setting(10.0, 'Span of transforms that is kept [s].', low=0.1, high=3600.0)
    max_frame_gap: float = setting(3.0, 'A longer time between two frames resets the memory [s].', low=0.0, high=3600.0)
    max_ego_jump: float = setting(
        50.0, 'A greater distance of the vehicle between two frames resets the memory [m].', low=0.0, high=1e6
    )
    max_ego_turn: float = setting(
        90.0, 'A larger turn of the vehicle between two frames resets the memory [deg].', low=0.0, high=180.0
    )
    max_ego_speed: float = setting(
        60.0,
        'Poses that move the vehicle faster than this between the images of a set are '
        'a jump, and the set is refused [m/s].',
        low=0.1,
        high=1e6,
    )
    time_jump_back: float = setting(
        0.25, 'A stamp older than the last by more than this is a restart of time [s].', low=0.0, high=3600.0
    )
    lossless: bool = setting(False, 'Queue every set (for bags) instead of taking the newest.')
    confidence: bool = setting(False, "Give the probability of each voxel's label, too.")
    unobserved: str = setting(
        'keep',
        'Voxels that no camera sees: keep what the network says of them, or label them unknown.',
        choices=('keep', 'unknown'),
    )

    def grid_frame(self, kind: Literal['ego', 'lidar']) -> str:
        """The TF frame that the grid of a network of this kind lies in."""
        return self.base_frame if kind == 'ego' else self.lidar_frame

    def __post_init__(self) -> None:
        """Refuse settings that contradict each other."""
        if len(set(self.cameras)) != len(self.cameras):
            raise GdfusionError(f"setting 'cameras': a name is there twice in {', '.join(self.cameras)}; leave one")
        if self.reference_camera not in self.cameras:
            raise GdfusionError(
                f"setting 'reference_camera': '{self.reference_camera}' is not among the cameras "
                f'({", ".join(self.cameras)})'
            )
        for name in ('base_frame', 'lidar_frame', 'fixed_frame'):
            if getattr(self, name).startswith('/'):
                raise GdfusionError(f"setting '{name}': TF frames begin without a slash, got '{getattr(self, name)}'")
            if not getattr(self, name):
                raise GdfusionError(f"setting '{name}': expected the name of a TF frame, got an empty one")
        if self.fixed_frame == self.base_frame:
            raise GdfusionError(
                f"settings 'fixed_frame' and 'base_frame' are both '{self.base_frame}': the vehicle "
                'would never move; fixed_frame is the one that it drives in (odom or map)'
            )


@dataclass(frozen=True)
class TopicSettings:
    """Where the messages come from; ``{camera}`` stands for the camera's name.

    Raises:
        GdfusionError: a camera's topic without ``{camera}``: every camera would read the same one; one topic for both
            sorts of transforms.
    """

    image_topic: str = setting('/{camera}/image', 'Image topic of a camera, without the suffix of the transport.')
    camera_info_topic: str = setting('/{camera}/camera_info', 'CameraInfo topic of a camera.')
    image_transport: str = setting(
        'compressed',
        'compressed: CompressedImage on <image_topic>/compressed; raw: Image.',
        choices=('compressed', 'raw'),
    )
    lidar_topic: str = setting(
        '/LIDAR_TOP/points', 'PointCloud2 topic of the LiDAR; read for networks that look at its depth.'
    )
    tf_topic: str = setting('/tf', 'Topic of the transforms that change.')
    tf_static_topic: str = setting('/tf_static', 'Topic of the transforms that hold for good.')

    def __post_init__(self) -> None:
        for name in ('image_topic', 'camera_info_topic'):
            if '{camera}' not in getattr(self, name):
                raise GdfusionError(f"setting '{name}': expected a topic with {{camera}}, got {getattr(self, name)!r}")
        if self.tf_topic == self.tf_static_topic:
            raise GdfusionError(
                f"settings 'tf_topic' and 'tf_static_topic' are both '{self.tf_topic}'; the "
                'transforms that hold for good have a topic of their own'
            )

    def image(self, camera: str) -> str:
        """The topic that the images of ``camera`` come on."""
        suffix = '/compressed' if self.image_transport == 'compressed' else ''
        return self.image_topic.replace('{camera}', camera) + suffix

    @property
    def image_type(self) -> str:
        """Name of the message type on the image topics."""
        return 'sensor_msgs/msg/CompressedImage' if self.image_transport == 'compressed' else 'sensor_msgs/msg/Image'

    def camera_info(self, camera: str) -> str:
        """The topic that the CameraInfo of ``camera`` comes on."""
        return self.camera_info_topic.replace('{camera}', camera)


@dataclass(frozen=True)
class BevSettings:
    """What the columns of a grid cost, and which voxels are obstacles.

    Classes go by the names that the network's label set gives them, or by GROUND and OBSTACLES.
    """

    bev_min_height: float = setting(
        0.2, 'Lower edge of the height band that can block [m above the ego frame].', low=-100.0, high=100.0
    )
    bev_max_height: float = setting(
        2.0, 'Upper edge of the height band: what is higher is driven under [m].', low=-100.0, high=100.0
    )
    bev_occupied: tuple[str, ...] = setting(
        (OBSTACLES,),
        'Classes that block a column (100) within the band: names of '
        "the network's label set; obstacles: all but ground and free.",
    )
    bev_free: tuple[str, ...] = setting(
        (GROUND,),
        'Classes that make a column free (0) at or below the band, named so too; ground: what a vehicle can stand on.',
    )
    bev_costs: tuple[str, ...] = setting(
        (),
        "Other costs, '<class>: <cost>' each, which override the two lists; a "
        'cost is lethal (100), inscribed (99), 0 to 100, free (0) or unknown (-1). '
        'Ground counts at or below the band, too.',
    )
    bev_frame: str = setting(
        'grid',
        "Axes of ~/bev: the grid's, or those of fixed_frame, in which it stays true while the vehicle drives on.",
        choices=('grid', 'fixed'),
    )
    bev_decay: float = setting(
        0.0, 'A cell that is out of sight keeps what was seen there last for so long [s].', low=0.0, high=10.0
    )
    obstacle_classes: tuple[str, ...] = setting(
        (OBSTACLES,), 'Classes whose voxels are points of ~/obstacles, named so too.'
    )


@dataclass(frozen=True)
class NodeSettings:
    """What only the live node has to know."""

    autostart: bool = setting(True, 'Configure and activate at the start; false leaves that to a lifecycle manager.')
    input_reliability: str = setting(
        'best_effort',
        'QoS reliability of the camera subscriptions; reliable for bags.',
        choices=('best_effort', 'reliable'),
    )
    input_depth: int = setting(5, 'Messages that a camera subscription queues; with lossless, 1000.', low=1, high=1000)
    output_durability: str = setting(
        'transient_local',
        'QoS durability of the outputs: transient_local hands the last grid to those who come late.',
        choices=('volatile', 'transient_local'),
    )
    bev_updates: bool = setting(
        False,
        'Publish ~/bev whole only where it lies elsewhere than before, and between what changed of it, on '
        '~/bev_updates; needs bev_frame: fixed, transient_local outputs and the package map_msgs.',
    )
    tf_source: str = setting(
        'auto',
        "tf2: tf2's buffer; own: the built-in tree; auto: tf2 where it is installed.",
        choices=('auto', 'tf2', 'own'),
    )
    camera_timeout: float = setting(
        1.0,
        'A camera without an image, or a LiDAR without a cloud, for longer is '
        'reported as silent [s]; of the time on /clock, where that is slower.',
        low=0.01,
        high=3600.0,
    )
    grid_timeout: float = setting(
        10.0, 'Without a grid for longer, while images arrive, the node reports an error [s].', low=0.1, high=3600.0
    )
    diagnostics_period: float = setting(1.0, 'Time between two messages on /diagnostics [s].', low=0.05, high=60.0)
    page_port: int = setting(0, 'Port of a page that shows the grids in a browser; 0: none.', low=0, high=65535)
    foxglove_port: int = setting(0, 'Port of a server for Foxglove; 0: none.', low=0, high=65535)
    viewer_host: str = setting(
        '127.0.0.1',
        'Address that page and server listen on; 127.0.0.1: this computer only, 0.0.0.0: whoever reaches it.',
    )
