"""``gdfusion weights check`` on a file of every network: as its manifest says, and with what is wrong with files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

from gdfusion_ros.cli import main
from gdfusion_ros.model.networks.about import ABOUT
from gdfusion_ros.model.weights.checkpoint import CONSTANTS, published_state
from gdfusion_ros.model.zoo import ZOO, entry

MANIFESTS = {
    'bevdetocc_gf': 'bevdetocc_r50_256x704_bevdet_pretrain_gdfusion',
    'alocc_3d_gf': 'alocc_3d_r50_256x704_bevdet_preatrain_gdfusion',
    'alocc_3d_gf_depth': 'alocc_cd',
    'alocc_3d_gf_surroundocc': 'alocc_3d_r50_900x1600_bevdet_preatrain_gdfusion_surroundocc',
    'alocc_3d_gf_waymo': 'alocc_waymo',
    'alocc_2d_gf': 'alocc2d_gf',
    'alocc_mini_gf': 'alocc_mini_gf',
    'alocc_3d': 'alocc3d_16f',
    'alocc_2d': 'alocc2d',
    'alocc_mini': 'alocc_mini',
    'fbocc_gf': 'fbocc-r50-cbgs_depth_16f_16x4_20e_gdfusion',
    'gsdocc': 'gsdocc_r50_256x704_16f',
    'bevdetocc': 'bevdetocc_nohist',
    'bevdetocc_sf': 'bevdetocc_sf',
}
"""Network -> the manifest of its checkpoint."""


class Code:
    """What would run when it is unpickled."""

    def __reduce__(self) -> tuple[object, ...]:
        return print, ('it ran',)


def checkpoint(name: str, recordings: Path) -> dict[str, Tensor]:
    """A state dict as the manifest says, all weights one: each tensor takes four bytes of a file, however large."""
    rows = json.loads((recordings / 'manifests' / f'{MANIFESTS[name]}.json').read_text())
    with torch.device('meta'):
        network = entry(name).build(entry(name).spec)
    lift = {key: value for key, value in published_state(network).items() if key.rpartition('.')[2] in CONSTANTS}
    grid = entry(name).spec.grid
    constants = {'dx': torch.tensor(grid.voxel_size), 'nx': torch.tensor([float(count) for count in grid.shape]),
                 'bx': torch.tensor([low + size / 2 for low, size in zip(grid.lower, grid.voxel_size, strict=True)])}
    return {key: constants[key.rpartition('.')[2]].to(getattr(torch, kind)) if key in lift
            else torch.ones((), dtype=getattr(torch, kind)).expand(shape) for key, shape, kind in rows}


@pytest.mark.slow
@pytest.mark.parametrize('name', [name for name in MANIFESTS if name in ZOO])
def test_a_file_of_the_manifest_fits_and_spoilt_ones_do_not(
        name: str, recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = checkpoint(name, recordings)
    wide = max(good, key=lambda key: good[key].numel())

    def check(content: dict[str, object]) -> tuple[int, str]:
        path = tmp_path / 'file.pth'
        torch.save(content, path)
        code = main(['weights', 'check', str(path), '--model', name])
        said = capsys.readouterr()
        return code, said.out + said.err

    code, said = check({'state_dict': good})
    assert code == 0, said
    assert f'fits {name}' in said
    code, said = check({'state_dict': {key: value for key, value in good.items() if key != wide}})
    assert code == 1
    assert f'does not fit {name}' in said
    assert f': 1 missing: {wide}. ' in said
    code, said = check({'state_dict': {**good, wide: good[wide][1:]}})
    assert code == 1
    assert f'1 of another shape: {wide} ' in said
    code, said = check({'state_dict': good, 'meta': Code()})
    assert code == 1
    assert 'it ran' not in said
    assert said.count('\n') == 1, said


@pytest.mark.parametrize('name', ZOO)
def test_the_facts_of_every_network_are_those_of_the_network(name: str) -> None:
    about = ABOUT[name]
    with torch.device('meta'):
        network = entry(name).build(entry(name).spec)
    assert about.parameters == sum(parameter.numel() for parameter in network.parameters())
    assert about.gmac > 0
    assert about.state > 0
