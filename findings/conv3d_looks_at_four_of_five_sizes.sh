#!/usr/bin/env bash
# torch 2.13.0 (CPU): whether conv3d takes oneDNN or unfolds the volume depends on which axis comes last.
#
# Occupancy networks convolve volumes of few cells along z, one at a time: (1, C, Z, Y, X) or (1, C, Y, X, Z). Both are
# the same convolution, so both should be computed alike.
#
# Expected: one way of computing for both. Seen: torch takes oneDNN for tensors of more than 20480 elements, but
# multiplies only the first four of a volume's five sizes. 16 channels of 8 x 100 x 100 cells count as 12,800 and are
# unfolded (27 copies, 138 MB, and a matrix product), 16 channels of 100 x 100 x 8 count as 160,000 and go to oneDNN:
# several times as fast, and other last bits.
#
# What gdfusion_ros does: its volumes have z last wherever something is convolved, so that nothing large is unfolded.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 numpy==1.26.4
"$folder/venv/bin/python" - <<'PYTHON'
import time

import torch
import torch.nn.functional as F

torch.manual_seed(0)
volume, weights = torch.randn(1, 16, 100, 100, 8), torch.randn(16, 16, 3, 3, 3)
orders = {'Y, X, Z': (volume, weights), 'Z, Y, X': (volume.movedim(-1, 2), weights.movedim(-1, 2))}
seen, sums = {}, {}
for name, (given, filters) in orders.items():
    given, filters = given.contiguous(), filters.contiguous()
    F.conv3d(given, filters, padding=1)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        begin = time.process_time()
        sums[name] = F.conv3d(given, filters, padding=1)
        spent = time.process_time() - begin
    ops = {event.key for event in profile.key_averages()}
    seen[name] = 'aten::mkldnn_convolution' in ops, 'aten::slow_conv3d_forward' in ops
    print(f'{name}: oneDNN {seen[name][0]}, unfolded {seen[name][1]}, {1000 * spent:.0f} ms of CPU time')
apart = (sums['Y, X, Z'] - sums['Z, Y, X'].movedim(2, -1)).abs().max().item()
print(f'largest difference of the sums: {apart:.1e}')
assert seen == {'Y, X, Z': (True, False), 'Z, Y, X': (False, True)}, 'it chooses otherwise now'
print('as described')
PYTHON
