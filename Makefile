# `make demo` and `make test` do all their set-up: a virtual environment in .venv, then the work.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
RUNTIME := $(VENV)/.runtime
# Over the cores, as tests/conftest.py says; each process takes about 0.8 GB.
SPREAD := -n auto --maxprocesses 8 --dist loadfile --no-loadscope-reorder

.PHONY: demo setup test tests all-tests quick slow everything fuzz soak gpu gpu-bundle lint types contracts \
	cover docs clean
# Types are checked on one core while tests run; an older make does one after the other.
MAKEFLAGS += --jobs=2
# What is imported is compiled once and kept, even where the environment says not to: else each
# process of a test or a demo compiles PyTorch and Ray anew, seconds every time.
unexport PYTHONDONTWRITEBYTECODE

demo: $(RUNTIME)
	$(BIN)/dmtsearch demo

setup: $(STAMP)

test: lint types contracts tests

tests: $(STAMP)
	$(BIN)/python -m pytest -q $(SPREAD) -m "not slow and not fuzz and not gpu and not soak"

quick: $(STAMP)
	$(BIN)/python -m pytest -q $(SPREAD) -m "not engine and not slow and not fuzz and not gpu and not soak"

# What takes more than 20 seconds a test: the README's commands in order, faults, browsers.
slow: $(STAMP)
	$(BIN)/python -m pytest -q $(SPREAD) -m slow

# `test` and `slow` at once: sooner than one after the other, since slow tests wait much. A test
# builds the pages.
everything: lint types contracts all-tests

all-tests: $(STAMP)
	$(BIN)/python -m pytest -q $(SPREAD) -m "not fuzz and not soak"

# 20,000 made inputs for every reader of files; by hand. Some 45 minutes of CPU time, over the cores.
fuzz: $(STAMP)
	$(BIN)/python -m pytest -q $(SPREAD) -m fuzz

# Stages on a Ray with GPUs in name, two faults on three Ray nodes of this machine, then 20 minutes of
# faults under one search there; by hand.
soak: $(STAMP)
	$(BIN)/python -m pytest -q -m soak
	$(BIN)/python benchmarks/soak.py

# On a machine with a GPU, by its own Python and torch: tests, step times, sharing, a whole search;
# writes benchmarks/GPU.md. What lacks is installed beside, from BUNDLE where that is given.
gpu:
	$(PYTHON) benchmarks/gpu.py $(if $(BUNDLE),--bundle $(BUNDLE))

# The wheels that `make gpu` needs on a machine without network, all but torch and torchvision.
gpu-bundle:
	$(PYTHON) benchmarks/gpu.py --fill --bundle $(or $(BUNDLE),build/gpu-bundle) $(TARGET)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

contracts: $(STAMP)
	$(BIN)/lint-imports

cover: $(STAMP)
	$(BIN)/python -m pytest -q -m "not fuzz and not gpu and not soak" --cov --cov-report=term:skip-covered

# Pages in build/docs, from docs/; warnings are errors.
docs: $(STAMP)
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs build/docs
	@echo "Wrote build/docs/index.html"

# What users install; the demo needs no more. Python compiles what is imported, and no more.
INSTALL := $(BIN)/python -m pip install --quiet --no-compile --editable
$(RUNTIME): pyproject.toml
	@echo "Setting up $(VENV) (PyTorch, Ray and others: minutes, once) ..."
	@$(PYTHON) -m venv $(VENV)
	$(INSTALL) .
	@touch $(RUNTIME)

# With what tests and pages need; `make demo test` sets up one after the other.
$(STAMP): | $(filter $(RUNTIME),$(MAKECMDGOALS:demo=$(RUNTIME)))
$(STAMP): pyproject.toml
	@echo "Setting up $(VENV) for the tests (PyTorch, Ray and others: minutes, once) ..."
	@$(PYTHON) -m venv $(VENV)
	$(INSTALL) '.[dev,docs]'
	@touch $(RUNTIME) $(STAMP)

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
