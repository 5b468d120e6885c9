"""Every setting of a training run, one record each; a run is one readable YAML file of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import yaml

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.model.objectives.bevdetocc import LossWeights
from gdfusion_ros.model.objectives.interface import ObjectiveSettings
from gdfusion_ros.model.zoo import entry
from gdfusion_ros.settings import CUES, DEFAULT_MODEL, SURROUND_CAMERAS, from_mapping, records, setting

VARIES = ('sequence', 'frame')


@dataclass(frozen=True)
class TrainingSettings:
    """How a network is trained.

    Attributes:
        objective: what may be chosen of the model's objective; in a file, its settings stand among the others.

    Raises:
        GdfusionError: settings that contradict each other.
    """

    model: str = setting(DEFAULT_MODEL, 'Name of the network in the zoo.')
    cues: tuple[str, ...] = setting(
        CUES, 'Temporal cues that are switched on, of those that the network has.', choices=CUES
    )
    cameras: tuple[str, ...] = setting(
        SURROUND_CAMERAS, 'Cameras of the dataset, CAM_FRONT among them, as many as the network takes.'
    )
    history: bool = setting(
        True,
        'Carry the memory from frame to frame; without it every frame is the first of a '
        'sequence, for the stereo matching too.',
    )
    history_from: float = setting(
        0.0,
        'Share of the steps after which what is remembered of the volume is carried on; '
        'the images are matched with the previous ones from the start.',
        low=0.0,
        high=1.0,
    )
    initial_weights: str = setting('', 'Checkpoint to start from (fine-tuning); empty starts from random weights.')
    fresh_cues: tuple[str, ...] = setting(
        (),
        'Cues whose fusions start anew, whatever the initial weights: they pass '
        'on what they are given, and learn to change it.',
        choices=CUES,
    )
    seed: int = setting(0, 'Seed of weights, order of scenes and augmentation.', low=0, high=2**31 - 1)
    steps: int = setting(20000, 'Optimiser steps.', low=1, high=10**8)
    slots: int = setting(2, 'Sequences that a process walks through side by side.', low=1, high=1024)
    turns: int = setting(
        1,
        'Steps until each slot has had its turn; a step holds slots / turns frames a process. More '
        'turns make neighbouring steps less alike where memory allows few frames a step.',
        low=1,
        high=1024,
    )
    learning_rate: float = setting(2e-4, 'Of AdamW, after the warm-up.', low=0.0, high=1.0)
    final_learning_rate: float = setting(
        2e-4, 'At the last step; a cosine leads from the one to the other.', low=0.0, high=1.0
    )
    warmup_steps: int = setting(200, 'Steps in which the learning rate rises from a thousandth.', low=0, high=10**6)
    weight_decay: float = setting(0.01, 'Of AdamW.', low=0.0, high=1.0)
    clip_norm: float = setting(5.0, 'Largest norm of the gradient of all weights; 0 does not clip.', low=0.0, high=1e6)
    average_decay: float = setting(
        0.999, 'Of the moving average of the weights, which is what a run gives.', low=0.0, high=1.0
    )
    statistics_steps: int = setting(
        10**8,
        'Steps in which layers that no initial weights have trained normalise each frame by its own statistics; '
        'later, and other layers always, by their averages, as the network does when it runs.',
        low=0,
        high=10**8,
    )
    precision: str = setting(
        'fp32',
        'fp32, or autocast: convolutions in half precision on CUDA, in bfloat16 '
        'on a CPU, which is faster where it has instructions for that.',
        choices=('fp32', 'autocast'),
    )
    camera_mask: bool = setting(True, 'Train only on voxels that the cameras observe.')
    zoom_out: float = setting(0.136, 'Largest relative reduction of an image.', low=0.0, high=0.9)
    zoom_in: float = setting(0.25, 'Largest relative enlargement of an image.', low=0.0, high=10.0)
    image_rotation: float = setting(5.4, 'Largest rotation of an image [degrees].', low=0.0, high=45.0)
    image_flip: bool = setting(True, 'Mirror every second image.')
    image_varies: str = setting(
        'frame', 'Whether an image is augmented anew for every frame or sequence.', choices=VARIES
    )
    bev_flip: bool = setting(True, 'Mirror the ego frame along x and along y, every second time.')
    bev_varies: str = setting(
        'sequence',
        'Whether the ego frame is augmented anew for every sequence or frame; a '
        'change between frames shifts the memory by a voxel.',
        choices=VARIES,
    )
    pose_protocol: str = setting(
        'live', 'live: poses as the node has them; released: as the authors train.', choices=('live', 'released')
    )
    workers: int = setting(2, 'Processes that read, decode and augment.', low=0, high=256)
    validate_every: int = setting(2000, 'Steps between validations; 0 validates at the end only.', low=0, high=10**8)
    checkpoint_every: int = setting(500, 'Steps between checkpoints.', low=1, high=10**8)

    objective: ObjectiveSettings = field(default_factory=LossWeights)

    @property
    def frames_per_step(self) -> int:
        """Of a process."""
        return self.slots // self.turns

    def __post_init__(self) -> None:
        """Refuse a run that cannot learn."""
        if self.slots % self.turns:
            raise GdfusionError(f'{self.slots} slots cannot take {self.turns} turns: the second must divide the first')
        self.objective.check(self.cues)


def read(path: Path, overrides: Mapping[str, object]) -> TrainingSettings:
    """The settings in a YAML file, then ``overrides``.

    Raises:
        GdfusionError: the file cannot be read, or holds an unknown name or a value that its setting does not allow.
    """
    try:
        document = yaml.safe_load(path.read_bytes())
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise GdfusionError(f'{path} cannot be read: {" ".join(str(error).split())}') from error
    if not isinstance(document, dict):
        raise GdfusionError(f'{path}: expected "name: value" lines of settings')
    try:
        return _from_mapping({**document, **overrides})
    except GdfusionError as error:
        raise GdfusionError(f'{path}: {error}') from error


def _from_mapping(values: Mapping[str, object]) -> TrainingSettings:
    """Settings with the defaults replaced by ``values``, among them those of the model's objective."""
    model = from_mapping(TrainingSettings, {name: value for name, value in values.items() if name == 'model'}).model
    kind = entry(model).objective
    objective = {name: values[name] for name in values if name in records(kind)}
    known = [*records(TrainingSettings), *records(kind)]
    if unknown := [name for name in values if name not in known]:
        raise GdfusionError(f"unknown setting '{unknown[0]}'; there are {', '.join(known)}")
    others = {name: values[name] for name in values if name not in objective}
    return replace(from_mapping(TrainingSettings, others), objective=from_mapping(kind, objective))


def text(settings: TrainingSettings) -> str:
    """The settings as a YAML file that ``read`` takes, each with its description."""
    lines, values = [], as_mapping(settings)
    for name, (_, record) in {**records(TrainingSettings), **records(type(settings.objective))}.items():
        value = values[name]
        written = yaml.safe_dump(list(value) if isinstance(value, tuple) else value, default_flow_style=True, width=1e9)
        lines += [f'# {record.description}', f'{name}: {written.splitlines()[0]}']
    return '\n'.join(lines) + '\n'


def as_mapping(settings: TrainingSettings) -> dict[str, object]:
    """The settings as plain values, for a checkpoint."""
    objective = settings.objective
    return {name: getattr(part, name) for part in (settings, objective) for name in records(type(part))}
