#!/usr/bin/env bash
# torch 2.13.0 (CPU): oneDNN's convolution of bytes applies a ReLU to maps, and refuses it for volumes.
#
# torch.ops.onednn.qconv_pointwise is one operator for convolutions of one, two and three dimensions, and its last
# arguments say what follows in the same pass. 'relu' is taken in two dimensions.
#
# Expected: in three dimensions, too. Seen: "Unsupported post op relu for quantized pointwise conv3d".
# It is not needed there: where bytes are given out and 0 stands for zero, they end at zero as a ReLU does. The bytes of
# both are equal, in maps (with 'relu' and without) and in volumes (without, against a ReLU behind floats).
#
# What gdfusion_ros does: layers in 8 bits give bytes with zero 0 to the layer behind a ReLU, and never ask for 'relu'
# (model/quantization/layers.py).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 numpy==1.26.4
"$folder/venv/bin/python" - <<'PYTHON'
import torch

torch.manual_seed(0)
STEP, GIVEN = 1 / 64, 0.25  # of what goes in, of what comes out: powers of two, so that no rounding differs


def convolution(dimensions, post, step, kind):
    ones, layout = [1] * dimensions, {2: torch.channels_last, 3: torch.channels_last_3d}[dimensions]
    torch.manual_seed(dimensions)
    given = torch.randint(0, 256, (1, 16, *[6] * dimensions), dtype=torch.uint8).contiguous(memory_format=layout)
    weight = torch.randint(-127, 128, (16, 16, *[3] * dimensions), dtype=torch.int8)
    scales, zeros, bias = torch.full((16,), 1 / 128), torch.zeros(16, dtype=torch.int64), torch.zeros(16)
    packed = torch.ops.onednn.qconv_prepack(weight, scales, STEP, 0, ones, ones, ones, 1, given.shape)
    return torch.ops.onednn.qconv_pointwise(
        given, STEP, 0, packed, scales, zeros, bias, ones, ones, ones, 1, step, 0, kind, post, [], ''
    )


def refused():
    try:
        convolution(3, 'relu', GIVEN, torch.uint8)
    except RuntimeError as error:
        return 'Unsupported post op relu' in str(error)
    return False


with torch.inference_mode():
    maps = [convolution(2, post, GIVEN, torch.uint8) for post in ('relu', 'none')]
    volume = convolution(3, 'none', GIVEN, torch.uint8)
    floats = torch.relu(convolution(3, 'none', 1.0, torch.float32))
same = torch.equal(*maps), torch.equal(volume, (floats / GIVEN).round().clamp(0, 255).to(torch.uint8))
print(f'maps with relu and without are equal: {same[0]}')
print(f'volumes: relu is refused: {refused()}; bytes end where a ReLU does: {same[1]}')
print(f'some bytes are 0: {bool((volume == 0).any())}')
assert same == (True, True) and refused() and (volume == 0).any(), 'it behaves otherwise now'
print('as described')
PYTHON
