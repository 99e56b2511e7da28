# `make test` and `make demo` need Python >= 3.10, make, git and a C++ compiler; the rest is installed into .venv, once.
#
#   PYTHON  the interpreter .venv is made with
#   TORCH   what pip installs as torch, with options of pip:
#           make test TORCH="torch==2.13.0 --index-url https://download.pytorch.org/whl/cpu"
#           Without it: the CPU build where there is no NVIDIA GPU and pip can get it, else what pip gives
#   VENV    where to install, instead of .venv
#   EXTENSION  the sample extension that `make demo` takes: samplex, or segments, which is on pybind11 and autograd
#   TREE    the tree that `make bench` measures; UNITS the files it migrates, instead of the largest group
#   CASE    the cases that `make replay` replays, all where it is empty; and that `make bench` measures, instead of TREE

PYTHON ?= python3
TORCH ?=
EXTENSION ?= samplex
TREE ?= csrc
CASE ?=
REPLAY_ARGS ?=
SERIES_ARGS ?=
TWINS_ARGS ?=
FUZZ_ARGS ?=
GROWTH_ARGS ?=
HEADERS ?=
PYTEST_ARGS ?=
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check

.PHONY: environment demo test lint format gpu bench bench-growth series surface twins fuzz docs site replay faults clean

environment:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or newer is needed: make PYTHON=...")'
	@$(PYTHON) tests/environment.py "$(VENV)" "$(TORCH)"

test: environment
	$(BIN)/python -m pytest -n auto --dist loadgroup $(PYTEST_ARGS)

demo: environment
	PATH="$(abspath $(BIN)):$$PATH" tests/demo.sh build/demo "$(EXTENSION)"

lint: environment
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: environment
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# What a GPU machine without a network needs, in build/gpu; there, `python3 tests/gpu/run.py --out FOLDER` does the rest.
# RELEASE=1 adds the all-reduce kernels of a vLLM release, which is downloaded as `make replay` does it.
gpu: environment
	$(if $(RELEASE),$(PIP) install --quiet -r tests/replay/requirements.txt)
	RELEASE="$(RELEASE)" PYTHON="$(abspath $(BIN))/python" PATH="$(abspath $(BIN)):$$PATH" tests/gpu/prepare.sh build/gpu

bench: environment
	$(BIN)/python -m tests.bench.bench $(if $(CASE),--case $(CASE),$(TREE) $(if $(UNITS),--units $(UNITS)))

# Every group of the sample migrated, one after another: the table in docs/series.md. SERIES_ARGS="--shuffle 1" for another order.
series: environment
	$(BIN)/python tests/sample/series.py build/series $(SERIES_ARGS)

# Hand migrations of real kernels, done again and compared: all cases, or CASE=pr06. Downloads releases into REPLAY_CACHE
# (build/replay); compiles where nvcc is found, which takes long.
replay: environment
	$(PIP) install --quiet -r tests/replay/requirements.txt
	$(BIN)/python -m tests.replay.replay $(CASE) $(REPLAY_ARGS)

# Every event of a run that writes, with every fault that can stop it there: some 2,000 points.
faults: environment
	FAULTS_EVERY=1 $(BIN)/python -m pytest -n auto -q tests/faults

# Random legacy functions, migrated, built and called on both sides: differences that no finding announces, shrunk, in
# build/twins/found. TWINS_ARGS="--seed 2 --functions 10000", or "--sweep" for every overload in every setting.
twins: environment
	$(BIN)/python -m tests.twins.twins $(TWINS_ARGS)

# Damaged extensions, migrated twice in memory: no crash, no hang, nothing left for the second run. What fails is in
# build/fuzz, made smaller. FUZZ_ARGS="--plans 50000 --seed 2"; some 10 ms a plan.
fuzz: environment
	$(BIN)/python -m tests.fuzz.fuzz $(FUZZ_ARGS)

# Kinds of code in doubling sizes: how the cost of scan and migrate grows with each, as a power of the size.
bench-growth: environment
	$(BIN)/python -m tests.bench.growth $(GROWTH_ARGS)

# The tables and torch: the schemas of its ops are written anew from the torch that is installed, and the rows compared
# with its headers, both ways. HEADERS="A B" are include folders of other releases.
surface: environment
	$(BIN)/python -m torch_stabilize.surface.generate_aten
	$(BIN)/python -m torch_stabilize.surface.probe $(HEADERS)

docs: environment
	$(BIN)/torch-stabilize explain --all --format md > docs/codes.md
	$(BIN)/python -m tests.architecture

# The documentation as a site, with a page for every code and the tables of torch's API, in build/site.
site: environment
	$(BIN)/python docs/site.py build/site

clean:
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
