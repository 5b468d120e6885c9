"""Which backend computes a network: torch, or a runtime with what was exported. Needs torch only for the former."""

from __future__ import annotations

import hashlib
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from gdfusion_ros import __version__
from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.files import digest, private_folder
from gdfusion_ros.model.export.contract import FORMAT, Contract, read_contract
from gdfusion_ros.model.spec import NetworkSpec
from gdfusion_ros.model.weights.registry import find, name_of
from gdfusion_ros.settings import DEFAULT_MODEL, ModelSettings

if TYPE_CHECKING:
    from gdfusion_ros.model.network import OccupancyNetwork
    from gdfusion_ros.model.runtime.exported import ExportedNetwork
    from gdfusion_ros.model.zoo import ModelSelection

GRAPH = '.onnx'


def load_backend(settings: ModelSettings, *, scores: bool = False) -> OccupancyNetwork | ExportedNetwork:
    """The network that the settings ask for, ready to run.

    For another backend than torch, weights that are no exported network are exported once, and kept in the user's cache
    by their hash; where they are there already, no torch is needed.

    Args:
        settings: of the network.
        scores: whether confidence will be asked for, which an export has to give.

    Raises:
        GdfusionError: unknown model, cue, device or provider; weights or an export that are missing or do not fit.
    """
    if settings.backend == 'torch':
        from gdfusion_ros.model.zoo import load_network

        return load_network(settings)
    if settings.precision == 'autocast':
        raise GdfusionError("precision 'autocast' is of backend 'torch' alone: a graph computes with what it has")
    from gdfusion_ros.model.runtime.exported import ExportedNetwork

    path = _exported(settings, scores=scores)
    network = ExportedNetwork(path, settings.provider, settings.backend)
    _require_fit(network.contract, settings, path)
    if scores and not network.contract.gives_scores:
        raise GdfusionError(f"setting 'confidence' needs scores, and {path} gives none: export it again with --scores")
    return network


def specification_of(settings: ModelSettings) -> NetworkSpec:
    """What the network that the settings ask for is.

    Raises:
        GdfusionError: as above.
    """
    return _named(settings).spec


def title_of(settings: ModelSettings) -> str:
    """As every output names the network that the settings ask for.

    Raises:
        GdfusionError: as above.
    """
    return _named(settings).title


def _named(settings: ModelSettings) -> Contract | ModelSelection:
    """What the settings name: an exported network by its contract, which needs no torch, or weights."""
    if settings.backend != 'torch' and _is_graph(settings):
        return read_contract(Path(settings.weights).expanduser())
    from gdfusion_ros.model.zoo import select_model

    return select_model(settings)


def _is_graph(settings: ModelSettings) -> bool:
    return settings.weights.endswith(GRAPH)


def _require_fit(contract: Contract, settings: ModelSettings, path: Path) -> None:
    """Refuse an export that the settings do not mean."""
    spec = contract.spec
    if settings.untrained and _is_graph(settings):
        raise GdfusionError(f"'weights' ({path}) are an exported network, and 'untrained' is set; drop one")
    if settings.precision == 'int8' != contract.precision:
        raise GdfusionError(
            f"{path} has no 8 bits, which precision 'int8' asks for: export weights that 'gdfusion quantize' made, "
            'with --precision int8'
        )
    if settings.model not in ('', spec.name):
        raise GdfusionError(
            f"{path} is an export of the model {spec.name}, not of {settings.model}; drop 'model', or "
            'take another export'
        )
    if missing := set(spec.cues) - set(settings.cues):
        raise GdfusionError(
            f'{path} was exported with the cue {min(missing)}, which is switched off here: export it '
            "with the same 'cues'"
        )


def _exported(settings: ModelSettings, *, scores: bool) -> Path:
    """The exported network that the settings mean, in the cache if no other; exported where it is not there yet."""
    if _is_graph(settings):
        return Path(settings.weights).expanduser()
    path = export_folder() / f'{_key(settings, scores=scores)}{GRAPH}'
    if not path.is_file():
        try:
            from gdfusion_ros.model.export.write import export_settings
        except ModuleNotFoundError as error:
            raise GdfusionError(
                f"to export '{settings.weights or settings.model or DEFAULT_MODEL}' needs torch, which "
                f"is not here ({error}); set 'weights' to an exported network (.onnx)"
            ) from error
        export_settings(settings, path, scores=scores, precision='int8' if settings.precision == 'int8' else 'fp32')
    return path


def _key(settings: ModelSettings, *, scores: bool) -> str:
    """Names an export by all that it is made of."""
    if settings.untrained:
        weights = 'untrained'
    else:
        path = find(name_of(settings))
        if not path.is_file():
            raise GdfusionError(f"there are no weights {path}; 'gdfusion weights list' has the known names")
        weights = digest(path)
    made_of = [
        __version__,
        str(FORMAT),
        settings.model,
        weights,
        settings.precision,
        *sorted(settings.cues),
        str(scores),
    ]
    return f'{Path(name_of(settings)).stem}-{hashlib.sha256(" ".join(made_of).encode()).hexdigest()[:16]}'


def export_folder() -> Path:
    """Where exports are kept: in the user's cache, else in a folder of this user below the temporary directory.

    Raises:
        GdfusionError: there is neither.
    """
    home = os.environ.get('XDG_CACHE_HOME') or (os.environ['HOME'] + '/.cache' if os.environ.get('HOME') else '/')
    usual = Path(home, 'gdfusion_ros', 'exports')
    with suppress(OSError):
        usual.mkdir(parents=True, exist_ok=True)
    if os.access(usual, os.W_OK | os.X_OK):
        return usual
    instead = Path(tempfile.gettempdir(), f'gdfusion_ros-{os.getuid()}')
    if not private_folder(instead):
        raise GdfusionError(
            f'exports can be kept neither in {usual} nor in {instead}: set XDG_CACHE_HOME to a folder '
            'that can be written'
        )
    return instead
