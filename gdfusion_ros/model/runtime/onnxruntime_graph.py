"""Graphs run by onnxruntime."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from gdfusion_ros.errors import GdfusionError

_SUFFIX = 'ExecutionProvider'


class OnnxruntimeGraph:
    """A graph in a session of onnxruntime; see ``Graph``."""

    def __init__(self, path: Path, provider: str, *, exact: bool = False) -> None:
        """``exact``: nothing may be computed in another order than the graph's.

        Raises:
            GdfusionError: onnxruntime is missing, has no such provider or cannot run the graph.
        """
        self.device = _provider(provider)
        self._session = _session(path, self.device, exact=exact)

    def __call__(self, given: Mapping[str, NDArray[Any]], wanted: Sequence[str]) -> list[NDArray[Any]]:
        """See ``Graph``."""
        found: list[NDArray[Any]] = self._session.run(wanted, given)
        return found


def _provider(name: str) -> str:
    """onnxruntime's name of an execution provider, which may be given without its end.

    Raises:
        GdfusionError: onnxruntime is missing, or has no such provider.
    """
    try:
        from onnxruntime import get_available_providers
    except ImportError as error:
        raise GdfusionError(
            f"exported networks need onnxruntime: pip install 'gdfusion-ros[onnxruntime]' ({error})"
        ) from error
    there: dict[str, str] = {each.removesuffix(_SUFFIX).lower(): each for each in get_available_providers()}
    found = there.get(name.removesuffix(_SUFFIX).lower())
    if found is None:
        names = ', '.join(each.removesuffix(_SUFFIX) for each in there.values())
        raise GdfusionError(f"onnxruntime has no execution provider '{name}' here; there are {names}")
    return found


def _session(path: Path, provider: str, *, exact: bool) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors
    options.intra_op_num_threads = int(os.environ.get('OMP_NUM_THREADS', '0')) or 0
    if exact:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    else:
        options.add_session_config_entry('session.set_denormal_as_zero', '1')
    own = [provider] if provider.startswith('CPU') else [provider, f'CPU{_SUFFIX}']
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=own)
    except Exception as error:
        raise GdfusionError(
            f'{path} cannot be run by onnxruntime with {provider}: {" ".join(str(error).split())}'
        ) from error
    if provider not in session.get_providers():  # it goes on without those that it cannot start
        raise GdfusionError(
            f'onnxruntime cannot start {provider} here: install the libraries that it needs, or take another provider'
        )
    return session
