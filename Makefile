# Every command works on a fresh clone; the first one to need it makes .venv.
PYTHON ?= python3
JOBS ?= 2
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt

.DEFAULT_GOAL := help
.PHONY: help demo test check bench soak release clean

help: ## List these commands
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "make %-7s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: .venv/installed ## Train on the bundled film ratings, evaluate, recommend for newcomers
	@$(BIN)/clusterseq demo

test: check ## Run the whole test suite, with ruff, mypy and coverage
	OMP_NUM_THREADS=1 $(BIN)/pytest -q -n $(JOBS) --dist loadgroup --cov --cov-report=term

check: .venv/installed-dev ## Run ruff and mypy only
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

bench: .venv/installed-dev ## Measure speed beside rivals; benchmarks/RESULTS.md is written anew
	$(BIN)/python -m benchmarks.speed

soak: .venv/installed-dev ## Serve for ten minutes under load and see what grows
	$(BIN)/python -m benchmarks.speed soak --minutes $(or $(MINUTES),10)

release: .venv/installed ## Build the sdist and the wheel, the same bytes every time, and check them
	$(PIP) -q build twine
	rm -rf dist
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python deploy/release.py dist

clean: ## Remove .venv and everything that tools leave behind
	rm -rf .venv build dist .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find src -name '*.egg-info' -prune -exec rm -rf {} +
	find src tests -name __pycache__ -prune -exec rm -rf {} +

.venv/bin/python:
	@$(PYTHON) -c 'import sys; v = sys.version_info; v >= (3, 11) or sys.exit(f"clusterseq needs Python 3.11 or newer and this is {v.major}.{v.minor}; try: make PYTHON=python3.11")'
	$(PYTHON) -m venv .venv

.venv/installed: pyproject.toml constraints.txt | .venv/bin/python
	$(PIP) -e .
	@touch $@

.venv/installed-dev: pyproject.toml constraints.txt | .venv/bin/python
	$(PIP) -e '.[dev]'
	@touch .venv/installed $@
