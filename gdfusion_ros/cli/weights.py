"""List, fetch, check and convert weights.

  gdfusion weights list                                    what is known by name, and what is on this machine
  gdfusion weights fetch bevdetocc_gf                      from the Hugging Face Hub; pip install 'gdfusion-ros[hub]'
  gdfusion weights check FILE --model bevdetocc_gf         key by key: does it fit the network?
  gdfusion weights convert FILE out.safetensors --model bevdetocc_gf

A name or a path is what --weights of the other verbs takes, and the parameter 'weights' of the node. Fetched files lie
in the Hub's own cache and are compared with their size and SHA-256.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from gdfusion_ros.errors import GdfusionError

if TYPE_CHECKING:
    from gdfusion_ros.model.network import OccupancyNetwork
    from gdfusion_ros.model.weights.metadata import WeightsMetadata

HELP = 'list, fetch, check and convert weights'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the verb."""
    parser.add_argument('action', choices=('list', 'fetch', 'check', 'convert'))
    parser.add_argument('weights', nargs='?', help='name or path')
    parser.add_argument('out', nargs='?', type=Path, help='convert: the safetensors file to write')
    parser.add_argument('--half', action='store_true', help='convert: 16-bit floats, half the size')
    parser.add_argument('--model', help='check, convert: the network; default: the one that the weights say')


def run(args: argparse.Namespace) -> int:
    """Do it, and say what was done."""
    if args.action != 'list' and not args.weights:
        raise GdfusionError(f"which weights? 'gdfusion weights {args.action} NAME'; 'gdfusion weights list' has names")
    if args.action == 'convert' and not args.out:
        raise GdfusionError('convert into which file? give its name, e.g. weights.safetensors')
    return {'list': _list, 'fetch': _fetch, 'check': _check, 'convert': _convert}[args.action](args)


def _list(_: argparse.Namespace) -> int:
    from tabulate import tabulate

    from gdfusion_ros.bags.info import format_size
    from gdfusion_ros.model.weights.registry import known

    rows = []
    for entry in known().values():
        path = entry.path()
        here = format_size(path.stat().st_size) if path else 'no'
        source = entry.by_hand or (f'Hub: {entry.repository}' if entry.repository else 'this package')
        rows.append((entry.name, entry.model, here, source, entry.about, entry.license))
    print(
        tabulate(
            rows, headers=('name', 'model', 'here', 'from', 'about', 'license'), maxcolwidths=[None] * 3 + [30, 50, 30]
        )
    )
    print("\n'gdfusion weights fetch NAME' brings what the Hub has, or says who gives it")
    return 0


def _fetch(args: argparse.Namespace) -> int:
    from gdfusion_ros.model.weights.registry import fetch, known

    entries = known()
    if args.weights not in entries:
        raise GdfusionError(f"no weights '{args.weights}'; there are {', '.join(entries)}")
    print(f'{args.weights}: {fetch(entries[args.weights])}, verified')
    return 0


def _check(args: argparse.Namespace) -> int:
    from gdfusion_ros.model.weights.forms import described
    from gdfusion_ros.model.weights.registry import find, known, verify

    if entry := known().get(args.weights):
        verify(find(args.weights), entry.size, entry.sha256)
    network, path, _ = _network(args)
    print(f'{path} fits {described(network, network.title)}: {len(network.state_dict())} keys with their shapes')
    return 0


def _convert(args: argparse.Namespace) -> int:
    from gdfusion_ros.files import refuse_existing
    from gdfusion_ros.model.weights.checkpoint import save_checkpoint
    from gdfusion_ros.model.weights.forms import described

    if args.out.suffix != '.safetensors':
        raise GdfusionError(f'{args.out}: expected a name that ends in .safetensors')
    refuse_existing(args.out)
    network, _, facts = _network(args)
    save_checkpoint(network, args.out, facts, half=args.half)
    print(f'{args.out}: {len(network.state_dict())} keys of {described(network, network.title)}')
    return 0


def _network(args: argparse.Namespace) -> tuple[OccupancyNetwork, Path, WeightsMetadata]:
    """The network with the weights, their file, and what it says of itself."""
    from gdfusion_ros.model.weights.checkpoint import load_checkpoint
    from gdfusion_ros.model.weights.metadata import WeightsMetadata
    from gdfusion_ros.model.zoo import build, select_model
    from gdfusion_ros.settings import ModelSettings

    chosen = select_model(ModelSettings(model=args.model or '', weights=args.weights))
    assert chosen.weights is not None, 'they are not random, they were named'
    network = build(chosen.spec)
    load_checkpoint(network, chosen.weights)
    return network, chosen.weights, WeightsMetadata(chosen.spec.name, chosen.trained_on)
