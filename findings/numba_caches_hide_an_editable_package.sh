#!/usr/bin/env bash
# pip 26.3, setuptools 84.2.1, numba 0.68.1: once a package's compiled functions have run, it cannot become editable.
#
# `numba.njit(cache=True)` keeps what it compiled beside the source, in __pycache__. pip removes what it installed and
# Python's own caches, not numba's, so that the package's folder stays in site-packages with nothing but __pycache__.
#
# Expected: `pip install .`, a run, then `pip install --editable .`, and the package is the one of the checkout. Seen:
# pip reports success, and importing anything from the package fails: Python takes the folder that was left for a
# namespace package, and finds it before the editable installation's hook, which comes last, is asked. Where nothing had
# been compiled, the same commands work.
#
# What gdfusion_ros does: docs/install.md says to begin in a fresh environment, or to remove that folder.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir -p "$folder/checkout/voxels"
cat > "$folder/checkout/pyproject.toml" <<'TOML'
[build-system]
requires = ["setuptools==84.2.1"]
build-backend = "setuptools.build_meta"
[project]
name = "voxels"
version = "1"
[tool.setuptools]
packages = ["voxels"]
TOML
cat > "$folder/checkout/voxels/__init__.py" <<'PYTHON'
import numba


@numba.njit(cache=True)
def count(labels):
    return (labels != 0).sum()
PYTHON
cd "$folder"

try() {  # whether the package can be imported when it is made editable after $1
    python3.11 -m venv "$folder/$2"
    local python="$folder/$2/bin/python"
    "$python" -m pip install --quiet pip==26.3
    "$python" -m pip install --quiet numba==0.68.1 numpy==1.26.4 "$folder/checkout"
    "$python" -c "$1"
    "$python" -m pip install --quiet --quiet --editable "$folder/checkout"
    "$python" -c 'from voxels import count' 2>&1 | tail -n 1 || true
}
imported=$(try 'import voxels' imported)
ran=$(try 'import numpy, voxels; voxels.count(numpy.ones(3))' ran)
echo "after an import: ${imported:-is imported}"
echo "after a run: ${ran:-is imported}"
[[ -z $imported && $ran == *'unknown location'* ]] || { echo 'no longer so' >&2; exit 1; }
