"""Two forms of one network in files: as trained, and with parallel layers merged (gsdocc.md §5)."""

from __future__ import annotations

import copy
from collections.abc import Container

from gdfusion_ros.model.layers.fusing import Mergeable
from gdfusion_ros.model.network import OccupancyNetwork
from gdfusion_ros.model.weights.keys import to_published


def take_form(network: OccupancyNetwork, names: Container[str]) -> None:
    """Merge what is merged in a file with those published names; ``network`` is freshly built."""
    for place, module in list(network.named_modules()):
        if isinstance(module, Mergeable) and not module.merged:
            merged = copy.deepcopy(module)
            merged.merge()
            news = merged.state_dict().keys() - module.state_dict().keys()
            if any(to_published(f'{place}.{key}', network.mounts) in names for key in news):
                module.merge()


def described(network: OccupancyNetwork, name: str) -> str:
    """The name and, where files have two forms of the network, the one that it is in."""
    forms = {module.merged for module in network.modules() if isinstance(module, Mergeable)}
    return ', '.join([name, *({False: 'as trained', True: 're-parameterised'}[merged] for merged in sorted(forms))])
