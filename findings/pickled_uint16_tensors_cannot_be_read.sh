#!/usr/bin/env bash
# torch 2.13.0 (CPU): pickle writes tensors of uint16, uint32, uint64 and float8, and cannot read what it wrote.
#
# Processes of a training tell each other Python objects with torch.distributed's gather_object and its kin, which pickle
# them; so do queues of other libraries. 16-bit depth maps and codes of quantised features are uint16.
#
# Expected: what pickle.dumps takes, pickle.loads gives back, as torch.load does with what torch.save wrote of the same
# tensors. Seen: dumps says nothing, loads ends with an AttributeError about a storage that has no dtype: the older of
# torch's two formats, which pickle still uses, knows storages by names of types, and those that came later have none.
# The process that gathers fails, far from the one that sent the tensor.
#
# What gdfusion_ros does: the 16-bit codes that it remembers of image features are int16, counted from -32768
# (gdfusion_ros/model/ops/fixed_point), and a test sends them through pickle.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 numpy==1.26.4
"$folder/venv/bin/python" - "$folder/store" <<'PYTHON'
import io
import pickle
import sys
import warnings

import torch
from torch import distributed

warnings.simplefilter('ignore')
LATER = [torch.uint16, torch.uint32, torch.uint64, torch.float8_e4m3fn]
distributed.init_process_group('gloo', init_method=f'file://{sys.argv[1]}', rank=0, world_size=1)


def pickled(tensor):
    return pickle.loads(pickle.dumps(tensor))


def saved(tensor):
    file = io.BytesIO()
    torch.save(tensor, file)
    file.seek(0)
    return torch.load(file)


def gathered(tensor):
    found = [None]
    distributed.gather_object(tensor, found)
    return found[0]


seen = {}
for dtype in [torch.int16, torch.bfloat16, *LATER]:
    tensor = torch.zeros(2, dtype=dtype)
    for way in (pickled, gathered, saved):
        try:
            seen[dtype, way] = way(tensor).dtype == dtype
        except AttributeError as error:
            seen[dtype, way] = False
            print(f'{dtype}, {way.__name__}: {error}')
distributed.destroy_process_group()
for (dtype, way), well in seen.items():
    assert well == (way is saved or dtype not in LATER), f'{dtype}, {way.__name__}: no longer so'
print('as described: torch.save and torch.load take them, pickle and gather_object do not')
PYTHON
