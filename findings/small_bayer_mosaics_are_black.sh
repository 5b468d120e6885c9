#!/usr/bin/env bash
# opencv-python-headless 4.11.0.86: a Bayer mosaic with a side of 2 pixels is converted to black, without an error.
#
# Drivers publish regions of interest and binned images as mosaics (bayer_rggb8 of sensor_msgs), which whoever receives
# them hands to cvtColor.
#
# Expected: colours, as from a mosaic of 3 x 3 pixels, whose colours are as incomplete; or an error. Seen: all pixels are
# 0, by all three ways of demosaicing and however bright the mosaic is.
#
# What gdfusion_ros does: such images are refused by a line that says why (messages/encodings.py), with a test.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet opencv-python-headless==4.11.0.86 numpy==1.26.4
"$folder/venv/bin/python" - <<'PYTHON'
import cv2
import numpy as np

for way in ('', '_EA', '_VNG'):
    for size in ((2, 2), (2, 640), (480, 2), (3, 3)):
        found = cv2.cvtColor(np.full(size, 200, np.uint8), getattr(cv2, f'COLOR_BayerRG2RGB{way}'))
        print(f'BayerRG2RGB{way} of {size[0]} x {size[1]} pixels of 200: {found.min()} to {found.max()}')
        assert (found == (200 if min(size) > 2 else 0)).all(), 'it behaves otherwise now'
print('as described')
PYTHON
