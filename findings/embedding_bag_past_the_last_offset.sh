#!/usr/bin/env bash
# torch 2.13.0 (CPU): what lies behind the last offset of embedding_bag counts or not, as the type of the weights decides.
#
# Camera networks pool points into bird's-eye-view or voxel cells with embedding_bag(mode='sum', per_sample_weights=...):
# one bag a cell, points sorted by cell. With include_last_offset=True the last offset may be "the ending index position
# of the last bag", says the documentation, so points that fall outside the grid may stand behind it and be left out.
#
# Expected: they count nowhere. Seen: with float32 the sums leave them out, but the backward pass gives their weights a
# gradient; with float64 the sums of the last cell take them in. So a gradient check in float64 checks another function.
#
# What gdfusion_ros does: its sorted indices end where the last bag does (model/ops/voxel_index), nothing stands behind.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 numpy==1.26.4
"$folder/venv/bin/python" - <<'PYTHON'
import torch
import torch.nn.functional as F

points, offsets = torch.tensor([0, 1, 2, 0]), torch.tensor([0, 2, 3])  # two cells; the fourth point lies in none
seen = {}
for dtype in (torch.float32, torch.float64):
    features = torch.tensor([[1.0], [2.0], [3.0]], dtype=dtype, requires_grad=True)
    weights = torch.tensor([1.0, 1.0, 1.0, 10.0], dtype=dtype, requires_grad=True)
    cells = F.embedding_bag(points, features, offsets, mode='sum', per_sample_weights=weights, include_last_offset=True)
    cells.sum().backward()
    seen[dtype] = cells.flatten().tolist(), weights.grad.tolist()
    print(f'{dtype}: cells {seen[dtype][0]} (expected [3.0, 3.0]), '
          f'gradient of the weight of the point in none {seen[dtype][1][3]} (expected 0.0)')
assert seen[torch.float32] == ([3.0, 3.0], [1.0, 2.0, 3.0, 1.0]), 'float32 behaves otherwise now'
assert seen[torch.float64] == ([3.0, 13.0], [1.0, 2.0, 3.0, 1.0]), 'float64 behaves otherwise now'
print('as described')
PYTHON
