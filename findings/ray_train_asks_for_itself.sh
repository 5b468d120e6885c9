#!/usr/bin/env bash
# ray 2.60.0 with pyarrow 26.0.1: beside numpy 1, a complete installation of ray[train] asks to install ray[train].
#
# nuscenes-devkit 1.2.0 and others of this field keep numpy below 2. pyarrow 26 refuses such a numpy when it is imported,
# but has no line about numpy in its metadata, so that pip chooses it all the same and 'pip check' is content. Ray catches
# every ImportError of what it needs and says one thing of all.
#
# Expected: pip takes a pyarrow that works with the numpy that is there, or the error names numpy. Seen: 'Can't import
# ray.train as some dependencies are missing. Run `pip install "ray[train]"` to fix.', which changes nothing.
#
# What gdfusion_ros does: docs/fleet.md installs pyarrow below 26 beside Ray Train, and says why. A fleet does not need it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3.11 -m venv "$folder/venv"
cd "$folder"
venv/bin/pip install --quiet 'ray[train]==2.60.0' pyarrow==26.0.1 numpy==1.26.4
venv/bin/pip check
check() {
    (venv/bin/python -c "import $1; print('$1 can be imported')" 2>&1 || true) | grep '^ImportError\|can be imported' | tail -n 1
}
check pyarrow
check ray.train
[[ $(check pyarrow) == 'ImportError: pyarrow requires NumPy 2.0 or newer, found 1.26.4' ]]
[[ $(check ray.train) == "ImportError: Can't import ray.train as some dependencies are missing. Run"* ]]
venv/bin/python -c "import importlib.metadata as m; assert not m.requires('pyarrow')"
venv/bin/pip install --quiet 'pyarrow<26'
check ray.train
[[ $(check ray.train) == 'ray.train can be imported' ]]
echo 'as described'
