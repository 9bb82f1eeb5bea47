# Every command works on a fresh clone; the first one to need it makes .venv.
PYTHON ?= python3
JOBS ?= 2
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt

.DEFAULT_GOAL := help
.PHONY: help demo test check docs bench soak lock audit sweep release clean

help: ## List these commands
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "make %-7s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: .venv/installed ## Train on the bundled film ratings, evaluate, recommend for newcomers
	@$(BIN)/clusterseq demo

test: check .venv/s3/installed ## Run the whole test suite, with ruff, mypy and coverage
	OMP_NUM_THREADS=1 $(BIN)/pytest -q -n $(JOBS) --dist loadfile --cov --cov-report=term

check: .venv/installed-dev ## Run ruff and mypy only
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

docs: .venv/installed-dev ## Build the documentation into site/; warnings are errors, links are checked
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build
	@echo site/index.html

bench: .venv/installed-dev ## Measure speed beside rivals; benchmarks/RESULTS.md is written anew
	$(BIN)/python -m benchmarks.speed

soak: .venv/installed-dev ## Fuzz, kill and fill for an hour or so, then serve under load and see what grows
	OMP_NUM_THREADS=1 POLARS_MAX_THREADS=1 $(BIN)/pytest -q -n $(JOBS) tests/soak --soak
	$(BIN)/python -m benchmarks.speed soak --minutes $(or $(MINUTES),10)

lock: .venv/installed-release ## Renew the hashes of what a release consists of, by the versions in constraints.txt
	UV_FIND_LINKS="$${UV_FIND_LINKS:-$$PIP_FIND_LINKS}" $(BIN)/uv pip compile -q pyproject.toml \
		--extra serve --extra storage --constraints constraints.txt --generate-hashes --no-annotate \
		--python-version 3.11 --python-platform x86_64-manylinux_2_28 \
		--custom-compile-command 'make lock' --output-file deploy/requirements.lock

audit: .venv/installed-release ## Ask the vulnerability service about every version in the lock
	sed -nE 's/^([^ ]+==[^ +]+).*/\1/p' deploy/requirements.lock | \
		$(BIN)/pip-audit --strict --disable-pip --no-deps -r /dev/stdin

sweep: ## Run the core tests with the oldest and the newest dependencies that are allowed
	$(PYTHON) deploy/sweep.py $(SWEEP)

release: .venv/installed-release ## Build what is released, the same bytes every time, and try it out
	rm -rf dist
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python deploy/release.py dist

clean: ## Remove .venv and everything that tools leave behind
	rm -rf .venv build dist site .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache
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

.venv/s3/installed: tests/reading/s3-server.txt | .venv/bin/python
	.venv/bin/python -m venv .venv/s3
	.venv/s3/bin/python -m pip install --disable-pip-version-check -r $<
	@touch $@

.venv/installed-release: constraints.txt | .venv/installed
	$(PIP) build twine uv cyclonedx-bom pip-audit
	@touch $@
