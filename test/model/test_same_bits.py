"""The geometry has the same bits on processors of other makers and vector widths, as far as one processor can tell."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

STORED = {
    'volume_from_camera': '3b94b188c28440cc',
    'previous_camera': '602936c29c9a1a6f',
    'previous_ego': 'fee519c3c34b0782',
    'columns': '72db4c77cc373934',
    'rows': '504e70c2be1a2157',
    'large_image': '51d62af45d8eec2b',
    'points': '8c4c05749fdb1b29',
    'rays': 'a9c2e1732dfb86e2',
    'ground': '75167a57ec55c43c',
    'stereo': 'a2888da4fefde8d2',
    'index': 'bba90745fd63967b',
    'positions': '8a006a32ac90f3fe',
    'voxels': '1737ebc289f12e26',
    'parts': '1d01cd9004610181',
}

PROCESSORS = {
    'this one': {},
    'SSE': {
        'ATEN_CPU_CAPABILITY': 'default',
        'MKL_ENABLE_INSTRUCTIONS': 'SSE4_2',
        'ONEDNN_MAX_CPU_ISA': 'SSE41',
        'OPENBLAS_CORETYPE': 'Prescott',
        'NUMBA_CPU_NAME': 'generic',
        'OMP_NUM_THREADS': '1',
    },
    'AVX2': {
        'ATEN_CPU_CAPABILITY': 'avx2',
        'MKL_ENABLE_INSTRUCTIONS': 'AVX2',
        'ONEDNN_MAX_CPU_ISA': 'AVX2',
        'OPENBLAS_CORETYPE': 'Haswell',
    },
    'AVX-512': {'ATEN_CPU_CAPABILITY': 'avx512', 'MKL_ENABLE_INSTRUCTIONS': 'AVX512', 'OPENBLAS_CORETYPE': 'SkylakeX'},
    'MKL, compatible': {'MKL_CBWR': 'COMPATIBLE'},
    'MKL, AVX2': {'MKL_CBWR': 'AVX2'},
}
"""Environments that make the libraries compute as on other processors; what a processor lacks, they ignore."""


@pytest.mark.parametrize('processor', PROCESSORS)
def test_geometry_has_the_stored_bits(processor: str) -> None:
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name('geometry_bits.py'))],
        check=True,
        text=True,
        env=os.environ | PROCESSORS[processor],
        stdout=subprocess.PIPE,
    )
    assert json.loads(done.stdout) == STORED
