"""The networks by name: configuration, weights, and how one is made ready to run."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.model.checkpoint import load_checkpoint
from gdfusion_ros.model.depth import ResidualBlock2d
from gdfusion_ros.model.fusion.geometry import GeometryFusion
from gdfusion_ros.model.fusion.motion import MotionFusion
from gdfusion_ros.model.fusion.scene import SceneFusion
from gdfusion_ros.model.fusion.voxel import VoxelFusion
from gdfusion_ros.model.grid import VoxelGrid
from gdfusion_ros.model.image import BasicBlock, Bottleneck
from gdfusion_ros.model.inference import prepare, select_device
from gdfusion_ros.model.occupancy import DepthBins, OccupancyConfig, OccupancyNetwork, with_cues
from gdfusion_ros.model.volume import ResidualBlock3d
from gdfusion_ros.model.weights import find, identify, known
from gdfusion_ros.settings import ModelSettings

Fusion = GeometryFusion | MotionFusion | SceneFusion | VoxelFusion

UNTRAINED_SEED = 0
UNTRAINED_FREE_BIAS = 8.0
LAST_NORMS: dict[type[nn.Module], str] = {Bottleneck: 'bn3', BasicBlock: 'bn2', ResidualBlock2d: 'bn2',
                                          ResidualBlock3d: 'conv2.bn'}
"""The batch normalisation at the end of each residual branch."""

BEVDETOCC_GF = OccupancyConfig(
    name='bevdetocc_gf',
    image_size=(256, 704),
    depth=DepthBins(first=1.0, step=0.5, count=88),
    grid=VoxelGrid(lower=(-40.0, -40.0, -1.0), voxel_size=(0.4, 0.4, 0.4), shape=(200, 200, 16)))

BEVDETOCC_GF_SMALL = dataclasses.replace(
    BEVDETOCC_GF, name='bevdetocc_gf_small', image_size=(128, 352),
    grid=VoxelGrid(lower=(-40.0, -40.0, -1.0), voxel_size=(0.8, 0.8, 0.8), shape=(100, 100, 8)))
"""Half the image and half the grid: for tests and quick trials. No weights are published for it."""

GDFUSION_NANO = OccupancyConfig(
    name='gdfusion_nano',
    image_size=(128, 352),
    depth=DepthBins(first=1.0, step=1.0, count=44),
    grid=VoxelGrid(lower=(-40.0, -40.0, -1.0), voxel_size=(0.8, 0.8, 0.8), shape=(100, 100, 8)),
    refinement=2,
    lift_parts=2,
    ground=True,
    columns=True,
    bottleneck=False,
    backbone_widths=(48, 96, 192),
    backbone_blocks=(2, 2, 2),
    channels=16,
    image_channels=80,
    pyramid_channels=32,
    encoder_channels=(96, 128, 160),
    encoder_blocks=(1, 1, 2),
    classifier_channels=192)
"""The same network in small, for a CPU: every cue, stereo, and the classes of the full network on its grid."""

DEFAULT = GDFUSION_NANO.name

CONFIGS = {config.name: config for config in (BEVDETOCC_GF, BEVDETOCC_GF_SMALL, GDFUSION_NANO)}


def configuration(name: str) -> OccupancyConfig:
    """The configuration of that name.

    Raises:
        GdfusionError: there is none.
    """
    if name not in CONFIGS:
        raise GdfusionError(f"unknown model '{name}'; there are {', '.join(CONFIGS)}")
    return CONFIGS[name]


def fresh_network(name: str, cues: tuple[str, ...], seed: int, weights: str, device: torch.device,
                  fresh_cues: Sequence[str] = ()) -> OccupancyNetwork:
    """A network to train, on ``device``: with the weights in the file ``weights``, or random ones where that is empty.

    The fusions of ``fresh_cues`` start anew, with weights that change little of what goes through them.

    Raises:
        GdfusionError: unknown model or cue, weights that are missing or do not fit.
    """
    network = OccupancyNetwork(with_cues(configuration(name), cues))
    initialise(network, seed)
    drawn = {cue: copy.deepcopy(_fusion(network, cue).state_dict()) for cue in fresh_cues}
    if weights:
        load_checkpoint(network, find(weights))
    for cue, state in drawn.items():
        fusion = _fusion(network, cue)
        fusion.load_state_dict(state)
        fusion.start_neutral()
    if 'geometry' in fresh_cues:  # both depths that are blended are the same at first
        network.depth_net.logits_head.load_state_dict(network.depth_net.probability_head.state_dict())
    return network.to(device)


@dataclass(frozen=True)
class Chosen:
    """Which network runs: its configuration, the file of its weights (None: random ones), and what was trained on."""

    config: OccupancyConfig
    weights: Path | None
    trained_on: str

    @property
    def title(self) -> str:
        """The network as every output names it."""
        training = f'trained on {self.trained_on}' if self.trained_on else ''
        note = training if self.weights else 'untrained'
        return f'{self.config.name} ({note})' if note else self.config.name


def choose(settings: ModelSettings) -> Chosen:
    """The network that the settings mean. Weights by name, and files that say so, know which network they are of.

    Raises:
        GdfusionError: unknown model or cue; weights that are not there, or not of that network.
    """
    if settings.untrained:
        if settings.weights:
            raise GdfusionError(f"'weights' ({settings.weights}) and 'untrained' are set; drop one")
        return Chosen(_with_cues_of(settings, settings.model or DEFAULT), None, '')
    name = settings.weights or settings.model or DEFAULT
    if not settings.weights and name not in known():
        raise GdfusionError(f"model {configuration(name).name} needs weights: set 'weights' to the path of a "
                            "checkpoint, or set 'untrained' for a trial with random weights")
    path, facts = identify(name)
    if settings.model and facts.model not in ('', settings.model):
        raise GdfusionError(f"weights '{name}' are of the model {facts.model}, not of {settings.model}; drop 'model', "
                            'or take other weights')
    model = settings.model or facts.model
    if not model:
        raise GdfusionError(f"weights '{name}' do not say which network they are of; set 'model'")
    return Chosen(_with_cues_of(settings, model), path, facts.trained_on)


def load_network(settings: ModelSettings) -> OccupancyNetwork:
    """The network that the settings ask for, ready to run.

    Raises:
        GdfusionError: unknown model, cue or device; weights that are missing or do not fit.
    """
    chosen = choose(settings)
    device = select_device(settings.device)
    if settings.precision == 'autocast' and device.type != 'cuda':
        raise GdfusionError(f"precision 'autocast' needs a CUDA device, but the device is {device}; use 'fp32'")
    network = OccupancyNetwork(chosen.config)
    network.title = chosen.title
    if chosen.weights is None:
        initialise(network, UNTRAINED_SEED)
        _favour_free(network)
    else:
        load_checkpoint(network, chosen.weights)
    network.autocast = settings.precision == 'autocast'
    return prepare(network, device)


def _with_cues_of(settings: ModelSettings, model: str) -> OccupancyConfig:
    return with_cues(configuration(model), settings.cues)


def initialise(network: OccupancyNetwork, seed: int) -> None:
    """Random weights to train from; the same for the same seed on every machine.

    Activations neither vanish nor explode, and residual branches weigh half.
    """
    generator = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.Conv3d, nn.Linear)):
            nn.init.kaiming_normal_(module.weight, nonlinearity='relu', generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, SceneFusion):
            nn.init.normal_(module.weight, std=module.weight.shape[-1] ** -0.5, generator=generator)
    for module in network.modules():
        for block, norm in LAST_NORMS.items():
            if isinstance(module, block):
                nn.init.constant_(module.get_submodule(norm).get_parameter('weight'), 0.5)


def _fusion(network: OccupancyNetwork, cue: str) -> Fusion:
    fusions: dict[str, Fusion] = {'geometry': network.geometry_fusion, 'motion': network.motion_fusion,
                                  'scene': network.scene_fusion, 'voxel': network.voxel_fusion}
    return fusions[cue]


def _favour_free(network: OccupancyNetwork) -> None:
    """Make free space the likely class, so that random weights give a grid that can be looked at."""
    outputs = network.config.classes + 1
    network.head.classifier.get_parameter('2.bias').data.view(-1, outputs)[:, -1] = UNTRAINED_FREE_BIAS
