# `make demo` and `make test` do all their set-up: a virtual environment in .venv, then the work.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
DOCS_STAMP := $(VENV)/.docs-ready
# Over the cores; each process takes about 0.8 GB.
SPREAD := -n auto --maxprocesses 8 --dist loadfile --no-loadscope-reorder

.PHONY: demo test quick slow fuzz lint types contracts cover docs clean

demo: $(STAMP)
	$(BIN)/dmtsearch demo

test: lint types contracts
	$(BIN)/python -m pytest -q $(SPREAD) -m "not slow and not fuzz"

quick: $(STAMP)
	$(BIN)/python -m pytest -q $(SPREAD) -m "not engine and not slow and not fuzz"

# What takes more than 20 seconds a test: the README's commands in order, faults, browsers.
slow: $(STAMP)
	$(BIN)/python -m pytest -q -m slow

# Thousands of made inputs for every reader; by hand.
fuzz: $(STAMP)
	$(BIN)/python -m pytest -q -m fuzz

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

contracts: $(STAMP)
	$(BIN)/lint-imports

cover: $(STAMP)
	$(BIN)/python -m pytest -q -m "not fuzz" --cov --cov-report=term:skip-covered

# Pages in build/docs, from docs/; warnings are errors.
docs: $(DOCS_STAMP)
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs build/docs
	@echo "Wrote build/docs/index.html"

$(DOCS_STAMP): $(STAMP)
	$(BIN)/python -m pip install --quiet --editable '.[docs]'
	touch $(DOCS_STAMP)

$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $(STAMP)

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
