# Everything starts here: `make demo` and `make test` work on a machine that has only Python >= 3.10.
#
#   PYTHON=python3.12         the Python that .venv is made with
#   TORCH_INDEX=URL           another package index for PyTorch; on a CPU-only machine
#                             https://download.pytorch.org/whl/cpu saves gigabytes of CUDA, and for V100, or
#                             drivers older than 580, https://download.pytorch.org/whl/cu126 is needed
#   ARGS='-k plan'            further arguments of pytest

PYTHON ?= python3
TORCH_INDEX ?=
ARGS ?=

BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
# Nothing below needs a model hub.
export HF_HUB_OFFLINE := 1
# Tests start many processes: modules are compiled once, and not for each of them.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help install demo test soak lint format gpu-check

help:
	@sed -n 's/^# \{0,1\}//p' Makefile
	@echo "targets: demo test soak lint format install gpu-check"

install: .venv/.installed

.venv/.installed: setup.cfg pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(if $(TORCH_INDEX),$(BIN)/python -m pip install --quiet -c constraints.txt torch --index-url $(TORCH_INDEX))
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[deepspeed,test,dev]'
	touch $@

demo: install
	accelerate launch --config_file launch/cpu.yaml -m ner_dist.train recipes/demo_full.yaml
	accelerate launch --config_file launch/cpu.yaml -m ner_dist.train recipes/demo_subset.yaml
	ner-dist compare runs/demo_full runs/demo_subset --out runs/demo_comparison

test: install
	python -m pytest -q -n 2 -m "not soak" --durations=15 $(ARGS)

# What only long runs can prove.
soak: install
	python -m pytest -q -n 2 -m soak --durations=15 $(ARGS)

# What only a GPU can show, in ten minutes; the figures are left in runs/gpu_check.
gpu-check: install
	python benchmarks/gpu_check.py --out runs/gpu_check $(ARGS)

lint: install
	ruff check .
	ruff format --check .
	mypy ner_dist
	git ls-files -z | xargs -0 codespell

format: install
	ruff format .
	ruff check --fix .
