# The ROS 2 wheels are for Python 3.11.
PYTHON ?= $(shell python3 -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null && echo python3 || echo python3.11)
VENV ?= .venv
BIN := $(VENV)/bin
# Two test files at a time, with one thread each: two of two threads on two cores wait for each other, and take twice as
# long. Tests that are about threads set them.
JOBS ?= 2
INSTALLED := $(VENV)/.installed
# Rerun needs numpy 2, which nuscenes-devkit cannot have: its tests see this folder before the environment.
RERUN := rerun-sdk==0.41.0 numpy==2.4.6 pyarrow==26.0.1 attrs==26.1.0 psutil==7.2.2
# What an installation depends on; Python files need none, the installation is editable.
INPUTS := CMakeLists.txt constraints.txt package.xml pyproject.toml setup.py $(shell find cmake msg scripts vendor -type f)

.PHONY: help setup demo test test-fast lint docs figures weights ablation check-install check-exports check-kilted check-versions release-check clean

help:  ## this list
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 24

setup: $(INSTALLED)  ## virtual environment in .venv with everything installed, ROS 2 and messages included

$(BIN)/python:
	@$(PYTHON) -c 'import ensurepip, venv' || { echo 'make: Python 3.11 with the module venv is needed (Debian 12: apt install python3-venv)' >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	touch $(VENV)/COLCON_IGNORE

$(INSTALLED): $(INPUTS) | $(BIN)/python
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[ros,nuscenes,train,video,export,openvino,jpeg,page,foxglove,fleet,docs,dev]'
	$(BIN)/pip install --quiet --upgrade --no-deps --target $(VENV)/rerun $(RERUN)
	@touch $@

demo: setup  ## a synthetic scene to a bag, the bag to the live node, grids to scores and pictures in demo/
	$(BIN)/gdfusion demo $(DEMO_ARGUMENTS)

test: lint  ## lint, then all tests, a file in each of JOBS processes
	OMP_NUM_THREADS=1 $(BIN)/pytest -n $(JOBS) --dist loadfile

test-fast: setup  ## the tests that are neither slow nor need ROS processes or a browser: under 2 minutes
	$(BIN)/pytest -m 'not slow and not ros and not browser'

lint: setup  ## ruff (rules and format), codespell and mypy
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	git ls-files -z | xargs -0 $(BIN)/codespell
	$(BIN)/mypy

docs: setup  ## the documentation as a site in build/site, strictly, after the tests of its links and code
	$(BIN)/pytest -q test/test_docs.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet

figures: setup  ## draw the figures of docs/four_cues.md and docs/a_frame.md anew
	$(BIN)/python -m tools.docs.figures

weights: setup  ## slow, hours: make the data of gdfusion_nano, train it, score it; in runs/nano/
	PATH="$(abspath $(BIN)):$$PATH" scripts/train_nano

ablation: setup  ## slow, hours: train gdfusion_nano with and without its temporal cues; table in runs/nano/cues/
	PATH="$(abspath $(BIN)):$$PATH" scripts/ablate_nano

check-install: setup  ## slow: pip and colcon installations of a fresh clone, each into a folder of its own
	PYTHON=$(PYTHON) scripts/check_install

check-exports: setup  ## slow: every network of the zoo, small, exported and run by onnxruntime
	EVERY_EXPORT=1 $(BIN)/pytest test/model/export

check-kilted:  ## slow: the tests of the live node with the wheels of ROS 2 Kilted, in a folder of their own
	PYTHON=$(PYTHON) scripts/check_kilted

check-versions:  ## slow, minutes a pair: every torch from 2.13 to the newest, with numpy 1.26 and 2; a table of what passes
	PYTHON=$(PYTHON) scripts/check_versions

release-check: setup  ## slow: sdist and wheels of a fresh clone in dist/, looked at by twine, installed and started
	BIN=$(abspath $(BIN)) PYTHON=$(PYTHON) scripts/release_check

clean:  ## remove the virtual environment and everything that was built
	rm -rf $(VENV) build dist install log demo gdfusion_ros/msg gdfusion_ros/*.so *.egg-info
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
