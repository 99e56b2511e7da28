# `make test` and `make demo` need Python >= 3.10, make, git and a C++ compiler; the rest is installed into .venv.
#
#   PYTHON  the interpreter .venv is made with
#   TORCH   what pip installs as torch. A CPU build is enough; where the default brings CUDA along, name another, as in
#           make test TORCH="torch==2.13.0 --index-url URL-OF-A-CPU-INDEX"
#   TREE    the tree that `make bench` measures; UNITS the files it migrates, instead of the largest group
#   CASE    the cases that `make replay` replays, all where it is empty; and that `make bench` measures, instead of TREE

PYTHON ?= python3
TORCH ?= torch==2.13.0
TREE ?= csrc
CASE ?=
REPLAY_ARGS ?=
SERIES_ARGS ?=
PYTEST_ARGS ?=
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
NVCC := $(or $(shell command -v nvcc),$(wildcard /usr/local/cuda/bin/nvcc))
NVCC_INCLUDE = $(dir $(realpath $(NVCC)))../include
CUDA_HEADERS := nvidia-cublas nvidia-cusolver nvidia-cusparse

.PHONY: demo test lint format gpu bench series docs replay clean

$(VENV)/.ready: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or newer is needed: make PYTHON=...")'
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet $(TORCH)
	$(PIP) install --quiet --editable '.[verify,dev]'
ifeq ($(NVCC),)
	@echo "nvcc not found: CUDA units will not be compiled"
else
	$(PIP) install --quiet --no-deps nvidia-cutlass
ifeq ($(wildcard $(NVCC_INCLUDE)/cublas_v2.h),)
	$(PIP) install --quiet --no-deps $(CUDA_HEADERS)
endif
endif
	@touch $@

test: $(VENV)/.ready
	$(BIN)/python -m pytest -n auto --dist loadgroup $(PYTEST_ARGS)

demo: $(VENV)/.ready
	PATH="$(abspath $(BIN)):$$PATH" tests/demo.sh build/demo

lint: $(VENV)/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.ready
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# What a GPU machine without a network needs, in build/gpu; there, `python3 tests/gpu/run.py --out FOLDER` does the rest.
gpu: $(VENV)/.ready
	PYTHON="$(abspath $(BIN))/python" PATH="$(abspath $(BIN)):$$PATH" tests/gpu/prepare.sh build/gpu

bench: $(VENV)/.ready
	$(BIN)/python -m tests.bench.bench $(if $(CASE),--case $(CASE),$(TREE) $(if $(UNITS),--units $(UNITS)))

# Every group of the sample migrated, one after another: the table in README.md. SERIES_ARGS="--shuffle 1" for another order.
series: $(VENV)/.ready
	$(BIN)/python tests/sample/series.py build/series $(SERIES_ARGS)

# Hand migrations of real kernels, done again and compared: all cases, or CASE=pr06. Downloads releases into REPLAY_CACHE
# (build/replay); compiles where nvcc is found, which takes long.
replay: $(VENV)/.ready
	$(PIP) install --quiet -r tests/replay/requirements.txt
	$(BIN)/python -m tests.replay.replay $(CASE) $(REPLAY_ARGS)

docs: $(VENV)/.ready
	$(BIN)/torch-stabilize explain --all --format md > docs/codes.md

clean:
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
